"""Serves JSON-RPC over HTTP, subscriptions over WebSocket, and health, on two ports.

Clients expect the WebSocket one port above the RPC, as with a validator; both ports serve both.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import structlog
from litestar import Litestar, MediaType, Request, Response, WebSocket, get, post, websocket
from litestar.config.cors import CORSConfig
from litestar.exceptions import PermissionDeniedException, WebSocketDisconnect
from litestar.types import ControllerRouterHandler

from zmart.http import metrics as http_metrics
from zmart.settings import Secret

from .admin import Admin
from .metrics import DevchainMetrics
from .rpc import Rpc
from .service import DevelopmentChain
from .subscriptions import RpcSession, SubscriptionHub

if TYPE_CHECKING:
    from .grpc_server import GeyserServer

log = structlog.get_logger()

#: The largest body of a request, in bytes, as with a node.
MAX_BODY_BYTES: Final = 50 * 1024


class DevchainServer:
    """A chain behind an HTTP server."""

    def __init__(
        self,
        chain: DevelopmentChain,
        *,
        metrics_token: Secret | None = None,
        grpc_address: tuple[str, int] | None = None,
        grpc_token: Secret | None = None,
    ) -> None:
        self.chain = chain
        #: Allows reading metrics from other machines.
        self.metrics_token = metrics_token
        self.rpc = Rpc(chain.ledger)
        self.rpc.admin = Admin(chain, self.rpc)
        self.hub = SubscriptionHub(chain.ledger)
        self.metrics = DevchainMetrics(chain, self.hub, self.rpc.methods)
        self.rpc.count_request = self.metrics.count_request
        chain.listeners.append(self.hub.on_block)
        #: Serves gRPC on `grpc_address`; None without an address.
        self.geyser: GeyserServer | None = None
        self._grpc_address = grpc_address
        if grpc_address is not None:
            # Takes 20 MB, which a chain without gRPC saves.
            from .grpc_server import GeyserServer

            self.geyser = GeyserServer(chain.ledger, token=grpc_token)
            chain.listeners.append(self.geyser.on_block)
        chain.skip_listeners.append(self.hub.on_skipped)
        self._began = time.monotonic()
        self._failure: BaseException | None = None

    @property
    def failure(self) -> BaseException | None:
        """Return the exception that stopped the chain while the server continued, or None."""
        return self._failure

    @contextlib.asynccontextmanager
    async def lifespan(self, _: Litestar) -> AsyncIterator[None]:
        """Run the chain while the server runs."""
        if self.geyser is not None and self._grpc_address is not None:
            await self.geyser.start(*self._grpc_address)
        task = asyncio.create_task(self.chain.run())
        task.add_done_callback(self._on_chain_end)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self.geyser is not None:
                await self.geyser.stop()

    def _on_chain_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self._failure = task.exception()
            log.error("devchain_stopped", exc_info=self._failure)

    def health(self) -> dict[str, Any]:
        """Return the body of /health."""
        return {
            "status": "healthy" if self._failure is None else "unhealthy",
            "service": "devchain",
            "timestamp": datetime.datetime.now(datetime.UTC).isoformat(),
            "uptime": round(time.monotonic() - self._began, 3),
            "environment": "localnet",
        }

    def reasons(self) -> list[str]:
        """Return the reasons why the chain is not ready; empty when it is."""
        if self._failure is not None:
            return [f"The chain stopped: {self._failure!r}."]
        return [] if self.chain.is_ready else ["The chain is still replaying its history."]


def create_app(server: DevchainServer) -> Litestar:
    """Return the application of a server."""

    @post("/", media_type=MediaType.JSON, status_code=200)
    async def call(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Answer a JSON-RPC request."""
        return await respond(server.rpc, await request.body(), is_local=is_local(request))

    @websocket("/")
    async def subscribe(socket: WebSocket[Any, Any, Any]) -> None:
        """Serve the subscriptions of one connection."""
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
        """Return whether the chain is running."""
        return Response(server.health(), status_code=200 if server.failure is None else 503)

    @get("/ready", sync_to_thread=False)
    def ready() -> Response[dict[str, Any]]:
        """Return whether the chain is ready, with reasons where it is not."""
        reasons = server.reasons()
        slot = server.chain.ledger.slot
        body = {"ready": not reasons, "reasons": reasons, "slot": slot}
        return Response(body, status_code=503 if reasons else 200)

    @get("/metrics", sync_to_thread=False)
    def metrics(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Return the metrics for Prometheus, to callers on this machine or with METRICS_TOKEN."""
        address = request.client.host if request.client else None
        if not http_metrics.may_read(address, request.headers, server.metrics_token):
            raise PermissionDeniedException(http_metrics.FORBIDDEN_MESSAGE)
        return Response(server.metrics.render(), media_type=http_metrics.CONTENT_TYPE)

    handlers: list[ControllerRouterHandler] = [call, subscribe, health, ready, metrics]
    return Litestar(
        handlers,
        lifespan=[server.lifespan],
        cors_config=CORSConfig(allow_origins=["*"]),
        openapi_config=None,
        request_max_body_size=MAX_BODY_BYTES,
        logging_config=None,
    )


async def respond(rpc: Rpc, body: bytes, *, is_local: bool) -> Response[bytes]:
    """Return the response to a body, with the delay, status and headers of a simulated fault."""
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
    """Return whether the caller is on this machine, and is not a proxy that forwards another's request."""
    return http_metrics.is_local(request.client.host if request.client else None, request.headers)
