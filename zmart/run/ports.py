"""Chooses a free port for one of our servers.

It does not bind port 0. The kernel then returns a port of the range that it also assigns to outgoing connections, so a
restarted server may find its port taken by another program's connection. Worse, a client that retries a connection to
such a port while nothing listens there is sooner or later assigned that same port for its own end, and is connected to
itself.
"""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

from zmart import errors

HOST = "127.0.0.1"
LOWEST = 10_000
#: Linux's own default, used where the kernel's setting cannot be read.
DEFAULT_FIRST_EPHEMERAL_PORT = 32_768
ATTEMPTS = 1_000


def is_free(port: int, host: str = HOST) -> bool:
    """Return whether a server could listen there now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def find_free_port(following: int = 0) -> int:
    """Return a free port outside the range of outgoing connections, followed by `following` free ports.

    Raise Unavailable when none is found.
    """
    highest = max(_first_ephemeral_port() - following - 1, LOWEST + 1)
    for _ in range(ATTEMPTS):
        port = LOWEST + secrets.randbelow(highest - LOWEST)
        if all(is_free(each) for each in range(port, port + following + 1)):
            return port
    raise errors.Unavailable(
        f"No free port was found between {LOWEST} and {highest} in {ATTEMPTS} attempts.",
        help="List the processes that listen there: ss -ltn",
    )


def find_free_ports(count: int) -> list[int]:
    """Return free ports of which no two are equal or neighbours: the development chain uses the next one, too."""
    found: list[int] = []
    while len(found) < count:
        port = find_free_port(following=1)
        if all(abs(port - other) > 1 for other in found):
            found.append(port)
    return found


def _first_ephemeral_port() -> int:
    """Return the lowest port that the kernel assigns to outgoing connections."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        return DEFAULT_FIRST_EPHEMERAL_PORT
