"""Defines the schedules, in UTC."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from . import jobs

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
        dg.ScheduleDefinition(
            name="refresh_marts_every_5m",
            job_name=jobs.REFRESH,
            cron_schedule="2-59/5 * * * *",
            default_status=_RUNNING,
            description="Every five minutes: leaderboards, histories and platform numbers.",
        ),
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
