"""Unusual input of chains and clients: each case has a correct result, and no mart stops."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from typing import Any, TypeAlias

import event_histories
import msgspec
import psycopg
import pytest
from test_replay import deliver, differing, place  # noqa: F401 - `place` is a fixture

from devchain import history
from ingest.decode import decoder
from ingest.records import TransactionRow
from ingest.store.writer import Writer
from ingest.testing import address
from zmart import testing
from zmart.domain import lmsr

SOL = 1_000_000_000
U64_MAX = (1 << 64) - 1
BOUGHT, SOLD, CLAIMED = "SharesBought", "SharesSold", "WinningsClaimed"
Place: TypeAlias = testing.PostgresDatabase


def deliver_and_query(
    place: Place,  # noqa: F811 - the fixture's value
    story: event_histories.EventHistory,
    query: str,
    *,
    backwards: bool = False,
) -> list[tuple[Any, ...]]:
    """Deliver a story one transaction at a time and run a query; live must equal rebuilt."""
    rows = story.transactions[::-1] if backwards else story.transactions
    deliver(place, [[row] for row in rows])
    assert differing(place) == {}
    with place.connect() as connection:
        return connection.execute(query).fetchall()


def market(
    story: event_histories.EventHistory,
    number: int = 1,
    *,
    b: int = 100 * SOL,
    creator: int = 1,
    liquidity: int = SOL // 10,
) -> None:
    """A market is created and opened."""
    initial = {"initial_liquidity": str(liquidity)}
    story.append(("MarketCreated", number, creator, {"b_parameter": str(b), "state": 0}, initial))
    story.append(("MarketActivated", number, creator, initial, None))


def trade(name: str, wallet: int, *, shares: int, lamports: int, price: int, yes: bool = True, number: int = 1) -> Any:
    """One buy or sell."""
    terms = {"outcome": yes, "shares": str(shares), "new_price_yes": str(price)}
    money = "cost" if name == BOUGHT else "proceeds"
    return name, number, wallet, {**terms, money: str(lamports)}, None


def finalize(story: event_histories.EventHistory, outcome: bool | None, *, lamports: int | None = None) -> None:
    """End a market: without an outcome by the path that emits no MarketFinalized (protocol.md 1.4.15)."""
    context = None if lamports is None else {"market_lamports": str(lamports)}
    story.append(("MarketResolved", 1, 5, {"outcome": True, "evidence_hash": "E" * 46}, None))
    if outcome is None:
        story.append(("DisputeInitiated", 1, 5, {"disputed_outcome": True}, None))
        counts = {"agrees": 1, "disagrees": 9, "agreement_percentage": 10, "dispute_succeeded": False}
        story.append(("DisputeAggregated", 1, None, counts, context))
    else:
        story.append(("MarketFinalized", 1, None, {"final_outcome": outcome, "was_disputed": False}, context))


@pytest.mark.parametrize("backwards", [False, True])
def test_b_below_the_trading_minimum(place: Place, backwards: bool) -> None:  # noqa: F811
    """It exists and has no price: the program rejects every trade (protocol.md 2.6)."""
    story = event_histories.EventHistory(1)
    market(story, b=100 * SOL - 1)
    query = "select state, price_yes, last_price_yes, shares_yes, is_known from marts.markets"
    assert deliver_and_query(place, story, query, backwards=backwards) == [
        ("ACTIVE", None, None, (100 * SOL - 1) // 1000, True)
    ]


def test_trades_of_nothing(place: Place) -> None:  # noqa: F811
    """Zero shares for zero lamports is a trade (protocol.md 1.4.5): counted, worth nothing, dividing nothing."""
    story = event_histories.EventHistory(2)
    market(story)
    story.append(trade(BOUGHT, 2, shares=0, lamports=0, price=500_000_000))
    story.append(trade(SOLD, 2, shares=0, lamports=0, price=500_000_000))
    query = (
        "select trades_count, shares_yes, cost_yes, profit, settlement,"
        " (select array_agg(gross order by seq) from marts.trades) from marts.portfolio"
    )
    assert deliver_and_query(place, story, query) == [(2, 0, 0, 0, "CLOSED", [0, 0])]


def test_imbalance_beyond_the_turn_of_the_price(place: Place) -> None:  # noqa: F811
    """Past 3.46 b the price falls while shares are bought (protocol.md 2.6); it is shown unchanged, and lmsr agrees."""
    story, b = event_histories.EventHistory(3), 100 * SOL
    market(story, b=b)
    held, prices = b // 1000, []
    for step in (7 * b // 2, 3 * b // 2, 4 * b):
        held += step
        prices.append(lmsr.price_yes(held, b // 1000, b))
        story.append(trade(BOUGHT, 2, shares=step, lamports=11, price=prices[-1]))
    assert prices[0] > prices[1] > prices[2]
    query = (
        "select m.price_yes, c.high, c.close, lmsr.price_yes(m.shares_yes, m.shares_no, m.b_parameter)"
        " from marts.markets as m inner join marts.candles_1d as c using (market_no)"
    )
    assert deliver_and_query(place, story, query, backwards=True) == [(prices[2], prices[0], prices[2], prices[2])]


def test_the_largest_numbers(place: Place) -> None:  # noqa: F811
    """u64 everywhere: exact sums beyond u64, no overflow, no stale mart."""
    story = event_histories.EventHistory(4)
    market(story, b=U64_MAX, liquidity=U64_MAX)
    for _ in range(3):
        story.append(trade(BOUGHT, 2, shares=U64_MAX, lamports=U64_MAX, price=U64_MAX))
    story.append(trade(SOLD, 2, shares=U64_MAX, lamports=U64_MAX, price=U64_MAX, yes=False))
    story.append((CLAIMED, 1, 2, {"outcome": True, "amount": str(U64_MAX)}, {"market_lamports": str(U64_MAX)}))
    far = story.transactions[-1]
    story.transactions[-1] = far._replace(events=tuple(each._replace(clock=2**63 - 1) for each in far.events))
    rows = deliver_and_query(
        place,
        story,
        "select p.shares_yes, p.shares_no, p.total_invested, m.shares_yes, extract(year from p.claimed_at)::int"
        " from marts.positions as p inner join marts.markets as m using (market_no)",
    )
    assert rows == [(3 * U64_MAX, -U64_MAX, 3 * U64_MAX, 3 * U64_MAX + U64_MAX // 1000, 9999)]
    with place.connect() as connection:
        connection.execute("select count(*) from marts.portfolio, marts.activity, marts.market_deadlines")
        names = connection.execute("select name from ops.scheduled_models").fetchall()
        for (name,) in names:
            connection.execute("select folds.refresh(%s)", (name,))


def test_several_markets_of_one_creator_in_one_transaction(place: Place) -> None:  # noqa: F811
    """Distinct by their ordinals, each a separate market with its own trades."""
    story = event_histories.EventHistory(5)
    created = {"b_parameter": str(100 * SOL), "state": 0}
    story.append(
        *[("MarketCreated", number, 1, created, {"initial_liquidity": str(number)}) for number in (1, 2, 3)],
        trade(BOUGHT, 1, shares=5, lamports=11, price=7, number=2),
        trade(BOUGHT, 1, shares=6, lamports=22, price=8, number=2),
        trade(BOUGHT, 1, shares=7, lamports=33, price=9, number=3),
    )
    query = (
        "select initial_liquidity, trades_count, total_volume, last_price_yes, creator_wallet"
        " from marts.markets order by 1"
    )
    creator = address(1)
    assert deliver_and_query(place, story, query) == [
        (1, 0, 0, None, creator),
        (2, 2, 33, 8, creator),
        (3, 1, 33, 9, creator),
    ]


def test_a_claim_of_a_market_nobody_knows(place: Place) -> None:  # noqa: F811
    """WinningsClaimed names the account alone (protocol.md 1.7): the row waits for its market and has no debt."""
    story = event_histories.EventHistory(6)
    story.append(trade(BOUGHT, 2, shares=5, lamports=11, price=7))
    story.append((CLAIMED, 2, 3, {"outcome": None, "amount": "9"}, None))
    query = (
        "select m.state, m.is_known, p.owed_lamports, p.claimable, p.settlement"
        " from marts.portfolio as p inner join marts.markets as m using (market_no)"
    )
    assert sorted(deliver_and_query(place, story, query), key=str) == [
        (None, False, 0, 0, "CLAIMED"),
        (None, False, 0, 0, "OPEN"),
    ]


def test_invalid_refunds_what_was_invested(place: Place) -> None:  # noqa: F811
    """Without an outcome all holders get back their payments, fees included, while the account can pay in full."""
    story = event_histories.EventHistory(7)
    market(story)
    story.append(trade(BOUGHT, 2, shares=5 * SOL, lamports=3 * SOL, price=7))
    story.append(trade(BOUGHT, 3, shares=5 * SOL, lamports=SOL, price=7, yes=False))
    story.append(trade(BOUGHT, 4, shares=5 * SOL, lamports=2 * SOL, price=7))
    finalize(story, None, lamports=2 * SOL + 5_000_000)
    story.append(
        (CLAIMED, 1, 4, {"outcome": None, "amount": str(2 * SOL)}, {"market_lamports": str(2 * SOL + 5_000_000)})
    )
    query = (
        "select user_wallet, settlement, owed_lamports, claimable, realized_pnl, profit from marts.portfolio order by"
        " total_invested"
    )
    assert deliver_and_query(place, story, query) == [
        (address(3), "REFUNDABLE", SOL, SOL, 0, 0),
        (address(4), "REFUNDED", 0, 0, 0, 0),
        # The protocol's part of the fees has left the account: the last claims can fail, all or nothing.
        (address(2), "POOL_SHORT", 3 * SOL, 0, -3 * SOL, -3 * SOL),
    ]


def test_a_pool_that_was_emptied_before_the_claims(place: Place) -> None:  # noqa: F811
    """The creator may withdraw everything at once (protocol.md 1.4.11): winners get nothing, with the reason shown."""
    story = event_histories.EventHistory(8)
    market(story)
    story.append(trade(BOUGHT, 2, shares=5 * SOL, lamports=3 * SOL, price=7))
    story.append(trade(BOUGHT, 3, shares=5 * SOL, lamports=SOL, price=7, yes=False))
    finalize(story, True, lamports=9 * SOL)
    story.append(("LiquidityWithdrawn", 1, 1, {"amount": str(9 * SOL)}, {"market_lamports": "4297360"}))
    query = "select user_wallet, settlement, claimable, realized_pnl, is_pool_withdrawn from marts.portfolio order by 1"
    assert sorted(deliver_and_query(place, story, query, backwards=True)) == sorted(
        [(address(2), "POOL_WITHDRAWN", 0, -3 * SOL, True), (address(3), "LOST", 0, -SOL, True)]
    )


@pytest.mark.parametrize("chain_first", [True, False])
@pytest.mark.parametrize(
    ("clock", "tally"),
    [
        # likes, dislikes, all, dislikes on chain, likes here by a wallet in the log (it voted on chain as well)
        pytest.param(event_histories.CLOCK, (0, 1, 1, 1, 0), id="earlier on chain"),
        pytest.param(4_000_000_000, (1, 0, 1, 0, 1), id="earlier here"),
    ],
)
def test_a_wallet_votes_on_chain_and_here(
    place: Place,  # noqa: F811
    chain_first: bool,
    clock: int,
    tally: tuple[int, ...],
) -> None:
    """The earlier instant counts, in any order of arrival."""
    story = event_histories.EventHistory(9)
    story.append(("MarketCreated", 1, 1, {"b_parameter": str(100 * SOL), "state": 0}, None))
    deliver(place, [story.transactions])
    story.append(("ProposalVoteSubmitted", 1, 2, {"vote": False}, None))
    (voted,) = story.transactions[-1:]
    chain = [voted._replace(events=tuple(each._replace(clock=clock) for each in voted.events))]

    def cast(connection: psycopg.Connection[Any]) -> None:
        connection.execute("select set_config('zmart.wallet', %s, false)", (address(2),))
        connection.execute("select app.cast_ballot(%s, 'proposal', true, 'm', 's')", (f"{1:064x}",))

    async def land(rows: Sequence[TransactionRow]) -> None:
        writer = await Writer.connect(place.dsn("zmart_ingest"))
        await writer.append(rows, source="webhook")
        await writer.close()

    with place.connect() as connection:
        for is_chain in (chain_first, not chain_first):
            asyncio.run(land(chain)) if is_chain else cast(connection)
        counted = connection.execute(
            "select agree, disagree, total, on_chain_disagree, off_chain_unseen_agree from marts.vote_tallies"
        ).fetchall()
    assert counted == [tally]
    assert differing(place) == {}


def test_sells_without_balances_are_resolved_by_the_markets_maths(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> None:
    """A generated chain without any balances, in any order: every gross and fee equals the one from balances."""
    items = [msgspec.json.encode(item) for item in history.play(5, 1_200)]
    rows = list(decoder.Decoder(history.PROGRAM_ID).decode_items(items).transactions)
    asked = (
        "select order_key, gross, protocol_fee, resolver_fee, lp_fee, fees_exact from marts.trades order by order_key"
    )

    def outcome(batches: list[list[TransactionRow]]) -> tuple[list[Any], dict[str, int], dict[str, int]]:
        with postgres_server.clone(marts_template) as database:

            async def run() -> None:
                writer = await Writer.connect(database.dsn("zmart_ingest"))
                for batch in batches:
                    await writer.append(batch, source="webhook")
                await writer.close()

            asyncio.run(run())
            with database.connect() as connection:
                trades = connection.execute(asked).fetchall()
                counted = "select gross_from, count(*)::int from marts.trades where trade_type = 'sell' group by 1"
                sources = {str(name): int(str(count)) for name, count in connection.execute(counted)}
            return trades, sources, differing(database)

    by_balance, sources, differs = outcome([rows])
    assert differs == {}
    assert sources["balance"] > 0

    blind = [_without_balances(row) for row in rows]
    random.Random(1).shuffle(blind)
    by_maths, sources, differs = outcome([blind[n : n + 100] for n in range(0, len(blind), 100)])
    assert differs == {}
    assert set(sources) <= {"event", "step", "totals"}
    assert sources["step"] > 0
    assert by_maths == by_balance


def _without_balances(row: TransactionRow) -> TransactionRow:
    def blinded(context: bytes | None) -> bytes | None:
        fields = json.loads(context) if context else {}
        return json.dumps({k: v for k, v in fields.items() if k != "market_lamports_delta"}).encode()

    return row._replace(events=tuple(each._replace(context=blinded(each.context)) for each in row.events))
