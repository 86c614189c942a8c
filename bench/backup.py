"""Measures `zmart backup` and `zmart restore` on a large log."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.environment import BenchEnvironment
from zmart.run.backup import dump, manifest, restore

from .figure import Effort, Figure, Sample, Target


class BackupFigure(Figure):
    """Measures saving and restoring a log with its marts."""

    name = "backup"
    title = "a backup, and its restore into an empty database"
    unit = "s"
    targets = (Target(label="restore of 1,000,000 events", bound="at most", value=300.0),)
    method = (
        "The work of `zmart backup` and `zmart restore` on a log of 200,000 events (1,000,000 with --full), on a "
        "server with fsync on: checks of the file, counts of all rows, the new epoch and statistics included. The "
        "restore of a smaller log is scaled to a million events by its number of events. `bytes an event` is the "
        "size of the dump divided by the events, marts and bodies of deliveries included."
    )
    limit_seconds = 1_800.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Save the log and restore it in each round."""
        saves, restores, sizes = [], [], []
        with env.database(log_events=effort.log_events) as database, tempfile.TemporaryDirectory() as folder:
            for number in range(effort.choose(1, 3)):
                began = time.monotonic()
                path, facts = dump.save(database.dsn("zmart_backup"), Path(folder) / str(number))
                saves.append(time.monotonic() - began)
                sizes.append((path / manifest.DUMP).stat().st_size / effort.log_events)
                assert facts.tables["raw.events"] >= effort.log_events
                restores.append(_restore(env, path) * 1_000_000 / effort.log_events)
        return [
            Sample(label=f"backup of {effort.log_events:,} events", unit="s", values=tuple(saves)),
            Sample(label="restore of 1,000,000 events", unit="s", values=tuple(restores)),
            Sample(label="bytes an event", unit="B", values=tuple(sizes)),
        ]


def _restore(env: BenchEnvironment, path: Path) -> float:
    database = env.server.create()
    try:
        target = restore.Target(admin_dsn=database.dsn("postgres"), owner_dsn=database.dsn())
        began = time.monotonic()
        restore.restore(path, target)
        return time.monotonic() - began
    finally:
        env.server.drop(database)


FIGURE = BackupFigure()
