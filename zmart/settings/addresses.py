"""Builds the addresses at which our servers are called from this machine."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches a server that binds `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def connect_host(host: str) -> str:
    """Return the host to connect to for a server that binds `host`: loopback for an any-address."""
    return "127.0.0.1" if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound


def server_url(host: str, port: int, *, scheme: str = "http") -> str:
    """Return the URL to call for a server that binds `host` and `port`."""
    address = connect_host(host)
    return f"{scheme}://[{address}]:{port}" if ":" in address else f"{scheme}://{address}:{port}"
