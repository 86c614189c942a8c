"""Serves a chain inside a test's own event loop, on ports that the system picks.

A test uses it as follows:

    async with testing.serve(tmp_path) as node:
        client = AsyncClient(node.url)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn

from zmart.domain.ids import Address
from zmart.http.server import bind_listener
from zmart.settings import Secret

from .app import DevchainServer, create_app
from .delivery import Destination
from .ledger import Ledger
from .service import DevelopmentChain, Options, RpcSender

PROGRAM_ID: Final = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")


@dataclass(frozen=True, kw_only=True)
class DevchainNode:
    """A chain that is being served."""

    server: DevchainServer
    url: str
    ws_url: str

    @property
    def chain(self) -> DevelopmentChain:
        """Return the running chain."""
        return self.server.chain

    @property
    def grpc_url(self) -> str:
        """Return the address of its gRPC server; `serve` has to be asked for one."""
        assert self.server.geyser is not None
        return f"http://127.0.0.1:{self.server.geyser.port}"

    @property
    def ledger(self) -> Ledger:
        """Return the ledger of the chain."""
        return self.server.chain.ledger

    async def call(self, method: str, *params: Any) -> Any:
        """Return the whole response of a JSON-RPC call, result or error."""
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            return (await client.post(self.url, json=request)).json()


class _QuietServer(uvicorn.Server):
    """A uvicorn server that does not change the test's signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def serve(
    directory: Path,
    options: Options | None = None,
    *,
    destination: Destination | None = None,
    program_id: Address = PROGRAM_ID,
    serves_grpc: bool = False,
    grpc_token: Secret | None = None,
) -> AsyncIterator[DevchainNode]:
    """Serve a chain over HTTP until the block ends; without actors unless the options enable them."""
    chosen = options or Options(traders=False, pace=20.0)
    chain = DevelopmentChain(directory, destination, chosen, program_id=program_id)
    sockets = [bind_listener("127.0.0.1", 0, server="The test's chain", help="Free a port.") for _ in range(2)]
    ports = [listener.getsockname()[1] for listener in sockets]
    url = f"http://127.0.0.1:{ports[0]}"
    chain.sender = RpcSender(url)
    grpc_address = ("127.0.0.1", 0) if serves_grpc else None
    server = DevchainServer(chain, grpc_address=grpc_address, grpc_token=grpc_token)
    running = _QuietServer(_config(server))
    task = asyncio.create_task(running.serve(sockets=sockets))
    try:
        await _wait_until_ready(chain, server, task)
        yield DevchainNode(server=server, url=url, ws_url=f"ws://127.0.0.1:{ports[1]}")
    finally:
        running.should_exit = True
        await task


def _config(server: DevchainServer) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(server),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
        ws="websockets-sansio",
    )


async def _wait_until_ready(chain: DevelopmentChain, server: DevchainServer, task: asyncio.Task[None]) -> None:
    begun = asyncio.Event()
    chain.listeners.append(lambda block: begun.set() if chain.is_ready else None)
    await asyncio.wait(
        [task, asyncio.create_task(begun.wait())],
        timeout=60,
        return_when=asyncio.FIRST_COMPLETED,
    )
    if server.failure is not None:
        raise server.failure
