"""A node with scripted responses, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ScriptedReply:
    """One response, byte for byte."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Close the connection instead.
    hangs_up: bool = False
    #: Never answer.
    is_silent: bool = False


def result(value: Any) -> ScriptedReply:
    """A success."""
    return ScriptedReply(body=json.dumps({"jsonrpc": "2.0", "id": 1, "result": value}).encode())


def value(inner: Any, *, slot: int = 7) -> ScriptedReply:
    """A success in a context."""
    return result({"context": {"apiVersion": "3.0.0", "slot": slot}, "value": inner})


def error(code: int, message: str, data: Any = None, *, status: int = 200) -> ScriptedReply:
    """A JSON-RPC error; `data` only if given."""
    words: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        words["data"] = data
    return ScriptedReply(body=json.dumps({"jsonrpc": "2.0", "id": 1, "error": words}).encode(), status=status)


HANG_UP = ScriptedReply(body=b"", hangs_up=True)
SILENCE = ScriptedReply(body=b"", is_silent=True)


class ScriptedNode:
    """Responses by method, each used once except the last; all requests are stored."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self._replies: dict[str, deque[ScriptedReply]] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self.url = ""

    def will(self, method: str, *replies: ScriptedReply) -> None:
        """Set the responses of `method`."""
        self._replies[method] = deque(replies)

    def asked(self, method: str | None = None) -> list[Any]:
        """Return the parameters of the requests for a method, or all requested methods."""
        if method is None:
            return [request["method"] for request in self.requests]
        return [request["params"] for request in self.requests if request["method"] == method]

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedNode]:
        """Listen on a free port of loopback."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/secret-path/?api-key=secret-key"
        try:
            yield self
        finally:
            server.close()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while await self._answer(reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split("\r\n")[0])
        request = json.loads(await reader.readexactly(length))
        self.requests.append(request)
        replies = self._replies[request["method"]]
        reply = replies.popleft() if len(replies) > 1 else replies[0]
        if reply.is_silent:
            await asyncio.Event().wait()
        if reply.hangs_up:
            return False
        headers = {"content-length": str(len(reply.body)), "content-type": "application/json", **reply.headers}
        lines = [f"HTTP/1.1 {reply.status} Said", *[f"{name}: {text}" for name, text in headers.items()]]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + reply.body)
        await writer.drain()
        return True
