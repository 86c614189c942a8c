"""Sends GET requests over keep-alive connections and measures rates and latencies."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Sequence

from .not_measured import NotMeasured

CONNECTIONS = 32
#: Requests per second while latency is measured: well below the capacity, so that no queue is measured.
PER_SECOND = 100
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """One keep-alive connection; it calls back when a response is complete, and parses only what that needs."""

    def __init__(self, on_answer: Callable[[Connection], None]) -> None:
        self._on_answer = on_answer
        #: The received bytes of a response whose length is not known yet; None afterwards.
        self._head: bytes | None = b""
        self._missing = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def send(self, request: bytes) -> None:
        assert self.transport is not None
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._missing -= len(data)
        if self._head is not None:
            self._head += data
            self._missing = self._missing_bytes(self._head)
        if self._missing == 0:
            self._head = b""
            self._on_answer(self)

    def _missing_bytes(self, begun: bytes) -> int:
        """Return the number of missing bytes of a response; 1 or more while the number is not known."""
        head = begun.find(b"\r\n\r\n")
        if head < 0:
            return 1
        if begun[9:12] != b"200":
            raise NotMeasured(f"A request was answered with {begun[:200]!r}")
        found = _LENGTH.search(begun, 0, head)
        if found is None:
            raise NotMeasured("A response has no length.")
        self._head = None
        return head + 4 + int(found[1]) - len(begun)


def request_bytes(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post_bytes(path: str, body: bytes, *, authorization: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def closed_loop_rate(port: int, paths: Sequence[str], seconds: float) -> float:
    loop, answers, is_stopped = asyncio.get_running_loop(), 0, False
    requests = itertools.cycle([request_bytes(path) for path in paths])

    def on_answer(connection: Connection) -> None:
        nonlocal answers
        answers += 1
        if not is_stopped:
            connection.send(next(requests))

    connections = [
        (await loop.create_connection(lambda: Connection(on_answer), "127.0.0.1", port))[1] for _ in range(CONNECTIONS)
    ]
    began = time.perf_counter()
    for connection in connections:
        connection.send(next(requests))
    await asyncio.sleep(seconds)
    is_stopped, rate = True, answers / (time.perf_counter() - began)
    for connection in connections:
        assert connection.transport is not None
        connection.transport.abort()
    if not answers:
        raise NotMeasured("The server sent no response.")
    return rate


async def open_loop_latencies(
    port: int, requests: Sequence[bytes], seconds: float, *, per_second: int = PER_SECOND
) -> list[float]:
    """Return the latencies of requests sent at their scheduled times, counted from the scheduled time."""
    loop, free, took = asyncio.get_running_loop(), asyncio.Queue[Connection](), []
    due: dict[Connection, float] = {}

    def on_answer(connection: Connection) -> None:
        took.append(time.perf_counter() - due.pop(connection))
        free.put_nowait(connection)

    for _ in range(CONNECTIONS):
        _, connection = await loop.create_connection(lambda: Connection(on_answer), "127.0.0.1", port)
        free.put_nowait(connection)
    began = time.perf_counter() + 0.05
    for place in range(round(seconds * per_second)):
        at = began + place / per_second
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        connection = await free.get()
        due[connection] = at
        connection.send(requests[place % len(requests)])
    async with asyncio.timeout(10):
        for _ in range(CONNECTIONS):
            connection = await free.get()
            assert connection.transport is not None
            connection.transport.abort()
    return took


async def sequential_latencies(port: int, paths: Sequence[str]) -> list[float]:
    loop, waiting, took = asyncio.get_running_loop(), asyncio.Event(), []
    _, connection = await loop.create_connection(lambda: Connection(lambda _: waiting.set()), "127.0.0.1", port)
    for path in paths:
        waiting.clear()
        began = time.perf_counter()
        connection.send(request_bytes(path))
        await asyncio.wait_for(waiting.wait(), 10)
        took.append(time.perf_counter() - began)
    assert connection.transport is not None
    connection.transport.abort()
    return took
