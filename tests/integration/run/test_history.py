"""The history of an upgraded database is finished by one process at a time, which tries until it can."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest
from click.testing import CliRunner

from zmart import cli, testing
from zmart.run.audit import audit
from zmart.run.deploy import history

#: Appends without a chain, as an earlier release did.
UNSEALED = """
    select raw.append_entries(
        array['moved', 'moved'], array[1::bigint, 2], array[1, 1], array[1, 1], array[null, null]::bytea []
    );
    delete from raw.commits;
    update raw.identity set unsealed_through = 2
"""
#: Makes sealing fail as a full disk does.
FULL_DISK = """
    create function public.refuse() returns trigger language plpgsql as $$
    begin raise exception 'No space left on device' using errcode = 'disk_full'; end $$;
    create trigger refuse before insert on raw.commits for each row execute function public.refuse()
"""


@contextlib.contextmanager
def shows_nothing(_title: str) -> Iterator[audit.Report]:
    """No progress."""
    yield lambda done, of: None


@pytest.fixture
def unsealed(database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """A log of two entries without a chain."""
    with database.connect("postgres") as superuser:
        superuser.execute(UNSEALED.encode())
        superuser.execute("grant create on schema public to zmart_owner")
    return database


def test_a_second_process_leaves_the_work_to_the_first(unsealed: testing.PostgresDatabase) -> None:
    """It is refused with a sentence; one that keeps trying goes on when the first has ended."""
    refused: list[str] = []

    @contextlib.contextmanager
    def start_another(title: str) -> Iterator[audit.Report]:
        with pytest.raises(history.HistoryBusy):
            history.finish_history(unsealed.dsn(), show_progress=shows_nothing)
        refused.append(title)
        yield lambda done, of: None

    done = history.finish_history(unsealed.dsn(), show_progress=start_another)

    assert (done.sealed_entries, refused) == (2, ["sealing the log", "writing events again"])
    reported: list[str] = []

    def end_the_first(sentence: str) -> None:
        reported.append(sentence)
        first.rollback()

    with psycopg.connect(unsealed.dsn()) as first:
        first.execute("lock table zmart_migrations.functions in share update exclusive mode")
        history.keep_trying(unsealed.dsn(), show_progress=shows_nothing, report=end_the_first, pause_seconds=0.0)
    assert ["Another process seals the log" in sentence for sentence in reported] == [True]


def test_it_is_tried_again_until_the_disk_has_space(unsealed: testing.PostgresDatabase) -> None:
    """A full disk is reported and not an end; services read and append meanwhile."""
    with unsealed.connect() as owner:
        owner.execute(FULL_DISK.encode())
        reported: list[str] = []

        def make_space(sentence: str) -> None:
            reported.append(sentence)
            owner.execute("drop trigger refuse on raw.commits")

        done = history.keep_trying(unsealed.dsn(), show_progress=shows_nothing, report=make_space, pause_seconds=0.0)

    assert done.sealed_entries == 2
    assert ["Trying again in 0 s." in sentence for sentence in reported] == [True]
    assert audit.verify(unsealed.dsn()).unsealed == 0


def test_a_removed_end_of_the_chain_does_not_stop_an_upgrade(
    unsealed: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command warns, and does the rest."""
    monkeypatch.setenv("DATABASE_URL", unsealed.dsn())
    with unsealed.connect() as owner:
        owner.execute("update raw.identity set unsealed_through = null")
    found = CliRunner().invoke(cli.main, ["migrate", "--history"], catch_exceptions=False)
    assert found.exit_code == 0
    assert "warning: The log has entries up to 2, but its chain ends at 0" in found.output
    assert "docs/runbook.md, chain_broken." in found.output
