"""Defines the keepers' job and schedule, the sensor that sweeps, and the sensor of overdue markets.

VOTE_AGGREGATION_INTERVAL is the interval of the schedule. The schedule runs finalizations and settlements only while
MARKET_MONITOR_ENABLED is on.
"""

# No `from __future__ import annotations` here: Dagster reads which resources a sensor asks for from its annotations.

import asyncio
from collections.abc import Sequence
from typing import Any, TypeAlias

import dagster as dg

from zmart import settings
from zmart.db import alerts, queries
from zmart.settings import Settings

from .assets import keepers as shown
from .keepers import actions, runner
from .keepers.intent_store import IntentStore
from .resources import Connection, DatabaseResource

sql = queries.load("orchestration.keepers")

Job: TypeAlias = Any

JOB = "keepers"
MONITORED_TASKS = ("market_finalizations", "dispute_settlements")
#: The minute of its interval at which the schedule starts, so that it does not start together with others.
OFFSET_MINUTES = 4
_EVERY_SECONDS = 30
#: Its alerts are about what has waited for a day.
_OVERDUE_SECONDS = 60


def jobs() -> Sequence[Job]:
    """Return the job that runs all five keepers, one after another."""
    return [
        dg.define_asset_job(
            JOB,
            selection=dg.AssetSelection.assets(*(shown.key(name) for name in actions.NAMES)),
            description="Runs every keeper once, in the order of a market's life: tallies, approvals, activations, "
            "finalizations, settlements. Each plans, verifies and simulates; with `confirm: true` in its "
            "configuration, which the schedule has, it also signs and sends. Select some in the launchpad to run only "
            "those. A second run does not repeat the work of the first.",
        )
    ]


def schedules() -> Sequence[dg.ScheduleDefinition]:
    """Return the one schedule."""

    @dg.schedule(
        name="keepers_every_5m",
        job_name=JOB,
        cron_schedule=cron(settings.load().voting.aggregation_interval_ms),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Every VOTE_AGGREGATION_INTERVAL: runs the keepers. Waits until a key is configured; "
        "finalizations and settlements wait until MARKET_MONITOR_ENABLED is on.",
    )
    def keepers_every_5m(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        configured = settings.load()
        if not has_key(configured):
            return dg.SkipReason("No key is configured: set BACKEND_KEYPAIR_PATH.")
        names = scheduled_tasks(configured)
        return dg.RunRequest(
            asset_selection=[shown.key(name) for name in names], run_config=shown.confirmed_config(names)
        )

    return [keepers_every_5m]


def cron(interval_ms: int) -> str:
    """Return the cron schedule of an interval: whole minutes below an hour, whole hours above."""
    minutes = max(1, round(interval_ms / 60_000))
    if minutes == 1:
        return "* * * * *"
    if minutes < 60:
        return f"{min(OFFSET_MINUTES, minutes - 1)}-59/{minutes} * * * *"
    hours = min(24, minutes // 60)
    return f"{OFFSET_MINUTES} */{hours} * * *" if hours < 24 else f"{OFFSET_MINUTES} 0 * * *"


def has_key(configured: Settings) -> bool:
    """Return whether a backend key is configured; preflight checks whether it is the right one."""
    chain = configured.chain
    return chain.backend_keypair_path is not None or chain.backend_private_key is not None


def scheduled_tasks(configured: Settings) -> list[str]:
    """Return the keepers that the schedule runs, given the configured keys and settings."""
    return [
        task.name
        for task in actions.TASKS.values()
        if (configured.monitor.enabled or task.name not in MONITORED_TASKS)
        and (task.name != "market_activations" or configured.chain.admin_keypair_path is not None)
    ]


def sensors() -> Sequence[dg.SensorDefinition]:
    """Return the two sensors."""
    return [keeper_sweep, overdue_markets]


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=_EVERY_SECONDS,
    description="Follows the transactions that keepers signed: sends those again that may still land, closes those "
    "that the log contains finally, ends those that can never land, reopens those that the chain "
    "dropped. Signs nothing.",
)
def keeper_sweep(context: dg.SensorEvaluationContext, database: dg.ResourceParam[DatabaseResource]) -> dg.SkipReason:
    """Sweep, if there is anything to sweep."""
    return dg.SkipReason(asyncio.run(_run_sweep(database)))


async def _run_sweep(database: DatabaseResource) -> str:
    dsn = database.dsn_of("zmart_keeper")
    async with IntentStore(dsn) as intent_store:
        if not await intent_store.has_open_submissions():
            return "No transaction is open."
    async with runner.open_runner(settings.load(), dsn=dsn) as keepers:
        swept = await keepers.sweep()
    return "A keeper is running; it sweeps itself." if swept is None else f"{swept.summary()}."


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=_OVERDUE_SECONDS,
    description="A market that a keeper could have moved a day ago raises `market_overdue`; a market whose creator "
    "withdrew the pool before its winners claimed raises `liquidity_pulled`.",
)
def overdue_markets(context: dg.SensorEvaluationContext, database: dg.ResourceParam[DatabaseResource]) -> dg.SkipReason:
    """Make sure that each market that is overdue, or cannot pay, has an open alert."""
    with database.connect() as connection:
        overdue = _overdue_messages(connection)
        pulled = {
            market: f"The creator withdrew the pool of {market}; winning positions that can claim nothing: {count}."
            for market, count in connection.execute(sql.withdrawn_pools)
        }
        _sync_alerts(connection, "market_overdue", "warning", overdue)
        _sync_alerts(connection, "liquidity_pulled", "info", pulled)
    return dg.SkipReason(f"{len(overdue)} markets are overdue, {len(pulled)} lost their pool.")


def _overdue_messages(connection: Connection) -> dict[str, str]:
    row = connection.execute(sql.dispute_period).fetchone()
    if row is None:
        return {}
    voting = settings.load().voting
    parameters = {
        "dispute_period": row[0],
        "window": voting.dispute_voting_window_seconds,
        "min_votes": voting.min_proposal_votes,
        "threshold_bps": voting.proposal_approval_threshold_bps,
    }
    rows = connection.execute(sql.overdue_markets, parameters)
    return {market: f"Market {market} is {message}" for market, _, message in rows}


def _sync_alerts(connection: Connection, kind: str, severity: alerts.Severity, found: dict[str, str]) -> None:
    """Raise alerts for new subjects and resolve those that are over; an open alert is not changed."""
    open_subjects = alerts.open_subjects(connection, kind)
    for subject in found.keys() - open_subjects:
        alerts.raise_alert(connection, kind, subject, severity, found[subject])
    for subject in open_subjects - found.keys():
        alerts.resolve_alert(connection, kind, subject)
