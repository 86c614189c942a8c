"""Price histories and candles: their values, carried prices and limits."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import Any

import event_histories
import httpx
import pytest
from api_fixtures import SOL, Log, market_id, served
from assertions import body

from api import schemas

Client = httpx.AsyncClient
ONE, TWO = market_id(1), market_id(2)
#: A minute, an hour and a day begin here.
MIDNIGHT = 1_762_646_400


class TimedTrades:
    """Appends trades at chosen seconds after midnight."""

    def __init__(self, log: Log) -> None:
        self._log = log

    async def trades(self, *trades: tuple[int, int]) -> None:
        """Market 1 is bought at these (second, price of YES in billionths)."""
        story = self._log.story
        for second, price in trades:
            self._log.buy(1, 2, price=price)
            (event,) = story.transactions[-1].events
            moved = event._replace(clock=MIDNIGHT + second)
            story.transactions[-1] = story.transactions[-1]._replace(events=(moved,))
        await self._log.deliver()


@pytest.fixture
async def clock(log: Log) -> TimedTrades:
    """A market that opened before midnight."""
    log.create(1)
    log.activate(1)
    return TimedTrades(log)


@pytest.fixture
async def chart(clock: TimedTrades, log: Log) -> AsyncIterator[Client]:
    """An application over it; trades may come later."""
    await log.deliver()
    async with served(log.settings()) as found:
        yield found


def starts(answer: Any) -> list[int]:
    """Return the starts of its candles, in seconds after midnight."""
    return [
        int(datetime.datetime.fromisoformat(candle["bucket_at"]).timestamp()) - MIDNIGHT for candle in answer["candles"]
    ]


async def test_a_history_begins_even_and_ends_with_the_newest_trade(reader: Client) -> None:
    """50 to 50 at creation, then percentages that add up to a hundred."""
    history = await body(reader, f"/api/markets/{ONE}/price-history", schemas.PriceHistory)
    assert (history["market_id"], history["count"]) == (ONE, 3)
    assert [(point["yes"], point["no"]) for point in history["price_history"]] == [(50, 50), (61.23, 38.77), (59, 41)]
    market = (await reader.get(f"/api/markets/{ONE}")).json()
    assert history["price_history"][0]["timestamp"] == market["created_at"]
    newest = await body(reader, f"/api/markets/{ONE}/price-history?limit=1", schemas.PriceHistory)
    assert [point["yes"] for point in newest["price_history"]] == [50, 59]


async def test_a_market_without_trades_has_its_beginning(reader: Client) -> None:
    """One point, and no candle of any width."""
    history = await body(reader, f"/api/markets/{TWO}/price-history", schemas.PriceHistory)
    assert (history["count"], history["price_history"][0]["yes"]) == (1, 50)
    for query in ("", "?fill=false", "?interval=1d&from=0&to=9999999999"):
        assert (await body(reader, f"/api/markets/{TWO}/candles{query}", schemas.Candles))["candles"] == []


async def test_percent_stay_between_one_and_ninety_nine(chart: Client, clock: TimedTrades) -> None:
    """A price of almost 0 or 1 stays inside the chart."""
    await clock.trades((0, 1), (1, 999_999_999), (2, 0))
    history = await body(chart, f"/api/markets/{ONE}/price-history", schemas.PriceHistory)
    assert [point["yes"] for point in history["price_history"]] == [50, 1, 99, 1]


async def test_candles_carry_the_close_over_gaps(chart: Client, clock: TimedTrades) -> None:
    """A minute without a trade shows the previous close, up to the newest instant of the log."""
    await clock.trades((0, 600_000_000), (30, 650_000_000), (45, 620_000_000), (190, 700_000_000))
    answer = await body(chart, f"/api/markets/{ONE}/candles?interval=1m", schemas.Candles)
    assert starts(answer) == [0, 60, 120, 180]
    first, second, _, last = answer["candles"]
    assert [first[name] for name in ("open", "high", "low", "close")] == [
        "600000000",
        "650000000",
        "600000000",
        "620000000",
    ]
    assert (first["open_price"], first["close_price"], first["trades_count"]) == (0.6, 0.62, 3)
    assert (first["volume"], first["shares_volume"], first["is_carried"]) == (str(33 * SOL // 10), str(3 * SOL), False)
    assert {second[name] for name in ("open", "high", "low", "close")} == {"620000000"}
    assert (second["volume"], second["trades_count"], second["is_carried"]) == ("0", 0, True)
    assert last["close"] == "700000000"


async def test_without_filling_only_minutes_with_trades_are_shown(chart: Client, clock: TimedTrades) -> None:
    """Each candle has trades of the market; the newest are returned."""
    await clock.trades((0, 600_000_000), (600, 610_000_000), (90_000, 620_000_000))
    path = f"/api/markets/{ONE}/candles?fill=false"
    assert starts(await body(chart, f"{path}&interval=1m", schemas.Candles)) == [0, 600, 90_000]
    assert starts(await body(chart, f"{path}&interval=1m&limit=2", schemas.Candles)) == [600, 90_000]
    assert starts(await body(chart, f"{path}&interval=1h", schemas.Candles)) == [0, 90_000]
    assert starts(await body(chart, f"{path}&interval=1d", schemas.Candles)) == [0, 86_400]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [0, 300, 600, 900]),
        ("&limit=2", [600, 900]),
        (f"&from={MIDNIGHT + 300}", [300, 600, 900]),
        (f"&from={MIDNIGHT + 301}", [600, 900]),
        (f"&to={MIDNIGHT + 900}", [0, 300, 600]),
        (f"&to={MIDNIGHT + 901}", [0, 300, 600, 900]),
        (f"&to={MIDNIGHT + 900}&limit=1", [600]),
        (f"&from={MIDNIGHT - 5000}&to={MIDNIGHT}", []),
        (f"&from={MIDNIGHT + 1000}", []),
        ("&from=9000-01-01", []),
        ("&to=9999-12-30T00:00:00Z", [0, 300, 600, 900]),
        ("&fill=false", [0, 900]),
        (f"&fill=false&from={MIDNIGHT + 1}", [900]),
        (f"&fill=false&to={MIDNIGHT + 900}", [0]),
    ],
)
async def test_a_window_holds_the_candles_that_begin_in_it(
    chart: Client, clock: TimedTrades, query: str, expected: list[int]
) -> None:
    """`from` is inclusive, `to` is exclusive, and the newest of many candles are returned."""
    await clock.trades((10, 600_000_000), (1000, 700_000_000))
    answer = await body(chart, f"/api/markets/{ONE}/candles?interval=5m{query}", schemas.Candles)
    assert starts(answer) == expected
    carried = [candle for candle in answer["candles"] if candle["is_carried"]]
    assert {candle["close"] for candle in carried} <= {"600000000"}


@pytest.mark.parametrize("interval", ["1m", "5m", "1h", "1d"])
async def test_candles_are_those_of_the_marts(chart: Client, log: Log, interval: str) -> None:
    """For any story, every candle with trades is the row of the mart of that width."""
    transactions = event_histories.generate(7, markets=2, length=60)
    await log.writer.append(transactions, source="webhook")
    answer = await body(chart, f"/api/markets/{ONE}/candles?interval={interval}&fill=false&limit=1000", schemas.Candles)
    rows = log.owner.execute(
        "select open::text, high::text, low::text, close::text, volume::text, buy_volume::text, shares_volume::text,"
        f" trades_count from marts.candles_{interval} where market_id = %s order by bucket_at",
        [ONE],
    ).fetchall()
    names = ("open", "high", "low", "close", "volume", "buy_volume", "shares_volume", "trades_count")
    assert rows
    assert [tuple(candle[name] for name in names) for candle in answer["candles"]] == rows
