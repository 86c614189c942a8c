"""The test server itself: the content of a clone, and the rights in it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from ingest.store import writer
from zmart import settings, testing


@pytest.mark.parametrize("role", settings.ROLES)
def test_each_role_logs_in_as_itself(database: testing.PostgresDatabase, role: str) -> None:
    """Every role of ours can connect to a fresh clone under its own name."""
    with database.connect(role) as connection:
        user = connection.execute("select current_user").fetchone()

    assert user == (role,)


def test_owner_owns_the_schemas(database: testing.PostgresDatabase) -> None:
    """For any deploying role, all objects belong to zmart_owner."""
    with database.connect() as connection:
        owners = connection.execute(
            "select distinct nspowner::regrole::text from pg_namespace"
            " where nspname in ('raw', 'ops', 'app', 'folds', 'marts')"
        ).fetchall()

    assert owners == [("zmart_owner",)]


def test_api_may_not_write_the_log(database: testing.PostgresDatabase) -> None:
    """The API's role cannot append an event."""
    with (
        database.connect("zmart_api") as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("insert into raw.feed default values")


def test_analyst_only_reads(database: testing.PostgresDatabase) -> None:
    """An analyst's transactions are read only unless they ask otherwise."""
    with database.connect("analyst") as connection:
        setting = connection.execute("show default_transaction_read_only").fetchone()

    assert setting == ("on",)


def test_clones_do_not_see_each_other(
    postgres_server: testing.PostgresServer, template: testing.PostgresDatabase
) -> None:
    """A test never sees rows of another test."""
    with postgres_server.clone(template) as one, postgres_server.clone(template) as other:
        with one.connect() as connection:
            connection.execute("create table public.mine ()")
        with other.connect() as connection:
            found = connection.execute("select to_regclass('public.mine')").fetchone()

    assert found == (None,)


def test_gaps_are_found_without_reading_all_proofs(database: testing.PostgresDatabase) -> None:
    """The ranges of each source are those of its proofs, whatever the order in which they come and grow."""
    proofs = [("walk", 500, 600, 3), ("backfill", 0, 99, 2), ("walk", 601, 700, 1), ("backfill", 150, 499, 4)]
    with database.connect("zmart_ingest") as ingest:
        for source, from_slot, to_slot, transactions in proofs:
            ingest.execute(
                "insert into raw.coverage values (%s, %s, %s, %s, '')", (source, from_slot, to_slot, transactions)
            )
        ingest.execute(
            "insert into raw.coverage as c values ('walk', 601, 710, 5, '') on conflict (source, from_slot)"
            " do update set to_slot = excluded.to_slot, successful_transactions = excluded.successful_transactions"
        )
        found = ingest.execute(
            "select source, slots::text, successful_transactions from raw.covered_slots order by 1"
        ).fetchall()
        assert found == [("backfill", "{[0,100),[150,500)}", 6), ("walk", "{[500,711)}", 8)]
        stats = ingest.execute(writer.sql.log_stats)
        assert (
            dict(zip([column.name for column in stats.description or ()], stats.fetchone() or (), strict=True))[
                "coverage_gaps"
            ]
            == 1
        )
        with pytest.raises(Exception, match="permission denied"):
            ingest.execute("delete from raw.covered_slots")


def test_the_verified_slot_is_found_among_many_proofs(database: testing.PostgresDatabase) -> None:
    """raw.verified_through reads a few pages, however many ranges are proven."""
    with database.connect() as connection:
        connection.execute(
            "insert into raw.coverage (source, from_slot, to_slot, successful_transactions, digest) "
            "select 'walk', n * 2, n * 2 + 1, 1, sha256(int8send(n)) from generate_series(1, 20000) as n"
        )
        connection.execute("analyze raw.coverage")
        assert connection.execute("select raw.verified_through()").fetchone() == (40_001,)
        row = connection.execute("explain (analyze, buffers, format json) select raw.verified_through()").fetchone()
    assert row is not None
    explained: Any = row[0]
    plan = explained[0]["Plan"]
    # The table has hundreds of pages.
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 20
