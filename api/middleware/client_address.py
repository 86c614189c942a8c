"""Determines a client's address and whether it uses TLS, behind trusted proxies."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence

from litestar.types import Scope

from zmart.settings import Network

_UNKNOWN = "unknown"


def address(scope: Scope, trusted_proxies: Sequence[Network]) -> str:
    """Return the caller's address: X-Forwarded-For read from the right, past the trusted proxies.

    Any client can write that header, so it is read only as far as trusted proxies have written it.
    """
    client = scope.get("client")
    nearest = client[0] if client else _UNKNOWN
    hops = [nearest, *reversed(_forwarded(scope))]
    for hop in hops:
        if not _is_trusted(hop, trusted_proxies):
            return hop
    return hops[-1]


def is_secure(scope: Scope, trusted_proxies: Sequence[Network]) -> bool:
    """Return whether the caller uses TLS: to this server, or to the nearest proxy if that proxy is trusted."""
    if scope["scheme"] == "https":
        return True
    client = scope.get("client")
    if not trusted_proxies or client is None or not _is_trusted(client[0], trusted_proxies):
        return False
    protocols = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
    return b",".join(protocols).rpartition(b",")[2].strip().lower() == b"https"


def _forwarded(scope: Scope) -> list[str]:
    values = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    hops = b",".join(values).decode("latin-1").split(",")
    return [hop.strip() for hop in hops if hop.strip()]


def _is_trusted(hop: str, trusted: Sequence[Network]) -> bool:
    return bool(trusted) and _is_within(hop, tuple(trusted))


@functools.lru_cache(maxsize=4096)
def _is_within(hop: str, trusted: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(hop)
    except ValueError:
        return False
    return any(parsed in network for network in trusted)
