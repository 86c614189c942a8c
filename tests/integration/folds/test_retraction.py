"""The reach of a retraction: every mart's rows, and the fees of trades that a retracted configuration had priced."""

from __future__ import annotations

import asyncio
from typing import Any

import event_histories
from test_replay import deliver, differing, place  # noqa: F401 - `place` is a fixture

from ingest.store.writer import Writer
from zmart import testing

BOUGHT = {"outcome": True, "shares": "5", "cost": "1200000", "new_price_yes": "7"}
TRADES = "select gross, protocol_fee, protocol_bps from marts.trades order by order_key"
MARKETS = (
    "select shares_yes - shares_no, total_volume, trades_count, protocol_fees_paid, last_price_yes from marts.markets"
)
POSITIONS = "select shares_yes, total_invested, trades_count from marts.positions"


def build_transactions() -> list[Any]:
    """A market, other fees, and two buys after them."""
    story = event_histories.EventHistory(7)
    created = {"b_parameter": "100000000000", "state": 0}
    story.append(("MarketCreated", 1, 1, created, {"initial_liquidity": "1"}))
    story.append(("ConfigUpdated", None, None, dict(zip(event_histories.CONFIG, (600, 400, 1000), strict=True)), None))
    story.append(("SharesBought", 1, 2, BOUGHT, None))
    story.append(("SharesBought", 1, 2, {**BOUGHT, "new_price_yes": "9"}, None))
    return story.transactions


def retracted(place: testing.PostgresDatabase, signature: str) -> dict[str, list[tuple[Any, ...]]]:  # noqa: F811
    """Deliver the story and retract one transaction; return the rows of the marts."""

    async def retract() -> None:
        writer = await Writer.connect(place.dsn("zmart_ingest"))
        assert await writer.retract([signature]) >= 1
        await writer.close()

    deliver(place, [build_transactions()])
    asyncio.run(retract())
    with place.connect() as connection:
        return {query: connection.execute(query).fetchall() for query in (TRADES, MARKETS, POSITIONS)}


def test_a_retracted_configuration_prices_nothing(place: testing.PostgresDatabase) -> None:  # noqa: F811
    """Later trades are split by the rates that were in force before, in every mart that splits fees."""
    _, config, *_ = build_transactions()

    left = retracted(place, config.signature)

    assert left[TRADES] == [(1_090_910, 32_727, 300)] * 2
    assert left[MARKETS] == [(10, 2_400_000, 2, 65_454, 9)]
    assert differing(place) == {}


def test_a_retracted_trade_counts_nowhere(place: testing.PostgresDatabase) -> None:  # noqa: F811
    """Sums lose its part and the last price is that of the previous trade."""
    *_, last = build_transactions()

    left = retracted(place, last.signature)

    assert left[TRADES] == [(1_000_000, 60_000, 600)]
    assert left[MARKETS] == [(5, 1_200_000, 1, 60_000, 7)]
    assert left[POSITIONS] == [(5, 1_200_000, 1)]
    assert differing(place) == {}
