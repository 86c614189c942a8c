"""Defines the sensors that turn failures into alerts and post each alert to the operators once.

They run in the code server, twice a minute, and read a few rows each.
"""

# No `from __future__ import annotations` here: Dagster reads which resources a sensor asks for from its annotations.

import json
import time
from collections.abc import Sequence

import dagster as dg

from zmart import settings
from zmart.db import alerts, queries

from .alerts import deliver
from .resources import DatabaseResource

sql = queries.load("orchestration")

_RUNNING = dg.DefaultSensorStatus.RUNNING
_EVERY_SECONDS = 30

#: Runs are children of this process; a run that started before it has lost its worker.
_STARTED = time.time()
_UNFINISHED = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def sensors() -> Sequence[dg.SensorDefinition]:
    """Return all sensors."""
    return [
        run_failed,
        run_recovered,
        orphaned_runs,
        stale_models,
        dead_letter_growth,
        alert_delivery,
    ]


@dg.run_failure_sensor(
    default_status=_RUNNING,
    minimum_interval_seconds=_EVERY_SECONDS,
    description="A run that fails raises the alert `run_failed` for its job.",
)
def run_failed(context: dg.RunFailureSensorContext, database: dg.ResourceParam[DatabaseResource]) -> None:
    """Raise an alert about the job whose run failed."""
    run = context.dagster_run
    with database.connect() as connection:
        alerts.raise_alert(
            connection,
            "run_failed",
            run.job_name,
            "warning",
            f"A run of {run.job_name} failed: {_first_line(context.failure_event.message)} "
            f"See run {run.run_id} in Dagster.",
        )


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=_RUNNING,
    minimum_interval_seconds=_EVERY_SECONDS,
    description="A run that succeeds closes the alert `run_failed` of its job.",
)
def run_recovered(context: dg.RunStatusSensorContext, database: dg.ResourceParam[DatabaseResource]) -> None:
    """Resolve the alert about a job that works again."""
    with database.connect() as connection:
        alerts.resolve_alert(connection, "run_failed", context.dagster_run.job_name)


@dg.sensor(
    default_status=_RUNNING,
    minimum_interval_seconds=_EVERY_SECONDS,
    description="A run whose worker died with an earlier code server is reported as failed; its pool is free again.",
)
def orphaned_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Report runs whose worker no longer exists as failed."""
    records = context.instance.get_run_records(dg.RunsFilter(statuses=_UNFINISHED))
    orphans = [each for each in records if (each.start_time or _STARTED) < _STARTED]
    for each in orphans:
        context.instance.report_run_failed(
            each.dagster_run, "Its worker ended with the code server that had started it."
        )
    return dg.SkipReason(f"{len(orphans)} orphaned runs reported.")


@dg.sensor(
    default_status=_RUNNING,
    minimum_interval_seconds=_EVERY_SECONDS,
    description="A mart that stopped following the log has an open alert `mart_stale`, even after someone closed it.",
)
def stale_models(context: dg.SensorEvaluationContext, database: dg.ResourceParam[DatabaseResource]) -> dg.SkipReason:
    """Make sure that every stale mart has an open alert."""
    with database.connect() as connection:
        rows = {name: rest for name, *rest in connection.execute(sql.models)}
        stale = {name: rest for name, rest in rows.items() if rest[0]}
        unreported = stale.keys() - alerts.open_subjects(connection, "mart_stale")
        for name in sorted(unreported):
            _, seq, _, _, failed_event, reason = stale[name]
            alerts.raise_alert(
                connection,
                "mart_stale",
                name,
                "critical",
                f'The mart {name} stopped at seq {seq}: event {failed_event} failed with "{reason}". Ingest continues. '
                f"Fix the model, then run: zmart rebuild {name}",
            )
    return dg.SkipReason(f"{len(stale)} stale marts, {len(unreported)} of them new.")


@dg.sensor(
    default_status=_RUNNING,
    minimum_interval_seconds=_EVERY_SECONDS,
    description="New dead letters raise the alert `dead_letters` for their reason.",
)
def dead_letter_growth(
    context: dg.SensorEvaluationContext, database: dg.ResourceParam[DatabaseResource]
) -> dg.SensorResult:
    """Raise an alert for each reason that has new dead letters since the last tick."""
    known: dict[str, int] = json.loads(context.cursor or "{}")
    with database.connect() as connection:
        newest = {}
        for code, count, _, _, _, example, last_no in connection.execute(sql.dead_letters):
            newest[code] = last_no
            if last_no > known.get(code, 0):
                alerts.raise_alert(
                    connection,
                    "dead_letters",
                    code,
                    "warning",
                    f"{count} dead letters are open, for example: {_first_line(example)} "
                    "List them with: zmart dead-letters",
                )
        for code in known.keys() - newest.keys():
            alerts.resolve_alert(connection, "dead_letters", code)
    return dg.SensorResult(
        skip_reason=f"Open reasons: {', '.join(sorted(newest)) or 'none'}.",
        cursor=json.dumps(newest, sort_keys=True),
    )


@dg.sensor(
    default_status=_RUNNING,
    minimum_interval_seconds=_EVERY_SECONDS,
    description="Posts to ALERT_WEBHOOK_URL, whoever raised it: every new alert once, a critical one again each day "
    "until it is acknowledged, and that one is over. Waits until the address is set.",
)
def alert_delivery(context: dg.SensorEvaluationContext, database: dg.ResourceParam[DatabaseResource]) -> dg.SkipReason:
    """Post the alerts that are due.

    An alert that the webhook refuses does not block the others; a later tick retries it.
    """
    url = settings.load().alert_webhook_url
    if url is None:
        return dg.SkipReason("ALERT_WEBHOOK_URL is not set.")
    with database.connect() as connection:
        posted, refused = deliver(connection, url)
    if refused:
        # The tick fails, so that Dagster shows the reason. The alerts that were posted are recorded.
        raise refused[0]
    return dg.SkipReason(f"{posted} messages delivered.")


def _first_line(text: str | None) -> str:
    """Return the first line, for display; the UI has the rest."""
    lines = (text or "no message").strip().splitlines()
    return lines[0][:300] if lines else "no message"
