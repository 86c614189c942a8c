"""Statements that lock several rows of raw.pending_signatures never deadlock with an append."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import psycopg
import pytest
import sessions

from ingest import testing as deliveries
from ingest.records import TransactionRow
from ingest.store.writer import Writer
from ingest.sync.database import SyncDatabase, sql
from zmart import testing

HIGH, LOW = sorted((deliveries.signature(1), deliveries.signature(2)), reverse=True)
PAUSE = 4_011

STATEMENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "want_missing": (sql.request_missing, {"commitment": "confirmed"}),
    "want_differing": (sql.request_differing, {"commitment": "confirmed"}),
    "want_for_backfill": (sql.request_for_backfill, {"slots": [7, 7]}),
    "unwant": (sql.delete_pending, {}),
}


def transaction(signature: str) -> TransactionRow:
    """A transaction of slot 7 without events."""
    return TransactionRow(
        signature=signature,
        slot=7,
        index_in_block=None,
        block_time=1_762_600_000,
        err=None,
        fee_lamports=5000,
        body=b"{}",
        digest=hashlib.sha256(signature.encode()).digest(),
        events=(),
        dead_letters=(),
    )


async def is_waiting(owner: psycopg.Connection[Any], application: str) -> bool:
    """Return whether the backend of this name waits for a lock."""
    found = owner.execute(sessions.WAITING_LOCKS, (application,)).fetchone()
    await asyncio.sleep(0.01)
    return found != (0,)


@pytest.mark.parametrize("listed", [(LOW, HIGH), (HIGH, LOW)], ids=["low first", "high first"])
@pytest.mark.parametrize("name", STATEMENTS)
async def test_the_walk_and_an_append_do_not_deadlock(
    marts_database: testing.PostgresDatabase, name: str, listed: tuple[str, str]
) -> None:
    """The append waits between its first and its second row; in either order of the walk's locks, both end."""
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    database = SyncDatabase(marts_database.dsn("zmart_ingest"))
    statement, parameters = STATEMENTS[name]
    parameters = {"signatures": list(listed), **parameters}
    with marts_database.connect() as owner:
        owner.execute(
            "create function public.pause() returns trigger language plpgsql as $$ begin"
            " if current_setting('application_name') = 'zmart ingest writer'"
            f" then perform pg_advisory_xact_lock({PAUSE}); end if; return old; end $$"
        )
        is_named = name == "want_for_backfill"
        moment = "after" if is_named else "before"
        owner.execute(
            f"create trigger pause {moment} delete on raw.pending_signatures for each row execute function pause()"
        )
        is_known = name == "want_differing"
        if is_known:
            await writer.append([transaction(signature) for signature in listed], source="webhook")
        held = [HIGH] if is_named else [LOW, HIGH]
        owner.execute(
            "insert into raw.pending_signatures (signature, reason) select unnest(%s::text []), 'staged'", (held,)
        )
        slots = [8, 8] if is_known else [7, 7]
        seen = {"signatures": list(listed), "slots": slots, "succeeded": [True, True], "indexes": [None] * 2}
        await database.execute(sql.record_listing, commitment="confirmed", **seen)
        owner.execute("select pg_advisory_lock(%s)", (PAUSE,))
        # Deleting one signature and inserting another has no order either.
        batch = [transaction(HIGH)] if is_named else [transaction(HIGH), transaction(LOW)]
        append = asyncio.create_task(writer.append(batch, source="webhook", wanted=[LOW] if is_named else []))
        async with asyncio.timeout(20):
            while not await is_waiting(owner, "zmart ingest writer"):
                assert not append.done()
            walk = asyncio.create_task(database.execute(statement, **parameters))
            while not await is_waiting(owner, "zmart ingest walk") and not walk.done():
                pass
            owner.execute("select pg_advisory_unlock(%s)", (PAUSE,))
            appended, _ = await asyncio.gather(append, walk)
        assert appended.transactions == (0 if is_known else len(batch))
    await database.close()
    await writer.close()
