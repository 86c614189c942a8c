"""A response about one market or wallet reads that market's or wallet's rows, in a log of any size."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from api_fixtures import Log, market_id

from api import app
from api.candle_window import CandleWindow
from api.reads import pagination, statements
from api.routes import activity
from ingest.testing import address
from zmart import testing

MARKETS, TRADES, BUSY = 60, 4_000, 7
ONE = market_id(BUSY)
#: Marts and tables that grow with the log.
GROWING = {
    "events",
    "transactions",
    "priced_trades",
    "candles_1m",
    "positions",
    "position_costs",
    "market_lifecycle",
    "ballots",
}
#: The limit of rows to read for a response; the busy market has three times as many trades, the log six times.
MOST_ROWS = 650

Statement = tuple[str, dict[str, Any]]


@pytest.fixture(scope="module")
def long_log(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A log of many markets, one of them busy; wallet 2 trades in all of them, the others in one each."""

    async def fill(database: testing.PostgresDatabase) -> None:
        async with Log.of(database) as log:
            for market in range(1, MARKETS + 1):
                log.create(market)
                log.activate(market)
                log.vote(market, 500 + market, like=True)
            for number in range(TRADES):
                market = number % MARKETS + 1 if number % 2 else BUSY
                log.buy(market, 2 if number % 3 else 100 + market)
            await log.deliver()
            log.owner.execute("analyze")

    with postgres_server.clone(marts_template) as database:
        asyncio.run(fill(database))
        yield database


def _page(sort: str) -> pagination.PageRequest:
    return pagination.PageRequest.of(sort, 20, 0, None)


def _candles(interval: str, part: str) -> Statement:
    window = CandleWindow.parse(interval, None, None).parameters()
    return (
        statements.compose("candles", buckets=statements.part(part)),
        {"market": ONE, "limit": 100, **window},
    )


def _kinds() -> str:
    events = "'MarketResolved', 'MarketFinalized', 'MarketCancelled'"
    return " union all ".join(
        [
            statements.part("newest_trades", bound="101"),
            statements.part("newest_events", bound="101", events=events),
            statements.part("newest_events", bound="101", events="'MarketCreated'"),
        ]
    )


ASKED: Mapping[str, Statement] = {
    "price_history": (statements.compose("price_history", bound="101"), {"market": ONE, "limit": 100}),
    "candles_1m": _candles("1m", "buckets_filled"),
    "candles_1d": _candles("1d", "buckets_filled"),
    "candles_1m_traded": _candles("1m", "buckets_traded"),
    "candles_1h_traded": _candles("1h", "buckets_traded"),
    "market_activity": (
        pagination.activity_statement("market", _page("activity")),
        {"market": ONE, **_page("activity").parameters()},
    ),
    "wallet_activity": (
        pagination.activity_statement("wallet", _page("activity")),
        {"wallet": address(100 + BUSY), **_page("activity").parameters()},
    ),
    "unknown_wallet_activity": (
        pagination.activity_statement("wallet", _page("activity")),
        {"wallet": address(99_999), **_page("activity").parameters()},
    ),
    "busy_wallet_activity": (
        pagination.activity_statement("wallet", _page("activity")),
        {"wallet": address(2), **_page("activity").parameters()},
    ),
    "newest_activity": (
        statements.compose("newest_activity", kinds=_kinds()),
        {"limit": 20, "trades": 10, "others": 5},
    ),
    "market_trades": (
        pagination.trades_statement(["where_market"], _page("trades")),
        {"market": ONE, **_page("trades").parameters()},
    ),
    "busy_wallet_trades": (
        pagination.trades_statement(["where_wallet"], _page("trades")),
        {"wallet": address(2), **_page("trades").parameters()},
    ),
    "trades": (pagination.trades_statement([], _page("trades")), _page("trades").parameters()),
    "trade_texts": (pagination.TRADES.rows_statement, {"numbers": [str(3 * MARKETS + number) for number in range(50)]}),
    "holders": (pagination.holders_statement(None, _page("h")), {"market": ONE, **_page("h").parameters()}),
    "lifecycle": (
        statements.compose("lifecycle", dispute_end="m.created_at", voting_end="m.created_at"),
        {"market": ONE, "limit": 200},
    ),
    "portfolio": (statements.compose("portfolio"), {"wallet": address(100 + BUSY), "limit": 100, "offset": 0}),
    "votes": (statements.compose("market_votes"), {"market": ONE, "kind": "proposal", "limit": 100, "offset": 0}),
    "vote_counts": (statements.compose("vote_counts"), {"market": ONE}),
    "vote_counts_of_kind": (statements.compose("vote_counts_of_kind"), {"market": ONE, "kind": "proposal"}),
    "positions": (
        statements.compose("positions", nothing="'[]'"),
        {"wallet": address(100 + BUSY), "limit": 100, "offset": 0},
    ),
    "wallet": (statements.compose("wallet"), {"wallet": address(100 + BUSY)}),
    "wallet_votes": (
        statements.compose("wallet_votes"),
        {"wallet": address(500 + BUSY), "kind": "all", "limit": 100, "offset": 0},
    ),
    "wallet_stats": (statements.compose("wallet_stats"), {"wallet": address(100 + BUSY)}),
}


@pytest.mark.parametrize("name", ASKED)
def test_an_answer_reads_what_it_is_about(long_log: testing.PostgresDatabase, name: str) -> None:
    """The generic plan reads few rows of the tables that grow with the log."""
    statement, parameters = ASKED[name]
    with long_log.connect("zmart_api") as connection:
        for setting, value in app.QUERY_SETTINGS.items():
            connection.execute("select set_config(%s, %s, false)", [setting, value])
        plan = explained(connection, statement, parameters)
    read = [(relation, rows) for relation, rows in rows_read(plan) if relation in GROWING]
    assert read
    assert sum(rows for _, rows in read) < MOST_ROWS, read


def test_the_endpoints_send_what_is_planned_here() -> None:
    """The home page's mixture consists of the parts whose plan is checked."""
    assert [activity.select_newest(kind) for kind in ("trade", "resolution", "creation")] == _kinds().split(
        " union all "
    )


def explained(connection: psycopg.Connection[Any], statement: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the generic plan of a statement with the actual rows of each node."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered = re.sub(r"%\((\w+)\)s", lambda found: f"${names.index(found[1]) + 1}", statement)
    kinds = {int: "bigint", str: "text", list: "text[]", type(None): "timestamptz"}
    types = ", ".join(kinds[type(parameters[name])] for name in names)
    connection.execute(f"prepare asked ({types}) as {numbered}")
    values = ", ".join(psycopg.sql.Literal(parameters[name]).as_string(connection) for name in names)
    row = connection.execute(f"explain (analyze, format json) execute asked ({values})").fetchone()
    assert row is not None
    return dict(row[0][0]["Plan"])


def rows_read(node: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Return each scan of a table with the rows that it read, including the filtered ones."""
    if "Relation Name" in node:
        looked = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield node["Relation Name"], looked * node["Actual Loops"]
    for inner in node.get("Plans", ()):
        yield from rows_read(inner)
