"""A WebSocket's wire: finished frames written straight to the transport.

uvicorn's own way sends one message at a time through a coroutine, each encoded anew for each client.
What we send is the same bytes for everyone, so this protocol lets a connection's handler write them
itself, many frames in one piece, and says when the peer does not take more. Handshake, parsing, pings
and the closing handshake stay uvicorn's and websockets'. A handler finds it in its scope:

    wire = wire.of(socket.scope)
    if wire.is_ready: wire.write(batch.packets("frames"))
    else: ...queue, until wire.on_ready is called

Only `python -m api` serves with it (`ws=Wire`); behind another server there are no WebSockets.
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
#: The greatest message a client may send; a hundred topics and a token fit five times.
MOST_BYTES = 64 * 1024
#: Messages read ahead while one is being answered; control frames are read all the while.
_READ_AHEAD = 16
#: A peer that takes neither what is left nor the close is cut off after this long.
CLOSE_TIMEOUT_SECONDS = 5.0

# uvicorn logs the whole address of a connection, and tokens stand in addresses.
_QUIET_LOGGER = logging.getLogger("zmart.websocket")
_QUIET_LOGGER.setLevel(logging.WARNING)


def from_scope(scope: Scope) -> WebSocketTransport:
    """The wire of a connection; Unavailable where another server than ours accepted it."""
    extensions: dict[str, Any] = scope.get("extensions") or {}
    transport = extensions.get(_EXTENSION)
    if transport is None:
        raise errors.Unavailable("This server speaks no WebSocket.", help="Serve with `python -m api`.")
    transport_found: WebSocketTransport = transport
    return transport_found


class WebSocketTransport(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket, with a way to write finished frames."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.logger = _QUIET_LOGGER
        # It would log every frame, and a first message may be a token.
        self.conn.debug = False
        #: Called when the peer takes bytes again.
        self.on_ready: Callable[[], None] | None = None

    @property
    def is_gone(self) -> bool:
        """Whether nothing more can be sent."""
        return self.disconnected or self.close_sent or self.transport.is_closing()

    @property
    def is_ready(self) -> bool:
        """Whether the peer takes what is written."""
        return self.writable.is_set() and not self.is_gone

    def write(self, packets: bytes) -> None:
        """Send finished frames; nothing once the connection is gone."""
        if not self.is_gone:
            self.transport.write(packets)

    def write_all(self, packets: Iterable[bytes]) -> None:
        """Send finished frames that others send, too: they are not copied together."""
        if not self.is_gone:
            self.transport.writelines(packets)

    async def drain(self, within_seconds: float) -> None:
        """Return when the peer takes more, or is gone; TimeoutError when it does neither in time."""
        async with asyncio.timeout(within_seconds):
            await self.writable.wait()

    def reset_ping_timeout(self) -> None:
        """Count what the peer just said as an answer to the last ping."""
        if self.pong_timer is not None:
            self.pong_timer.cancel()
            self.pong_timer = None
            self.pending_ping_payload = None
            self.schedule_ping()

    def end(self, code: int, reason: str = "") -> None:
        """Close after what was written; the peer is cut off when it does not take it in time."""
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
        """Begin the application, which finds this wire in its scope."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[_EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        """Hand a message over; go on reading, for a pong may come behind it."""
        super().send_receive_event_to_app()
        if self.queue.qsize() < _READ_AHEAD:
            self._resume()

    def resume_writing(self) -> None:
        """Tell whoever waits to write."""
        super().resume_writing()
        if self.on_ready is not None:
            self.on_ready()

    def keepalive_timeout(self) -> None:
        """Close a peer that answers no ping; it will not take the close either, so do not wait for it."""
        super().keepalive_timeout()
        self.loop.call_later(CLOSE_TIMEOUT_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget whoever waited."""
        self.on_ready = None
        super().connection_lost(exc)

    def _resume(self) -> None:
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
