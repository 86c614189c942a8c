"""Deploying and rebuilding marts: unchanged models are skipped, wrong rows corrected, readers not affected."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import event_histories
import psycopg
import psycopg.sql
import pytest

from ingest.records import TransactionRow
from ingest.store.writer import Writer
from zmart import errors, testing
from zmart.run.deploy import rebuild


def deliver(database: testing.PostgresDatabase, rows: Sequence[TransactionRow]) -> None:
    """Write these transactions like ingest."""

    async def run() -> None:
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        await writer.append(rows, source="webhook")
        await writer.close()

    asyncio.run(run())


def oid(connection: psycopg.Connection[tuple[object, ...]], mart: str) -> object:
    """Return the table that currently has the name."""
    row = connection.execute("select to_regclass(%s)::oid", (f"marts.{mart}",)).fetchone()
    assert row is not None
    return row[0]


@contextmanager
def reading(database: testing.PostgresDatabase, query: str) -> Iterator[list[object]]:
    """Poll `query` as the analyst; errors and empty results are collected."""
    failures: list[object] = []
    stop = threading.Event()
    started = threading.Event()

    def poll() -> None:
        with database.connect("analyst") as connection:
            while not stop.is_set():
                try:
                    row = connection.execute(query).fetchone()
                    if row is None or not row[0]:
                        failures.append(row)
                except psycopg.Error as error:
                    failures.append(error)
                started.set()

    reader = threading.Thread(target=poll)
    reader.start()
    started.wait(10)
    try:
        yield failures
    finally:
        stop.set()
        reader.join()


def test_a_second_deployment_needs_no_dbt(marts_database: testing.PostgresDatabase) -> None:
    """The same sources on the same healthy log are not built again."""
    rebuild.deploy(marts_database.dsn())

    assert rebuild.deploy(marts_database.dsn()) is False


@pytest.mark.drill
def test_building_unchanged_models_keeps_their_tables(marts_database: testing.PostgresDatabase) -> None:
    """dbt run over unchanged models leaves the same tables and reports it."""
    with marts_database.connect() as connection:
        before = oid(connection, "markets"), oid(connection, "priced_trades")
        rebuild.build_models(marts_database.dsn())
        assert (oid(connection, "markets"), oid(connection, "priced_trades")) == before


def test_a_broken_model_stops_alone_and_a_rebuild_mends_it(marts_database: testing.PostgresDatabase) -> None:
    """Ingest continues after a model fails; the status names it, and a rebuild corrects it."""
    story = event_histories.generate(3)
    half = len(story) // 2
    deliver(marts_database, story[:half])
    with marts_database.connect() as connection:
        connection.execute(
            "alter table marts.positions add constraint broken_on_purpose check (trades_count < 0) not valid"
        )
        deliver(marts_database, story[half:])

        stale = {v.name: v.stale_reason for v in rebuild.verify(marts_database.dsn()) if not v.is_consistent}
        assert list(stale) == ["positions"]
        assert "broken_on_purpose" in stale["positions"]

        connection.execute("alter table marts.positions drop constraint broken_on_purpose")
        rebuild.rebuild(marts_database.dsn(), ["positions"], report=lambda _: None)
        assert [v for v in rebuild.verify(marts_database.dsn()) if not v.is_consistent] == []
        assert connection.execute("select count(*) from ops.alerts where resolved_at is null").fetchone() == (0,)


def test_verify_sees_a_single_changed_cell(marts_database: testing.PostgresDatabase) -> None:
    """One lamport off in one row is one differing row; a rebuild writes exactly that row."""
    deliver(marts_database, event_histories.generate(4))
    with marts_database.connect() as connection:
        connection.execute(
            "update marts.positions set total_invested = total_invested + 1 "
            "where ctid = (select min(ctid) from marts.positions)"
        )

    assert {v.name: v.differing_rows for v in rebuild.verify(marts_database.dsn()) if not v.is_consistent} == {
        "positions": 1
    }
    assert rebuild.rebuild(marts_database.dsn(), report=lambda _: None) == 1
    verdicts = {v.name: v for v in rebuild.verify(marts_database.dsn())}
    assert all(v.is_consistent for v in verdicts.values())
    assert verdicts["priced_trades"].rows > 0


def test_a_rebuild_from_staged_rows_includes_what_came_after_them(marts_database: testing.PostgresDatabase) -> None:
    """Models that share a step read its rows from one table; what the log got since is merged. No table remains."""
    story = event_histories.generate(6)
    half = len(story) // 2
    deliver(marts_database, story[:half])
    with marts_database.connect() as connection:
        # What a session left that has ended.
        connection.execute("create unlogged table folds.staged_rows_1_1 (seq bigint)")
        shared = connection.execute(
            "select staged_as, array_agg(name) from ops.models where staged_as is not null group by staged_as"
        ).fetchall()
        [(step, names)] = shared
        assert isinstance(names, list)
        assert len(names) > 1
        staged = connection.execute("select o_rows, o_to from folds.stage_rows(%s)", (step,)).fetchone()
        assert staged is not None
        deliver(marts_database, story[half:])
        for name in names:
            connection.execute(psycopg.sql.SQL("truncate {}").format(psycopg.sql.Identifier("marts", name)))
            connection.execute("select folds.rebuild_from(%s, %s, %s)", (name, *staged))
        assert [v.name for v in rebuild.verify(marts_database.dsn()) if not v.is_consistent] == []
        connection.execute("select folds.drop_staged_rows()")
        tables = "select count(*) from pg_class where relname like 'staged%%' and relnamespace = 'folds'::regnamespace"
        assert connection.execute(tables).fetchone() == (0,)


@pytest.mark.drill
def test_a_reader_notices_neither_rebuild_nor_new_columns(marts_database: testing.PostgresDatabase) -> None:
    """While marts are rebuilt in place and one is swapped for another shape, no query fails or returns nothing."""
    deliver(marts_database, event_histories.generate(5))
    query = "select count(*) from marts.markets cross join (select count(*) from marts.vote_tallies) as t"
    with marts_database.connect() as connection, reading(marts_database, query) as failures:
        rebuild.rebuild(marts_database.dsn(), report=lambda _: None)
        # Another shape under the same definition, so that the deployment must build beside and swap.
        connection.execute("alter table marts.markets add column left_over int")
        connection.execute("update ops.models set definition_hash = 'another' where name = 'markets'")
        before = oid(connection, "markets")
        rebuild.build_models(marts_database.dsn(), ["run", "--select", "markets"])
        assert oid(connection, "markets") != before
        grants = connection.execute(
            "select has_table_privilege('analyst', 'marts.markets', 'select'), "
            "has_table_privilege('zmart_api', 'marts.vote_tallies', 'select'), "
            "obj_description('marts.markets'::regclass)"
        ).fetchone()
    assert failures == []
    assert grants is not None
    assert grants[:2] == (True, True)
    assert str(grants[2]).startswith("Folded.")


def test_an_unknown_model_is_named(marts_database: testing.PostgresDatabase) -> None:
    """A misspelt model is rejected with the existing names."""
    with pytest.raises(errors.NotFound, match="positions"):
        rebuild.rebuild(marts_database.dsn(), ["postions"])
