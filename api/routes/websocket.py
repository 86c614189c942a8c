"""The WebSocket: at /ws on the API's port, and at / as well, where older clients look on WS_PORT."""

from __future__ import annotations

from typing import Any

from litestar import WebSocket, websocket
from litestar.datastructures import State

from zmart.settings import Settings

from ..dependencies import FromServices
from ..live import client_messages, wire
from ..live.authentication import StreamAuthenticator
from ..live.websocket_session import WebSocketSession
from ..middleware import client_address

Socket = WebSocket[Any, Any, State]


@websocket(["/ws", "/"])
async def serve_websocket(socket: Socket, services: FromServices) -> None:
    """Hear what happens, and ask for more or less of it; docs/push.md has both dialects.

    `?topics=`, `?since=`, `?token=` and `?ticket=` say at once what messages could say later.
    """
    transport = wire.from_scope(socket.scope)
    if not _is_origin_allowed(socket, services.settings):
        await _refuse(socket)
        return
    await socket.accept()
    address = client_address.address(socket.scope, services.settings.api.trusted_proxies)
    session = WebSocketSession(
        hub=services.hub,
        authenticator=StreamAuthenticator(services.auth.tokens, services.auth.tickets),
        transport=transport,
        address=address,
    )
    await session.run(socket.receive, _query_parameters(socket))


def _query_parameters(socket: Socket) -> dict[str, str]:
    """What the address asks for."""
    return {name: value for name, value in socket.query_params.items() if name in client_messages.QUERY_PARAMETERS}


def _is_origin_allowed(socket: Socket, settings: Settings) -> bool:
    """Whether the page that connects is one of ours or of CORS_ORIGINS; what is no browser says no origin."""
    origin = socket.headers.get("origin")
    allowed = settings.api.cors_origins
    if origin is None or "*" in allowed or origin in allowed:
        return True
    # urlsplit raises on some of what a client can write there, such as http://[::1
    return origin.partition("://")[2] == socket.headers.get("host")


async def _refuse(socket: Socket) -> None:
    await socket.send(
        {
            "type": "websocket.http.response.start",
            "status": 403,
            "headers": [(b"content-type", b"text/plain; charset=utf-8")],
        }
    )
    body = b"Pages of this origin may not connect. Name it in CORS_ORIGINS.\n"
    await socket.send({"type": "websocket.http.response.body", "body": body, "more_body": False})


HANDLERS = [serve_websocket]
