"""Determines a client's address and whether it uses TLS, behind trusted proxies."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any, Final

from zmart.settings import Network

_UNKNOWN = "unknown"
#: An IPv6 customer gets at least a /64, so a /64 counts as one caller.
_IPV6_PREFIX: Final = 64


def address(scope: Mapping[str, Any], trusted_proxies: Sequence[Network]) -> str:
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


def is_secure(scope: Mapping[str, Any], trusted_proxies: Sequence[Network]) -> bool:
    """Return whether the caller uses TLS: to this server, or to the nearest proxy if that proxy is trusted."""
    if scope["scheme"] == "https":
        return True
    client = scope.get("client")
    if not trusted_proxies or client is None or not _is_trusted(client[0], trusted_proxies):
        return False
    protocols = [value for name, value in scope["headers"] if name == b"x-forwarded-proto"]
    return b",".join(protocols).rpartition(b",")[2].strip().lower() == b"https"


def _forwarded(scope: Mapping[str, Any]) -> list[str]:
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


@functools.lru_cache(maxsize=4096)
def network(address: str) -> str:
    """Return the unit that an address counts as: itself, or for IPv6 the /64 of one customer."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:_IPV6_PREFIX]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> _IPV6_PREFIX << _IPV6_PREFIX, _IPV6_PREFIX)))
