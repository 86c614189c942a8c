"""Renders Prometheus metrics and decides who may read them; every server of the product uses it.

The metrics name inner states of the product, so a caller on this machine may read them, and others need METRICS_TOKEN.
A request that a proxy forwarded comes from this machine only as far as the socket shows, so it needs the token as well.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, Final

import prometheus_client
from prometheus_client import CollectorRegistry
from prometheus_client.process_collector import ProcessCollector

from zmart.settings import Secret

# Otherwise each counter has a second series with the time of its creation, which Prometheus does not use.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FORBIDDEN_MESSAGE: Final = (
    "Metrics without a token are for this machine only; elsewhere send METRICS_TOKEN as a bearer token."
)
#: Headers that proxies add to a request of another machine.
_PROXY_HEADERS: Final = frozenset({"forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"})
#: Buckets of durations, in seconds: from a read of memory to a stuck statement.
SECONDS_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


def new_registry() -> CollectorRegistry:
    """Return a registry with the metrics of this process (`process_*`: CPU, memory, files), and nothing else."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """Return the metrics of a registry in Prometheus' text format."""
    return prometheus_client.generate_latest(registry)


def is_local(address: str | None, header_names: Iterable[str]) -> bool:
    """Return whether the caller at `address` is on this machine, and is not a proxy that forwards another's request.

    `header_names` are those of the request, in any case.
    """
    if address is None or not _PROXY_HEADERS.isdisjoint(name.lower() for name in header_names):
        return False
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def has_token(authorization: str, token: Secret | str | None) -> bool:
    """Return whether an Authorization header carries METRICS_TOKEN as a bearer token; False where none is set."""
    expected = token.reveal() if isinstance(token, Secret) else token
    if expected is None:
        return False
    return hmac.compare_digest(authorization.encode("latin-1", "replace"), f"Bearer {expected}".encode())


def may_read(address: str | None, headers: Mapping[str, Any], token: Secret | str | None) -> bool:
    """Return whether a caller may read the metrics; `headers` accepts names in lower case."""
    return is_local(address, headers) or has_token(headers.get("authorization") or "", token)
