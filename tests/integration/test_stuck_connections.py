"""Nothing waits for ever for a server that has stopped answering, and readiness reports it within ten seconds."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import event_histories
import httpx
import psycopg
import pytest
import sessions
import tcp_proxy

from api import app
from ingest import __main__ as ingest_main
from ingest import log_stats
from ingest.store import writer as writers
from ingest.store.writer import Writer
from ingest.webhook.app import Parts, readiness_problems
from zmart import errors, settings, testing
from zmart.db import connection as db
from zmart.db import pool

STORY = event_histories.generate(3)
REPORTED_WITHIN_SECONDS = 10.0


@pytest.fixture
def proxy(marts_database: testing.PostgresDatabase) -> Iterator[tcp_proxy.TcpProxy]:
    """A proxy in front of the server."""
    with tcp_proxy.in_front_of(marts_database.dsn()) as found:
        yield found


@pytest.fixture
def short_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statements of a second, and little more until the client gives up."""
    monkeypatch.setattr(db, "DEADLINE_MARGIN_SECONDS", 0.2)
    monkeypatch.setattr(writers, "STATEMENT_TIMEOUT_SECONDS", 1.0)


@contextlib.contextmanager
def stopped_backend(database: testing.PostgresDatabase, name: str) -> Iterator[int]:
    """The server process of the connection with this name, stopped."""
    with database.connect("postgres") as superuser:
        pid = sessions.backend_pid(superuser, name)
    try:
        os.kill(pid, signal.SIGSTOP)
    except OSError:
        pytest.skip("the server's processes are not ours to stop")
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.usefixtures("short_deadline")
async def test_a_frozen_network_ends_a_statement(
    marts_database: testing.PostgresDatabase, proxy: tcp_proxy.TcpProxy
) -> None:
    """Asynchronous, synchronous and pooled: the error is Unavailable, and the connection is not used again."""
    dsn = proxy.address_of(marts_database.dsn())
    connection = await db.connect(dsn, statement_timeout_seconds=1.0, autocommit=True)
    with db.connect_sync(dsn, statement_timeout_seconds=1.0, autocommit=True) as other:
        async with pool.pool(dsn, statement_timeout_seconds=1.0, autocommit=True, check=False) as connections:
            await connections.wait()
            proxy.freeze()
            with pytest.raises(errors.Unavailable, match="no answer within 1 s"), db.translate_errors():
                await connection.execute("select 1")
            assert connection.closed
            with pytest.raises(errors.Unavailable, match="no answer"), db.translate_errors():
                await asyncio.to_thread(other.execute, "select 1")
            with pytest.raises(errors.Unavailable, match="no answer"), db.translate_errors():
                async with connections.connection() as pooled:
                    await pooled.execute("select 1")
            proxy.thaw()
            async with connections.connection() as pooled:
                assert await (await pooled.execute("select 1")).fetchone() == (1,)


@pytest.mark.usefixtures("short_deadline")
async def test_the_writer_leaves_a_stopped_backend(marts_database: testing.PostgresDatabase) -> None:
    """The batch is refused for now, and committed on another connection while the old one is still stopped."""
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    await writer.append(STORY[:2], source="webhook")
    with stopped_backend(marts_database, "zmart ingest writer"):
        with pytest.raises(errors.Unavailable, match="no answer"):
            await writer.append(STORY[2:4], source="webhook")
        appended = await writer.append(STORY[2:4], source="webhook")
    assert appended.transactions == 2
    await writer.close()


async def test_a_client_that_stops_in_a_transaction_frees_its_locks(
    marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session ends, and the log's lock is free for the next."""
    monkeypatch.setattr(db, "SESSION", {**db.SESSION, "idle_in_transaction_session_timeout": "200"})
    stopped = await db.connect(marts_database.dsn("zmart_ingest"))
    await stopped.execute("lock table raw.writer in exclusive mode")
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    assert (await writer.append(STORY[:2], source="webhook")).transactions == 2
    await writer.close()
    await stopped.close()


async def test_a_lock_is_not_waited_for_without_a_bound(
    marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of somebody else's may hold it for hours: the delivery is answered, to be sent again."""
    monkeypatch.setattr(db, "LOCK_TIMEOUT_SECONDS", 0.2)
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    with marts_database.connect("postgres") as holder, holder.transaction():
        holder.execute("lock table raw.writer in exclusive mode")
        with pytest.raises(errors.Overloaded, match="lock timeout"):
            await writer.append(STORY[:2], source="webhook")
    await writer.close()


def _parts(database: testing.PostgresDatabase, dsn: str) -> Parts:
    """Ingest's parts, with the connections of the role through `dsn`."""
    return ingest_main.build_parts(
        settings.load(
            {
                "DATABASE_URL": database.dsn(),
                "DATABASE_URL_INGEST": dsn,
                "HELIUS_AUTH_HEADER": "the-header-of-the-webhook",
                "DEVCHAIN_PORT": "1",
            }
        )
    )


async def _wait_until_reported(parts: Parts, text: str) -> None:
    async with asyncio.timeout(REPORTED_WITHIN_SECONDS):
        while not any(text in reason for reason in await readiness_problems(parts)):  # noqa: ASYNC110 - asks a server
            await asyncio.sleep(0.1)


async def test_ingest_reports_a_commit_that_does_not_end(marts_database: testing.PostgresDatabase) -> None:
    """The backend of the writer is stopped while the rest of the server answers."""
    parts = _parts(marts_database, marts_database.dsn("zmart_ingest"))
    async with parts.pipeline as pipeline:
        await pipeline.submit(STORY[:2])
        assert await readiness_problems(parts) == []
        with stopped_backend(marts_database, "zmart ingest writer"):
            delivery = asyncio.create_task(pipeline.submit(STORY[2:4]))
            await _wait_until_reported(parts, "the current commit has not ended")
        await delivery
        assert await readiness_problems(parts) == []


async def test_ingest_reports_a_frozen_network(
    marts_database: testing.PostgresDatabase, proxy: tcp_proxy.TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no delivery under way, too: readiness and statistics answer while their own connections get no answer."""
    monkeypatch.setattr(log_stats, "MAX_AGE_SECONDS", 0.0)
    parts = _parts(marts_database, proxy.address_of(marts_database.dsn("zmart_ingest")))
    assert parts.log_stats is not None
    async with parts.pipeline:
        assert await readiness_problems(parts) == []
        assert (await parts.log_stats.refresh()).database_up == 1
        proxy.freeze()
        async with asyncio.timeout(REPORTED_WITHIN_SECONDS):
            await _wait_until_reported(parts, "database: no answer")
            assert await parts.log_stats.refresh() == log_stats.LogStatsSample()
        proxy.thaw()
        await parts.log_stats.close()


async def test_both_servers_name_who_holds_the_lock_of_the_log(
    marts_database: testing.PostgresDatabase,
) -> None:
    """A session that is idle in a transaction holds it: ingest and the API are not ready, and name the session."""
    parts = _parts(marts_database, marts_database.dsn("zmart_ingest"))
    application = app.create(
        settings.load({"DATABASE_URL": marts_database.dsn(), "DATABASE_URL_API": marts_database.dsn("zmart_api")})
    )
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
    async with (
        application.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
        parts.pipeline as pipeline,
    ):
        await pipeline.submit(STORY[:2])
        dsn = marts_database.dsn("postgres")
        async with await psycopg.AsyncConnection.connect(dsn, application_name="somebody") as holder:
            await holder.execute("lock table raw.writer in exclusive mode")
            named = f"pid {holder.info.backend_pid} (somebody, postgres)"
            delivery = asyncio.create_task(pipeline.submit(STORY[2:4]))
            await _wait_until_reported(parts, named)
            answer = await client.get("/ready")
            assert answer.status_code == 503
            assert any(named in reason for reason in answer.json()["reasons"])
            await holder.rollback()
        await delivery


async def test_the_api_reports_a_frozen_network(
    marts_database: testing.PostgresDatabase, proxy: tcp_proxy.TcpProxy
) -> None:
    """A request for readiness is answered within ten seconds although none of its connections is."""
    dsn = proxy.address_of(marts_database.dsn("zmart_api"))
    application = app.create(settings.load({"DATABASE_URL": marts_database.dsn(), "DATABASE_URL_API": dsn}))
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]
    async with (
        application.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        async with asyncio.timeout(REPORTED_WITHIN_SECONDS):
            while (await client.get("/ready")).status_code != 200:  # noqa: ASYNC110 - asks a server
                await asyncio.sleep(0.1)
        proxy.freeze()
        async with asyncio.timeout(REPORTED_WITHIN_SECONDS):
            # A result is shared for a second.
            while (answer := await client.get("/ready")).status_code == 200:  # noqa: ASYNC110 - asks a server
                await asyncio.sleep(0.1)
        assert "Postgres has not answered within 4 seconds." in answer.json()["reasons"]
        proxy.thaw()
