"""A dump of this database can be restored, and the restored database is recognized as another log."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ingest.store.writer import Writer
from tests import event_histories
from zmart import errors, testing
from zmart.db import feed, migrate
from zmart.run.deploy import rebuild
from zmart.run.postgres import binaries

OURS = "select nspname from pg_namespace where nspowner = 'zmart_owner'::regrole or nspname = 'dagster'"


def _tool(name: str, connection: psycopg.Connection[tuple[object, ...]]) -> str:
    """Return the client program of the server's version."""
    major = connection.info.server_version // 10_000
    for found in binaries.find_all():
        path = found.folder / name
        if path.exists():
            output = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
            if int(output.split()[2].split(".")[0]) >= major:
                return str(path)
    pytest.fail(
        f"There is no {name} for Postgres {major} here. Run `make setup`, or install postgresql-client-{major}."
    )


def _dump(database: testing.PostgresDatabase, superuser: psycopg.Connection[tuple[object, ...]], file: str) -> None:
    subprocess.run([_tool("pg_dump", superuser), "-Fc", "-f", file, "-d", database.dsn("postgres")], check=True)


def _restore(database: testing.PostgresDatabase, superuser: psycopg.Connection[tuple[object, ...]], file: str) -> None:
    """Replace all schemas of ours by those of a dump."""
    for (schema,) in superuser.execute(OURS).fetchall():
        superuser.execute(sql.SQL("drop schema {} cascade").format(sql.Identifier(str(schema))))
    command = [_tool("pg_restore", superuser), "--exit-on-error", "-d", database.dsn("postgres"), file]
    subprocess.run(command, check=True)


async def _deliver(database: testing.PostgresDatabase, seed: int = 5) -> None:
    log = Writer(database.dsn("zmart_ingest"))
    try:
        await log.append(event_histories.generate(seed), source="webhook")
    finally:
        await log.close()


def _epoch(database: testing.PostgresDatabase) -> object:
    with database.connect() as owner:
        return (owner.execute("select epoch from raw.identity").fetchone() or (None,))[0]


def test_a_dump_restored_into_its_own_database_is_another_epoch(
    marts_database: testing.PostgresDatabase, tmp_path: Path
) -> None:
    """All of it is restored, no migration is pending, the marts are correct, and clients must start again."""
    file = str(tmp_path / "log.dump")
    with marts_database.connect("postgres") as superuser:
        asyncio.run(_deliver(marts_database))
        rebuild.deploy(marts_database.dsn())  # A clone has its own epoch, different from its template's.
        before = _epoch(marts_database)
        _dump(marts_database, superuser, file)
        _restore(marts_database, superuser, file)

    assert migrate.pending_migrations(marts_database.dsn()) == []
    rebuild.deploy(marts_database.dsn())
    after = _epoch(marts_database)
    rebuild.deploy(marts_database.dsn())

    assert after != before
    assert _epoch(marts_database) == after
    assert all(verdict.is_consistent for verdict in rebuild.verify(marts_database.dsn(), ()))


@pytest.mark.parametrize("is_running", [False, True], ids=["started afterwards", "running meanwhile"])
async def test_ingest_alone_begins_the_epoch_of_a_restored_dump(
    marts_database: testing.PostgresDatabase, tmp_path: Path, is_running: bool
) -> None:
    """Nothing but ingest serves it: no deployment, no reader; its connection may be older than the restored tables."""
    file = str(tmp_path / "log.dump")
    log = Writer(marts_database.dsn("zmart_ingest"))
    before = (await log.append(event_histories.generate(5), source="webhook")).epoch
    with marts_database.connect("postgres") as superuser:
        _dump(marts_database, superuser, file)
        lost = await log.append(event_histories.generate(6), source="webhook")
        if not is_running:
            await log.close()
        _restore(marts_database, superuser, file)
    assert _epoch(marts_database) == uuid.UUID(before)

    appended = await log.append(event_histories.generate(7), source="webhook")
    await log.close()

    assert lost.epoch == before
    assert appended.first_seq == lost.first_seq
    assert uuid.UUID(appended.epoch) == _epoch(marts_database) != uuid.UUID(before)


@pytest.mark.parametrize(
    "change",
    [
        "update raw.identity set system_identifier = system_identifier - 1",
        "update raw.identity set database_oid = database_oid::bigint - 1",
    ],
)
def test_the_first_connection_to_another_log_begins_an_epoch(
    marts_database: testing.PostgresDatabase, change: str
) -> None:
    """A copy is noticed by whichever process connects first, and once."""
    asyncio.run(_deliver(marts_database))
    before = _epoch(marts_database)
    with marts_database.connect() as owner:
        owner.execute(change.encode())

    asyncio.run(_connect_reader(marts_database, None))
    after = _epoch(marts_database)
    asyncio.run(_deliver(marts_database))

    assert after != before
    assert _epoch(marts_database) == after


def test_a_reader_with_a_mark_keeps_the_epoch(marts_database: testing.PostgresDatabase) -> None:
    """A promoted standby that holds what a reader has read is the same log; one that does not is another."""
    asyncio.run(_deliver(marts_database))
    before = _epoch(marts_database)
    with marts_database.connect() as owner:
        row = owner.execute("select max(seq), raw.mark_of(max(seq)) from raw.feed").fetchone()
        assert row is not None
        held = feed.FeedPosition(str(before), int(str(row[0])), str(row[1]))
        owner.execute("update raw.identity set timeline = timeline - 1")
        asyncio.run(_connect_reader(marts_database, held))
        assert _epoch(marts_database) == before

        owner.execute("update raw.identity set timeline = timeline - 1")
        asyncio.run(_connect_reader(marts_database, feed.FeedPosition(held.epoch, held.seq, "0" * 16)))
        assert _epoch(marts_database) == before
        owner.execute("update raw.identity set suspected_at = suspected_at - interval '16 seconds'")
        asyncio.run(_connect_reader(marts_database, feed.FeedPosition(held.epoch, held.seq, "0" * 16)))
        assert _epoch(marts_database) != before


def test_without_a_proof_a_promoted_log_begins_an_epoch_after_some_seconds(database: testing.PostgresDatabase) -> None:
    """Readers and a new process of ingest decide nothing; after fifteen seconds nobody can be expected to prove it."""
    asyncio.run(_deliver(database))
    before = _epoch(database)
    with database.connect() as owner:
        owner.execute("update raw.identity set timeline = timeline - 1")
        asyncio.run(_connect_reader(database, None))
        assert _epoch(database) == before
        with pytest.raises(errors.Unavailable, match="holds its history"):
            asyncio.run(_deliver(database, seed=2))
        assert _epoch(database) == before

        owner.execute("update raw.identity set suspected_at = suspected_at - interval '16 seconds'")
        asyncio.run(_deliver(database, seed=2))
        after = _epoch(database)
        assert after != before
        assert owner.execute("select suspected_at from raw.identity").fetchone() == (None,)
        asyncio.run(_deliver(database, seed=3))
        assert _epoch(database) == after


def test_a_proof_within_these_seconds_keeps_the_epoch(database: testing.PostgresDatabase) -> None:
    """Whoever connects first: what a later process holds decides."""
    asyncio.run(_deliver(database))
    before = _epoch(database)
    with database.connect() as owner:
        row = owner.execute("select max(seq), raw.mark_of(max(seq)) from raw.feed").fetchone()
        assert row is not None
        held = feed.FeedPosition(str(before), int(str(row[0])), str(row[1]))
        owner.execute("update raw.identity set timeline = timeline - 1")
        with pytest.raises(errors.Unavailable):
            asyncio.run(_deliver(database, seed=2))
        asyncio.run(_connect_reader(database, held))
        asyncio.run(_deliver(database, seed=2))
        assert _epoch(database) == before
        assert owner.execute("select suspected_at from raw.identity").fetchone() == (None,)


async def test_ingest_proves_the_log_with_what_was_acknowledged(database: testing.PostgresDatabase) -> None:
    """The same process of ingest, on a promoted server that has everything: the same epoch, at once."""
    log = Writer(database.dsn("zmart_ingest"))
    try:
        before = await log.append(event_histories.generate(5), source="webhook")
        _promote(database)
        with pytest.raises(errors.Unavailable):
            await log.append(event_histories.generate(12), source="webhook")
        after = await log.append(event_histories.generate(12), source="webhook")
    finally:
        await log.close()
    assert after.first_seq is not None
    assert after.epoch == before.epoch


@pytest.mark.parametrize("is_confirmed", [False, True], ids=["first", "after a reader who knew less"])
async def test_ingest_notices_the_lost_end_of_what_was_acknowledged(
    database: testing.PostgresDatabase, is_confirmed: bool
) -> None:
    """A lost end begins an epoch, also where a reader has confirmed the part that it had read."""
    log = Writer(database.dsn("zmart_ingest"))
    try:
        first = await log.append(event_histories.generate(5), source="webhook")
        with database.connect() as owner:
            row = owner.execute("select max(seq), raw.mark_of(max(seq)) from raw.feed").fetchone()
        assert row is not None
        held = feed.FeedPosition(first.epoch, int(str(row[0])), str(row[1]))
        await log.append(event_histories.generate(12), source="webhook")
        _promote(database, lost_after=held.seq)
        if is_confirmed:
            await _connect_reader(database, held)
            assert str(_epoch(database)) == first.epoch
        with pytest.raises(errors.Unavailable):
            await log.append(event_histories.generate(13), source="webhook")
        after = await log.append(event_histories.generate(13), source="webhook")
        assert after.epoch != first.epoch
        _promote(database, is_same_timeline=True)
        with pytest.raises(errors.Unavailable):
            await log.append(event_histories.generate(14), source="webhook")
        assert (await log.append(event_histories.generate(14), source="webhook")).epoch == after.epoch
    finally:
        await log.close()


def _promote(
    database: testing.PostgresDatabase, *, lost_after: int | None = None, is_same_timeline: bool = False
) -> None:
    """Let the database look as on a promoted server: another timeline, connections closed, the end lost."""
    with database.connect("postgres") as superuser:
        if lost_after is not None:
            superuser.execute("set session_replication_role = 'replica'")
            superuser.execute("delete from raw.commits where first_seq > %s", [lost_after])
            superuser.execute("delete from raw.events where seq > %s", [lost_after])
            superuser.execute("delete from raw.feed where seq > %s", [lost_after])
        if not is_same_timeline:
            superuser.execute("update raw.identity set timeline = timeline - 1")
        superuser.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            " where application_name = 'zmart ingest writer' and datname = current_database()"
        )


async def _connect_reader(database: testing.PostgresDatabase, after: feed.FeedPosition | None) -> None:
    async with feed.FeedListener(database.dsn("zmart_api"), after=after) as listener:
        await listener.start()
