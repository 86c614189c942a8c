"""Events of an upgraded database are written again in steps: nothing is lost, wherever a run ends."""

from __future__ import annotations

import psycopg
import pytest

from zmart import errors, testing
from zmart.run.deploy import compaction

EVENTS = 2_000
#: Rows as the version before wrote them, with the signature in a column that is then dropped.
WIDE_ROWS = f"""
    alter table raw.events add column signature text collate "C";
    insert into raw.transactions (transaction_no, signature, slot, order_settled, digest)
    select n, rpad(md5(n::text), 88, 'x'), n, true, '' from generate_series(1, {EVENTS}) as n;
    insert into raw.events (seq, order_key, transaction_no, ordinal, name, market_no, clock, payload, signature)
    select n, n::bigint << 24, n, 0, 'SharesBought', n % 7, n, '{{"shares": "1"}}', rpad(md5(n::text), 88, 'x')
    from generate_series(1, {EVENTS}) as n;
    alter table raw.events drop column signature
"""
CONTENT = "select count(*), md5(string_agg(e::text, '|' order by seq)) from log.events as e"
#: Ends or fails a step at one row of it.
SPOIL = """
    create function pg_temp.spoil() returns trigger language plpgsql as $$ begin {action}; return new; end $$;
    create trigger spoil before update on raw.events for each row when (new.seq = 900)
    execute function pg_temp.spoil()
"""


class Killed(Exception):
    """The end of a process between two steps."""


@pytest.fixture
def wide(database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> testing.PostgresDatabase:
    """A database whose events have the bytes of a dropped column, and steps of a few pages."""
    monkeypatch.setattr(compaction, "STEP_PAGES", 8)
    with database.connect() as owner:
        owner.execute(WIDE_ROWS.encode())
    return database


def content(database: testing.PostgresDatabase) -> object:
    """The events as analysts read them."""
    with database.connect("analyst") as analyst:
        return analyst.execute(CONTENT).fetchone()


def oldest_rows(database: testing.PostgresDatabase) -> int:
    """Rows that were never written again since they were appended."""
    with database.connect() as owner:
        row = owner.execute(
            "select count(*) from raw.events where xmin = (select xmin from raw.transactions where transaction_no = 1)"
        ).fetchone()
    assert row is not None
    return int(str(row[0]))


def test_a_run_that_is_killed_after_any_step_continues_there(wide: testing.PostgresDatabase) -> None:
    """Each run does one step and is killed; readers see every event after each; the last one ends the work."""
    before = content(wide)
    done: list[int] = []

    def kill(pages: int, of: int) -> None:
        assert content(wide) == before
        done.append(pages)
        raise Killed

    assert oldest_rows(wide) == EVENTS
    while True:
        try:
            pages = compaction.compact_events(wide.dsn(), report=kill)
            break
        except Killed:
            continue

    assert len(done) > 3
    assert done == sorted(set(done))
    assert done[-1] == pages
    assert oldest_rows(wide) == 0
    assert content(wide) == before
    assert compaction.compact_events(wide.dsn()) == 0


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("perform pg_terminate_backend(pg_backend_pid())", "Postgres"),
        ("raise exception 'No space left on device' using errcode = 'disk_full'", "disk of Postgres is full.*migrate"),
    ],
)
def test_a_step_that_fails_is_repeated(wide: testing.PostgresDatabase, action: str, message: str) -> None:
    """The server ends the connection, or has no space, in the middle: a sentence; the next run continues."""
    before = content(wide)
    done: list[int] = []
    with wide.connect() as owner:
        owner.execute(SPOIL.format(action=action).encode())

        with pytest.raises(errors.Unavailable, match=message):
            compaction.compact_events(wide.dsn(), report=lambda pages, of: done.append(pages))

        owner.execute("drop trigger spoil on raw.events")
    steps = len(done)
    assert steps > 0

    compaction.compact_events(wide.dsn(), report=lambda pages, of: done.append(pages))

    assert done == sorted(set(done))
    assert oldest_rows(wide) == 0
    assert content(wide) == before


def test_what_a_killed_run_left_of_an_index_is_removed(wide: testing.PostgresDatabase) -> None:
    """An index that was not built to the end costs every append and serves no one."""
    with wide.connect() as owner:
        with pytest.raises(psycopg.errors.UniqueViolation):
            owner.execute("create unique index concurrently events_pkey_ccnew on raw.events (name)")

        compaction.compact_events(wide.dsn())

        invalid = owner.execute("select count(*) from pg_index where not indisvalid").fetchone()
    assert invalid == (0,)


def test_a_new_database_has_nothing_to_write_again(database: testing.PostgresDatabase) -> None:
    """Without a dropped column the run ends at once."""
    assert compaction.compact_events(database.dsn()) == 0
