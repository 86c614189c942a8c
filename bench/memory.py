"""Measures ingest's memory while a long history passes through it, and the size of the database afterwards."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from bench.environment import BenchEnvironment, RunningProcess, count_rows
from zmart import testing
from zmart.run.postgres import embedded

from . import history, load
from .figure import Effort, Figure, Sample, Target
from .not_measured import NotMeasured

TRANSACTIONS_PER_DELIVERY = 25
SENDERS = 40
PARTS = 10
#: Data that is filled once (numbers of markets and wallets, Python's own heap) is complete after these first parts.
WARM_UP_PARTS = 2


class MemoryFigure(Figure):
    """Measures the delivery of a long history."""

    name = "memory"
    title = "ingest's memory, pace and the database's size over a long history"
    unit = "x"
    targets = (Target(label="memory, last tenth to third", bound="at most", value=1.1),)
    method = (
        "`python -m ingest` takes a history of 200,000 events (1,000,000 with --full, any number with --events) in "
        "deliveries of 25 transactions from 40 senders. After each tenth its resident memory is read, with the "
        "seconds the tenth took; the first two fill caches and buffers. At the end the database is measured: log, "
        "delivered bytes, feed, all marts and their indexes, per million events."
    )
    limit_seconds = 3_600.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure one pass, with a value per tenth."""
        each = effort.log_events // PARTS // TRANSACTIONS_PER_DELIVERY
        stream = history.bodies(each * PARTS * TRANSACTIONS_PER_DELIVERY, each=TRANSACTIONS_PER_DELIVERY)
        with env.database() as database, env.start_ingest(database) as running:
            before = _bytes(database)
            parts = [_deliver_part(running, list(itertools.islice(stream, each))) for _ in range(PARTS)]
            sent = each * PARTS * TRANSACTIONS_PER_DELIVERY
            if (stored := count_rows(database, "raw.events")) != sent:
                raise NotMeasured(f"{sent} events were acknowledged, {stored} are stored.")
            grown = _bytes(database) - before
        resident = [held for held, _ in parts]
        return [
            Sample(label="memory, last tenth to third", unit="x", values=(resident[-1] / resident[WARM_UP_PARTS],)),
            Sample(label="resident memory", unit="MB", values=tuple(held / 1e6 for held in resident)),
            Sample(
                label="pace",
                unit="events/s",
                values=tuple(each * TRANSACTIONS_PER_DELIVERY / took for _, took in parts),
            ),
            Sample(label="database, per million events", unit="MB", values=(grown / sent,)),
        ]


def _deliver_part(running: RunningProcess, bodies: list[bytes]) -> tuple[int, float]:
    """Return the resident bytes after these bodies, and the seconds for them."""
    seconds = load.closed_loop(running, bodies, senders=SENDERS)
    pages = int(Path(f"/proc/{running.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE"), seconds


def _bytes(database: testing.PostgresDatabase) -> int:
    with database.connect(embedded.SUPERUSER) as connection:
        row = connection.execute("select pg_database_size(current_database())").fetchone()
    assert row is not None
    return int(str(row[0]))


FIGURE = MemoryFigure()
