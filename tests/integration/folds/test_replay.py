"""Live equals rebuilt: for any order of arrival the marts equal one rebuild."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
from collections.abc import Iterator, Sequence

import event_histories
import psycopg
import pytest
import sessions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.records import TransactionRow
from ingest.store.writer import Writer
from zmart import testing
from zmart.run.deploy import rebuild

#: The columns of a row, without the numbers that depend on the order of arrival.
COMPARED_MARTS = {
    "markets": "market_no, last_seq",
    "trades": "seq, market_no, wallet_no, last_seq",
    "positions": "market_no, wallet_no, last_seq",
    "ballots": "market_no, wallet_no, last_seq",
    "market_lifecycle": "seq, market_no, last_seq",
    "protocol_config": "seq, last_seq",
    "candles_1m": "market_no, last_seq",
    "position_costs": "market_no, wallet_no, last_seq",
}


@pytest.fixture(scope="module")
def place(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """One database for many histories; each example empties it first."""
    with postgres_server.clone(marts_template) as database:
        yield database


def forget(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Empty the log and the marts."""
    connection.execute(
        "truncate raw.feed, raw.events, raw.transactions, raw.markets_seen, raw.wallets_seen, raw.dead_letters,"
        " app.ballots, marts.markets, marts.priced_trades, marts.positions, marts.ballots, marts.market_lifecycle,"
        " marts.protocol_config, marts.candles_1m, marts.position_costs"
        " restart identity cascade"
    )


def deliver(place: testing.PostgresDatabase, batches: Sequence[Sequence[TransactionRow]]) -> dict[str, list[str]]:
    """Deliver batches into an empty log; return the rows of each mart, sorted."""

    async def run() -> None:
        writer = await Writer.connect(place.dsn("zmart_ingest"))
        for batch in batches:
            await writer.append(batch, source="webhook")
        await writer.close()

    with place.connect() as connection:
        forget(connection)
        asyncio.run(run())
        assert connection.execute("select name, reason from ops.model_status where is_stale").fetchall() == []
        return {mart: rows_as_text(connection, mart, without) for mart, without in COMPARED_MARTS.items()}


def rows_as_text(connection: psycopg.Connection[tuple[object, ...]], mart: str, without: str) -> list[str]:
    """Rows of a mart as text, without the columns that may differ."""
    columns = "{" + without.replace(" ", "") + "}"
    rows = connection.execute(f"select (to_jsonb(m) - %s::text[])::text from marts.{mart} as m order by 1", (columns,))
    return [str(text) for (text,) in rows]


def differing(place: testing.PostgresDatabase) -> dict[str, int]:
    """Return the marts that differ from their rebuild, with the number of rows."""
    return {v.name: v.differing_rows for v in rebuild.verify(place.dsn()) if not v.is_consistent}


def cut(rows: list[TransactionRow], draw: random.Random) -> list[list[TransactionRow]]:
    """Return the rows in their order, cut into batches of uneven size."""
    batches = []
    while rows:
        size = draw.choice((1, 2, 7, len(rows)))
        batches.append(rows[:size])
        rows = rows[size:]
    return batches


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 10**6), order=st.integers(0, 10**6))
def test_any_order_any_cut_any_repetition_gives_the_same_marts(
    place: testing.PostgresDatabase, seed: int, order: int
) -> None:
    """Shuffled, repeated and cut anyhow, a history gives the same marts as in one delivery, and equals its rebuild."""
    story = event_histories.generate(seed)
    whole = deliver(place, [story])
    assert differing(place) == {}

    draw = random.Random(order)
    shuffled = story + draw.sample(story, len(story) // 4)
    draw.shuffle(shuffled)
    pieces = deliver(place, cut(shuffled, draw))

    assert differing(place) == {}
    assert pieces == whole


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_a_retraction_leaves_no_trace(place: testing.PostgresDatabase, seed: int) -> None:
    """Retracting some transactions gives the marts of a history without them; their second landing restores them."""
    story = event_histories.generate(seed)
    whole = deliver(place, [story])
    gone = random.Random(seed).sample(range(len(story)), len(story) // 5)
    without = deliver(place, [[row for n, row in enumerate(story) if n not in gone]])

    deliver(place, [story])
    with place.connect() as connection:
        retract(connection, [story[n].signature for n in gone])
        left = {mart: rows_as_text(connection, mart, columns) for mart, columns in COMPARED_MARTS.items()}
    assert differing(place) == {}
    assert {mart: rows for mart, rows in left.items() if mart != "markets"} == {
        mart: rows for mart, rows in without.items() if mart != "markets"
    }
    assert [row for row in left["markets"] if '"id": null' not in row] == [
        row for row in without["markets"] if '"id": null' not in row
    ]

    again = land_again(place, [story[n] for n in gone])
    assert differing(place) == {}
    assert again == whole


def retract(connection: psycopg.Connection[tuple[object, ...]], signatures: list[str]) -> None:
    """Apply a proof of absence: mark the events, append to the feed, fold."""
    with connection.transaction():
        connection.execute("select raw.take_writer()")
        connection.execute("update raw.transactions set retracted_at = now() where signature = any(%s)", (signatures,))
        connection.execute(
            "update raw.events as e set retracted_at = now() from raw.transactions as t"
            " where e.transaction_no = t.transaction_no and t.signature = any(%s)",
            (signatures,),
        )
        connection.execute(
            "with head as (select max(seq) as seq from raw.feed), "
            "said as (insert into raw.feed (seq, kind, ref, market_no, wallet_no) "
            "select head.seq + row_number() over (order by e.seq), 'retracted', e.seq, e.market_no, e.wallet_no "
            "from raw.events as e inner join raw.transactions as t on e.transaction_no = t.transaction_no, head "
            "where t.signature = any(%s) returning seq) select max(seq) from said",
            (signatures,),
        )
        connection.execute("select folds.fold(max(seq) filter (where kind <> 'retracted'), max(seq)) from raw.feed")


def land_again(place: testing.PostgresDatabase, rows: list[TransactionRow]) -> dict[str, list[str]]:
    """Deliver retracted transactions once more; return the rows of each mart."""

    async def run() -> None:
        writer = await Writer.connect(place.dsn("zmart_ingest"))
        await writer.append(rows, source="walk")
        await writer.close()

    asyncio.run(run())
    with place.connect() as connection:
        return {mart: rows_as_text(connection, mart, columns) for mart, columns in COMPARED_MARTS.items()}


@pytest.mark.parametrize("arrival", [[[0, 1, 2, 3]], [[0], [1], [2], [3]], [[0, 1, 3], [2]], [[2], [3], [1], [0]]])
def test_a_configuration_prices_the_trades_after_it(place: testing.PostgresDatabase, arrival: list[list[int]]) -> None:
    """Fees follow the configuration in force at the trade's place on chain: if it arrives in order, early or late."""
    story = event_histories.EventHistory(7)
    story.append(("MarketCreated", 1, 1, {"b_parameter": "100000000000", "state": 0}, {"initial_liquidity": "1"}))
    bought = {"outcome": True, "shares": "5", "cost": "1200000", "new_price_yes": "5"}
    story.append(("SharesBought", 1, 2, bought, None))
    story.append(("ConfigUpdated", None, None, dict(zip(event_histories.CONFIG, (600, 400, 1000), strict=True)), None))
    story.append(("SharesBought", 1, 3, bought, None))

    deliver(place, [[story.transactions[number] for number in batch] for batch in arrival])

    with place.connect() as connection:
        fees = connection.execute("select gross, protocol_fee from marts.trades order by order_key").fetchall()
        paid = connection.execute("select protocol_fees_paid from marts.markets").fetchone()
    assert fees == [(1_090_910, 32_727), (1_000_000, 60_000)]
    assert paid == (92_727,)
    assert differing(place) == {}


def test_a_creation_that_comes_alone_and_late_settles_the_sells_before_it(place: testing.PostgresDatabase) -> None:
    """Fees of a sell that depend on b (protocol.md 8.6) are computed again when b arrives, in any window."""
    story = event_histories.EventHistory(9)
    # Both 999 and 1,000 leave 900 after fees of 10 %; costs of this market differ by multiples of 999.
    story.append(("MarketCreated", 1, 1, {"b_parameter": "999000000000", "state": 0}, None))
    sold = {"outcome": True, "shares": "5", "proceeds": "900", "new_price_yes": "5"}
    story.append(("SharesSold", 1, 2, sold, None))
    created, trade = story.transactions

    deliver(place, [[trade], [created]])

    with place.connect() as connection:
        assert connection.execute("select gross, gross_from from marts.trades").fetchall() == [(999, "step")]
        assert connection.execute("select volume from marts.candles_1m").fetchall() == [(999,)]
    assert differing(place) == {}


def test_a_rebuild_takes_in_a_configuration_that_came_meanwhile(place: testing.PostgresDatabase) -> None:
    """A late configuration committed during a rebuild of a mart reprices the rebuilt rows as well."""
    story = event_histories.EventHistory(8)
    bought = {"outcome": True, "shares": "5", "cost": "1200000", "new_price_yes": "5"}
    story.append(("MarketCreated", 1, 1, {"b_parameter": "100000000000", "state": 0}, {"initial_liquidity": "1"}))
    story.append(("ConfigUpdated", None, None, dict(zip(event_histories.CONFIG, (600, 400, 1000), strict=True)), None))
    story.append(("SharesBought", 1, 2, bought, None))
    created, config, trade = story.transactions
    deliver(place, [[created, trade]])

    with place.connect() as holder, concurrent.futures.ThreadPoolExecutor() as pool:
        with holder.transaction():
            holder.execute("select raw.take_writer()")
            rebuilding = [
                pool.submit(rebuild.rebuild, place.dsn(), [name], report=lambda _: None)
                for name in ("priced_trades", "markets")
            ]
            wait_for_lock(holder, waiting=2)
            # Like the writer with the lock: the configuration is in the log and the live marts are repriced.
            append_config(holder, config)
        for done in rebuilding:
            done.result(timeout=60)

    assert differing(place) == {}


def wait_for_lock(connection: psycopg.Connection[tuple[object, ...]], *, waiting: int) -> None:
    """Return once this number of sessions wait for the writer's lock."""
    while connection.execute(sessions.WAITING_APPENDS).fetchone() != (waiting,):
        connection.execute("select pg_sleep(0.01)")


def append_config(connection: psycopg.Connection[tuple[object, ...]], row: TransactionRow) -> None:
    """Append a configuration by SQL, in the transaction that has the lock."""
    (event,) = row.events
    connection.execute(
        "insert into raw.transactions (transaction_no, signature, slot, index_in_block, order_settled, digest)"
        " select max(transaction_no) + 1, %s, %s, %s, true, %s from raw.transactions",
        (row.signature, row.slot, row.index_in_block, row.digest),
    )
    connection.execute(
        "insert into raw.events (seq, order_key, transaction_no, ordinal, name, clock, payload)"
        " select raw.next_seq(), %s, max(transaction_no), 0, %s, %s, %s from raw.transactions",
        (
            row.slot << 24 | (row.index_in_block or 0) << 9,
            event.name,
            event.clock,
            event.payload.decode(),
        ),
    )
    connection.execute("insert into raw.feed (seq, kind) values (raw.next_seq(), 'event')")
    connection.execute("select folds.fold(max(seq) - 1, max(seq)) from raw.feed")
