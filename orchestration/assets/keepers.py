"""Defines the keepers as assets: the plan, which can be read before anything is signed, and the signed transactions.

A materialization is one round of one keeper. A dry round plans, proves and simulates, and signs nothing. Rounds are
dry while MARKET_MONITOR_DRY_RUN is on (the default until SOLANA_CLUSTER is set), or if the run's configuration asks
for it.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import asyncio
from collections.abc import Sequence
from typing import Any

import dagster as dg

from zmart import settings

from .. import dbt_manifest as models
from ..keepers import actions, runner
from ..keepers import report as rendering
from ..keepers.reasons import PlanVerdict
from ..keepers.runner import RoundReport
from ..resources import DatabaseResource

#: A pool of size one: only one run signs at a time. The lease in ops.leases ensures the same outside Dagster.
POOL = "keepers"
GROUP = "keepers"

#: The tables that each keeper reads, for the graph.
_READS = (["marts", "markets"], ["marts", "ballots"], ["marts", "protocol_config"])


class KeeperRunConfig(dg.Config):
    """The options of a round."""

    dry_run: bool = False


def key(name: str) -> dg.AssetKey:
    """Return the asset key of a keeper."""
    return dg.AssetKey([GROUP, name])


def assets() -> Sequence[dg.AssetsDefinition]:
    """Return the assets of the five keepers."""
    return [_asset(task) for task in actions.TASKS.values()]


def _asset(task: actions.Task) -> dg.AssetsDefinition:
    @dg.asset(
        key=key(task.name),
        group_name=GROUP,
        kinds={"solana", "python"},
        owners=models.OWNERS,
        deps=[dg.AssetKey(path) for path in _READS],
        pool=POOL,
        required_resource_keys={"database"},
        tags={"signs_as": task.key},
        description=f"{task.description}\n\n**Materialize** plans, verifies and simulates the due transactions. "
        f"Unless it is a dry run, it signs them as the {task.key}, stores and sends them and waits "
        "until they have landed. A row that is not sent names the reason. A second run does not repeat "
        "the work of the first. Dry run: `dry_run: true` in the launchpad.",
    )
    def keeper(context: dg.AssetExecutionContext, config: KeeperRunConfig) -> dg.MaterializeResult[Any]:
        database: DatabaseResource = context.resources.database
        report = _run_round(task, database, is_dry=config.dry_run)
        context.log.info(rendering.summary(report))
        if report.stopped is not None:
            raise dg.Failure(f"{task.name} stopped: {report.stopped.message}", metadata=metadata(report))
        return dg.MaterializeResult(metadata=metadata(report))

    return keeper


def _run_round(task: actions.Task, database: DatabaseResource, *, is_dry: bool) -> RoundReport:
    configured = settings.load()
    is_dry = is_dry or configured.monitor.dry_run
    (report,) = asyncio.run(runner.run_rounds(configured, [task], is_dry=is_dry, dsn=database.dsn_of("zmart_keeper")))
    return report


def metadata(report: RoundReport) -> dict[str, Any]:
    """Return the metadata that the UI shows of a round."""
    proven_state = report.proven_state
    shown: dict[str, Any] = {
        "summary": rendering.summary(report),
        "plan": dg.MetadataValue.md(rendering.markdown(rendering.PLAN, rendering.plan_rows(report.rows))),
        "simulations": dg.MetadataValue.md(rendering.simulations(report.rows)),
        "dry run": report.is_dry,
        "seconds": round(report.seconds, 3),
        **{verdict.value: report.count(verdict) for verdict in PlanVerdict},
    }
    if proven_state is not None:
        shown["proven"] = {
            "verified through": proven_state.verified_through,
            "finalized through": proven_state.finalized_through,
            "proven until, chain time": proven_state.proven_at,
        }
    if report.config is not None:
        shown["configuration on chain"] = dict(report.config._asdict())
    if report.sent:
        rows = rendering.submission_rows(report)
        shown["submissions"] = dg.MetadataValue.md(rendering.markdown(rendering.SUBMISSIONS, rows))
    if any(row.unsigned for row in report.rows):
        shown["to be signed by the admin"] = dg.MetadataValue.md(rendering.unsigned_transactions(report.rows))
    if not report.is_dry:
        shown["sweep"] = report.swept.summary()
    return shown
