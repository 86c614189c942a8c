"""Defines the sensors that turn failures into alerts and post each alert to the operators once.

They run in the code server, once or twice a minute, and read a few rows each.
"""

# No `from __future__ import annotations` here: Dagster reads which resources a sensor asks for from its annotations.

import json
import time
from collections.abc import Collection, Sequence

import dagster as dg

from zmart import settings
from zmart.db import alerts, queries

from .alert_webhook import deliver
from .assets import marts
from .resources import DatabaseResource

sql = queries.load("orchestration")

_RUNNING = dg.DefaultSensorStatus.RUNNING
#: What operators wait for: alerts of failures and their delivery.
_EVERY_SECONDS = 30
#: The rest. Fewer evaluations mean less processor time at rest (bench/README.md, `idle`).
_SELDOM_SECONDS = 60

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
        deployed_marts,
        orphaned_runs,
        stale_models,
        dead_letter_growth,
        alert_delivery,
    ]


@dg.run_failure_sensor(
    default_status=_RUNNING,
    minimum_interval_seconds=_EVERY_SECONDS,
    description="A run that fails raises the alert `run_failed`: for its job, or, where assets were chosen, for each "
    "of "
    "them that it did not materialize.",
)
def run_failed(context: dg.RunFailureSensorContext, database: dg.ResourceParam[DatabaseResource]) -> None:
    """Raise an alert about the job or the assets whose run failed, and resolve those of assets that it did make."""
    run = context.dagster_run
    made = materialized_assets(context.instance, run)
    with database.connect() as connection:
        for subject in failed_subjects(run, made):
            alerts.raise_alert(
                connection,
                "run_failed",
                subject,
                "warning",
                f"A run of {subject} failed: {first_line(context.failure_event.message)} "
                f"See run {run.run_id} in Dagster.",
            )
        for key in made:
            alerts.resolve_alert(connection, "run_failed", key.to_user_string())


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    default_status=_RUNNING,
    minimum_interval_seconds=_SELDOM_SECONDS,
    description="A run that succeeds closes the alerts `run_failed` of its assets, and that of its job if the whole "
    "job "
    "ran.",
)
def run_recovered(context: dg.RunStatusSensorContext, database: dg.ResourceParam[DatabaseResource]) -> None:
    """Resolve the alerts about what works again, and no other."""
    run = context.dagster_run
    with database.connect() as connection:
        for subject in recovered_subjects(run, materialized_assets(context.instance, run)):
            alerts.resolve_alert(connection, "run_failed", subject)


def failed_subjects(run: dg.DagsterRun, made: Collection[dg.AssetKey]) -> list[str]:
    """Return the subjects of the alerts about a failed run: one for each chosen asset that is missing, or the job."""
    return sorted(_chosen(run) - {key.to_user_string() for key in made}) or [run.job_name]


def recovered_subjects(run: dg.DagsterRun, made: Collection[dg.AssetKey]) -> list[str]:
    """Return the subjects that a successful run closes; a run of some assets says nothing of the job's others."""
    whole_job = set() if _chosen(run) else {run.job_name}
    return sorted(_chosen(run) | {key.to_user_string() for key in made} | whole_job)


def _chosen(run: dg.DagsterRun) -> set[str]:
    """Return the assets and checks that a run was started for; empty for a whole job."""
    checks = run.asset_check_selection or ()
    names = {f"{key.asset_key.to_user_string()} check {key.name}" for key in checks}
    # Checks that come along with an asset are not what was asked for.
    return {key.to_user_string() for key in run.asset_selection or ()} or names


def materialized_assets(instance: dg.DagsterInstance, run: dg.DagsterRun) -> set[dg.AssetKey]:
    """Return the assets that a run materialized."""
    records = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION).records
    keys = (record.asset_key for record in records)
    return {key for key in keys if key is not None}


@dg.sensor(
    default_status=_RUNNING,
    minimum_interval_seconds=_SELDOM_SECONDS,
    description="A mart that is deployed is shown as materialized. `zmart migrate` installs it and it follows the log "
    "without Dagster, which would otherwise warn that it was never materialized.",
)
def deployed_marts(context: dg.SensorEvaluationContext, database: dg.ResourceParam[DatabaseResource]) -> dg.SkipReason:
    """Report each deployed mart to Dagster that has no materialization."""
    with database.connect() as connection:
        names = [str(name) for (name,) in connection.execute(sql.deployed_marts)]
    keys = [dg.AssetKey(["marts", name]) for name in names]
    known = {record.asset_entry.asset_key: record for record in context.instance.get_asset_records(keys)}
    missing = [key for key in keys if key not in known or known[key].asset_entry.last_materialization is None]
    for key in missing:
        context.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset_key=key,
                description="Installed by zmart migrate; it follows the log by itself.",
                tags={"dagster/data_version": marts.LIVE.value},
            )
        )
    return dg.SkipReason(f"{len(missing)} of {len(keys)} deployed marts were not known to Dagster yet.")


@dg.sensor(
    default_status=_RUNNING,
    minimum_interval_seconds=_SELDOM_SECONDS,
    description="A run whose worker ended with an earlier code server is reported as failed; its pool is free again.",
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
    minimum_interval_seconds=_SELDOM_SECONDS,
    description=(
        "A mart that stopped following the log has an open alert `mart_stale`, even after an operator closed it."
    ),
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
    minimum_interval_seconds=_SELDOM_SECONDS,
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
                    f"{count} dead letters are open, for example: {first_line(example)} "
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
    description="Posts to ALERT_WEBHOOK_URL: every new alert once, a critical one again each day until it is "
    "acknowledged, and every resolved one. Waits until the address is set.",
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


#: Dagster's message about a run that was ended on request, and the one that replaces it.
_FROM_OUTSIDE = "This run has been marked as failed from outside the execution context."
_ENDED_BY_OPERATOR = "It was ended in Dagster, by an operator or because its worker was gone; run it again if needed."


def first_line(text: str | None) -> str:
    """Return the first line, for display; the UI has the rest."""
    if text == _FROM_OUTSIDE:
        return _ENDED_BY_OPERATOR
    lines = (text or "no message").strip().splitlines()
    return lines[0][:300] if lines else "no message"
