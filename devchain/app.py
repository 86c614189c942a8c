"""The server: JSON-RPC over HTTP, subscriptions over WebSocket, health; on two ports alike.

Clients find the WebSocket one port above the RPC, as with a validator; both ports answer both.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog
from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.config.cors import CORSConfig
from litestar.exceptions import WebSocketDisconnect
from litestar.types import ControllerRouterHandler

from .admin import Admin
from .rpc import Rpc
from .service import DevelopmentChain
from .subscriptions import RpcSession, SubscriptionHub

log = structlog.get_logger()

#: A request's body may be this long, as with a node.
MAX_BODY_BYTES: Final = 50 * 1024


class DevchainServer:
    """A chain behind HTTP."""

    def __init__(self, chain: DevelopmentChain) -> None:
        self.chain = chain
        self.rpc = Rpc(chain.ledger)
        self.rpc.admin = Admin(chain, self.rpc)
        self.hub = SubscriptionHub(chain.ledger)
        chain.listeners.append(self.hub.on_block)
        self._began = time.monotonic()
        self._failure: BaseException | None = None

    @property
    def failure(self) -> BaseException | None:
        """What stopped the chain while the server went on."""
        return self._failure

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """The chain runs while the server does."""
        task = asyncio.create_task(self.chain.run())
        task.add_done_callback(self._on_chain_end)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _on_chain_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._failure = task.exception()
            log.error("devchain_stopped", exc_info=self._failure)

    def health(self) -> dict[str, Any]:
        """The body of /health."""
        return {
            "status": "healthy" if self._failure is None else "unhealthy",
            "service": "devchain",
            "timestamp": datetime.datetime.now(datetime.UTC).isoformat(),
            "uptime": round(time.monotonic() - self._began, 3),
            "environment": "localnet",
        }

    def reasons(self) -> list[str]:
        """Why it is not ready; empty when it is."""
        if self._failure is not None:
            return [f"The chain stopped: {self._failure!r}."]
        return [] if self.chain.is_ready else ["The chain is still playing its past."]


def create_app(server: DevchainServer) -> Litestar:
    """The application over a server."""

    @post("/", media_type=MediaType.JSON, status_code=200)
    async def call(request: Request[Any, Any, Any]) -> Response[bytes]:
        """JSON-RPC."""
        return await respond(server.rpc, await request.body(), is_local=is_local(request))

    @websocket("/")
    async def subscribe(socket: WebSocket[Any, Any, Any]) -> None:
        """Subscriptions."""
        await socket.accept()
        session = server.hub.open()
        writer = asyncio.create_task(_write(socket, session))
        try:
            while True:
                session.receive(await socket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            server.hub.close(session)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)

    @get("/health", sync_to_thread=False)
    def health() -> Response[dict[str, Any]]:
        """Whether the process is well."""
        return Response(server.health(), status_code=200 if server.failure is None else 503)

    @get("/ready", sync_to_thread=False)
    def ready() -> Response[dict[str, Any]]:
        """Whether it can be used, with reasons where not."""
        reasons = server.reasons()
        slot = server.chain.ledger.slot
        body = {"ready": not reasons, "reasons": reasons, "slot": slot}
        return Response(body, status_code=503 if reasons else 200)

    handlers: list[ControllerRouterHandler] = [call, subscribe, health, ready]
    return Litestar(
        handlers,
        lifespan=[server.lifespan],
        cors_config=CORSConfig(allow_origins=["*"]),
        openapi_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )


async def respond(rpc: Rpc, body: bytes, *, is_local: bool) -> Response[bytes]:
    """The answer to a body, as badly as a fault wants it."""
    reply = rpc.answer(body, is_local=is_local)
    fault = reply.fault
    if fault is None:
        return Response(reply.body, media_type=MediaType.JSON, status_code=200)
    await asyncio.sleep(fault.delay_seconds)
    seconds = fault.retry_after_seconds
    headers = {} if seconds is None else {"Retry-After": str(seconds)}
    return Response(reply.body, media_type=MediaType.JSON, status_code=fault.status, headers=headers)


async def _write(socket: WebSocket[Any, Any, Any], session: RpcSession) -> None:
    while (message := await session.outgoing.get()) is not None:
        await socket.send_text(message.decode())
    await socket.close(code=1008, reason="The session fell behind or was closed.")


def is_local(request: Request[Any, Any, Any]) -> bool:
    """Whether the caller is on this machine."""
    client = request.client
    return client is not None and ipaddress.ip_address(client.host).is_loopback
