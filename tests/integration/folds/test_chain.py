"""The marts against the chain: what the folds make of the events is what the program holds in its accounts."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from devchain import history
from ingest import decode
from ingest.writer import Writer
from zmart import testing
from zmart.domain.market import MarketState
from zmart.run import rebuild

TRANSACTIONS = 4_000

#: The mart's columns that are the account's fields under the same or another name (protocol.md 1.5).
SAME = (
    "b_parameter",
    "initial_liquidity",
    "current_liquidity",
    "shares_yes",
    "shares_no",
    "total_volume",
    "accumulated_resolver_fees",
    "accumulated_lp_fees",
    "proposal_likes",
    "proposal_dislikes",
    "proposal_total_votes",
    "dispute_agree",
    "dispute_disagree",
    "dispute_total_votes",
    "proposed_outcome",
    "final_outcome",
)
INSTANTS = (
    "created_at",
    "approved_at",
    "activated_at",
    "resolution_proposed_at",
    "dispute_initiated_at",
    "resolved_at",
    "finalized_at",
    "cancelled_at",
)
NOBODY = "11111111111111111111111111111111"


@pytest.fixture(scope="module")
def chain() -> history.History:
    """A chain after some thousand transactions, all eighteen instructions among them."""
    return history.History(seed=11)


@pytest.fixture(scope="module")
def bodies(chain: history.History) -> list[bytes]:
    """Its transactions as webhook items, in another order than they happened."""
    items = [msgspec.json.encode(item) for item in chain.play(TRANSACTIONS)]
    random.Random(3).shuffle(items)
    return items


def ingest(database: testing.Database, items: list[bytes]) -> None:
    """Decode and append, some hundred transactions at a time."""

    async def run() -> None:
        decoder = decode.Decoder(history.PROGRAM_ID)
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        for start in range(0, len(items), 400):
            decoded = decoder.all(items[start : start + 400])
            await writer.append(decoded.transactions, source="webhook", dead_letters=decoded.dead_letters)
        await writer.close()

    asyncio.run(run())


def rows(connection: psycopg.Connection[Any], query: str) -> list[dict[str, Any]]:
    """The rows of a query as dictionaries."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query).fetchall()


def seconds(at: datetime | None) -> int:
    """The program's way to write an instant: Unix seconds, zero for never."""
    return 0 if at is None else int(at.astimezone(UTC).timestamp())


def market_fields(row: dict[str, Any]) -> dict[str, Any]:
    """A row of marts.markets in the account's words."""
    return {
        **{name: row[name] for name in SAME},
        **{name: seconds(row[name]) for name in INSTANTS},
        "market_id": bytes.fromhex(row["id"]),
        "creator": row["creator_wallet"],
        "resolver": row["resolver_wallet"] or NOBODY,
        "dispute_initiator": row["dispute_initiator"] or NOBODY,
        "state": row["state_code"],
    }


def test_marts_equal_the_programs_accounts(
    marts_database: testing.Database, chain: history.History, bodies: list[bytes]
) -> None:
    """Every market and position, field by field, and every ballot, after a shuffled history of all eighteen events."""
    ingest(marts_database, bodies)
    held = chain.accounts()

    with marts_database.connect() as connection:
        assert rows(connection, "select name, reason from ops.model_status where is_stale") == []
        assert rows(connection, "select reason_code, reason from raw.dead_letters") == []
        names = {row["name"] for row in rows(connection, "select distinct name from raw.events")}
        markets = {row["on_chain_address"]: row for row in rows(connection, "select * from marts.markets")}
        positions = {
            (row["on_chain_address"], row["user_wallet"]): row
            for row in rows(connection, "select * from marts.positions")
        }
        ballots = {
            (row["account"], row["user_wallet"], row["kind"]): row["vote"]
            for row in rows(
                connection, "select b.*, m.account from marts.ballots b join raw.markets_seen m using (market_no)"
            )
        }

    assert len(names) == 18
    assert set(markets) == set(held["markets"])
    for address, account in held["markets"].items():
        ours = market_fields(markets[address])
        theirs = {name: account[name] for name in ours}
        theirs["cancelled_at"] = account["cancelled_at"] or 0
        theirs["state"] = int(account["state"])
        assert ours == theirs, (address, MarketState(markets[address]["state_code"]))
        assert markets[address]["was_disputed"] >= account["was_disputed"]
        if markets[address]["market_lamports"] is not None:
            assert markets[address]["market_lamports"] == account["lamports"]
    assert len(positions) == len(held["positions"])
    for account in held["positions"].values():
        ours = positions[account["market"], account["user"]]
        assert {
            "shares_yes": ours["shares_yes"],
            "shares_no": ours["shares_no"],
            "total_invested": ours["total_invested"],
            "trades_count": ours["trades_count"],
            "has_claimed": ours["has_claimed"],
            "claimed_amount": ours["claimed_amount"],
            "last_trade_at": seconds(ours["last_trade_at"]),
        } == {
            name: account[name]
            for name in (
                "shares_yes",
                "shares_no",
                "total_invested",
                "trades_count",
                "has_claimed",
                "claimed_amount",
                "last_trade_at",
            )
        }
    assert ballots == {
        (account["market"], account["user"], "dispute" if int(account["vote_type"]) else "proposal"): account["vote"]
        for account in held["votes"].values()
    }
    assert all(verdict.holds for verdict in rebuild.verify(marts_database.dsn()))
