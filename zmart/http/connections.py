"""Bounds what connections may hold of a server before and while they send requests.

uvicorn has a deadline for connections between two requests, and none for those that never send a whole one; its
`limit_concurrency` refuses every caller once somebody holds enough connections. So this protocol extends uvicorn's:

- a request's headers have a deadline and a size, and a body has a deadline and a least rate;
- a peer that stops reading its response is disconnected;
- when all connections are taken, the one that has waited longest of the address with the most makes room for a new one.

The number of connections follows from the limit of open files, so that files for Postgres and logs remain.
"""

from __future__ import annotations

import asyncio
import collections
import math
import resource
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .client_address import network

#: Open files that connections leave to everything else of the process.
RESERVED_FILES: Final = 96
#: More connections than this only cost memory.
MOST_CONNECTIONS: Final = 8_192
_FEWEST_CONNECTIONS: Final = 16


@dataclass(frozen=True, kw_only=True)
class ConnectionLimits:
    """What one connection may do."""

    #: From the first moment, or from the first byte after a response, to the end of a request's headers.
    header_seconds: float = 10.0
    header_bytes: int = 64 << 10
    #: From the end of the headers to the end of the body.
    body_seconds: float = 30.0
    #: The rate that a body must keep, measured over each such time.
    least_bytes_per_second: int = 2 << 10
    rate_seconds: float = 5.0
    #: How long a peer may accept nothing of its response.
    write_seconds: float = 30.0


@dataclass
class ConnectionTable:
    """The connections of one server."""

    most: int = MOST_CONNECTIONS
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)
    #: By address, the oldest first.
    _by_address: dict[str, dict[GuardedProtocol, None]] = field(
        default_factory=lambda: collections.defaultdict(dict), init=False
    )
    _count: int = field(default=0, init=False)
    #: Whether each response closes its connection, because another process serves from now on.
    is_draining: bool = field(default=False, init=False)

    @property
    def count(self) -> int:
        """Return the number of open connections."""
        return self._count

    def enter(self, connection: GuardedProtocol) -> bool:
        """Count a connection; return False if there is no room for it."""
        if self._count >= self.most and not self._make_room(connection.address):
            return False
        self._by_address[connection.address][connection] = None
        self._count += 1
        return True

    def leave(self, connection: GuardedProtocol) -> None:
        """Count a connection no longer; do nothing if it is not counted."""
        found = self._by_address.get(connection.address)
        if found is None or connection not in found:
            return
        del found[connection]
        self._count -= 1
        if not found:
            del self._by_address[connection.address]

    def drain(self) -> None:
        """Let each connection end with its next response."""
        self.is_draining = True
        for found in self._by_address.values():
            for connection in found:
                connection.end_after_response()

    def _make_room(self, address: str) -> bool:
        """Disconnect one that waits, of an address that holds at least as many as this one; return whether one did."""
        own = len(self._by_address.get(address, ()))
        largest = [(len(found), name) for name, found in self._by_address.items() if len(found) >= own]
        for _, name in sorted(largest, reverse=True):
            waiting = [connection for connection in self._by_address[name] if connection.is_waiting]
            if waiting:
                longest = min(waiting, key=lambda connection: connection.waiting_since)
                self.leave(longest)
                longest.transport.abort()
                return True
        return False

    def protocol(self) -> type[GuardedProtocol]:
        """Return the class that a uvicorn server makes its connections of."""
        return type("TableProtocol", (GuardedProtocol,), {"table": self})


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, within the limits of a table."""

    table: ConnectionTable

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.address = ""
        #: When the connection began to wait for its peer, on the event loop's clock.
        self.waiting_since = 0.0
        self._header_bytes = 0
        self._body_bytes = 0
        self._body_began = 0.0
        self._is_receiving_body = False
        self._header_timer: asyncio.TimerHandle | None = None
        self._body_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Return whether the server waits for the peer: for headers, for a body, or for another request."""
        return self.cycle is None or self.cycle.response_complete or self._is_receiving_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count the connection, or refuse it."""
        super().connection_made(transport)
        self.address = network(self.client[0]) if self.client else ""
        self.waiting_since = self.loop.time()
        if self.table.enter(self):
            self._await_headers()
        else:
            self._respond(503, "Service Unavailable", "All connections are taken; try again shortly.")

    def connection_lost(self, exc: Exception | None) -> None:
        """Free what the connection held."""
        self._stop_timers()
        self.table.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse data, within the limits."""
        if self.transport.is_closing():
            return
        if self._is_receiving_body:
            self._body_bytes += len(data)
        elif self.cycle is None or self.cycle.response_complete:
            self._await_headers()
            self._header_bytes += len(data)
        super().data_received(data)
        if self._header_timer is not None and self._header_bytes > self.table.limits.header_bytes:
            self._respond(431, "Request Header Fields Too Large", "The headers are too large.")

    def on_headers_complete(self) -> None:
        """Begin to measure the body."""
        self._stop_header_timer()
        self._is_receiving_body = True
        self._body_began = self.waiting_since = self.loop.time()
        super().on_headers_complete()
        if self.table.is_draining:
            self.end_after_response()
        self._await_body()

    def end_after_response(self) -> None:
        """Close the connection after the response that is being made, if any, and say so in its headers."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """Stop measuring the body."""
        self._is_receiving_body = False
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        self.waiting_since = self.loop.time()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the protocol of WebSockets, which has limits and pings of its own."""
        self._stop_timers()
        self.table.leave(self)
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """Begin to measure how long the peer reads nothing."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.table.limits.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop measuring: the peer has read."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _await_headers(self) -> None:
        if self._header_timer is None:
            self._header_bytes = 0
            self._header_timer = self.loop.call_later(self.table.limits.header_seconds, self._end_headers)

    def _end_headers(self) -> None:
        if self._header_bytes:
            self._respond(408, "Request Timeout", "The headers took too long to arrive.")
        else:
            self.transport.close()

    def _await_body(self) -> None:
        self._body_bytes = 0
        self._body_timer = self.loop.call_later(self.table.limits.rate_seconds, self._check_body)

    def _check_body(self) -> None:
        limits = self.table.limits
        # While the application does not read, nothing can arrive; that is not the sender's fault.
        is_slow = self._body_bytes < limits.least_bytes_per_second * limits.rate_seconds and not self.flow.read_paused
        if is_slow or self.loop.time() - self._body_began > limits.body_seconds:
            self._respond(408, "Request Timeout", "The body took too long to arrive.")
        else:
            self._await_body()

    def _respond(self, status: int, title: str, text: str) -> None:
        """Send a response unless one has begun, and disconnect."""
        self._stop_timers()
        self.table.leave(self)
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            body = f"{text}\n".encode()
            retry = f"retry-after: {math.ceil(self.table.limits.rate_seconds)}\r\n" if status == 503 else ""
            head = (
                f"HTTP/1.1 {status} {title}\r\ncontent-type: text/plain; charset=utf-8\r\n"
                f"content-length: {len(body)}\r\n{retry}connection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.close()

    def _stop_header_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _stop_timers(self) -> None:
        self._stop_header_timer()
        for timer in (self._body_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        self._body_timer = self._write_timer = None


def raise_file_limit() -> int:
    """Raise the limit of open files as far as the system allows; return it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1 << 20


def file_limit() -> int:
    """Return the limit of open files in force."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def connections_for(files: int) -> int:
    """Return how many connections a server may have with a limit of open files."""
    return max(_FEWEST_CONNECTIONS, min(MOST_CONNECTIONS, files - RESERVED_FILES))
