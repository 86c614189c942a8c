"""What connections may hold of a server, with real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvicorn

from zmart.http.connections import (
    MOST_CONNECTIONS,
    RESERVED_FILES,
    ConnectionLimits,
    ConnectionTable,
    connections_for,
)
from zmart.http.server import bind_listener

LIMITS = ConnectionLimits(
    header_seconds=0.4,
    header_bytes=8_192,
    body_seconds=1.5,
    rate_seconds=0.5,
    least_bytes_per_second=100,
    write_seconds=0.5,
)
WITHIN_SECONDS = 10.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
Application = Callable[[Any, Any, Any], Awaitable[None]]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Read the body; respond with its size, or with as many bytes as the path says."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    content = b"." * int(scope["path"].strip("/") or 0) or str(size).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class Peer:
    """A client that sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Return the status and the body of a response."""
        async with asyncio.timeout(WITHIN_SECONDS):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            return int(head.split()[1]), await self._reader.readexactly(int(length.partition(b":")[2]))

    async def rest(self) -> bytes:
        """Return what comes until the server disconnects."""
        async with asyncio.timeout(WITHIN_SECONDS):
            with contextlib.suppress(ConnectionError):
                return await self._reader.read()
        return b""


Connect = Callable[..., Awaitable[Peer]]


@contextlib.asynccontextmanager
async def serving(most: int = 100, application: Application = echo) -> AsyncIterator[tuple[Connect, ConnectionTable]]:
    """A server; clients connect from any address of the loopback network."""
    table = ConnectionTable(most, LIMITS)
    listener = bind_listener("127.0.0.1", 0, server="This", help="")
    server = uvicorn.Server(
        uvicorn.Config(application, http=table.protocol(), log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve([listener]))
    async with contextlib.AsyncExitStack() as stack:

        async def connect(address: str = "127.0.0.1") -> Peer:
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2], local_addr=(address, 0))
            stack.callback(writer.close)
            return Peer(reader, writer)

        try:
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
            yield connect, table
        finally:
            server.should_exit = True
            await task


async def test_whole_requests_are_served() -> None:
    """Several on one connection, with and without a body, also after a pause shorter than the deadline."""
    async with serving() as (connect, table):
        peer = await connect()
        for _ in range(3):
            await peer.send(GET)
            assert await peer.answer() == (200, b"0")
            await peer.send(POST + b"x" * 100_000)
            assert await peer.answer() == (200, b"100000")
        assert table.count == 1


@pytest.mark.parametrize("begun", [b"", b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n"])
@pytest.mark.parametrize("served", [0, 1])
async def test_headers_have_a_deadline(begun: bytes, served: int) -> None:
    """For the first request of a connection and for later ones; also while bytes trickle in."""
    async with serving() as (connect, table):
        peer = await connect()
        for _ in range(served):
            await peer.send(GET)
            await peer.answer()

        async def trickle() -> None:
            for byte in begun or b"":
                await peer.send(bytes([byte]))
                await asyncio.sleep(0.02)
            while begun:
                await peer.send(b"a" if len(begun) > 2 else b"\r\n")
                await asyncio.sleep(0.05)

        sending = asyncio.create_task(trickle())
        answer = await peer.rest()
        # The kernel drops the response where the peer's next bytes meet a closed connection.
        assert answer[:12] in ({b"", b"HTTP/1.1 408"} if begun else {b""})
        assert table.count == 0
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await sending


async def test_headers_have_a_size() -> None:
    """431, before they end."""
    async with serving() as (connect, table):
        peer = await connect()
        await peer.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 2 * LIMITS.header_bytes)
        assert (await peer.rest()).startswith(b"HTTP/1.1 431")
        assert table.count == 0


@pytest.mark.parametrize("bytes_at_once", [0, 5, 10_000])
async def test_bodies_have_a_rate_and_a_deadline(bytes_at_once: int) -> None:
    """One that stalls, one below the rate, and one that keeps the rate until the deadline."""
    async with serving() as (connect, table):
        peer = await connect()
        await peer.send(POST.replace(b"100000", b"100000000"))

        async def trickle() -> None:
            while bytes_at_once:
                await peer.send(b"x" * bytes_at_once)
                await asyncio.sleep(0.1)

        loop = asyncio.get_running_loop()
        began, sending = loop.time(), asyncio.create_task(trickle())
        answer = await peer.rest()
        assert answer[:12] in ({b"", b"HTTP/1.1 408"} if bytes_at_once else {b"HTTP/1.1 408"})
        assert (loop.time() - began > LIMITS.body_seconds) == (bytes_at_once > 100)
        assert table.count == 0
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await sending


async def test_a_sender_is_not_blamed_for_an_application_that_does_not_read() -> None:
    """A body that waits for the application is not slow."""
    may_read = asyncio.Event()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await may_read.wait()
        await echo(scope, receive, send)

    async with serving(application=late) as (connect, _):
        peer = await connect()
        sending = asyncio.create_task(peer.send(POST.replace(b"100000", b"10000000") + b"x" * 10_000_000))
        await asyncio.sleep(2 * LIMITS.rate_seconds)
        may_read.set()
        assert await peer.answer() == (200, b"10000000")
        await sending


async def test_a_peer_that_reads_nothing_is_disconnected() -> None:
    """The rest of its response is dropped."""
    async with serving() as (connect, table):
        peer = await connect()
        sock: socket.socket = peer.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await peer.send(GET.replace(b"/ ", b"/50000000 "))
        async with asyncio.timeout(WITHIN_SECONDS):
            while table.count:  # noqa: ASYNC110 - the table has no event for it
                await asyncio.sleep(0.05)


async def test_an_address_with_many_makes_room_for_others() -> None:
    """When one address holds all connections, new ones replace its own, the longest waiting first."""
    async with serving(10) as (connect, table):
        many = [await connect() for _ in range(10)]
        await many[0].send(GET)
        await many[0].answer()
        for number in range(3):
            other = await connect(f"127.0.0.{number + 2}")
            await other.send(GET)
            assert await other.answer() == (200, b"0")
        assert table.count == 10
        # The first had a response since; it waits for less long than the next three.
        assert [await peer.rest() for peer in many[1:4]] == [b""] * 3
        await many[0].send(GET)
        assert await many[0].answer() == (200, b"0")
        again = await connect()
        await again.send(GET)
        assert await again.answer() == (200, b"0")


async def test_requests_in_progress_are_not_interrupted() -> None:
    """With all connections at work a new one is refused; one that holds fewer keeps its place."""
    may_answer = asyncio.Event()

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await may_answer.wait()
        await echo(scope, receive, send)

    async with serving(4, late) as (connect, _):
        busy = [await connect() for _ in range(3)]
        for peer in busy:
            await peer.send(GET)
        idle = await connect("127.0.0.2")
        await asyncio.sleep(0.05)
        refused = await connect()
        assert (await refused.rest()).startswith(b"HTTP/1.1 503")
        may_answer.set()
        for peer in busy:
            assert await peer.answer() == (200, b"0")
        await idle.send(GET)
        assert await idle.answer() == (200, b"0")


def test_connections_leave_files_for_the_rest() -> None:
    """Postgres, logs and node calls need files, too."""
    assert connections_for(256) == 256 - RESERVED_FILES
    assert connections_for(1 << 20) == MOST_CONNECTIONS
    assert connections_for(64) > 0
