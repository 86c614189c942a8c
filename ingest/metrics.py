"""Counts what ingest does, as Prometheus metrics; one registry per server, so that tests do not share one.

There are three kinds of numbers. Counters and histograms cover everything since this process began. Gauges per minute
cover the last sixty seconds, for operators who have no Prometheus. Gauges of the log are read from the database on
request (`log_stats`), so they include the writes of other processes. docs/operating/monitoring.md lists all of them,
and a test compares that list with /metrics.
"""

from __future__ import annotations

import collections
import functools
import time
from collections.abc import Callable, Mapping
from typing import Protocol

from prometheus_client import Counter, Gauge, Histogram

from zmart.http import metrics as http_metrics

from .log_stats import LogStatsSample
from .source_race import SourceRace

#: From a single delivery to the largest batch.
_BATCH_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500)
#: An answer that takes longer is slow: Helius waits one second, the network included.
SLOW_ANSWER_SECONDS = 0.8
_ANSWER_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, SLOW_ANSWER_SECONDS, 1, 2.5, 5)
_LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)
_WINDOW_SECONDS = 60


class SupportsState(Protocol):
    """The known completeness of the log."""

    @property
    def state(self) -> str: ...  # noqa: D102


class KeeperFacts(Protocol):
    """What waits for a keeper, and its last round."""

    @property
    def waiting(self) -> int: ...  # noqa: D102
    @property
    def seconds_since_work(self) -> float | None: ...  # noqa: D102


class CommitCounts(Protocol):
    """The counts of a commit."""

    @property
    def events(self) -> int: ...  # noqa: D102
    @property
    def duplicates(self) -> int: ...  # noqa: D102
    @property
    def dead_letters(self) -> int: ...  # noqa: D102


#: Gauges of completeness, by the name of the value.
_COMPLETENESS_GAUGES = {
    "verified_through_slot": "Slot up to which the log contains everything that the confirmed chain lists.",
    "finalized_through_slot": "Slot up to which log and finalized chain are equal.",
    "confirmed_slot": "Newest confirmed slot that the walk has read.",
    "finalized_slot": "Newest finalized slot that the walk has read.",
    "lag_slots": "Confirmed slots that are not verified yet.",
    "wanted_left": "Signatures still to fetch.",
    "unverified": "1 while the chain cannot be compared with the log, else 0.",
    "alpenglow": "1 once the cluster runs Alpenglow, 0 before that, -1 while unknown.",
    "slot_seconds": "Measured length of a slot.",
    "missing_transactions": "Listed transactions of accepted gaps that the log lacks.",
    "unproven_transactions": "Transactions of accepted gaps that the log holds and no node lists.",
}
#: The fields of the completeness whose gauges have another name.
_COMPLETENESS_FIELDS = {"verified_through_slot": "verified_through", "finalized_through_slot": "finalized_through"}
#: Gauges of the database's statistics, by the field of LogStatsSample.
_LOG_STATS_GAUGES = {
    "database_up": ("database_up", "1 when the last query of the database succeeded, else 0."),
    "head_seq": ("head_seq", "Last seq of the feed."),
    "last_event_age_seconds": ("last_event_age_seconds", "Seconds since the newest event was committed."),
    "coverage_gaps": ("coverage_gaps", "Slot ranges that no source has proven complete."),
    "wanted": ("wanted_open", "Signatures in raw.pending_signatures."),
    "suspects": ("suspects", "Transactions in the log that the finalized history does not list."),
    "stale_models": ("stale_models", "Folded marts that stopped and need a rebuild."),
    "behind_models": ("behind_models", "Folded marts that are behind the log and retried."),
    "database_bytes": ("database_bytes", "Size of the database."),
}
#: Measured times of a commit, by the field of AppendResult; a test double that takes no lock has none of them.
_COMMIT_TIMES = {
    "lock_held_seconds": ("writer_lock_held_seconds", "Time for which a commit had the writer lock."),
    "lock_wait_seconds": ("writer_lock_wait_seconds", "Time for which a batch waited for the writer lock."),
    "folds_seconds": ("folds_seconds", "Time that the folded marts took of a commit."),
    "commit_seconds": ("commit_seconds", "Time from COMMIT to the server's confirmation that it is on disk."),
}


def _completeness_value(completeness: Callable[[], SupportsState], name: str) -> float:
    current = completeness()
    match name:
        case "unverified":
            return float(current.state in ("unverified", "refused"))
        case "alpenglow":
            return {"alpenglow": 1.0, "tower": 0.0}.get(getattr(current, "consensus", ""), -1.0)
        case "wanted_left":
            return float(getattr(current, "wanted", 0))
        case "lag_slots":
            newest, proven = getattr(current, "confirmed_slot", None), getattr(current, "verified_through", None)
            return -1.0 if newest is None or proven is None else float(max(0, newest - proven))
    value = getattr(current, _COMPLETENESS_FIELDS.get(name, name), None)
    return -1.0 if value is None else float(value)


def _log_stats_value(sample: Callable[[], LogStatsSample], field: str) -> float:
    return float(getattr(sample(), field))


class Rate:
    """Counts the occurrences of the last minute, with a resolution of one second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds: collections.deque[tuple[int, int]] = collections.deque()
        self._sum = 0

    def add(self, count: int) -> None:
        """Add a count at the current time."""
        now = self.drop_expired()
        if self._seconds and self._seconds[-1][0] == now:
            count_before = self._seconds.pop()[1]
            self._seconds.append((now, count_before + count))
        else:
            self._seconds.append((now, count))
        self._sum += count

    def per_minute(self) -> int:
        """Return the sum of the last sixty seconds."""
        self.drop_expired()
        return self._sum

    def drop_expired(self) -> int:
        """Drop counts older than a minute; return the current second."""
        now = int(self._clock())
        while self._seconds and self._seconds[0][0] <= now - _WINDOW_SECONDS:
            self._sum -= self._seconds.popleft()[1]
        return now


class Metrics:
    """The metrics of one ingest server."""

    def __init__(self) -> None:
        self.registry = http_metrics.new_registry()
        self.deliveries = self._counter("deliveries", "Deliveries by outcome.", ("outcome",))
        self.refused = self._counter("refused", "Deliveries that were not acknowledged, by HTTP status.", ("status",))
        self.transactions = self._counter("transactions", "Transactions that reached the log.", ("source",))
        self.ignored = self._counter("ignored", "Delivered items without a call of the program.")
        self.events = self._counter("events", "Events appended to the log.", ("source",))
        self.duplicates = self._counter("duplicates", "Transactions that were in the log already.", ("source",))
        self.dead_letters = self._counter("dead_letters", "Dead letters written.", ("source",))
        self.wanted = self._counter("wanted", "Signatures queued for fetching.", ("source",))
        self.failures = self._counter("failed_batches", "Batches that could not be committed.")
        self.answer_seconds = self._histogram(
            "answer_seconds", "From the arrival of a delivery to its answer.", _ANSWER_BUCKETS
        )
        self._slow_answers = self._counter("slow_answers", "Deliveries answered after more than 0.8 s.")
        #: Which source reported a transaction first.
        self.race = SourceRace()
        first = self._counter("source_first", "Transactions that a source reported before every other.", ("source",))
        lag = self._histogram(
            "source_lag_seconds", "How much later than the first source another one was.", _LAG_BUCKETS, ("source",)
        )
        self.race.on_first = lambda source: first.labels(source).inc()
        self.race.on_later = lambda source, seconds: lag.labels(source).observe(seconds)
        self.slow_answer_count = 0
        self.slowest_answer_seconds = 0.0
        self.batch_size = self._histogram("batch_transactions", "Per commit.", _BATCH_BUCKETS)
        self.append_seconds = self._histogram(
            "append_seconds", "Time from handing a batch to the writer to its commit.", http_metrics.SECONDS_BUCKETS
        )
        self.times = {
            field: self._histogram(name, about, http_metrics.SECONDS_BUCKETS)
            for field, (name, about) in _COMMIT_TIMES.items()
        }
        self._open_dead_letters = self._gauge("open_dead_letters", "Open dead letters, by reason.", ("reason",))
        self._keeper_waiting = self._gauge("keeper_waiting_markets", "Markets that wait for a keeper.", ("keeper",))
        self._keeper_age = self._gauge(
            "keeper_round_age_seconds",
            "Seconds since a keeper's last round ended; -1 if it has never run.",
            ("keeper",),
        )
        self._keepers: Callable[[], Mapping[str, KeeperFacts]] = dict
        self._log_stats: Callable[[], LogStatsSample] = LogStatsSample
        self._rates: dict[tuple[str, str], Rate] = {}
        self._per_minute = {
            kind: self._gauge(f"{kind}_per_minute", f"{kind.capitalize()} in the last minute.", ("source",))
            for kind in ("deliveries", "transactions", "events")
        }

    def count_delivery(self, outcome: str, status: int = 200) -> None:
        """Count a delivery that was answered."""
        self.deliveries.labels(outcome).inc()
        if status == 200:
            self._rate("deliveries", "webhook").add(1)
        else:
            self.refused.labels(str(status)).inc()

    def count_answer(self, seconds: float) -> None:
        """Count how long a delivery took that was committed, or that could not be committed now."""
        self.answer_seconds.observe(seconds)
        if seconds > SLOW_ANSWER_SECONDS:
            self._slow_answers.inc()
            self.slow_answer_count += 1
            self.slowest_answer_seconds = max(self.slowest_answer_seconds, seconds)

    def count_commit(
        self, source: str, *, transactions: int, wanted: int, result: CommitCounts, seconds: float
    ) -> None:
        """Count a committed batch."""
        self.transactions.labels(source).inc(transactions)
        self.events.labels(source).inc(result.events)
        self.duplicates.labels(source).inc(result.duplicates)
        self.dead_letters.labels(source).inc(result.dead_letters)
        self.wanted.labels(source).inc(wanted)
        self._rate("transactions", source).add(transactions)
        self._rate("events", source).add(result.events)
        self.batch_size.observe(transactions)
        self.append_seconds.observe(seconds)
        for field, histogram in self.times.items():
            if (value := getattr(result, field, None)) is not None:
                histogram.observe(value)

    def rates(self) -> dict[str, dict[str, int]]:
        """Return deliveries, transactions and events in the last minute, by source."""
        by_kind: dict[str, dict[str, int]] = {kind: {} for kind in self._per_minute}
        for (kind, source), rate in self._rates.items():
            by_kind[kind][source] = rate.per_minute()
        return by_kind

    def register_byte_gauge(self, name: str, about: str, used_bytes: Callable[[], int]) -> None:
        """Register a gauge of uncommitted bytes that is read at each scrape."""
        self._gauge(name, about).set_function(used_bytes)

    def register_completeness(self, completeness: Callable[[], SupportsState]) -> None:
        """Register the gauges of completeness, read at each scrape; -1 where nothing is proven."""
        for name, about in _COMPLETENESS_GAUGES.items():
            self._gauge(name, about).set_function(functools.partial(_completeness_value, completeness, name))

    def register_log_stats(self, sample: Callable[[], LogStatsSample]) -> None:
        """Register the gauges of the latest statistics of the database; -1 where a value is unknown."""
        for field, (name, about) in _LOG_STATS_GAUGES.items():
            self._gauge(name, about).set_function(functools.partial(_log_stats_value, sample, field))
        self._log_stats = sample

    def register_keepers(self, states: Callable[[], Mapping[str, KeeperFacts]]) -> None:
        """Register the gauges of keepers, read at each scrape."""
        self._keepers = states

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        for name, state in self._keepers().items():
            self._keeper_waiting.labels(name).set(state.waiting)
            self._keeper_age.labels(name).set(-1.0 if state.seconds_since_work is None else state.seconds_since_work)
        for kind, by_source in self.rates().items():
            for source, count in by_source.items():
                self._per_minute[kind].labels(source).set(count)
        self._open_dead_letters.clear()
        for reason, count in self._log_stats().open_dead_letters.items():
            self._open_dead_letters.labels(reason).set(count)
        return http_metrics.render(self.registry)

    def _rate(self, kind: str, source: str) -> Rate:
        return self._rates.setdefault((kind, source), Rate())

    def _counter(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"zmart_ingest_{name}", about, labels, registry=self.registry)

    def _gauge(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(f"zmart_ingest_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...], labels: tuple[str, ...] = ()) -> Histogram:
        return Histogram(f"zmart_ingest_{name}", about, labels, buckets=buckets, registry=self.registry)
