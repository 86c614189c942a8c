"""`python -m api` as a process: it serves, it stops with open streams, and another process continues."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_fixtures import Log

from zmart.run import ports

PROJECT = Path(__file__).parents[3]
TIMEOUT_SECONDS = 30.0
STOPS_WITHIN_SECONDS = 5.0


class ApiProcess:
    """One API process and a client of it."""

    def __init__(self, child: asyncio.subprocess.Process, client: httpx.AsyncClient) -> None:
        self.child = child
        self.client = client

    async def ready(self) -> None:
        """Return once it can serve."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if (await self.client.get("/ready")).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    async def stop(self) -> float:
        """Request its stop; return the seconds that it took."""
        began = time.monotonic()
        self.child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await self.child.wait()
        return time.monotonic() - began


@contextlib.asynccontextmanager
async def process(log: Log, tmp_path: Path) -> AsyncIterator[ApiProcess]:
    """A process that serves this log."""
    port = ports.find_free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": log.database.dsn(),
        "DATABASE_URL_API": log.database.dsn("zmart_api"),
        "RATE_LIMIT_PER_MINUTE": "0",
        "ZMART_STATE_DIR": str(tmp_path),
        "API_PORT": str(port),
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", cwd=PROJECT, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_SECONDS) as client:
            running = ApiProcess(child, client)
            await running.ready()
            yield running
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


async def events(response: httpx.Response) -> AsyncIterator[tuple[str | None, str, dict[str, Any]]]:
    """Return the id, name and data of each event that has data."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield fields.get("id"), fields.get("event", "message"), json.loads(fields["data"])
            fields = {}


async def test_a_process_hands_its_streams_over(markets: Log, tmp_path: Path) -> None:
    """SIGTERM ends open streams within five seconds, cleanly; another process continues at the last id."""
    received: list[int] = []
    async with process(markets, tmp_path) as old, process(markets, tmp_path) as new:
        last = await _follow_until_closed(old, markets, received)
        markets.buy(1, 2)
        markets.buy(1, 2)
        await markets.deliver()
        seq = markets.head()[1]
        headers = {"Last-Event-ID": str(last)}
        async with new.client.stream("GET", "/api/stream?topics=trades", headers=headers) as response:
            async for _, _, data in events(response):
                received.append(data["seq"])
                if data["seq"] == seq:
                    break
        assert received == list(range(seq - 4, seq + 1))
        assert await new.stop() < STOPS_WITHIN_SECONDS


async def _follow_until_closed(running: ApiProcess, log: Log, received: list[int]) -> str | None:
    """Receive three trades, then stop the process; return the last id of the stream, which ended properly."""
    last: str | None = None
    stopping: asyncio.Task[float] | None = None
    async with running.client.stream("GET", "/api/stream?topics=trades") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        async for identity, name, data in events(response):
            last = identity or last
            if name == "welcome":
                for _ in range(3):
                    log.buy(1, 2)
                await log.deliver()
            elif name == "message":
                received.append(data["seq"])
                if len(received) == 3:
                    stopping = asyncio.create_task(running.stop())
            else:
                assert (name, data) == ("close", {"reason": "shutdown"})
    assert stopping is not None
    assert await stopping < STOPS_WITHIN_SECONDS
    assert running.child.returncode in {0, -signal.SIGTERM}
    return last


async def test_two_processes_send_the_same_frames(markets: Log, tmp_path: Path) -> None:
    """Clients of two processes on one log are sent the same frames of the log."""

    async def follow(running: ApiProcess, began: asyncio.Event) -> list[Any]:
        frames: list[Any] = []
        async with running.client.stream("GET", "/api/stream?topics=trades") as response:
            async for _, name, data in events(response):
                if name == "welcome":
                    began.set()
                else:
                    frames.append(data)
                if len(frames) == 50:
                    return frames
        return frames

    async with process(markets, tmp_path) as one, process(markets, tmp_path) as other:
        starts = asyncio.Event(), asyncio.Event()
        following = [
            asyncio.create_task(follow(running, began)) for running, began in zip((one, other), starts, strict=True)
        ]
        async with asyncio.timeout(TIMEOUT_SECONDS):
            for began in starts:
                await began.wait()
            for _ in range(50):
                markets.buy(1, 2)
                await markets.deliver()
            first, second = [await task for task in following]
    assert first == second
    assert len({frame["seq"] for frame in first}) == 50


async def test_invalid_configuration_ends_the_process_at_startup(tmp_path: Path) -> None:
    """A wrong value ends the process at once; the message has the variable's name."""
    environment = {"PATH": os.environ["PATH"], "API_PORT": "high", "ZMART_STATE_DIR": str(tmp_path)}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api", cwd=PROJECT, env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await child.communicate()
    assert child.returncode == 2
    assert b"API_PORT" in stderr


@pytest.mark.slow
async def test_a_peer_that_stops_reading_holds_nobody_up(markets: Log, tmp_path: Path) -> None:
    """A stalled client is closed while others receive everything."""
    async with process(markets, tmp_path) as running:
        port = running.client.base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET /api/stream?topics=trades HTTP/1.1\r\nHost: api\r\n\r\n")
        await writer.drain()
        await reader.readline()
        start = markets.head()[1]
        for _ in range(12):
            for _ in range(500):
                markets.buy(1, 2)
            await markets.deliver()
        seq = markets.head()[1]
        received: list[int] = []
        url = f"/api/stream?topics=trades&since={markets.head()[0]}:{start}"
        async with asyncio.timeout(TIMEOUT_SECONDS), running.client.stream("GET", url) as response:
            async for _, _, data in events(response):
                received.append(data["seq"])
                if data["seq"] == seq:
                    break
        assert received == list(range(start + 1, seq + 1))
        assert await running.stop() < STOPS_WITHIN_SECONDS
        writer.close()


#: A server whose application reports that it is up, and never ends.
STUCK = """
import asyncio, contextlib, sys
import uvicorn
from litestar import Litestar
from api import __main__ as process
from zmart import log, settings

@contextlib.asynccontextmanager
async def lifespan(app):
    print("up", flush=True)
    yield
    await asyncio.Event().wait()

process.FORCED_EXIT_SECONDS = 0.2
log.configure(settings.load({}), service="api")
application = Litestar([], lifespan=[lifespan], logging_config=None)
process.ApiServer(application, uvicorn.Config(application, port=int(sys.argv[1]), log_config=None)).run()
"""


#: The same where the log accepts nothing.
MUTE = STUCK.replace(
    "process.ApiServer(",
    """
process.FINAL_EXIT_SECONDS = 0.2
process.logger = types.SimpleNamespace(error=lambda *_, **more: threading.Event().wait())
process.ApiServer(""",
).replace("import asyncio", "import asyncio, threading, types")


async def test_a_blocked_log_does_not_keep_the_process_alive() -> None:
    """The last resort needs no log; it writes the stack of every thread."""
    output = await _stop_blocked(MUTE)
    assert b"Timeout" in output
    assert b"in _force_exit" in output


#: The same where nothing reads the pipe that is stdout and stderr; it is full when the file of the argument is there.
FULL = STUCK.replace(
    "    yield",
    """
    os.set_blocking(1, False)
    for size in (65536, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(1, bytes(size))
    os.set_blocking(1, True)
    pathlib.Path(sys.argv[2]).touch()
    yield""",
).replace("process.ApiServer(", "process.FINAL_EXIT_SECONDS = 0.2\nprocess.ApiServer(")
FULL = FULL.replace("import asyncio", "import asyncio, os, pathlib")


async def test_a_full_pipe_does_not_keep_the_process_alive(tmp_path: Path) -> None:
    """Neither the log nor the stacks can be written; the kernel's timer ends the process."""
    reading, writing = os.pipe()
    filled = tmp_path / "filled"
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        FULL,
        str(ports.find_free_port()),
        str(filled),
        cwd=PROJECT,
        stdout=writing,
        stderr=writing,
    )
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not filled.exists():
                assert child.returncode is None
                await asyncio.sleep(0.05)
            child.send_signal(signal.SIGTERM)
            assert await child.wait() == -signal.SIGALRM
    finally:
        os.close(reading)
        os.close(writing)
        if child.returncode is None:
            child.kill()
            await child.wait()


async def test_blocked_shutdown_exits_with_a_failure() -> None:
    """It ends without SIGKILL: it logs the blocking tasks, and its exit status is a failure."""
    output = await _stop_blocked(STUCK)
    assert b"shutdown_timed_out" in output
    assert b"LifespanOn.main" in output


async def _stop_blocked(program: str) -> bytes:
    """Run a program, send SIGTERM when it is up, and return what it wrote until it failed."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        program,
        str(ports.find_free_port()),
        cwd=PROJECT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            # Without a line the process ended during its start.
            while b"up" not in (line := await child.stdout.readline()):
                assert line
            child.send_signal(signal.SIGTERM)
            output = await child.stdout.read()
            assert await child.wait() == 1
            return output
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
