"""What ingest counts, in Prometheus' words; one registry per server, so that tests do not share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram

#: From one lone delivery to the greatest batch.
_BATCH_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500)
_SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Standing(Protocol):
    """What is known about the log's completeness."""

    @property
    def state(self) -> str: ...  # noqa: D102


#: Gauges of what is proven, by the name of what they show.
_PROVEN = {
    "verified_through": "Slot through which nothing the confirmed chain lists is missing.",
    "finalized_through": "Slot through which log and finalized chain are the same.",
    "confirmed_slot": "Newest confirmed slot the walk saw.",
    "finalized_slot": "Newest finalized slot the walk saw.",
    "wanted_left": "Signatures still to be fetched.",
    "unverified": "1 while the chain cannot be compared with the log, else 0.",
}


def _number(standing: Callable[[], Standing], name: str) -> float:
    now = standing()
    match name:
        case "unverified":
            return float(now.state in ("unverified", "refused"))
        case "wanted_left":
            return float(getattr(now, "wanted", 0))
    value = getattr(now, name, None)
    return -1.0 if value is None else float(value)


class Metrics:
    """Counters of one ingest server."""

    def __init__(self) -> None:
        self.registry = prometheus_client.CollectorRegistry()
        self.deliveries = self._counter("deliveries", "Deliveries by outcome.", ("outcome",))
        self.transactions = self._counter("transactions", "Transactions that reached the log.")
        self.ignored = self._counter("ignored", "Delivered items our program took no part in.")
        self.events = self._counter("events", "Events appended to the log.")
        self.duplicates = self._counter("duplicates", "Transactions the log had already.")
        self.dead_letters = self._counter("dead_letters", "Dead letters written.")
        self.wanted = self._counter("wanted", "Signatures noted for fetching.")
        self.failures = self._counter("failed_batches", "Batches that could not be committed.")
        self.batch_size = self._histogram("batch_transactions", "Per commit.", _BATCH_BUCKETS)
        self.append_seconds = self._histogram(
            "append_seconds", "From handing a batch to the writer to its commit.", _SECONDS_BUCKETS
        )
        self.lock_held_seconds = self._histogram(
            "writer_lock_held_seconds", "How long a commit held the writer lock.", _SECONDS_BUCKETS
        )
        self.queue_bytes = Gauge("zmart_ingest_queue_bytes", "Bytes read but not committed.", registry=self.registry)

    def watch_queue(self, used_bytes: Callable[[], int]) -> None:
        """Ask for the bytes in hand whenever somebody looks."""
        self.queue_bytes.set_function(used_bytes)

    def watch_standing(self, standing: Callable[[], Standing]) -> None:
        """Ask for what is proven of the log whenever somebody looks; -1 where nothing is."""
        for name, about in _PROVEN.items():
            gauge = Gauge(f"zmart_ingest_{name}", about, registry=self.registry)
            gauge.set_function(functools.partial(_number, standing, name))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)

    def _counter(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"zmart_ingest_{name}", about, labels, registry=self.registry)

    def _histogram(self, name: str, about: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"zmart_ingest_{name}", about, buckets=buckets, registry=self.registry)
