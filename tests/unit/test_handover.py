"""A process that takes over waits until it is ready; one that hands over answers what it has accepted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import uvicorn

from zmart import errors
from zmart.http import handover
from zmart.http.connections import ConnectionTable
from zmart.http.handover import LISTENER_VARIABLE, SERVING_VARIABLE, HandoverServer, take_listener
from zmart.http.server import bind_listener

WITHIN_SECONDS = 60.0
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Respond with two bytes."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A listening socket that somebody else holds."""
    with contextlib.closing(bind_listener("127.0.0.1", 0, server="This", help="")) as opened:
        yield opened


@contextlib.asynccontextmanager
async def serving(listener: socket.socket, *, is_ready: asyncio.Event | None = None) -> AsyncIterator[HandoverServer]:
    """A server that got a copy of the socket; it has ended when the block ends."""
    table = ConnectionTable()

    async def check() -> list[str]:
        return [] if is_ready is None or is_ready.is_set() else ["It is not ready."]

    config = uvicorn.Config(answer, http=table.protocol(), log_config=None, timeout_graceful_shutdown=1)
    server = HandoverServer(config, table, find_problems=check)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve([listener.dup()]))
    try:
        if is_ready is None:
            await wait_until_started(server)
        yield server
    finally:
        server.should_exit = True
        await asyncio.wait_for(task, WITHIN_SECONDS)


async def wait_until_started(server: HandoverServer) -> None:
    """Return when the server accepts connections."""
    async with asyncio.timeout(WITHIN_SECONDS):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)


async def connect(listener: socket.socket) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the address of a socket."""
    return await asyncio.open_connection(*listener.getsockname()[:2])


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send a request; return the headers of its response."""
    writer.write(GET)
    async with asyncio.timeout(WITHIN_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"ok"
    return head


# --- what is passed to a process --------------------------------------------------------------


def test_a_process_takes_the_socket_that_it_was_passed(listener: socket.socket) -> None:
    """As the supervisor names it; once, and not for its children."""
    number = os.dup(listener.fileno())
    os.set_inheritable(number, True)
    environ = {LISTENER_VARIABLE: str(number)}
    taken = take_listener(environ)
    assert taken is not None
    with contextlib.closing(taken):
        assert taken.getsockname() == listener.getsockname()
        assert not taken.get_inheritable()
    assert environ == {}
    assert take_listener(environ) is None


def test_a_socket_of_systemd_is_for_the_process_that_it_names(listener: socket.socket) -> None:
    """LISTEN_PID names it; a child that inherited the variables has no socket of its own."""
    assert take_listener({"LISTEN_FDS": "1", "LISTEN_PID": str(os.getppid())}) is None
    with pytest.raises(errors.ConfigurationError, match="systemd passed 2 sockets"):
        take_listener({"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid())})


def test_something_else_than_a_listening_socket_is_refused() -> None:
    """A file, a socket that does not listen, and a text: with the next step."""
    with socket.socket() as silent:
        for passed in (str(os.dup(silent.fileno())), "word", "99999"):
            with pytest.raises(errors.ConfigurationError, match="is not a listening socket") as raised:
                take_listener({LISTENER_VARIABLE: passed})
            assert "zmart up" in str(raised.value)


# --- from one process to the next -------------------------------------------------------------


async def test_a_process_that_takes_over_waits_until_it_is_ready(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it answers nothing, and connections wait for whoever accepts them; then it says that it serves."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    monkeypatch.setenv(SERVING_VARIABLE, str(writing))
    ready = asyncio.Event()
    async with serving(listener, is_ready=ready) as server:
        reader, writer = await connect(listener)
        waiting = asyncio.create_task(request(reader, writer))
        done, _ = await asyncio.wait({waiting}, timeout=3 * handover.READY_EVERY_SECONDS)
        assert (done, server.started) == (set(), False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 1)
        ready.set()
        assert b"200 OK" in await waiting
        await wait_until_started(server)
        assert os.read(reading, 1) == b"1"
        writer.close()
    os.close(reading)


async def test_an_open_connection_gets_one_more_response(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its response says that it ends, so that the client connects to the next process; a while later, too."""
    monkeypatch.setattr(handover, "LINGER_SECONDS", WITHIN_SECONDS)
    async with serving(listener) as server:
        reader, writer = await connect(listener)
        assert b"connection: close" not in await request(reader, writer)
        server.hand_over()
        # uvicorn looks ten times a second whether it should stop, and would close the connection then.
        await asyncio.sleep(0.5)
        assert b"connection: close" in await request(reader, writer)
        async with asyncio.timeout(WITHIN_SECONDS):
            assert await reader.read() == b""
        writer.close()


async def test_it_accepts_no_more_connections_and_stops(listener: socket.socket) -> None:
    """The next process gets them: here, the one that starts afterwards."""
    async with serving(listener) as server:
        server.hand_over()
        reader, writer = await connect(listener)
        asked = asyncio.create_task(request(reader, writer))
        async with asyncio.timeout(WITHIN_SECONDS):
            while not server.should_exit:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.01)
        assert not asked.done()
    async with serving(listener):
        assert b"200 OK" in await asked
        writer.close()
