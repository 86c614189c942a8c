"""Defines the schedules, in UTC."""

# No `from __future__ import annotations` here: Dagster reads which resources a schedule asks for from its annotations.

from collections.abc import Sequence

import dagster as dg

from zmart.db import queries

from . import jobs
from .resources import DatabaseResource

sql = queries.load("orchestration")

_RUNNING = dg.DefaultScheduleStatus.RUNNING


def schedules() -> Sequence[dg.ScheduleDefinition]:
    """Return all schedules; no two start at the same minute."""
    return [
        dg.ScheduleDefinition(
            name="reconciliation_hourly",
            job_name=jobs.RECONCILIATION,
            # Not on the hour: at midnight UTC the discussions of the day are anchored.
            cron_schedule="10 * * * *",
            default_status=_RUNNING,
            description="Every hour: verifies that marts equal their rebuilds, and that the log is fresh and complete.",
        ),
        refresh_marts_every_5m,
        dg.ScheduleDefinition(
            name="observation_hourly",
            job_name=jobs.OBSERVE,
            cron_schedule="30 * * * *",
            default_status=_RUNNING,
            description="Every hour: records the size and the age of the log.",
        ),
        dg.ScheduleDefinition(
            name="data_tests_daily",
            job_name=jobs.DATA_TESTS,
            cron_schedule="15 3 * * *",
            default_status=_RUNNING,
            description="Every night: runs dbt's tests of the data.",
        ),
    ]


@dg.schedule(
    name="refresh_marts_every_5m",
    job_name=jobs.REFRESH,
    cron_schedule="2-59/5 * * * *",
    default_status=_RUNNING,
    description="Every five minutes: leaderboards, histories and platform numbers. Skipped while nothing has happened.",
)
def refresh_marts_every_5m(
    context: dg.ScheduleEvaluationContext, database: dg.ResourceParam[DatabaseResource]
) -> dg.RunRequest | dg.SkipReason:
    """Start a run if the log holds more than the marts reflect; the imports of a run alone take three seconds."""
    with database.connect() as connection:
        row = connection.execute(sql.scheduled_marts_are_current).fetchone()
    if row is not None and row[0]:
        return dg.SkipReason("The marts reflect everything that the log holds.")
    return dg.RunRequest()
