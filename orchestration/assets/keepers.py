"""Defines the keepers as assets: the plan, which can be read before anything is signed, and the signed transactions.

A materialization is one round of one keeper. A dry round plans, proves and simulates, and signs nothing. A round signs
only if the run's configuration confirms it, as that of the schedule does, and if the run contains nothing but keepers:
"Materialize all" in the lineage must not sign transactions. Rounds are dry in any case while MARKET_MONITOR_DRY_RUN is
on (the default until SOLANA_CLUSTER is set). Each round is labelled with what it did and why.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg

from zmart import settings
from zmart.settings import Settings, server_url

from .. import dbt_manifest as models
from .. import documents
from ..keepers import actions, runner
from ..keepers import report as rendering
from ..keepers.reasons import PlanVerdict
from ..keepers.round_report import RoundReport
from ..resources import DatabaseResource

#: A pool of size one: only one run signs at a time. The lease in ops.leases ensures the same outside Dagster.
POOL = "keepers"
GROUP = "keepers"

#: Alerts that every keeper may raise, and those of one.
_ALERTS = ("keepers_idle", "keeper_configuration", "keeper_stopped", "keeper_signer", "market_overdue")
_OWN_ALERTS = {
    "dispute_settlements": ("keeper_zero_ballots", "keeper_was_disputed"),
    "market_finalizations": ("keeper_null_outcome", "keeper_was_disputed"),
    "proposal_approvals": ("keeper_unseen_decide",),
    "proposal_tallies": ("keeper_unseen_decide",),
}

#: The tables that each keeper reads, for the graph.
_READS = (["marts", "markets"], ["marts", "ballots"], ["marts", "protocol_config"])


class KeeperRunConfig(dg.Config):
    """The options of a round."""

    #: Sign and send what is due. Without it the round only plans.
    confirm: bool = False
    dry_run: bool = False


#: The run tag that shows in the list of runs whether a round signed.
MODE_TAG = "zmart/keepers"


def op_name(name: str) -> str:
    """Return the name of a keeper's step, for run configurations."""
    return f"{GROUP}__{name}"


def confirmed_config(names: Iterable[str]) -> dict[str, Any]:
    """Return the run configuration with which these keepers sign."""
    return {"ops": {op_name(name): {"config": {"confirm": True}} for name in names}}


def why_dry(config: KeeperRunConfig, selected: Iterable[dg.AssetKey], *, is_dry_by_setting: bool) -> str:
    """Return why a round signs nothing, or "" if it may sign."""
    if any(key.path[0] != GROUP for key in selected):
        return "the run materializes other assets, too, so keepers only plan; materialize keepers alone to act"
    if not config.confirm:
        return "the run's configuration does not confirm it; set `confirm: true` in the launchpad to act"
    if config.dry_run:
        return "the run's configuration has `dry_run: true`"
    return "MARKET_MONITOR_DRY_RUN is on" if is_dry_by_setting else ""


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
        metadata={"documents": _links(task)},
        description=f"{task.description}\n\n**Materialize** plans, verifies and simulates the due transactions. With "
        "`confirm: true` in the launchpad, which the schedule has, and if the run contains only keepers, it also signs "
        f"them as the {task.key}, stores and sends them and waits until they have landed. A row that is not sent names "
        "the reason. A second run does not repeat the work of the first.",
    )
    def keeper(context: dg.AssetExecutionContext, config: KeeperRunConfig) -> dg.MaterializeResult[Any]:
        database: DatabaseResource = context.resources.database
        configured = settings.load()
        reason = why_dry(config, _assets_of(context.run), is_dry_by_setting=configured.monitor.dry_run)
        report = _run_round(task, configured, database, is_dry=bool(reason))
        shown = {"mode": describe_mode(reason), **metadata(report, market_url=_market_url(configured))}
        context.instance.add_run_tags(context.run.run_id, {MODE_TAG: "plan only" if reason else "acts"})
        context.log.info(f"{shown['mode']} {rendering.summary(report)}")
        if report.stopped is not None:
            raise dg.Failure(f"{task.name} stopped: {report.stopped.message}", metadata=shown)
        return dg.MaterializeResult(metadata=shown, tags={"mode": "plan" if reason else "act"})

    return keeper


def describe_mode(reason: str) -> str:
    """Return the sentence with which the metadata of a round begins."""
    return f"PLAN ONLY, nothing was signed: {reason}." if reason else "ACTED: what was due was signed and sent."


def _assets_of(run: dg.DagsterRun) -> frozenset[dg.AssetKey]:
    """Return the assets that a run was started for; empty for a whole job, and the job of keepers has only keepers."""
    return frozenset(run.asset_selection or ())


def _links(task: actions.Task) -> dg.MarkdownMetadataValue:
    kinds = (*_ALERTS, *_OWN_ALERTS.get(task.name, ()))
    alerts = ", ".join(f"[{kind}]({documents.link('runbook', kind)})" for kind in kinds)
    return dg.MetadataValue.md(f"[How keepers work]({documents.link('keepers')}). Alerts: {alerts}")


def _market_url(configured: Settings) -> str:
    """Return the address of a market's page in the console, without its id."""
    return f"{server_url(configured.hosts.api, configured.ports.api)}/#/market/"


def _run_round(task: actions.Task, configured: Settings, database: DatabaseResource, *, is_dry: bool) -> RoundReport:
    (report,) = asyncio.run(runner.run_rounds(configured, [task], is_dry=is_dry, dsn=database.dsn_of("zmart_keeper")))
    return report


def metadata(report: RoundReport, *, market_url: str = "") -> dict[str, Any]:
    """Return the metadata that the UI shows of a round; markets are links to `market_url` and their id."""
    proven_state = report.proven_state
    shown: dict[str, Any] = {
        "summary": rendering.summary(report),
        "plan": dg.MetadataValue.md(rendering.plan_markdown(report.rows, market_url=market_url)),
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
