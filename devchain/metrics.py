"""Counts what the development chain does, as Prometheus metrics; one registry per server."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from prometheus_client import Counter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from zmart.http import metrics as http_metrics

from .service import DevelopmentChain
from .subscriptions import SubscriptionHub

#: The label of methods that the node does not serve; a caller must not be able to create labels.
_OTHER: Final = "other"


class DevchainMetrics:
    """The metrics of one server."""

    def __init__(self, chain: DevelopmentChain, hub: SubscriptionHub, methods: Collection[str]) -> None:
        self._methods = frozenset(methods)
        self._registry = http_metrics.new_registry()
        self._registry.register(_ChainCollector(chain, hub))
        self._requests = Counter(
            "zmart_devchain_requests",
            "JSON-RPC requests, by method and outcome (ok or error).",
            ("method", "outcome"),
            registry=self._registry,
        )

    def count_request(self, method: str, *, is_error: bool) -> None:
        """Count a request; a method that the node does not serve counts as `other`."""
        self._requests.labels(method if method in self._methods else _OTHER, "error" if is_error else "ok").inc()

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return http_metrics.render(self._registry)


class _ChainCollector(Collector):
    def __init__(self, chain: DevelopmentChain, hub: SubscriptionHub) -> None:
        self._chain = chain
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Yield the state of the chain and the counts of its webhooks."""
        ledger = self._chain.ledger
        yield GaugeMetricFamily("zmart_devchain_ready", "1 once the history is replayed.", float(self._chain.is_ready))
        yield GaugeMetricFamily("zmart_devchain_slot", "The open slot.", ledger.slot)
        yield GaugeMetricFamily("zmart_devchain_confirmed_slot", "The newest confirmed slot.", ledger.confirmed_slot)
        yield GaugeMetricFamily("zmart_devchain_finalized_slot", "The newest finalized slot.", ledger.finalized_slot)
        yield CounterMetricFamily(
            "zmart_devchain_transactions", "Transactions of the chain's whole history.", ledger.transaction_count()
        )
        yield GaugeMetricFamily("zmart_devchain_subscribers", "Open WebSocket connections.", len(self._hub.sessions))
        yield self._webhooks()

    def _webhooks(self) -> CounterMetricFamily:
        counts = CounterMetricFamily(
            "zmart_devchain_webhooks", "Bodies of webhooks since the start, by outcome.", labels=("outcome",)
        )
        if (delivery := self._chain.webhooks) is not None:
            for outcome in ("delivered", "refused", "lost"):
                counts.add_metric((outcome,), getattr(delivery, outcome))
        return counts
