"""Servers and clients for the tests of push: the real server in this event loop, and clients of both transports."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import websockets
from api_fixtures import Log, start_server
from websockets.asyncio.client import ClientConnection

from api.__main__ import ApiServer, server
from api.app import ServiceName
from api.dependencies import AppServices

TIMEOUT_SECONDS = 20.0
JWT_SECRET = "0123456789abcdef0123456789abcdef-a-secret-of-the-tests"


class Served:
    """A running server."""

    def __init__(self, running: ApiServer, port: int) -> None:
        self._running = running
        self.port = port

    @property
    def services(self) -> AppServices:
        """Return the singletons of its process."""
        found: AppServices = self._running.application.state.services
        return found

    @property
    def http(self) -> str:
        """Return its address for requests."""
        return f"http://127.0.0.1:{self.port}"

    def raw(self, path: str = "/ws", **more: Any) -> websockets.connect:
        """Open a connection with the library."""
        return websockets.connect(f"ws://127.0.0.1:{self.port}{path}", compression=None, proxy=None, **more)

    @contextlib.asynccontextmanager
    async def connected(self, path: str = "/ws", **more: Any) -> AsyncIterator[Socket]:
        """Open a connection and wait for the welcome."""
        async with self.raw(path, **more) as raw:
            socket = Socket(raw)
            socket.welcome = await socket.next()
            assert socket.welcome["type"] == "welcome"
            yield socket

    def stop(self) -> None:
        """Stop as SIGTERM does."""
        self.services.hub.close()
        self._running.should_exit = True


class Socket:
    """A WebSocket client."""

    def __init__(self, raw: ClientConnection) -> None:
        self.raw = raw
        self.welcome: dict[str, Any] = {}

    async def send(self, **message: Any) -> None:
        """Send one action."""
        await self.raw.send(json.dumps(message))

    async def next(self) -> dict[str, Any]:
        """Return the next message or frame."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            found: dict[str, Any] = json.loads(await self.raw.recv())
        return found

    async def ask(self, **message: Any) -> dict[str, Any]:
        """Send one action; return the reply."""
        await self.send(**message)
        return await self.next()

    async def until(self, done: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
        """Return the messages up to the first for which `done` is true."""
        found = [await self.next()]
        while not done(found[-1]):
            found.append(await self.next())
        return found

    async def until_seq(self, seq: int) -> list[dict[str, Any]]:
        """Return the frames up to that of an entry."""
        return await self.until(lambda frame: frame.get("seq", 0) >= seq)

    async def closed(self) -> tuple[int, str]:
        """Return the close code and reason, after any other messages."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await self.raw.recv()
        assert self.raw.close_code is not None
        return self.raw.close_code, self.raw.close_reason or ""


@contextlib.asynccontextmanager
async def served(log: Log, *, service_name: ServiceName = "api", **more: str) -> AsyncIterator[Served]:
    """A server over this log, listening on a free port."""
    running = server(log.settings(**{"JWT_SECRET": JWT_SECRET, **more}), service_name)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        task = await start_server(running)
    try:
        yield Served(running, running.servers[0].sockets[0].getsockname()[1])
    finally:
        running.should_exit = True
        await task


def of_type(frames: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    """Return the messages of one type in frames, with the seq of their frame."""
    return [
        {**message, "seq": frame["seq"]}
        for frame in frames
        for message in frame.get("messages", ())
        if message["type"] == kind
    ]
