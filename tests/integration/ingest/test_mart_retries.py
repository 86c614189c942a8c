"""A mart that another session locks is behind, and catches up by itself, with or without further deliveries."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import event_histories
import psycopg
import pytest

from ingest.store.mart_retries import MartRetrier
from ingest.store.writer import Writer
from zmart import testing
from zmart.run.deploy import rebuild

STORY = event_histories.generate(3)
HALF = len(STORY) // 2


@contextlib.asynccontextmanager
async def retrying(database: testing.PostgresDatabase) -> AsyncIterator[MartRetrier]:
    """The task that a server runs."""
    marts = MartRetrier(database.dsn("zmart_ingest"))
    marts.start()
    try:
        yield marts
    finally:
        await marts.stop()


async def holds(connection: psycopg.Connection[Any], query: str) -> bool:
    """Return whether a query is true now; other tasks run in between."""
    await asyncio.sleep(0.02)
    return connection.execute(query).fetchone() == (True,)


async def until(connection: psycopg.Connection[Any], query: str) -> None:
    """Wait until a query is true."""
    async with asyncio.timeout(30):
        while not await holds(connection, query):
            pass


FOLLOWS = "select bool_and(applied_seq is null) from ops.models"
RETRIED = "select coalesce(max(attempts), 0) > 1 from ops.models"


@pytest.mark.parametrize("with_deliveries", [False, True])
async def test_a_locked_mart_catches_up_when_the_lock_is_gone(
    marts_database: testing.PostgresDatabase, with_deliveries: bool
) -> None:
    """The append is acknowledged, responses from the mart have its last seq, and no operator is needed."""
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    with marts_database.connect() as owner, marts_database.connect() as holder:
        owner.execute("alter function folds.fold(bigint, bigint) set lock_timeout = '100ms'")
        first = await writer.append(STORY[:HALF], source="webhook")
        async with retrying(marts_database):
            with holder.transaction():
                holder.execute("lock table marts.candles_1m in access exclusive mode")
                await writer.append(STORY[HALF : HALF + 2], source="webhook")
                behind = owner.execute("select name, applied_seq from ops.model_status where is_behind").fetchall()
                assert behind == [("candles_1m", first.last_seq)]
                as_of = "select seq from ops.as_of('{candles_1m}')"
                assert owner.execute(as_of).fetchone() == (first.last_seq,)
                await until(owner, RETRIED)
                if with_deliveries:
                    await writer.append(STORY[HALF + 2 :], source="webhook")
            await until(owner, FOLLOWS)
        assert owner.execute(as_of).fetchone() == owner.execute("select max(seq) from raw.feed").fetchone()
        assert owner.execute("select count(*) from raw.feed where kind = 'mart_stale'").fetchone() == (0,)
    await writer.close()
    assert [verdict for verdict in rebuild.verify(marts_database.dsn()) if not verdict.is_consistent] == []


async def test_a_retry_that_takes_too_long_refuses_no_delivery(marts_database: testing.PostgresDatabase) -> None:
    """The timeout of a retry affects the retry alone; deliveries are committed, and the mart is retried later."""
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    await writer.append(STORY[:HALF], source="webhook")
    with marts_database.connect() as owner, marts_database.connect("zmart_ingest") as ingest:
        owner.execute(
            "create function public.be_slow() returns trigger language plpgsql as $$ begin"
            " if current_setting('application_name') = 'slow' then perform pg_sleep(60); end if; return new; end $$"
        )
        owner.execute(
            "create trigger slow before insert or update on marts.candles_1m for each row execute function be_slow()"
        )
        head = "(select max(seq) from raw.feed)"
        owner.execute(f"select folds.mark_behind('candles_1m', {head}, null, '55P03', 'staged', 0)")
        await writer.append(STORY[HALF:], source="webhook")
        owner.execute("update ops.models set next_attempt_at = now() where name = 'candles_1m'")
        ingest.execute("set application_name = 'slow'")
        ingest.execute("set statement_timeout = '300ms'")

        assert ingest.execute("select folds.retry_behind()").fetchone() == (True,)

        state = "select is_behind, attempts, m.next_attempt_at > now() + interval '2.5 seconds' from ops.models as m"
        state += " inner join ops.model_status using (name) where name = 'candles_1m'"
        # Ten times as long as it took, so that retries lock the log for a tenth of the time.
        assert owner.execute(state).fetchone() == (True, 2, True)
        assert ingest.execute("select folds.retry_behind()").fetchone() == (False,)
    await writer.close()
