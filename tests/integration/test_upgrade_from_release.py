"""A backup of each earlier release is restored by this one, upgraded in place, and loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import event_histories
import psycopg
import pytest
import release_fixture
from psycopg import sql

from ingest.store.writer import Writer
from zmart import testing
from zmart.db import migrate
from zmart.run.audit import audit
from zmart.run.backup import manifest
from zmart.run.deploy import rebuild

RELEASES = release_fixture.fixtures()
#: Rows of these tables exist nowhere else: the chain cannot give them back.
OFF_CHAIN = ("app.ballots", "app.comments", "app.comment_edits", "app.market_metadata", "app.sessions", "ops.intents")
LARGEST_BYTES = 200_000


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest, empty_database: testing.PostgresDatabase) -> Path:
    """The folder of a saved release, which a server of an older version cannot restore."""
    needed = manifest.read(request.param).server_major
    with empty_database.connect("postgres") as connection:
        major = connection.info.server_version // 10_000
    if major < needed:
        pytest.skip(f"the release was saved by Postgres {needed}, and this server is Postgres {major}")
    return Path(request.param)


def count(connection: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    """The number of rows of a table."""
    statement = sql.SQL("select count(*) from {}").format(sql.Identifier(*table.split(".")))
    return int(str((connection.execute(statement).fetchone() or (0,))[0]))


def test_a_saved_release_is_upgraded(release: Path, empty_database: testing.PostgresDatabase) -> None:
    """Nothing of the log and nothing that only we have is lost, the chain is unbroken, and ingest goes on."""
    before = release_fixture.load(release, empty_database).manifest

    migrate.migrate(empty_database.dsn())

    assert migrate.pending_migrations(empty_database.dsn()) == []
    with empty_database.connect("postgres") as connection:
        for table in (*OFF_CHAIN, "raw.events", "raw.transactions", "raw.feed"):
            assert count(connection, table) == before.tables[table] > 0, table
    assert audit.verify(empty_database.dsn()).position.seq == before.seq
    appended = asyncio.run(_append(empty_database))
    assert appended == before.seq + 1
    with empty_database.connect() as owner:
        assert owner.execute("select name, reason from ops.models where applied_seq is not null").fetchall() == []


async def _append(database: testing.PostgresDatabase) -> int:
    writer = await Writer.connect(database.dsn("zmart_ingest"))
    appended = await writer.append(event_histories.generate(7), source="webhook")
    await writer.close()
    return appended.first_seq


@pytest.mark.drill
def test_its_marts_equal_a_rebuild(release: Path, empty_database: testing.PostgresDatabase) -> None:
    """After the deployment of this release's models, live marts and a rebuild from the log have the same rows."""
    release_fixture.load(release, empty_database)
    migrate.migrate(empty_database.dsn())
    rebuild.deploy(empty_database.dsn())

    assert [verdict.name for verdict in rebuild.verify(empty_database.dsn()) if not verdict.is_consistent] == []


def test_a_release_is_saved_and_is_small() -> None:
    """The next release upgrades from it; the repository carries it for ever."""
    assert RELEASES
    for folder in RELEASES:
        assert sum(file.stat().st_size for file in folder.iterdir()) < LARGEST_BYTES
