"""`log_files` and `mart_files`: the export by a button, with figures, and failures that are sentences."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import msgspec
import pytest

from devchain import history
from ingest.decode import decoder
from ingest.store.writer import Writer
from orchestration.assets import exports
from orchestration.resources import DatabaseResource
from zmart import testing
from zmart.run.export import exporter
from zmart.run.export.store import FolderStore


@pytest.fixture
def place(
    marts_database: testing.PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> testing.PostgresDatabase:
    """A log of several appends, and a folder for its files."""
    monkeypatch.setenv("DATABASE_URL", marts_database.dsn())
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("EXPORT_URL", str(tmp_path / "export"))
    items = [msgspec.json.encode(item) for item in history.play(7, 60)]
    rows = decoder.Decoder(history.PROGRAM_ID).decode_items(items).transactions

    async def run() -> None:
        writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
        for first in range(0, len(rows), 10):
            await writer.append(rows[first : first + 10], source="webhook")
        await writer.close()

    asyncio.run(run())
    return marts_database


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def sense(place: testing.PostgresDatabase, instance: dg.DagsterInstance) -> list[str]:
    """Let the sensor add ranges; return them."""
    with dg.build_sensor_context(instance=instance) as context:
        result = exports.export_ranges(context, database=DatabaseResource(dsn_of=place.dsn))
    assert isinstance(result, dg.SensorResult)
    keys = [key for request in result.dynamic_partitions_requests or () for key in request.partition_keys]
    instance.add_dynamic_partitions("export_ranges", keys)
    return keys


def materialize(
    place: testing.PostgresDatabase, instance: dg.DagsterInstance, asset: int, key: str | None = None
) -> dg.ExecuteInProcessResult:
    """Materialize one of the assets."""
    return dg.materialize(
        [exports.assets()[asset]],
        instance=instance,
        partition_key=key,
        resources={"database": DatabaseResource(dsn_of=place.dsn)},
        raise_on_error=False,
    )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The figures of a materialization."""
    (event,) = result.get_asset_materialization_events()
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_ranges_are_added_and_exported_by_a_button(
    place: testing.PostgresDatabase, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The sensor adds full ranges of whole appends, later the rest; each run exports its range and has its figures."""
    monkeypatch.setitem(exports.SIZES, exports.Cluster.LOCALNET, (30, 86_400))
    keys = sense(place, instance)
    monkeypatch.setitem(exports.SIZES, exports.Cluster.LOCALNET, (30, 0))
    keys += sense(place, instance)
    assert sense(place, instance) == []
    with place.connect() as owner:
        row = owner.execute("select max(last_seq) from raw.commits").fetchone()
        ends = {str(end) for (end,) in owner.execute("select last_seq from raw.commits")}
    assert row is not None
    assert len(keys) > 1
    assert keys[0].startswith("1-")
    assert keys[-1].endswith(f"-{row[0]}")
    assert {key.partition("-")[2] for key in keys} <= ends

    for key in keys:
        first, last = exports.parse_range(key)
        figures = metadata(materialize(place, instance, 0, key))
        assert figures["entries"] == last - first + 1
        assert figures["exported through"] == last
    assert metadata(materialize(place, instance, 0, keys[0]))["segments"] == 0
    marts = metadata(materialize(place, instance, 1))
    assert marts["rows of marts"] > 100
    assert exporter.verify(place.dsn(), FolderStore(tmp_path / "export")).damages == ()


def test_a_run_that_cannot_export_fails_with_a_sentence(
    place: testing.PostgresDatabase, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another export runs, and without EXPORT_URL; the reason and the next step are in the failure."""
    with exporter.hold_exports(place.dsn()):
        refused = materialize(place, instance, 1)
    monkeypatch.delenv("EXPORT_URL")
    unset = materialize(place, instance, 1)

    found = [str(event.step_failure_data.error) for run in (refused, unset) for event in run.get_step_failure_events()]
    assert "Another export is running (pid " in found[0]
    assert "Set EXPORT_URL to a folder" in found[1]


@pytest.mark.parametrize("key", ["1", "5-4", "0-3", "a-b", ""])
def test_other_keys_are_refused(key: str) -> None:
    """A partition that an operator added by hand and that is no range fails before anything is written."""
    with pytest.raises(dg.Failure, match="is not a range of entries"):
        exports.parse_range(key)
