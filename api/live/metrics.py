"""Counts what the hub pushes to stream clients, as Prometheus metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zmart.db import feed

#: From a lone event to a stalled hub; an event needs some milliseconds.
_DELAY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class HubState(Protocol):
    """The state of the hub that is read at each scrape."""

    @property
    def streams(self) -> int: ...  # noqa: D102
    @property
    def position(self) -> feed.FeedPosition | None: ...  # noqa: D102
    @property
    def is_stalled(self) -> bool: ...  # noqa: D102
    @property
    def silent_seconds(self) -> float: ...  # noqa: D102


class PushMetrics:
    """The metrics of one hub."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = CollectorRegistry() if registry is None else registry
        self.entries = self._counter("entries", "Entries of the feed offered to the streams.")
        self.frames = self._counter("frames", "Frames offered, one for each client and entry.")
        self.delay_seconds = Histogram(
            "zmart_push_delay_seconds",
            "From the moment an entry was written in the log to its offer to the streams.",
            buckets=_DELAY_BUCKETS,
            registry=self._registry,
        )
        self.opened = self._counter("opened_streams", "Streams opened.")
        self.refused = self._counter("refused_streams", "Streams refused because of a limit.")
        self.closed = Counter(
            "zmart_push_closed_streams",
            "Streams ended: left (by the client), slow, shutdown or key_revoked.",
            ("reason",),
            registry=self._registry,
        )
        self.resyncs = self._counter("resyncs", "Streams that must read the state again.")

    def count_window(self, ages: Sequence[float], frames: int) -> None:
        """Count a window: the age of each entry in seconds, and the frames offered to all clients together."""
        self.entries.inc(len(ages))
        self.frames.inc(frames)
        for age in ages:
            self.delay_seconds.observe(age)

    def register_hub(self, hub: HubState) -> None:
        """Register the gauges of the hub, read at each scrape."""
        self._registry.register(_HubCollector(hub))

    def _counter(self, name: str, about: str) -> Counter:
        return Counter(f"zmart_push_{name}", about, registry=self._registry)


class _HubCollector(Collector):
    def __init__(self, hub: HubState) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges of the hub; -1 for a position that is not known yet."""
        position = self._hub.position
        yield GaugeMetricFamily("zmart_push_streams", "Open streams (SSE and WebSocket).", self._hub.streams)
        yield GaugeMetricFamily(
            "zmart_push_position_seq",
            "Last seq offered to the streams; -1 before the first read.",
            -1 if position is None else position.seq,
        )
        yield GaugeMetricFamily(
            "zmart_push_stalled",
            "1 while the feed cannot be read for the streams, else 0.",
            float(self._hub.is_stalled),
        )
        yield GaugeMetricFamily(
            "zmart_push_silent_seconds",
            "Seconds since Postgres last answered the change signal.",
            self._hub.silent_seconds,
        )
