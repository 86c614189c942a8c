"""A promoted standby that lacks the end of its primary's log is another log, whichever process connects first."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from ingest.records import TransactionRow
from ingest.store.writer import Writer
from tests import event_histories
from zmart import errors, testing
from zmart.db import feed, migrate
from zmart.run import ports
from zmart.run.deploy import rebuild
from zmart.run.postgres import binaries, embedded
from zmart.run.postgres.server_file import ServerFile
from zmart.run.supervisor import process

READY_SECONDS = 60.0
#: The primary writes what a standby needs.
TUNING = {"wal_level": "replica", "max_wal_senders": "4"}


@pytest.fixture(scope="module")
def primary() -> Iterator[embedded.EmbeddedPostgres]:
    """A server of its own with the log and its marts."""
    with testing.state_dir() as folder, embedded.EmbeddedPostgres(folder, durable=False, tuning=TUNING) as server:
        migrate.migrate(server.dsn())
        rebuild.deploy(server.dsn())
        yield server


@contextlib.contextmanager
def _standby(primary: embedded.EmbeddedPostgres) -> Iterator[embedded.EmbeddedPostgres]:
    """A standby with the log as it is now; it receives nothing further, as before an asynchronous failover."""
    with testing.state_dir() as folder:
        (folder / "postgres").mkdir()
        data = folder / "postgres" / "data"
        tool = binaries.find_binaries().folder / "pg_basebackup"
        subprocess.run(
            [tool, "-D", data, "-X", "stream", "-c", "fast", "-d", primary.dsn("postgres")],
            check=True,
            capture_output=True,
            cwd="/",
        )
        (data / "standby.signal").touch()
        record = ServerFile.read(primary.log_file.parent / "server.json")
        assert record is not None
        owner = Path(record.data).stat()
        for path in (data, *data.rglob("*")):
            shutil.chown(path, owner.st_uid, owner.st_gid)
        copy = ServerFile(
            port=ports.find_free_port(), database=record.database, data=str(data), passwords=record.passwords
        )
        copy.write(folder / "postgres" / "server.json")
        server = embedded.EmbeddedPostgres(folder, durable=False, tuning=TUNING)
        server.initialize()
        with server.log_file.open("ab") as log:
            running = process.start(server.launch(), output=log.fileno())
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not server.is_ready():
                assert running.poll() is None, server.log_file.read_text()
                assert time.monotonic() < deadline, server.log_file.read_text()
                time.sleep(0.02)
            yield server
        finally:
            running.send_signal(server.launch().stop_signal)
            running.wait(READY_SECONDS)


def _promote(standby: embedded.EmbeddedPostgres) -> None:
    with psycopg.connect(standby.dsn("postgres"), autocommit=True) as superuser:
        assert superuser.execute("select pg_promote(true, 60)").fetchone() == (True,)


@contextlib.contextmanager
def _without_checkpoints(server: embedded.EmbeddedPostgres) -> Iterator[None]:
    """Hold up the checkpoint that follows a promotion, as a large server does for minutes."""
    with psycopg.connect(server.dsn("postgres")) as superuser:
        found = superuser.execute("select pid from pg_stat_activity where backend_type = 'checkpointer'").fetchone()
    assert found is not None
    os.kill(found[0], signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(found[0], signal.SIGCONT)


def _epoch(server: embedded.EmbeddedPostgres) -> str:
    with psycopg.connect(server.dsn("postgres")) as superuser:
        return str((superuser.execute("select epoch from raw.identity").fetchone() or ("",))[0])


async def _append(server: embedded.EmbeddedPostgres, rows: Sequence[TransactionRow]) -> str:
    """Append as `python -m ingest` does, again while it is refused; return the epoch that it reports."""
    log = Writer(server.dsn("zmart_ingest"))
    deadline = time.monotonic() + READY_SECONDS
    try:
        while time.monotonic() < deadline:
            with contextlib.suppress(errors.Unavailable):
                return (await log.append(rows, source="webhook")).epoch
            await asyncio.sleep(0.1)
        return (await log.append(rows, source="webhook")).epoch
    finally:
        await log.close()


async def _refused(server: embedded.EmbeddedPostgres, rows: Sequence[TransactionRow]) -> None:
    """Append with a process that holds no position, which is refused."""
    log = Writer(server.dsn("zmart_ingest"))
    try:
        with pytest.raises(errors.Unavailable, match="holds its history"):
            await log.append(rows, source="webhook")
    finally:
        await log.close()


async def _connect_reader(server: embedded.EmbeddedPostgres, after: feed.FeedPosition | None) -> None:
    async with feed.FeedListener(server.dsn("zmart_api"), after=after) as listener:
        await listener.start()


async def _head(server: embedded.EmbeddedPostgres) -> feed.FeedPosition:
    async with await psycopg.AsyncConnection.connect(server.dsn("zmart_api")) as connection:
        return await feed.head(connection)


def test_the_first_deployment_after_a_promotion_begins_an_epoch(primary: embedded.EmbeddedPostgres) -> None:
    """The first run of `zmart migrate`, not the second: the timeline is that of what is written now."""
    with _standby(primary) as standby:
        before = _epoch(standby)
        with _without_checkpoints(standby):
            _promote(standby)
            migrate.migrate(standby.dsn())
            rebuild.deploy(standby.dsn())
            first = _epoch(standby)
        rebuild.deploy(standby.dsn())

        assert first != before
        assert _epoch(standby) == first


async def test_a_standby_that_has_everything_goes_on_with_the_epoch(primary: embedded.EmbeddedPostgres) -> None:
    """In any order of connections: a process without a position waits until one with a position proves the log."""
    await _append(primary, event_histories.generate(60))
    with _standby(primary) as standby:
        before, read = _epoch(standby), await _head(primary)
        assert read == await _head(standby)
        _promote(standby)

        await _connect_reader(standby, None)
        await _refused(standby, event_histories.generate(70))
        await _connect_reader(standby, read)

        assert await _append(standby, event_histories.generate(70)) == _epoch(standby) == before
        async with feed.FeedListener(standby.dsn("zmart_api"), after=read) as listener:
            assert (await anext(aiter(listener))).entries[0].seq == read.seq + 1


async def test_ingest_alone_notices_an_asynchronous_failover(primary: embedded.EmbeddedPostgres) -> None:
    """Entries that the standby lacks are replaced by others under another epoch, so a reader of the former ones is
    told, also when it had read less than was lost."""
    shared, lost, others = (event_histories.generate(count) for count in (10, 20, 30))
    await _append(primary, shared)
    with _standby(primary) as standby:
        before = await _append(primary, lost)
        read = await _head(primary)
        assert read.seq > (await _head(standby)).seq
        _promote(standby)

        after = await _append(standby, others)

        assert after == _epoch(standby) != before
        async with feed.FeedListener(standby.dsn("zmart_api"), after=read) as listener:
            with pytest.raises(feed.ForeignEpoch):
                await anext(aiter(listener))


async def test_a_reader_of_lost_entries_proves_nothing(primary: embedded.EmbeddedPostgres) -> None:
    """What its reader holds is not in the promoted log; after some seconds the log begins an epoch."""
    await _append(primary, event_histories.generate(10))
    with _standby(primary) as standby:
        await _append(primary, event_histories.generate(40))
        read = await _head(primary)
        _promote(standby)

        async with feed.FeedListener(standby.dsn("zmart_api"), after=read) as listener:
            with pytest.raises(feed.FuturePosition):
                await anext(aiter(listener))
        await _refused(standby, event_histories.generate(50))
        assert _epoch(standby) == read.epoch

        with psycopg.connect(standby.dsn("postgres")) as superuser:
            superuser.execute("update raw.identity set suspected_at = suspected_at - interval '16 seconds'")
        assert await _append(standby, event_histories.generate(50)) == _epoch(standby) != read.epoch


async def test_connections_that_outlive_a_promotion_append_to_no_earlier_epoch(
    primary: embedded.EmbeddedPostgres,
) -> None:
    """A promotion closes no connection: one opened to the standby appends nothing without an epoch."""
    await _append(primary, event_histories.generate(10))
    with _standby(primary) as standby:
        before = _epoch(standby)
        log = await Writer.connect(standby.dsn("zmart_ingest"))
        try:
            with pytest.raises(errors.ZmartError):
                await log.append(event_histories.generate(50), source="webhook")
            _promote(standby)
            for _ in range(2):
                with pytest.raises(errors.Unavailable, match="holds its history"):
                    await log.append(event_histories.generate(50), source="webhook")
            assert _epoch(standby) == before
            with psycopg.connect(standby.dsn("postgres")) as superuser:
                superuser.execute("update raw.identity set suspected_at = suspected_at - interval '16 seconds'")

            appended = await log.append(event_histories.generate(50), source="webhook")
        finally:
            await log.close()

        assert appended.events
        assert appended.epoch == _epoch(standby) != before
