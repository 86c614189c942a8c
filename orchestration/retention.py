"""Deletes what is kept for a time only: old runs of Dagster with their output, and sessions and nonces that expired.

The schedules start some six hundred runs a day. `dagster.yaml` limits the history of ticks; for runs Dagster has no
such setting. What operators look for in old runs is failures, so those stay longer. Sessions and nonces are also
deleted at each sign-in, a hundred at a time; this deletes them when nobody signs in, too.

Delivered bodies are never deleted here: they may go only where verified files have them, and this release keeps no
record of such files. The asset reports their size.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import datetime
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import dagster as dg

from zmart import settings
from zmart.db import queries

from . import dbt_manifest as models
from .resources import Connection, DatabaseResource

Job: TypeAlias = Any
sql = queries.load("orchestration")

JOB = "purge_runs"
KEY = dg.AssetKey(["operations", "retention"])
#: How long runs stay, by how they ended.
RETENTION_DAYS = {
    dg.DagsterRunStatus.SUCCESS: 14,
    dg.DagsterRunStatus.CANCELED: 14,
    dg.DagsterRunStatus.FAILURE: 90,
}
#: Runs that one statement selects.
BATCH_RUNS = 100
#: Rows that one statement deletes, so that no transaction is long.
BATCH_ROWS = 1_000
#: Each part of a purge ends after this time, and the next purge goes on.
LONGEST_SECONDS = 600.0


def jobs() -> Sequence[Job]:
    """Return the job that deletes what is too old."""
    return [
        dg.define_asset_job(
            JOB,
            selection=dg.AssetSelection.assets(KEY),
            description="Deletes runs with their events and output: successful and cancelled ones after 14 days, "
            "failed ones after 90; and sessions and nonces that expired an hour ago. Changes nothing of the log or "
            "the marts.",
        )
    ]


def schedules() -> Sequence[dg.ScheduleDefinition]:
    """Return the daily schedule."""
    return [
        dg.ScheduleDefinition(
            name="purge_runs_daily",
            job_name=JOB,
            cron_schedule="20 3 * * *",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Every night: delete old runs of Dagster, and expired sessions and nonces.",
        )
    ]


def assets() -> Sequence[dg.AssetsDefinition]:
    """Return the asset whose materializations say what was deleted and what is kept."""

    @dg.asset(
        key=KEY,
        group_name="ops",
        kinds={"postgres"},
        owners=models.OWNERS,
        required_resource_keys={"database"},
        description="What is kept for a time only (docs/operating/retention.md). **Materialize** deletes what is too "
        "old; the metadata has the figures, also of what is kept: delivered bodies, and log files.",
    )
    def retention(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        database: DatabaseResource = context.resources.database
        runs = delete_runs_before(context.instance, datetime.datetime.now(datetime.UTC))
        with database.connect("zmart_owner") as connection:
            rows = {
                "sessions deleted": delete_in_batches(connection, sql.delete_expired_sessions),
                "nonces deleted": delete_in_batches(connection, sql.delete_expired_nonces),
            }
            bodies = measure_bodies(connection)
        logs = log_bytes(settings.load().state_dir / "logs")
        return dg.MaterializeResult(metadata={"runs deleted": runs, **rows, **bodies, "log bytes": logs})

    return [retention]


def delete_in_batches(connection: Connection, statement: str) -> int:
    """Run a statement that deletes at most `limit` rows and returns their number until none is left; return the sum."""
    deadline, total = time.monotonic() + LONGEST_SECONDS, 0
    while True:
        row = connection.execute(statement, {"limit": BATCH_ROWS}).fetchone()
        count = 0 if row is None else int(row[0])
        total += count
        if count < BATCH_ROWS or time.monotonic() > deadline:
            return total


def measure_bodies(connection: Connection) -> Mapping[str, Any]:
    """Return the metadata of delivered bodies, none of which is deleted."""
    row = connection.execute(sql.bodies).fetchone()
    assert row is not None
    return {
        "bodies (estimated bundles)": int(row[0]),
        "bodies bytes": int(row[1]),
        "bodies deleted": 0,
        "bodies kept because": "no record of verified files covers them",
    }


def log_bytes(folder: Path) -> int:
    """Return the size of the logs of `zmart up`, which are rotated and not deleted here; 0 under systemd."""
    return sum(path.stat().st_size for path in folder.glob("*.log*") if path.is_file())


def delete_runs_before(instance: dg.DagsterInstance, now: datetime.datetime) -> int:
    """Delete the runs whose retention ended before `now`, for at most LONGEST_SECONDS; return their number."""
    deadline = time.monotonic() + LONGEST_SECONDS
    count = 0
    for run_id in _expired(instance, now):
        _delete(instance, run_id)
        count += 1
        if time.monotonic() > deadline:
            break
    return count


def _expired(instance: dg.DagsterInstance, now: datetime.datetime) -> Iterator[str]:
    for status, days in RETENTION_DAYS.items():
        filters = dg.RunsFilter(statuses=[status], updated_before=now - datetime.timedelta(days=days))
        while records := instance.get_run_records(filters, limit=BATCH_RUNS, ascending=True):
            yield from (record.dagster_run.run_id for record in records)


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    # The output first: without its run nothing names it any more.
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    instance.delete_run(run_id)
