"""Sockets that send nothing, no end of their headers, or a body byte by byte, do not delay other clients of the API."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from zmart import testing
from zmart.run import ports

pytestmark = [pytest.mark.drill, pytest.mark.slow]

PROJECT = Path(__file__).parents[3]
#: Longest time for an answer while another address holds what it can.
ANSWERED_WITHIN_SECONDS = 3.0
#: Another address of the loopback network than that of the sockets.
OTHER = "127.0.0.2"


class ApiServer:
    """An API process, which may open few files."""

    def __init__(self, child: subprocess.Popen[bytes], port: int) -> None:
        self.child = child
        self.port = port

    def get(self, path: str = "/api/markets", *, address: str = OTHER) -> httpx.Response:
        """Get a path on a connection of its own."""
        with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=30) as client:
            return client.get(f"http://127.0.0.1:{self.port}{path}")

    def open(self, sockets: contextlib.ExitStack, sent: bytes) -> socket.socket:
        """Open a connection and send something."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        sockets.callback(connection.close)
        connection.sendall(sent)
        return connection

    def require_prompt_answers(self) -> None:
        """Check that both addresses are answered at once, and that the process lives."""
        for address in (OTHER, "127.0.0.1", OTHER):
            began = time.monotonic()
            assert self.get(address=address).status_code == 200
            assert time.monotonic() - began < ANSWERED_WITHIN_SECONDS
        assert self.child.poll() is None


@pytest.fixture
def start(marts_database: testing.PostgresDatabase, tmp_path: Path) -> Iterator[Callable[[int], ApiServer]]:
    """Start a process that may open this many files; it is killed afterwards."""
    with contextlib.ExitStack() as stack:

        def run(files: int) -> ApiServer:
            port = ports.find_free_port()
            environment = {
                "PATH": os.environ["PATH"],
                "DATABASE_URL": marts_database.dsn(),
                "DATABASE_URL_API": marts_database.dsn("zmart_api"),
                "RATE_LIMIT_PER_MINUTE": "0",
                "ZMART_STATE_DIR": str(tmp_path),
                "API_PORT": str(port),
            }
            command = ["/bin/sh", "-c", f'ulimit -n {files}; exec "$0" -m api', sys.executable]
            child = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL)
            stack.callback(child.wait)
            stack.callback(child.kill)
            server = ApiServer(child, port)
            _wait_until_ready(server)
            return server

        yield run


def _wait_until_ready(server: ApiServer) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if server.get("/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("the API did not become ready")


def test_idle_sockets_hold_up_no_request(start: Callable[[int], ApiServer]) -> None:
    """600 connections that send nothing, where a process may open 512 files."""
    server = start(512)
    with contextlib.ExitStack() as sockets:
        for _ in range(600):
            server.open(sockets, b"")
        server.require_prompt_answers()


def test_unfinished_requests_hold_up_no_request(start: Callable[[int], ApiServer]) -> None:
    """300 headers without an end and 300 bodies that do not come, where a process may open 256 files; a body that comes
    byte by byte is answered 408 when it is too slow, not after the deadline for bodies."""
    server = start(256)
    headers = b"GET /api/markets HTTP/1.1\r\nHost: x\r\n"
    body = (
        b"POST /api/transactions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
    )
    with contextlib.ExitStack() as sockets:
        many = [server.open(sockets, sent) for _ in range(300) for sent in (headers, body)]
        server.require_prompt_answers()
        # The oldest made room for the newest.
        assert _read_end(many[0]) == b""
        asyncio.run(_require_slow_body_ends(server, many[-1]))


def _read_end(connection: socket.socket) -> bytes:
    connection.settimeout(30)
    try:
        return connection.recv(1_000)
    except ConnectionError:
        return b""


async def _require_slow_body_ends(server: ApiServer, connection: socket.socket) -> None:
    """Send a byte at a time until the server ends the request; others are answered meanwhile."""
    connection.setblocking(False)
    loop = asyncio.get_running_loop()

    async def drip() -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await loop.sock_sendall(connection, b" ")
                await asyncio.sleep(0.2)

    sending = asyncio.create_task(drip())
    try:
        async with asyncio.timeout(25):
            answer = await loop.sock_recv(connection, 1_000)
    finally:
        sending.cancel()
        await asyncio.wait([sending])
    assert answer.startswith(b"HTTP/1.1 408")
    server.require_prompt_answers()
