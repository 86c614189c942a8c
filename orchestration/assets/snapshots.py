"""Defines the asset that anchors discussions in IPFS, one partition per UTC day; disabled without IPFS_API_URL.

The schedule runs every finished day that lacks a snapshot, so the next run makes up for a power cut or for a pinning
service that was down.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import datetime
from collections.abc import Sequence
from typing import Any, TypeAlias

import dagster as dg

from zmart import settings

from .. import dbt_manifest as models
from ..resources import Connection, DatabaseResource
from ..snapshots import errors, publish
from ..snapshots.publish import SnapshotResult
from ..snapshots.services import IpfsServices

Job: TypeAlias = Any

NAME = "discussion_snapshots"
KEY = dg.AssetKey([NAME])
POOL = NAME
JOB = "anchor_discussions"
#: The first partition; there are no comments from before this day.
FIRST_DAY = datetime.date(2025, 11, 1)
DAYS = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat())
#: Days before today that the schedule checks for missing snapshots.
LOOKS_BACK_DAYS = 31

DESCRIPTION = (
    "The comments under each market on a UTC day, as canonical JSON in IPFS, with its CID in `ops.snapshots`. "
    "**Materialize** a day that is over: each market's document is written from the log, its CID is computed, the "
    "document is added to the node at IPFS_API_URL and accepted only under that CID, read back through "
    "IPFS_GATEWAY_URL, anchored, and pinned by the service at IPFS_PINNING_URL, if there is one. A second run "
    "changes nothing. If the log of a day differs from its anchored document, the document stays unless `replaces: "
    "true` is set in the launchpad. Verify one with `zmart snapshot verify CID`."
)


class SnapshotConfig(dg.Config):
    """The options of a run."""

    #: Anchor the current content of the log, even if other content is anchored.
    replaces: bool = False


def assets() -> Sequence[dg.AssetsDefinition]:
    """Return the one asset."""

    @dg.asset(
        key=KEY,
        group_name="log",
        kinds={"ipfs", "json"},
        owners=models.OWNERS,
        partitions_def=DAYS,
        deps=[dg.AssetKey(["marts", "discussions"])],
        pool=POOL,
        required_resource_keys={"database"},
        description=DESCRIPTION,
    )
    def discussion_snapshots(context: dg.AssetExecutionContext, config: SnapshotConfig) -> dg.MaterializeResult[Any]:
        database: DatabaseResource = context.resources.database
        day = datetime.date.fromisoformat(context.partition_key)
        configured = settings.load()
        with (
            IpfsServices(configured.ipfs, api_url=errors.require_on(configured)) as services,
            database.connect() as connection,
        ):
            outcomes = publish.publish_day(connection, services, day, replaces=config.replaces)
        if failed := [each for each in outcomes if each.error is not None]:
            message = f"{len(failed)} of {len(outcomes)} snapshots of {day} failed: {failed[0].error}"
            raise dg.Failure(message, metadata=metadata(outcomes))
        return dg.MaterializeResult(metadata=metadata(outcomes))

    return [discussion_snapshots]


def metadata(outcomes: Sequence[SnapshotResult]) -> dict[str, Any]:
    """Return the metadata that the UI shows of a day."""
    return {
        "markets": len(outcomes),
        "comments": sum(len(each.work.document.comments) for each in outcomes),
        "bytes": sum(len(each.work.document.content) for each in outcomes),
        "snapshots": dg.MetadataValue.md("\n".join([*_HEAD, *(_line(each) for each in outcomes)])),
    }


_HEAD = ("| market | comments | bytes | cid | previous | ending |", "|---|---|---|---|---|---|")


def _line(outcome: SnapshotResult) -> str:
    document = outcome.work.document
    cells = (
        document.market_id,
        len(document.comments),
        len(document.content),
        document.cid,
        document.previous_cid or "",
        outcome.status + (", pinned" if outcome.is_pinned else ""),
    )
    return f"| {' | '.join(map(str, cells))} |"


def jobs() -> Sequence[Job]:
    """Return the asset as a job, for the schedule."""
    return [
        dg.define_asset_job(
            JOB,
            selection=dg.AssetSelection.assets(KEY),
            description="Anchors the discussions of a UTC day in IPFS; choose the day. A second run changes nothing.",
        )
    ]


def schedules() -> Sequence[dg.ScheduleDefinition]:
    """Return the one schedule."""

    @dg.schedule(
        name="discussion_snapshots_daily",
        job_name=JOB,
        cron_schedule=settings.load().ipfs.snapshot_cron,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="By IPFS_SNAPSHOT_CRON, by default at midnight UTC: anchors every day of the last "
        f"{LOOKS_BACK_DAYS} that has missing snapshots. Waits until IPFS_API_URL is set.",
    )
    def discussion_snapshots_daily(
        context: dg.ScheduleEvaluationContext, database: dg.ResourceParam[DatabaseResource]
    ) -> list[dg.RunRequest] | dg.SkipReason:
        configured = settings.load()
        if configured.ipfs.api_url is None:
            return dg.SkipReason("IPFS_API_URL is not set.")
        with database.connect() as connection:
            days = _missing_days(connection, has_pinning_service=configured.ipfs.pinning_url is not None)
        if not days:
            return dg.SkipReason("Every past day is anchored.")
        return [dg.RunRequest(partition_key=day.isoformat()) for day in days]

    return [discussion_snapshots_daily]


def _missing_days(connection: Connection, *, has_pinning_service: bool) -> list[datetime.date]:
    today = datetime.datetime.now(datetime.UTC).date()
    since = max(today - datetime.timedelta(days=LOOKS_BACK_DAYS), FIRST_DAY)
    return publish.days_missing(connection, since, has_pinning_service=has_pinning_service)
