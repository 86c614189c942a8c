"""Measures the export of the log, what it costs ingest, and one scan of the files beside Postgres."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.environment import BenchEnvironment
from ingest.records import TransactionRow
from ingest.store import writer as writing
from zmart import testing
from zmart.run.export import exporter
from zmart.run.export.pace import GENTLE_SHARE
from zmart.run.export.store import FolderStore

from . import history
from .figure import Effort, Figure, Sample, Target, ratio
from .not_measured import NotMeasured

#: About five seconds of appends: longer than one segment of a gentle export with its rest.
BATCH, BATCHES = 500, 60
#: Volume by day and side: reads four columns of all trades.
SCAN = (
    "select date_trunc('day', block_time) as day, outcome, count(*),"
    " sum(case trade_type when 'buy' then cost else gross end) from trades group by 1, 2 order by 1, 2"
)
#: Exports the log again and again, into new folders, until it is stopped.
_EXPORTER = """
import itertools, pathlib, sys
from zmart.run.export import exporter, pace, store
share = float(sys.argv[3])
for number in itertools.count():
    target = store.FolderStore(pathlib.Path(sys.argv[2]) / str(number))
    exporter.export(sys.argv[1], target, exports_marts=False, pace=pace.Pace(share))
    print(number, flush=True)
"""


class ExportsFigure(Figure):
    """Measures exported files."""

    name = "exports"
    title = "the log as Parquet files"
    unit = "events/s"
    targets = (
        Target(label="export of the log", bound="at least", value=100_000.0),
        Target(label="ingest beside an export / alone", bound="at least", value=0.9),
    )
    method = (
        "The work of `zmart export` on a log of 200,000 events (1,000,000 with --full) into a folder that is flushed "
        "to disk, reading back and comparing included. `ingest beside an export / alone` is the rate of ingest's "
        "writer in batches of 500 while another process exports the whole log again and again as Dagster's assets and "
        "`zmart export --gently` do, divided by its rate alone, in alternating rounds; the second ratio has an export "
        "at full speed. All share two cores. The "
        "scan groups the volume of all trades by day and side, in Postgres, DuckDB and ClickHouse (chdb), each warm."
    )
    limit_seconds = 1_800.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Export, scan, and ingest with and without an export."""
        rounds = effort.choose(1, 5)
        with env.database(log_events=effort.log_events) as database, tempfile.TemporaryDirectory() as folder:
            exports = [_export(database, Path(folder) / str(number)) for number in range(rounds)]
            marts = _export_marts(database, Path(folder) / "0")
            scans = _scan(database, Path(folder) / "0", rounds)
            alone, beside, beside_fast = asyncio.run(_ingest(database, Path(folder), effort.log_events, rounds))
        return [
            Sample(label="export of the log", unit="events/s", values=tuple(exports)),
            Sample(label="export of all marts", unit="rows/s", values=(marts,)),
            alone,
            beside,
            ratio("ingest beside an export / alone", beside, alone),
            ratio("ingest beside an export at full speed / alone", beside_fast, alone),
            *scans,
        ]


def _export(database: testing.PostgresDatabase, folder: Path) -> float:
    began = time.perf_counter()
    result = exporter.export(database.dsn(), FolderStore(folder), exports_marts=False)
    seconds = time.perf_counter() - began
    with database.connect() as owner:
        row = owner.execute("select max(seq) from raw.feed").fetchone()
    if row is None or result.through != row[0]:
        raise NotMeasured(f"The export ended at entry {result.through} instead of at the end of the log.")
    return result.entries / seconds


def _export_marts(database: testing.PostgresDatabase, folder: Path) -> float:
    began = time.perf_counter()
    result = exporter.export(database.dsn(), FolderStore(folder), exports_log=False)
    return result.mart_rows / (time.perf_counter() - began)


def _scan(database: testing.PostgresDatabase, folder: Path, rounds: int) -> list[Sample]:
    import runpy

    readers = runpy.run_path(str(Path(__file__).resolve().parents[1] / "analytics" / "exported_files.py"))
    with (
        database.connect("analyst") as analyst,
        readers["with_duckdb"](folder) as duckdb,
        readers["with_clickhouse"](folder) as clickhouse,
    ):
        engines: dict[str, Callable[[], object]] = {
            "Postgres": lambda: analyst.execute(SCAN).fetchall(),
            "DuckDB": lambda: duckdb.execute(SCAN).fetchall(),
            "ClickHouse": lambda: clickhouse.query(SCAN, "CSV"),
        }
        seconds: dict[str, list[float]] = {name: [] for name in engines}
        for number in range(rounds + 1):
            for name, run in engines.items():
                began = time.perf_counter()
                run()
                # The first round warms the caches.
                if number:
                    seconds[name].append((time.perf_counter() - began) * 1000)
    return [
        Sample(label=f"scan of all trades, {name}", unit="ms", values=tuple(each)) for name, each in seconds.items()
    ]


async def _ingest(
    database: testing.PostgresDatabase, folder: Path, log_events: int, rounds: int
) -> tuple[Sample, Sample, Sample]:
    stream = history.transactions(10**9)
    for _ in itertools.islice(stream, log_events):
        pass
    writer = writing.Writer(database.dsn("zmart_ingest"))
    alone: list[float] = []
    beside: dict[float, list[float]] = {GENTLE_SHARE: [], 1.0: []}
    try:
        await _append(writer, stream)
        for number in range(rounds):
            alone.append(await _append(writer, stream))
            for share, rates in beside.items():
                target = str(folder / f"beside{number}-{share:g}")
                command = [sys.executable, "-c", _EXPORTER, database.dsn(), target, str(share)]
                with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220 - nothing else runs here
                    try:
                        assert process.stdout is not None
                        # One whole export has been made, so the next one runs from now on.
                        process.stdout.readline()
                        rates.append(await _append(writer, stream))
                    finally:
                        process.kill()
    finally:
        await writer.close()
    return (
        Sample(label="ingest alone", unit="events/s", values=tuple(alone)),
        Sample(label="ingest beside an export", unit="events/s", values=tuple(beside[GENTLE_SHARE])),
        Sample(label="ingest beside an export at full speed", unit="events/s", values=tuple(beside[1.0])),
    )


async def _append(writer: writing.Writer, stream: Iterator[TransactionRow]) -> float:
    batches = [list(itertools.islice(stream, BATCH)) for _ in range(BATCHES)]
    events = sum(len(row.events) for batch in batches for row in batch)
    began = time.perf_counter()
    for batch in batches:
        await writer.append(batch, source="bench")
    return events / (time.perf_counter() - began)


FIGURE = ExportsFigure()
