"""Writes finished WebSocket frames directly to the transport.

uvicorn by default sends one message at a time through a coroutine and encodes it separately for each client. Here the
bytes are the same for all clients, so this protocol class lets a connection's handler write them itself, many frames
at once, and reports when the peer accepts no more. uvicorn and websockets still do the handshake, the parsing, the
pings and the closing handshake. A handler finds the transport in its scope:

    transport = wire.from_scope(socket.scope)
    if transport.is_ready: transport.write(batch.packets("frames"))
    else: ...queue, until transport.on_ready is called

Only `python -m api` uses it (`ws=WebSocketTransport`); behind another server there are no WebSockets.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from litestar.types import Scope
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.http11 import Request

from zmart import errors

_EXTENSION = "zmart.websocket"
#: The largest message that a client may send; a thousand topics and a token need 80 KiB at most.
MOST_BYTES = 128 * 1024
#: Messages read ahead while one is being answered; control frames are always read.
_READ_AHEAD = 16
#: A peer that accepts neither the remaining data nor the close is disconnected after this time.
CLOSE_TIMEOUT_SECONDS = 5.0

# uvicorn logs the full URL of a connection, and URLs can contain tokens.
_QUIET_LOGGER = logging.getLogger("zmart.websocket")
_QUIET_LOGGER.setLevel(logging.WARNING)


def from_scope(scope: Scope) -> WebSocketTransport:
    """Return the transport of a connection; raise Unavailable if another server accepted the connection."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    transport = extensions.get(_EXTENSION)
    if transport is None:
        raise errors.Unavailable(
            "WebSocket connections need uvicorn's settings of this project.",
            help="Start the server with `python -m api`.",
        )
    transport_found: WebSocketTransport = transport
    return transport_found


class WebSocketTransport(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket protocol, extended to write finished frames."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _QUIET_LOGGER
        # With debug on, it would log every frame, and a first message may contain a token.
        self.conn.debug = False
        #: Called when the peer accepts bytes again.
        self.on_ready: Callable[[], None] | None = None

    @property
    def is_gone(self) -> bool:
        """Return whether nothing more can be sent."""
        return self.disconnected or self.close_sent or self.transport.is_closing()

    @property
    def is_ready(self) -> bool:
        """Return whether the peer accepts data now."""
        return self.writable.is_set() and not self.is_gone

    def write(self, packets: bytes) -> None:
        """Send finished frames; do nothing if the connection is gone."""
        if not self.is_gone:
            self.transport.write(packets)

    def write_all(self, packets: Iterable[bytes]) -> None:
        """Send finished frames that other connections also send; they are not copied into one buffer."""
        if not self.is_gone:
            self.transport.writelines(packets)

    async def drain(self, within_seconds: float) -> None:
        """Return when the peer accepts more or is gone; raise TimeoutError if neither happens in time."""
        async with asyncio.timeout(within_seconds):
            await self.writable.wait()

    def reset_ping_timeout(self) -> None:
        """Count the message just received as an answer to the last ping."""
        if self.pong_timer is not None:
            self.pong_timer.cancel()
            self.pong_timer = None
            self.pending_ping_payload = None
            self.schedule_ping()

    def end(self, code: int, reason: str = "") -> None:
        """Close after the data already written; disconnect the peer if it does not accept that in time."""
        if self.is_gone:
            return
        try:
            self.conn.send_close(code, reason)
        except InvalidState:
            return
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self._resume()
        self.close_timer = self.loop.call_later(CLOSE_TIMEOUT_SECONDS, self.transport.abort)

    # --- called by uvicorn ----------------------------------------------------------------------

    def handle_connect(self, event: Request) -> None:
        """Start the application, which finds this transport in its scope."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[_EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        """Pass a message to the application and continue to read, because a pong may follow it."""
        super().send_receive_event_to_app()
        if self.queue.qsize() < _READ_AHEAD:
            self._resume()

    def resume_writing(self) -> None:
        """Call `on_ready`: the connection accepts data again."""
        super().resume_writing()
        if self.on_ready is not None:
            self.on_ready()

    def keepalive_timeout(self) -> None:
        """Close a peer that answers no ping; it will not answer the close either, so do not wait for that."""
        super().keepalive_timeout()
        self.loop.call_later(CLOSE_TIMEOUT_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the `on_ready` callback."""
        self.on_ready = None
        super().connection_lost(exc)

    def _resume(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
