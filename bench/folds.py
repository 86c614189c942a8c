"""How fast the folds are: merging batches into a large log's marts, and rebuilding them.

    python -m bench.folds [--events 200000]

Runs on a database of its own with fsync on. `folds` is the time of folds.fold alone; `append` is the whole
commit, payloads included.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg

from bench import history
from ingest import writer as writing
from zmart.db import migrate
from zmart.run import postgres, rebuild


async def measure(events: int = 200_000, batches: tuple[int, ...] = (100, 500, 2000)) -> dict:
    """Fill a log, then time batches on top of it and a rebuild of every mart."""
    with tempfile.TemporaryDirectory(prefix="zmart-bench-") as folder:
        server = postgres.EmbeddedPostgres(Path(folder))
        server.start()
        try:
            return await _measure(server, events, batches)
        finally:
            server.stop()


async def _measure(server: postgres.EmbeddedPostgres, events: int, batches: tuple[int, ...]) -> dict:
    migrate.migrate(server.dsn())
    rebuild.deploy(server.dsn())
    writer = await writing.Writer.connect(server.dsn("zmart_ingest"))
    rows = history.transactions(10**9, seed=1)
    began = time.perf_counter()
    for _ in range(events // 2000):
        await writer.append(list(itertools.islice(rows, 2000)), source="bench")
    filled = time.perf_counter() - began
    result: dict = {"log_events": events, "fill_events_per_second": round(events / filled)}
    with psycopg.connect(server.dsn(), autocommit=True) as owner:
        owner.execute("vacuum analyze")
        for size in batches:
            result[f"batch_{size}"] = await _batches(writer, owner, rows, size)
        result["rebuild"] = _rebuild(owner)
    await writer.close()
    return result


async def _batches(writer: writing.Writer, owner: psycopg.Connection, rows, size: int, rounds: int = 20) -> dict:
    whole = []
    for _ in range(rounds):
        batch = list(itertools.islice(rows, size))
        began = time.perf_counter()
        await writer.append(batch, source="bench")
        whole.append(time.perf_counter() - began)
    folds = []
    for _ in range(rounds):
        batch = list(itertools.islice(rows, size))
        folds.append(await _fold_alone(writer, owner, batch))
    return {
        "append_events_per_second": round(size / statistics.median(whole)),
        "folds_events_per_second": round(size / statistics.median(folds)),
        "fold_milliseconds": round(statistics.median(folds) * 1000, 2),
    }


async def _fold_alone(writer: writing.Writer, owner: psycopg.Connection, batch) -> float:
    """Append with folding, and return the seconds folds.fold took."""
    connection = await writer._connected()
    fold = writing.sql.fold
    taken: list[float] = []
    execute = connection.execute

    async def timed(statement, *arguments, **keywords):
        began = time.perf_counter()
        done = await execute(statement, *arguments, **keywords)
        if statement is fold:
            taken.append(time.perf_counter() - began)
        return done

    connection.execute = timed
    try:
        await writer.append(batch, source="bench")
    finally:
        del connection.execute
    return taken[0]


def _rebuild(owner: psycopg.Connection) -> dict:
    events = owner.execute("select count(*) from raw.events").fetchone()[0]
    result: dict = {}
    total = 0.0
    for (name,) in owner.execute("select name from ops.models order by name").fetchall():
        began = time.perf_counter()
        differed = owner.execute("select folds.rebuild(%s)", (name,)).fetchone()[0]
        result[name] = {"seconds": round(time.perf_counter() - began, 2), "differed": differed}
        total += time.perf_counter() - began
    result["events_per_second"] = round(events / total)
    return result


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    print(json.dumps(asyncio.run(measure(parser.parse_args().events)), indent=1), file=sys.stdout)


if __name__ == "__main__":
    main()
