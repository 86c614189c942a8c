"""Counts what an API process does, as Prometheus metrics; one registry per application.

Counters and histograms are updated while requests are answered. Everything else (connections, cache, streams) is read
from its owner when the metrics are requested. No label has a value that a client chooses: a route is the template of
its handler, and an unknown method is `other`. docs/operating/monitoring.md lists all metrics, and a test compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zmart.db import pool
from zmart.http import metrics as http_metrics

from .live.metrics import PushMetrics

#: The label of requests that no handler matches.
UNMATCHED: Final = "unmatched"
_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})


class CacheFacts(Protocol):
    """The counts of a response cache."""

    @property
    def size_bytes(self) -> int: ...  # noqa: D102
    @property
    def hits(self) -> int: ...  # noqa: D102
    @property
    def misses(self) -> int: ...  # noqa: D102


class ApiMetrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self.registry: CollectorRegistry = http_metrics.new_registry()
        self.push = PushMetrics(self.registry)
        self._requests = Counter(
            "zmart_api_requests",
            "Requests answered, by method, route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._request_seconds = Histogram(
            "zmart_api_request_seconds",
            "From the arrival of a request to the start of its response.",
            ("route",),
            buckets=http_metrics.SECONDS_BUCKETS,
            registry=self.registry,
        )
        #: The series of a request, by its labels: looking them up takes longer than counting.
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram | None]] = {}
        self._is_ready = Gauge(
            "zmart_api_ready", "1 when requests can be answered, as /ready reports it, else 0.", registry=self.registry
        )

    def count_request(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request; `status` is 0 if the client left before the response began."""
        key = (method if method in _METHODS else "other", route or UNMATCHED, status)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = (
                self._requests.labels(*key[:2], str(status)),
                self._request_seconds.labels(key[1]) if status else None,
            )
        counter, histogram = series
        counter.inc()
        if histogram is not None:
            histogram.observe(seconds)

    def set_ready(self, is_ready: bool) -> None:
        """Set whether requests can be answered now."""
        self._is_ready.set(is_ready)

    def register_connections(self, pools: Mapping[str, pool.Pool]) -> None:
        """Register the counts of connection pools by name, read at each scrape."""
        self.registry.register(_PoolCollector(pools))

    def register_cache(self, cache: CacheFacts) -> None:
        """Register the counts of the response cache, read at each scrape."""
        self.registry.register(_CacheCollector(cache))

    def register_writes(self, running_seconds: Callable[[], float]) -> None:
        """Register the age of the oldest write that has not ended, read at each scrape."""
        gauge = Gauge(
            "zmart_api_oldest_write_seconds", "Age of the oldest write that has not ended.", registry=self.registry
        )
        gauge.set_function(running_seconds)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return http_metrics.render(self.registry)


class _PoolCollector(Collector):
    """Reads the statistics of connection pools."""

    def __init__(self, pools: Mapping[str, pool.Pool]) -> None:
        self._pools = pools

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all pools."""
        connections = GaugeMetricFamily(
            "zmart_api_database_connections", "Connections to Postgres.", labels=("pool", "state")
        )
        waiting = GaugeMetricFamily(
            "zmart_api_database_waiting_requests", "Requests that wait for a connection.", labels=("pool",)
        )
        waits = CounterMetricFamily(
            "zmart_api_database_wait_seconds", "Time that requests waited for a connection.", labels=("pool",)
        )
        refused = CounterMetricFamily(
            "zmart_api_database_refused_requests", "Requests that got no connection.", labels=("pool",)
        )
        for name, one in self._pools.items():
            stats = one.get_stats()
            idle = stats.get("pool_available", 0)
            connections.add_metric((name, "idle"), idle)
            connections.add_metric((name, "used"), stats.get("pool_size", 0) - idle)
            waiting.add_metric((name,), stats.get("requests_waiting", 0))
            waits.add_metric((name,), stats.get("requests_wait_ms", 0) / 1000)
            refused.add_metric((name,), stats.get("requests_errors", 0))
        yield from (connections, waiting, waits, refused)


class _CacheCollector(Collector):
    """Reads the counts of the response cache."""

    def __init__(self, cache: CacheFacts) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the cache."""
        yield GaugeMetricFamily("zmart_api_cache_bytes", "Size of the cached responses.", self._cache.size_bytes)
        lookups = CounterMetricFamily("zmart_api_cache_lookups", "Lookups of cached responses.", labels=("result",))
        lookups.add_metric(("hit",), self._cache.hits)
        lookups.add_metric(("miss",), self._cache.misses)
        yield lookups
