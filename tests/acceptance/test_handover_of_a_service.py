"""The supervisor replaces a process that listens: no request fails, and a process that cannot serve replaces none."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from zmart import errors
from zmart.http import handover
from zmart.http.server import bind_listener
from zmart.run import ports
from zmart.run.supervisor import child, probes, process, state_file
from zmart.run.supervisor.service import Port, Service
from zmart.run.supervisor.supervisor import Supervisor

pytestmark = [pytest.mark.acceptance, pytest.mark.skipif(sys.platform != "linux", reason="passes sockets on")]

WITHIN_SECONDS = 60.0
#: Answers with its pid; it is ready as its file says.
SERVER = """
import asyncio, os, pathlib, sys
import uvicorn
from zmart.http.connections import ConnectionTable
from zmart.http.handover import take_listener
from zmart.http.server import ReplaceableServer

mode = pathlib.Path(sys.argv[1])
if mode.read_text() == "broken":
    print("CRITICAL it is broken", flush=True)
    sys.exit(3)

async def answer(scope, receive, send):
    body = str(os.getpid()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

async def find_problems():
    return [] if mode.read_text() == "good" else ["It is not."]

table = ConnectionTable()
config = uvicorn.Config(answer, http=table.protocol(), log_config=None, lifespan="off", timeout_graceful_shutdown=3)
ReplaceableServer(config, table, find_problems=find_problems).run(sockets=[take_listener()])
"""

#: Starts the server as systemd would.
AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[2:]])
"""


class Running:
    """A supervisor with one service, in this process."""

    def __init__(self, folder: Path) -> None:
        self.mode = folder / "mode"
        self.mode.write_text("good")
        self.folder = folder
        self.port = ports.find_free_port()
        place = Port(variable="ITS_PORT", host="127.0.0.1", number=self.port)
        service = Service(
            name="web",
            launch=lambda: process.Launch(
                command=(sys.executable, "-c", SERVER, str(self.mode)),
                environment={"PATH": os.environ["PATH"]},
                cwd=str(Path.cwd()),
            ),
            probe=probes.http_probe("127.0.0.1", self.port, "/"),
            ports=(place,),
            listens=place,
            ready_within_seconds=WITHIN_SECONDS,
        )
        self.supervisor = Supervisor([service], state_dir=folder, report=lambda *_: None)

    async def use(self, act: Callable[[], Awaitable[None]]) -> None:
        """Run the supervisor, and `act` while it is ready."""
        ready = asyncio.Event()
        running = asyncio.create_task(self.supervisor.run(ready.set))
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                await ready.wait()
            await act()
        finally:
            self.supervisor.stop()
            await running

    async def restart(self) -> state_file.ServiceStatus:
        """Do what `zmart restart web` does."""
        return await asyncio.to_thread(state_file.restart, self.folder, "web", within_seconds=WITHIN_SECONDS)

    async def pid(self) -> int:
        """Return the process that answers a new connection."""
        async with httpx.AsyncClient() as client:
            return int((await client.get(f"http://127.0.0.1:{self.port}/", timeout=WITHIN_SECONDS)).text)


async def test_no_request_fails_while_a_service_is_restarted(tmp_path: Path) -> None:
    """On connections that are kept open, and on new ones; all are answered by the next process in the end."""
    running = Running(tmp_path)

    async def act() -> None:
        first = await running.pid()
        is_over, pids = asyncio.Event(), []

        async def ask(*, keep: bool) -> None:
            limits = httpx.Limits(max_keepalive_connections=1 if keep else 0)
            async with httpx.AsyncClient(limits=limits, timeout=WITHIN_SECONDS) as client:
                while not is_over.is_set():
                    pids.append(int((await client.get(f"http://127.0.0.1:{running.port}/")).raise_for_status().text))
                    await asyncio.sleep(0.005)

        asking = [asyncio.create_task(ask(keep=keep)) for keep in (True, True, False)]
        restarted = await running.restart()
        async with asyncio.timeout(WITHIN_SECONDS):
            while pids[-1] != restarted.pid:  # noqa: ASYNC110 - requests have no event
                await asyncio.sleep(0.05)
        is_over.set()
        await asyncio.gather(*asking)
        assert set(pids) == {first, restarted.pid}
        assert (restarted.state, restarted.restarts, restarted.failures) == ("ready", 1, 0)

    await running.use(act)


@pytest.mark.parametrize(("mode", "reason"), [("broken", "it is broken"), ("slow", "not ready within 3 s")])
async def test_a_process_that_cannot_serve_replaces_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, reason: str
) -> None:
    """The one that runs goes on, and the command says why."""
    running = Running(tmp_path)

    async def act() -> None:
        first = await running.pid()
        running.mode.write_text(mode)
        with monkeypatch.context() as patch:
            if mode == "slow":
                patch.setattr(child, "SLOWEST_HANDOVERS", 3 / WITHIN_SECONDS)
            with pytest.raises(errors.ConfigurationError, match=f"web continues unchanged: .*{reason}"):
                await running.restart()
        assert await running.pid() == first
        running.mode.write_text("good")
        assert (await running.restart()).pid == await running.pid() != first

    await running.use(act)


async def test_connections_wait_while_a_crashed_service_starts_again(tmp_path: Path) -> None:
    """The supervisor keeps the socket."""
    running = Running(tmp_path)

    async def act() -> None:
        first = await running.pid()
        os.kill(first, signal.SIGKILL)
        assert await running.pid() != first

    await running.use(act)


def test_a_process_serves_on_a_socket_of_systemd(tmp_path: Path) -> None:
    """As open file 3, with its own pid in LISTEN_PID; while no process runs, connections wait."""
    (tmp_path / "mode").write_text("good")
    with bind_listener("127.0.0.1", 0, server="systemd", help="") as listener:
        url = "http://{}:{}/".format(*listener.getsockname())
        command = [sys.executable, "-c", AS_SYSTEMD, str(listener.fileno()), SERVER, str(tmp_path / "mode")]
        with ThreadPoolExecutor() as threads:
            for number in (handover.HANDOVER_SIGNAL, signal.SIGTERM):
                waiting = threads.submit(httpx.get, url, timeout=WITHIN_SECONDS)
                with subprocess.Popen(command, pass_fds=[listener.fileno()]) as running:
                    assert int(waiting.result().text) == running.pid
                    running.send_signal(number)
                    assert running.wait(WITHIN_SECONDS) == 0


async def test_a_stop_ends_a_process_that_is_taking_over(tmp_path: Path) -> None:
    """Neither it nor the one before it remains, and the address is free."""
    running = Running(tmp_path)

    async def act() -> None:
        running.mode.write_text("slow")
        asyncio.get_running_loop().call_soon(state_file.request_restart, running.folder, "web")
        async with asyncio.timeout(WITHIN_SECONDS):
            while len(children(tmp_path)) < 2:  # noqa: ASYNC110 - processes have no event
                await asyncio.sleep(0.02)

    await running.use(act)
    assert children(tmp_path) == []
    assert ports.is_free(running.port)


def children(folder: Path) -> list[int]:
    """Return the processes of the service."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder / "mode").encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
