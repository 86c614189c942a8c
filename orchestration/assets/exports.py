"""Exports the log and the marts to files: the same code as `zmart export`, with a button.

A partition of `log_files` is a range of entries, `FIRST-LAST`, both included, of whole appends. The sensor
`export_ranges` adds a range once it is full, or once its first entry has waited for some time. Materializing it
writes the parts of it that no segment holds. `mart_files` writes every mart in one snapshot. A run that was stopped
leaves nothing half published, and the next run continues. One export runs at a time; another one fails with a sentence.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from zmart import errors, settings
from zmart.db import queries
from zmart.run.export import exporter, store
from zmart.run.export.pace import GENTLE_SHARE, Pace
from zmart.settings import Cluster

from .. import dbt_manifest as models
from ..resources import DatabaseResource

sql = queries.load("orchestration")

#: One run at a time writes to the store.
POOL = "exports"
RANGES = dg.DynamicPartitionsDefinition(name="export_ranges")
LOG_KEY = dg.AssetKey(["log_files"])
MARTS_KEY = dg.AssetKey(["mart_files"])
#: Entries of a range, and the seconds after which a range that is not full is added.
SIZES: dict[Cluster, tuple[int, int]] = {
    Cluster.MAINNET: (exporter.SEGMENT_ENTRIES, 86_400),
    Cluster.DEVNET: (exporter.SEGMENT_ENTRIES, 86_400),
    Cluster.LOCALNET: (2_000, 120),
}
#: More ranges at once would make the page unreadable; the next tick adds the next ranges.
MAX_AT_ONCE = 100

_LOG_DESCRIPTION = (
    "The log as Parquet at EXPORT_URL, for DuckDB, Polars, pandas and ClickHouse (docs/files.md). **Materialize** "
    "one or many ranges: each is written, read back, compared with its digest and its rows, and then published by its "
    "manifest. A range that is published already changes nothing. The metadata has the entry up to which the log is "
    "exported without a gap."
)
_MARTS_DESCRIPTION = (
    "Every mart as Parquet files at EXPORT_URL, in one snapshot. **Materialize** writes a new snapshot; older ones "
    "remain until you delete them. A value with more than 38 digits fails the run with its mart, column and row."
)


def assets() -> Sequence[dg.AssetsDefinition]:
    """Return the asset of the log and the asset of the marts."""

    @dg.asset(
        key=LOG_KEY,
        group_name="files",
        kinds={"parquet", "postgres"},
        owners=models.OWNERS,
        partitions_def=RANGES,
        pool=POOL,
        required_resource_keys={"database"},
        description=_LOG_DESCRIPTION,
    )
    def log_files(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        span = parse_range(context.partition_key)
        return dg.MaterializeResult(metadata=_metadata(_export(context, span=span, exports_marts=False)))

    @dg.asset(
        key=MARTS_KEY,
        group_name="files",
        kinds={"parquet", "postgres"},
        owners=models.OWNERS,
        pool=POOL,
        required_resource_keys={"database"},
        description=_MARTS_DESCRIPTION,
    )
    def mart_files(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        return dg.MaterializeResult(metadata=_metadata(_export(context, exports_log=False)))

    return [log_files, mart_files]


def sensors() -> Sequence[dg.SensorDefinition]:
    """Return the sensor that adds ranges."""
    return [export_ranges]


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
    description="Adds a range of entries to `log_files` when it is full or old enough. Starts no run.",
)
def export_ranges(context: dg.SensorEvaluationContext, database: dg.ResourceParam[DatabaseResource]) -> dg.SensorResult:
    """Add the ranges after the last one, of whole appends."""
    known = [parse_range(key) for key in context.instance.get_dynamic_partitions(RANGES.name or "")]
    after = max((last for _, last in known), default=0)
    size, seconds = SIZES[settings.load().chain.cluster]
    added: list[str] = []
    with database.connect() as connection:
        while len(added) < MAX_AT_ONCE:
            arguments = {"after": after, "size": size, "seconds": seconds}
            row = connection.execute(sql.next_export_range, arguments).fetchone()
            if row is None or row[0] is None:
                break
            added.append(f"{after + 1}-{row[0]}")
            after = int(row[0])
    if not added:
        return dg.SensorResult(skip_reason="No further range of entries is full or old enough.")
    return dg.SensorResult(dynamic_partitions_requests=[RANGES.build_add_request(added)])


def parse_range(key: str) -> tuple[int, int]:
    """Return the first and last entry of a partition. Raises Failure for any other text."""
    found = re.fullmatch(r"(\d{1,15})-(\d{1,15})", key)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        message = f"{key!r} is not a range of entries. Add one as FIRST-LAST, such as 1-100000."
        raise dg.Failure(message, allow_retries=False)
    return int(found[1]), int(found[2])


def _export(context: dg.AssetExecutionContext, **options: Any) -> exporter.ExportResult:
    database: DatabaseResource = context.resources.database
    with _expected_failures():
        target = store.open_store(settings.load().export)
        # A run exports in the background, so ingest has precedence.
        pace = Pace(GENTLE_SHARE)
        return exporter.export(database.owner_dsn, target, pace=pace, report=_reporter(context), **options)


def _reporter(context: dg.AssetExecutionContext) -> exporter.Report:
    def report(step: str, done: int, of: int) -> None:
        if of > 1:
            context.log.info(f"{step}: {done:,} of {of:,}")

    return report


@contextlib.contextmanager
def _expected_failures() -> Iterator[None]:
    """Make an expected error a failure with its sentence, without a traceback."""
    try:
        yield
    except errors.ZmartError as error:
        raise dg.Failure(str(error), allow_retries=isinstance(error, errors.Transient)) from error


def _metadata(result: exporter.ExportResult) -> dict[str, Any]:
    return {
        "entries": result.entries,
        "rows of marts": result.mart_rows,
        "bytes": result.bytes,
        "segments": len(result.published),
        "segments of an earlier run": result.adopted,
        "exported through": result.through,
        "epoch": result.epoch,
        "chain value": next((each.chain_value for each in result.published[::-1] if each.chain_value), None) or "",
    }
