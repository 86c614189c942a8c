"""Scheduled marts, discussions and marts as of a slot read only the requested rows, in a log of any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
import pytest
from api_fixtures import market_id
from test_plans import BUSY, MOST_ROWS, ONE, Statement, explained, long_log, rows_read  # noqa: F401 - a fixture

from api import app
from api.reads import pagination, statements
from ingest.testing import address
from zmart import testing
from zmart.run.deploy import rebuild

QUIET = 12
#: Marts and tables that grow with the log, with wallets or with posts.
GROWING = {
    *(
        "leaderboard",
        "pnl_history",
        "realizations",
        "wallets",
        "positions",
        "position_costs",
        "priced_trades",
        "events",
    ),
    *("comments", "comment_edits", "reactions", "flags"),
}
#: A wallet of the story, and the number of rows beside each.
WALLET, TIMES = 100 + BUSY, 60
#: The first post of the busy market, and one that has replies.
THREAD = 10_001

#: Adds rows to the small marts of the story: wallets with the same trades, at other ranks and on other days.
WIDER = f"""
insert into marts.leaderboard select (jsonb_populate_record(l, jsonb_build_object(
    'wallet_no', l.wallet_no + 1000 * n, 'user_wallet', l.user_wallet || n,
    'profit_rank', l.profit_rank + 100 * n, 'volume_rank', l.volume_rank + 100 * n,
    'trades_rank', l.trades_rank + 100 * n, 'win_rate_rank', l.trades_rank + 100 * n
))).* from marts.leaderboard as l cross join generate_series(1, {TIMES}) as n;
insert into marts.wallets select (jsonb_populate_record(w, jsonb_build_object(
    'wallet_no', w.wallet_no + 1000 * n, 'user_wallet', w.user_wallet || n
))).* from marts.wallets as w cross join generate_series(1, {TIMES}) as n;
insert into marts.pnl_history select (jsonb_populate_record(h, jsonb_build_object('day', h.day + 10 * n))).*
    from marts.pnl_history as h cross join generate_series(1, {2 * TIMES}) as n;
insert into marts.realizations (market_no, wallet_no, kind, trade_seq, user_wallet, realized_at, lamports, last_seq)
    select p.market_no, p.wallet_no, 'sell', n, p.user_wallet, p.last_trade_at, n, p.last_seq
    from marts.positions as p cross join generate_series(1, {TIMES}) as n;
insert into marts.positions select (jsonb_populate_record(p, jsonb_build_object(
    'wallet_no', p.wallet_no + 1000 * n, 'user_wallet', p.user_wallet || n
))).* from marts.positions as p cross join generate_series(1, {TIMES}) as n;
insert into app.comments (comment_no, seq, market_no, wallet_no, parent_no, root_no, content) overriding system value
    select n, 1000000 + n, m.market_no, w.wallet_no, case when n % 10 <> 1 then n - (n - 1) % 10 end,
        case when n % 10 <> 1 then n - (n - 1) % 10 end, 'I say ' || n
    from generate_series(1, 12000) as n
    cross join lateral (select 1 + n % 60 as wallet_no) as w
    inner join marts.markets as m
        on m.id = case when n > 10000 then '{ONE}' else lpad(to_hex(n % {BUSY - 1} + 1), 64, '0') end;
insert into app.reactions (comment_no, wallet_no, seq, vote)
    select c.comment_no, c.wallet_no, 2000000 + c.comment_no, 'up' from app.comments as c;
insert into app.flags (comment_no, wallet_no, reason) select c.comment_no, c.wallet_no, 'spam' from app.comments as c;
insert into app.comment_edits (comment_no, edited_at, content_before)
    select c.comment_no, c.created_at, 'I said' from app.comments as c;
analyze;
"""


@pytest.fixture(scope="module")
def wide_log(long_log: testing.PostgresDatabase) -> testing.PostgresDatabase:  # noqa: F811 - the fixture's value
    """The long log with thousands of wallets, days, realizations and posts."""
    rebuild.refresh(long_log.dsn(), report=lambda _: None)
    with long_log.connect("postgres") as owner:
        for statement in filter(str.strip, WIDER.split(";\n")):
            owner.execute(statement.encode())
    return long_log


def _ranked(by: str) -> Statement:
    asked = {"period": "all", "by": by, "limit": 50, "offset": 0}
    return statements.compose("leaderboard", rank=f"{by}_rank"), asked


def _posts(name: str, view: str, **more: int) -> Statement:
    page = pagination.PageRequest.of(view, 10, 0, None)
    return statements.compose(name, beyond=""), {"market": ONE, **page.parameters(), **more}


_REALIZED = (
    "select * from marts.realizations"
    " where wallet_no = (select wallet_no from raw.wallets_seen where wallet = %(wallet)s)"
)
ASKED: Mapping[str, Statement] = {
    "leaderboard_by_profit": _ranked("profit"),
    "leaderboard_by_volume": _ranked("volume"),
    "leaderboard_by_trades": _ranked("trades"),
    "leaderboard_by_win_rate": _ranked("win_rate"),
    "pnl_history": (statements.compose("pnl_history"), {"wallet": address(WALLET), "limit": 90}),
    "wallet": (statements.compose("wallet"), {"wallet": address(WALLET)}),
    "wallet_stats": (statements.compose("wallet_stats"), {"wallet": address(WALLET)}),
    "holders": (
        pagination.holders_statement("YES", pagination.PageRequest.of("h", 20, 0, None)),
        {"market": ONE, **pagination.PageRequest.of("h", 20, 0, None).parameters()},
    ),
    "discussions": _posts("discussions", "all"),
    "threads": _posts("threads", "threads", replies=5),
    "replies": (
        statements.compose("replies"),
        {"number": THREAD, "after": 0, "limit": 20, "sort": "replies"},
    ),
    "edits": (statements.compose("edits"), {"number": THREAD}),
    # As the role analyst.
    "realizations": (f"{_REALIZED} order by realized_at desc limit 20", {"wallet": address(WALLET)}),
    "realizations_of_a_position": (
        f"{_REALIZED} and market_no = (select market_no from marts.markets where id = %(market)s)",
        {"wallet": address(WALLET), "market": ONE},
    ),
}


#: The index for the requested rows; without it another may suffice on little data.
LED_BY = {
    "leaderboard_by_profit": "leaderboard (period, profit_rank, user_wallet)",
    "leaderboard_by_volume": "leaderboard (period, volume_rank, user_wallet)",
    "leaderboard_by_trades": "leaderboard (period, trades_rank, user_wallet)",
    "leaderboard_by_win_rate": "leaderboard (period, win_rate_rank, user_wallet)",
    "pnl_history": "pnl_history (wallet_no, day)",
    "wallet": "positions (wallet_no)",
    "wallet_stats": "positions (wallet_no)",
    "holders": "positions (market_no, wallet_no)",
    "discussions": "comments (market_no, comment_no DESC)",
    "threads": "comments (market_no, comment_no DESC) WHERE (root_no IS NULL)",
    "replies": "comments (root_no, comment_no) WHERE (root_no IS NOT NULL)",
    "edits": "comment_edits (comment_no, edited_at)",
    "realizations": "realizations (wallet_no, realized_at)",
    "realizations_of_a_position": "realizations (market_no, wallet_no, kind, trade_seq)",
}


@pytest.mark.parametrize("name", ASKED)
def test_an_answer_reads_what_it_is_about(wide_log: testing.PostgresDatabase, name: str) -> None:
    """The generic plan reads few rows of the growing tables."""
    statement, parameters = ASKED[name]
    with wide_log.connect("analyst" if name.startswith("realizations") else "zmart_api") as connection:
        for setting, value in app.QUERY_SETTINGS.items():
            connection.execute("select set_config(%s, %s, false)", [setting, value])
        plan = explained(connection, statement, parameters)
    read = [(relation, rows) for relation, rows in rows_read(plan) if relation in GROWING]
    assert sum(rows for _, rows in read) > 0
    assert sum(rows for _, rows in read) < MOST_ROWS, read
    assert LED_BY[name] in led_by(wide_log, plan)


def indexes(node: Mapping[str, Any]) -> Iterator[str]:
    """Return the indexes that a plan uses."""
    if "Index Name" in node:
        yield node["Index Name"]
    for inner in node.get("Plans", ()):
        yield from indexes(inner)


def led_by(database: testing.PostgresDatabase, plan: Mapping[str, Any]) -> set[str]:
    """Return table and columns of each index that a plan uses."""
    with database.connect() as owner:
        found = owner.execute(
            "select tablename || ' ' || substring(indexdef from 'USING btree (.*)$') from pg_indexes"
            " where indexname = any(%s)",
            (list(indexes(plan)),),
        )
        return {str(text) for (text,) in found}


#: Marts that have a version as of a slot.
AS_OF = (
    "markets",
    "positions",
    "position_costs",
    "trades",
    "candles_1m",
    "ballots",
    "market_lifecycle",
    "vote_tallies",
)


def looked_at(connection: psycopg.Connection[Any], query: str, *parameters: object) -> tuple[int, int]:
    """Return the number of rows of a result, and of the log's rows read for it, inside functions too."""
    counted = "select seq_tup_read + idx_tup_fetch from pg_stat_xact_all_tables where relid = 'raw.events'::regclass"
    with connection.transaction():
        ((before,),) = connection.execute(counted).fetchall()
        rows = connection.execute(query.encode(), parameters).fetchall()
        ((after,),) = connection.execute(counted).fetchall()
    return len(rows), after - before


@pytest.mark.parametrize("mart", AS_OF)
def test_a_market_as_of_a_slot_reads_its_own_events(wide_log: testing.PostgresDatabase, mart: str) -> None:
    """Neither other markets' events nor events after the slot."""
    with wide_log.connect("analyst") as analyst:
        (number,) = _number(analyst, QUIET)
        returned, read = looked_at(analyst, f"select * from marts.{mart}_as_of(%s, %s)", 2**62, number)
        assert returned > 0
        assert read < MOST_ROWS

        (number,) = _number(analyst, BUSY)
        returned, read = looked_at(analyst, f"select * from marts.{mart}_as_of(%s, %s)", 1100, number)
        assert read < MOST_ROWS


def _number(connection: psycopg.Connection[Any], market: int) -> tuple[int]:
    row = connection.execute("select market_no from marts.markets where id = %s", (market_id(market),)).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("wallet", [2, WALLET, 99_999])
def test_a_wallets_activity_is_read_by_its_place(wide_log: testing.PostgresDatabase, wallet: int) -> None:
    """The newest events of a wallet, in any markets: a busy wallet's history is read no further than another's."""
    page = pagination.PageRequest.of("activity", 20, 0, None)
    asked = {"wallet": address(wallet), **page.parameters()}
    with wide_log.connect("zmart_api") as connection:
        for setting, value in app.QUERY_SETTINGS.items():
            connection.execute("select set_config(%s, %s, false)", [setting, value])
        plan = explained(connection, pagination.activity_statement("wallet", page), asked)
    assert "events (wallet_no, order_key) WHERE (wallet_no IS NOT NULL)" in led_by(wide_log, plan)
    # The page and one more row, found by place and then joined by seq; also the end of the log.
    assert sum(rows for relation, rows in rows_read(plan) if relation == "events") < 3 * (20 + 1)
