"""Reads the metrics of keepers, alerts and runs from the database, for Prometheus.

Keepers and jobs run in processes that live for seconds, so no process could count for them. Their records are in the
database, and the code server, which starts them, reads the records when its metrics are requested.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

import psycopg
import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zmart import errors
from zmart.db import queries
from zmart.db.connection import SyncConnection, connect_sync
from zmart.http import metrics as http_metrics

log = structlog.get_logger()
sql = queries.load("orchestration", "metrics.sql")

#: Maximum age of what was read.
MAX_AGE_SECONDS: Final = 5.0
#: A scrape must not wait for a statement that hangs.
STATEMENT_TIMEOUT_SECONDS: Final = 4.0
CONNECT_TIMEOUT_SECONDS: Final = 2
#: Statuses of runs that have not ended. Each is always present, so that a rule over them has data.
_RUN_STATUSES: Final = ("QUEUED", "STARTING", "STARTED")
_ENDINGS: Final = ("landed", "failed", "expired")

Rows: TypeAlias = Sequence[tuple[Any, ...]]


class OperationsMetrics:
    """The metrics of the code server and of what it starts."""

    def __init__(self, dsn: Callable[[], str], *, daily_budget_lamports: int) -> None:
        self._registry = http_metrics.new_registry()
        self._registry.register(_DatabaseCollector(dsn, daily_budget_lamports))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return http_metrics.render(self._registry)


class _DatabaseCollector(Collector):
    """Reads the records; scrapes that come at once share a read."""

    def __init__(self, dsn: Callable[[], str], daily_budget_lamports: int) -> None:
        #: Called at each read, because the server may have moved since.
        self._dsn = dsn
        self._daily_budget_lamports = daily_budget_lamports
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._metrics: list[Metric] = []

    def describe(self) -> list[Metric]:
        """Return nothing: registering must not read the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics, at most a few seconds old."""
        with self._lock:
            if time.monotonic() - self._read_at >= MAX_AGE_SECONDS:
                self._metrics = list(self._read())
                self._read_at = time.monotonic()
            metrics = self._metrics
        yield from metrics

    def _read(self) -> Iterator[Metric]:
        is_up = 0.0
        try:
            with connect_sync(
                self._dsn(),
                autocommit=True,
                application_name="zmart dagster metrics",
                statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
                connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
            ) as connection:
                yield from self._keeper_metrics(connection)
                yield from _alert_metrics(connection)
                yield from _dagster_metrics(connection)
                is_up = 1.0
        except (psycopg.Error, errors.ZmartError) as error:
            log.warning("operations_metrics_unavailable", reason=str(error))
        yield GaugeMetricFamily(
            "zmart_dagster_database_up", "1 when the last read of the database succeeded, else 0.", is_up
        )

    def _keeper_metrics(self, connection: SyncConnection) -> Iterator[Metric]:
        yield _gauge(
            "zmart_keeper_open_intents",
            "Decisions of keepers that are not closed, by action and state.",
            ("action", "state"),
            connection.execute(sql.intents).fetchall(),
        )
        yield from self._submission_metrics(connection.execute(sql.submissions).fetchall())
        rounds = [
            (keeper, "dry" if is_dry else "live", *values)
            for keeper, is_dry, *values in connection.execute(sql.rounds).fetchall()
        ]
        abouts = {
            "round_age_seconds": "Seconds since a keeper's last round that worked; -1 if none has.",
            "round_seconds": "Duration of a keeper's last round.",
            "due_markets": "Markets that were due in a keeper's last round.",
            "round_failed": "1 if a keeper's last round stopped or failed, else 0.",
        }
        for column, (name, about) in enumerate(abouts.items(), start=2):
            rows = [(*row[:2], -1 if row[column] is None else row[column]) for row in rounds]
            yield _gauge(f"zmart_keeper_{name}", about, ("keeper", "mode"), rows)

    def _submission_metrics(self, rows: Rows) -> Iterator[Metric]:
        counts = {ending: count for ending, count, _, _ in rows}
        submissions = CounterMetricFamily(
            "zmart_keeper_submissions", "Transactions that keepers signed and that ended.", labels=("ending",)
        )
        for ending in _ENDINGS:
            submissions.add_metric((ending,), counts.get(ending, 0))
        yield submissions
        yield GaugeMetricFamily(
            "zmart_keeper_open_submissions", "Signed transactions that may still land.", counts.get("open", 0)
        )
        yield GaugeMetricFamily(
            "zmart_keeper_spent_today_lamports",
            "Fees of today (UTC) of transactions that landed or may land.",
            sum(row[3] for row in rows),
        )
        yield GaugeMetricFamily(
            "zmart_keeper_daily_budget_lamports",
            "KEEPER_DAILY_BUDGET_LAMPORTS.",
            self._daily_budget_lamports,
        )


def _alert_metrics(connection: SyncConnection) -> Iterator[Metric]:
    rows = connection.execute(sql.alerts).fetchall()
    yield _gauge("zmart_dagster_open_alerts", "Open alerts, by kind and severity.", ("kind", "severity"), rows)
    by_severity = dict.fromkeys(("info", "warning", "critical"), 0)
    for _, severity, count in rows:
        by_severity[severity] += count
    yield _gauge(
        "zmart_dagster_alerts",
        "Open alerts, by severity; 0 where there is none.",
        ("severity",),
        [*by_severity.items()],
    )


def _dagster_metrics(connection: SyncConnection) -> Iterator[Metric]:
    counts = {**dict.fromkeys(_RUN_STATUSES, 0), **dict(connection.execute(sql.runs).fetchall())}
    rows = [(status.lower(), count) for status, count in counts.items()]
    yield _gauge("zmart_dagster_active_runs", "Runs that have not ended, by status.", ("status",), rows)
    yield _gauge(
        "zmart_dagster_success_age_seconds",
        "Seconds since a job last succeeded.",
        ("job",),
        connection.execute(sql.jobs).fetchall(),
    )
    daemons = [(name.lower(), age) for name, age in connection.execute(sql.daemons).fetchall()]
    yield _gauge(
        "zmart_dagster_heartbeat_age_seconds", "Seconds since a daemon's last heartbeat.", ("daemon",), daemons
    )


def _gauge(name: str, about: str, labels: Sequence[str], rows: Rows) -> Metric:
    """Return a gauge with one series per row: the values of the labels, then the number."""
    family = GaugeMetricFamily(name, about, labels=labels)
    for row in rows:
        family.add_metric([str(value) for value in row[: len(labels)]], float(row[len(labels)]))
    return family
