"""Dagster's storage uses a few connections again and again, and replaces those that a restart of Postgres has ended."""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import yaml

from orchestration import storage
from orchestration.storage import SharedPostgresStorage
from zmart import testing
from zmart.run.postgres.embedded import SUPERUSER
from zmart.run.supervisor import dagster_services

_PIDS = (
    "select pid from pg_stat_activity where datname = current_database()"
    " and application_name = 'zmart dagster storage' order by pid"
)


@pytest.fixture
def url(database: testing.PostgresDatabase) -> Iterator[str]:
    """The address of Dagster's schema; its pool is closed afterwards."""
    url = dagster_services.storage_url(database.dsn("zmart_keeper"))
    yield url
    if (engine := storage.shared_engines.pop(url, None)) is not None:
        engine.dispose()


def _pids(database: testing.PostgresDatabase) -> list[int]:
    with database.connect(SUPERUSER) as superuser:
        return [pid for (pid,) in superuser.execute(_PIDS)]


def test_all_instances_of_a_process_use_one_connection(database: testing.PostgresDatabase, url: str) -> None:
    """One after the other: no statement and no instance opens another."""
    found = set()
    for _ in range(5):
        created = SharedPostgresStorage(url)
        assert created.run_storage.get_runs() == []
        assert created.event_log_storage.get_asset_records() == []
        assert created.schedule_storage.all_instigator_state() == []
        found |= set(_pids(database))
    assert len(found) == 1


def test_a_connection_that_the_server_ended_is_replaced(database: testing.PostgresDatabase, url: str) -> None:
    """The next statement works, on another one."""
    created = SharedPostgresStorage(url)
    created.run_storage.get_runs()
    (before,) = _pids(database)
    with database.connect(SUPERUSER) as superuser:
        superuser.execute("select pg_terminate_backend(%s, 10000)", [before])
    assert created.run_storage.get_runs() == []
    assert before not in _pids(database)


def test_dagsters_configuration_names_this_storage(
    database: testing.PostgresDatabase, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An instance of `dagster.yaml` has it, and one that another process makes of its reference."""
    monkeypatch.setenv("DAGSTER_STORAGE_URL", url)
    configured = yaml.safe_load(dagster_services.INSTANCE.read_text())["storage"]
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({"storage": configured, "telemetry": {"enabled": False}}))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert isinstance(instance.get_ref().storage, SharedPostgresStorage)
        with dg.DagsterInstance.from_ref(instance.get_ref()) as other:
            assert instance.get_runs() == other.get_runs() == []
            assert len(_pids(database)) == 1
