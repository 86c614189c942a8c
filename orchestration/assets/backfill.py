"""Backfills history by slot ranges: fetches what the chain lists in a range and the log does not hold.

A partition is a range of slots, `FIRST-LAST`, both included. The sensor `slot_ranges` adds a range once the finalized
chain has passed its end, starting at the first slot that the log knows. An operator adds earlier ranges by hand in
the launch dialogue, which accepts any range. Each run starts `zmart backfill` as a process, so both use the same
code, and its progress is in the run's log. A run that a node, a budget or an operator stopped is a failed run; its
next attempt continues where it stopped.
"""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from zmart import settings
from zmart.db import queries
from zmart.settings import Cluster

from .. import dbt_manifest as models
from ..resources import DatabaseResource

sql = queries.load("orchestration")

#: One run at a time: all share a node's request allowance.
POOL = "chain_backfill"
RANGES = dg.DynamicPartitionsDefinition(name="slot_ranges")
KEY = dg.AssetKey(["chain_backfill"])
#: Slots of a range, never seconds: a range that was recorded must keep its bounds when the length of a slot changes. An
#: epoch of Solana is 24 hours in slots of 0.2 s; 2,000 slots of the development chain are 400 seconds.
SLOTS: dict[Cluster, int] = {Cluster.MAINNET: 432_000, Cluster.DEVNET: 432_000, Cluster.LOCALNET: 2_000}
#: More ranges at once would make the page unreadable; the next tick adds the next ranges.
MAX_AT_ONCE = 200
PROGRESS_SECONDS = 5.0
#: The last line of the output of `zmart backfill`.
_SUMMARY = re.compile("([\\d,]+) listed, ([\\d,]+) fetched, ([\\d,]+) still to fetch")


DESCRIPTION = (
    "Ranges of slots whose history was fetched from the chain. **Materialize** one or many: each lists the "
    "program's transactions between its slots, fetches those that the log does not contain, oldest first, settles "
    "their order, and writes a row of raw.coverage (source `backfill`). Existing rows do not change; a second run "
    "fetches nothing. The budget in the launchpad limits the requests; a run that spends it fails with a message, "
    "and the next run continues from there. Ranges before the log's first slot are added in the launch dialogue, "
    "as FIRST-LAST."
)


class BackfillConfig(dg.Config):
    """The limits on a run's requests to the node."""

    #: Maximum number of requests; a history of n transactions takes about n + n / 1,000 and one for each of its
    #: blocks; with pages of bodies about n / 500.
    requests: int = 20_000
    #: Requests per second; 8 suits a public node.
    per_second: float = 8.0


def assets() -> Sequence[dg.AssetsDefinition]:
    """Return the one asset."""

    @dg.asset(
        key=KEY,
        group_name="log",
        kinds={"solana", "postgres"},
        owners=models.OWNERS,
        partitions_def=RANGES,
        pool=POOL,
        required_resource_keys={"database"},
        description=DESCRIPTION,
    )
    def chain_backfill(context: dg.AssetExecutionContext, config: BackfillConfig) -> dg.MaterializeResult[Any]:
        database: DatabaseResource = context.resources.database
        first, last = parse_range(context.partition_key)
        lines = list(_stream_output(context, _command(first, last, config), database.dsn_of("zmart_ingest")))
        listed, fetched, pending = _parse_summary(lines)
        return dg.MaterializeResult(metadata={"listed": listed, "fetched": fetched, "still wanted": pending})

    return [chain_backfill]


def sensors() -> Sequence[dg.SensorDefinition]:
    """Return the sensor that adds ranges."""
    return [slot_ranges]


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=60,
    description="Adds a range of slots to `chain_backfill` when the finalized chain has passed it. Starts no run.",
)
def slot_ranges(context: dg.SensorEvaluationContext, database: dg.ResourceParam[DatabaseResource]) -> dg.SensorResult:
    """Add the complete ranges between the log's first slot and the watermark."""
    with database.connect() as connection:
        first, final = connection.execute(sql.slots_held).fetchone() or (None, None)
    known = set(context.instance.get_dynamic_partitions(RANGES.name or ""))
    size = SLOTS[settings.load().chain.cluster]
    new_ranges = [each for each in ranges(first, final, size) if each not in known][:MAX_AT_ONCE]
    if not new_ranges:
        return dg.SensorResult(skip_reason="The finalized chain has passed no further range.")
    return dg.SensorResult(dynamic_partitions_requests=[RANGES.build_add_request(new_ranges)])


def ranges(first: int | None, final: int | None, size: int) -> list[str]:
    """Return whole ranges of `size` slots, from the one that contains `first` to the last that `final` has passed."""
    if first is None or final is None:
        return []
    begin = first - first % size
    return [f"{start}-{start + size - 1}" for start in range(begin, final - size + 2, size)]


def parse_range(key: str) -> tuple[int, int]:
    """Return the first and last slot of a partition. Raises Failure for any other text."""
    found = re.fullmatch(r"(\d{1,12})-(\d{1,12})", key)
    if found is None or int(found[1]) > int(found[2]):
        message = f"{key!r} is not a range of slots. Add one as FIRST-LAST, such as 432000-863999."
        raise dg.Failure(message, allow_retries=False)
    return int(found[1]), int(found[2])


def _command(first: int, last: int, config: BackfillConfig) -> list[str]:
    return [
        *(sys.executable, "-m", "ingest", "backfill"),
        *("--from-slot", str(first), "--to-slot", str(last)),
        *("--per-second", str(config.per_second), "--requests", str(config.requests)),
        *("--progress-every", str(PROGRESS_SECONDS)),
    ]


def _stream_output(context: dg.AssetExecutionContext, command: Sequence[str], dsn: str) -> Iterator[str]:
    """Yield the lines of the process as they arrive and log them. Raises Failure if the process fails."""
    with _start_process(command, dsn) as process:
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            last = line.strip() or last
            context.log.info(last)
            yield last
        if process.wait() != 0:
            raise dg.Failure(f"{last} Materialize it again: it continues from here.")


@contextlib.contextmanager
def _start_process(command: Sequence[str], dsn: str) -> Iterator[subprocess.Popen[str]]:
    """Yield the process; it ends with the run, whether the run succeeds, is cancelled or fails."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        command,
        env={**os.environ, "DATABASE_URL_INGEST": dsn},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=30)


def _parse_summary(lines: Sequence[str]) -> tuple[int, int, int]:
    found = next((match for line in reversed(lines) if (match := _SUMMARY.search(line))), None)
    if found is None:
        raise dg.Failure("The backfill ended without a result.")
    listed, fetched, pending = (int(part.replace(",", "")) for part in found.groups())
    return listed, fetched, pending
