"""Sends deliveries over HTTP, either as fast as a number of senders can or at a fixed rate.

`closed_loop` measures throughput: each sender has one request in flight. `open_loop` measures latency: requests
leave at their scheduled times, whether or not earlier ones were answered, and latency counts from the scheduled
time, so the latency of a stalled server includes the time of all requests that it delayed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from bench.environment import AUTHORIZATION, RunningProcess

from .not_measured import NotMeasured

PATH = "/helius/webhook"
ANSWER_SECONDS = 30.0


class HttpSender:
    """One keep-alive connection to a server, with one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int) -> HttpSender:
        """Open a connection; raise OSError where no server listens."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def post(self, body: bytes, path: str = PATH) -> bytes:
        """Send a body and return the response; raise NotMeasured where its status is not 200."""
        self._writer.write(_head(path, len(body)) + body)
        async with asyncio.timeout(ANSWER_SECONDS):
            answer = await self._reader.readuntil(b"\r\n\r\n")
            content = await self._reader.readexactly(_length(answer))
        if b" 200 " not in answer[:16]:
            raise NotMeasured(f"A request was answered with {answer[9:12].decode()}: {content[:200]!r}")
        return content

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


def _head(path: str, length: int) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {AUTHORIZATION}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _length(answer: bytes) -> int:
    for line in answer.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise NotMeasured(f"An answer has no length: {answer[:200]!r}")


def closed_loop(running: RunningProcess, bodies: Sequence[bytes], *, senders: int, path: str = PATH) -> float:
    """Return the seconds until every body was answered with 200, with `senders` requests in flight at a time."""
    with _name_failures(running):
        return asyncio.run(_closed_loop(running.port, iter(bodies), senders, path))


async def _closed_loop(port: int, bodies: Iterator[bytes], senders: int, path: str) -> float:
    async with _open_connections(port, senders) as connected:

        async def deliver(sender: HttpSender) -> None:
            for body in bodies:
                await sender.post(body, path)

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for sender in connected:
                group.create_task(deliver(sender))
        return time.perf_counter() - began


@dataclass(frozen=True, kw_only=True)
class Latencies:
    """The latencies of responses, in seconds, in the order of their scheduled times."""

    seconds: tuple[float, ...]
    #: Delay of the last request to leave, in seconds; a large one means that the sender was the bottleneck.
    latest_departure_seconds: float


def open_loop(running: RunningProcess, bodies: Sequence[bytes], *, per_second: float, senders: int = 256) -> Latencies:
    """Return the latencies of bodies sent at a steady rate, over at most `senders` connections.

    Connections are used in turn, and uvicorn closes one that is not used for five seconds, so there are no more of them
    than two seconds need.
    """
    senders = min(senders, max(8, math.ceil(per_second * 2)))
    with _name_failures(running):
        return asyncio.run(_open_loop(running.port, bodies, 1 / per_second, senders))


async def _open_loop(port: int, bodies: Sequence[bytes], interval: float, senders: int) -> Latencies:
    async with _open_connections(port, senders) as connected:
        free: asyncio.Queue[HttpSender] = asyncio.Queue()
        for sender in connected:
            free.put_nowait(sender)
        took = [0.0] * len(bodies)
        latest = 0.0

        async def deliver(place: int, due: float) -> None:
            sender = await free.get()
            await sender.post(bodies[place])
            took[place] = time.perf_counter() - due
            free.put_nowait(sender)

        began = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as group:
            for place in range(len(bodies)):
                due = began + place * interval
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                latest = max(latest, time.perf_counter() - due)
                group.create_task(deliver(place, due))
    return Latencies(seconds=tuple(took), latest_departure_seconds=latest)


@contextlib.asynccontextmanager
async def _open_connections(port: int, count: int) -> AsyncIterator[list[HttpSender]]:
    senders = [await HttpSender.connect(port) for _ in range(count)]
    try:
        yield senders
    finally:
        for sender in senders:
            sender.close()


@contextlib.contextmanager
def _name_failures(running: RunningProcess) -> Iterator[None]:
    """Raise NotMeasured with the server's name and the failure, in one sentence."""
    failed: BaseExceptionGroup | None = None
    try:
        yield
    except* (NotMeasured, OSError, asyncio.IncompleteReadError) as group:
        # Raised after the clause: Python 3.11.2 (Debian 12) wraps exceptions raised inside `except*` in another group.
        failed = group
    if failed is not None:
        raise _describe_failure(running, failed) from failed


def _describe_failure(running: RunningProcess, group: BaseExceptionGroup) -> NotMeasured:
    """Return one sentence for the failures; one that names its cause precedes those of the connections."""
    named = group.subgroup(NotMeasured)
    if named is not None:
        return NotMeasured(f"{running.name}: {named.exceptions[0]}")
    running.check()
    return NotMeasured(f"{running.name} did not answer ({group.exceptions[0]!r}): {running.last_line()}")
