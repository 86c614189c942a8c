"""Serves the WebSocket: at /ws on the API's port, and also at /, where older clients expect it on WS_PORT."""

from __future__ import annotations

import math
from typing import Any

from litestar import WebSocket, websocket
from litestar.datastructures import State

from zmart.http import client_address
from zmart.settings import Settings

from ..dependencies import FromServices
from ..live import client_messages, wire
from ..live.authentication import StreamAuthenticator
from ..live.budgets import HANDSHAKE
from ..live.websocket_session import WebSocketSession

Socket = WebSocket[Any, Any, State]


@websocket(["/ws", "/"])
async def serve_websocket(socket: Socket, services: FromServices) -> None:
    """Send the messages of subscribed topics and accept subscription changes; docs/push.md describes both dialects.

    `?topics=`, `?since=`, `?token=` and `?ticket=` set at connection time what messages could set later.
    """
    transport = wire.from_scope(socket.scope)
    if not _is_origin_allowed(socket, services.settings):
        await _refuse_origin(socket)
        return
    address = client_address.network(client_address.address(socket.scope, services.settings.api.trusted_proxies))
    if delay := services.hub.budgets.take(address, HANDSHAKE):
        await _refuse_for_now(socket, delay)
        return
    await socket.accept()
    session = WebSocketSession(
        hub=services.hub,
        authenticator=StreamAuthenticator(services.auth.tokens, services.auth.tickets, services.auth.api_keys),
        transport=transport,
        address=address,
    )
    await session.run(socket.receive, _query_parameters(socket))


def _query_parameters(socket: Socket) -> dict[str, str]:
    """Return the query parameters of the connection's URL that are used; a bearer token in the headers is one too."""
    parameters = {
        name: value for name, value in socket.query_params.items() if name in client_messages.QUERY_PARAMETERS
    }
    scheme, _, token = socket.headers.get("authorization", "").partition(" ")
    return parameters | {"token": token.strip()} if scheme.lower() == "bearer" else parameters


def _is_origin_allowed(socket: Socket, settings: Settings) -> bool:
    """Return whether the connecting page is of this site or of CORS_ORIGINS; clients other than browsers have none."""
    origin = socket.headers.get("origin")
    allowed = settings.api.cors_origins
    if origin is None or "*" in allowed or origin in allowed:
        return True
    # urlsplit raises on some values that a client can send here, such as http://[::1
    return origin.partition("://")[2] == socket.headers.get("host")


async def _refuse_origin(socket: Socket) -> None:
    await _respond(socket, 403, b"Pages of this origin may not connect. Name it in CORS_ORIGINS.\n")


async def _refuse_for_now(socket: Socket, delay_seconds: float) -> None:
    retry_after = b"%d" % math.ceil(delay_seconds)
    await _respond(socket, 429, b"Too many connections were opened from this address.\n", (b"retry-after", retry_after))


async def _respond(socket: Socket, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    """Answer the handshake with a response instead of a connection."""
    await socket.send(
        {
            "type": "websocket.http.response.start",
            "status": status,
            "headers": [(b"content-type", b"text/plain; charset=utf-8"), *headers],
        }
    )
    await socket.send({"type": "websocket.http.response.body", "body": body, "more_body": False})


HANDLERS = [serve_websocket]
