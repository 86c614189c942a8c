"""Deletes old runs of Dagster with their events and output; Dagster itself keeps them for ever.

The schedules start some six hundred runs a day. `dagster.yaml` limits the history of ticks; for runs Dagster has no
such setting. What operators look for in old runs is failures, so those stay longer.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import datetime
import time
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import dagster as dg

Job: TypeAlias = Any

JOB = "purge_runs"
#: How long runs stay, by how they ended.
RETENTION_DAYS = {
    dg.DagsterRunStatus.SUCCESS: 14,
    dg.DagsterRunStatus.CANCELED: 14,
    dg.DagsterRunStatus.FAILURE: 90,
}
#: Runs that one statement selects.
BATCH_RUNS = 100
#: A purge ends after this time, and the next one goes on.
LONGEST_SECONDS = 600.0


def jobs() -> Sequence[Job]:
    """Return the job that deletes old runs."""
    return [purge_runs]


def schedules() -> Sequence[dg.ScheduleDefinition]:
    """Return the daily schedule."""
    return [
        dg.ScheduleDefinition(
            name="purge_runs_daily",
            job_name=JOB,
            cron_schedule="20 3 * * *",
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description="Every night: delete old runs of Dagster.",
        )
    ]


@dg.op
def delete_old_runs(context: dg.OpExecutionContext) -> None:
    """Delete every run that is older than its retention."""
    count = delete_runs_before(context.instance, datetime.datetime.now(datetime.UTC))
    context.log.info(f"{count} runs deleted.")


@dg.job(
    name=JOB,
    description="Deletes runs with their events and output: successful and cancelled ones after 14 days, failed ones "
    "after "
    "90. Changes nothing of the log or the marts.",
)
def purge_runs() -> None:
    """Delete old runs."""
    delete_old_runs()


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
