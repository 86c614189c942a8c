"""The process: starts, rejects wrong settings, stops, resumes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from zmart.run import ports


class DevchainProcess:
    """`python -m devchain` in a separate folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = ports.find_free_port(following=1)
        self.running: asyncio.subprocess.Process | None = None

    async def start(self, *options: str) -> asyncio.subprocess.Process:
        """Start it; it listens a moment later."""
        environment = {
            **os.environ,
            "ZMART_STATE_DIR": str(self.folder / "state"),
            "DEVCHAIN_PORT": str(self.port),
            "INGEST_PORT": "1",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        }
        self.running = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "devchain",
            *options,
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return self.running

    async def ready(self) -> None:
        """Wait until it is ready."""
        transport = httpx.AsyncHTTPTransport(retries=20)
        async with asyncio.timeout(60), httpx.AsyncClient(transport=transport) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    url = f"http://127.0.0.1:{self.port}/ready"
                    if (await client.get(url)).status_code == 200:
                        return
                await asyncio.sleep(0.1)

    async def call(self, method: str, *params: Any) -> Any:
        """The result of a JSON-RPC call."""
        words = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"http://127.0.0.1:{self.port}", json=words)
        return answer.json()["result"]


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[DevchainProcess]:
    """A process that is stopped after the test."""
    made = DevchainProcess(tmp_path)
    yield made
    if made.running is not None and made.running.returncode is None:
        made.running.kill()
        await made.running.wait()


async def test_it_stops_within_five_seconds_of_a_signal(process: DevchainProcess) -> None:
    """With status 0, including sockets and actors."""
    running = await process.start("--past-hours", "0.02")
    await process.ready()
    begun = time.monotonic()
    running.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        await running.communicate()
    assert running.returncode == 0
    assert time.monotonic() - begun < 5


async def test_a_taken_port_is_one_sentence(process: DevchainProcess) -> None:
    """Status 2, the fault and the next step, and no chain was created."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", process.port))
        holder.listen()
        running = await process.start()
        _, stderr = await running.communicate()
    assert running.returncode == 2
    text = stderr.decode()
    assert text.startswith(f"devchain: The development chain cannot listen on 127.0.0.1:{process.port}")
    assert "DEVCHAIN_PORT" in text
    assert len(text.strip().splitlines()) == 1
    assert not (process.folder / "state" / "devchain").exists()


async def test_a_killed_chain_goes_on(process: DevchainProcess) -> None:
    """The same cluster, no slot earlier than before, the same market accounts."""
    running = await process.start("--past-hours", "0.05", "--pace", "4")
    await process.ready()
    genesis = await process.call("getGenesisHash")
    confirmed = await process.call("getSlot", {"commitment": "confirmed"})
    running.kill()
    await running.communicate()
    await process.start("--past-hours", "0.05", "--pace", "4")
    await process.ready()
    assert await process.call("getGenesisHash") == genesis
    assert await process.call("getSlot", {"commitment": "processed"}) >= confirmed


async def test_the_actors_keys_are_their_owners_alone(process: DevchainProcess) -> None:
    """Sixty-four numbers per file, mode 600, and the admin's key is the chain's admin."""
    await process.start("--past-hours", "0.02", "--no-webhooks")
    await process.ready()
    folder = process.folder / "state" / "devchain" / "keys"
    files = sorted(folder.iterdir())
    assert {"admin.json", "backend.json", "wallet-00.json"} <= {file.name for file in files}
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert len(orjson.loads(file.read_bytes())) == 64


async def test_health_is_served_on_both_ports(process: DevchainProcess) -> None:
    """With the members that every server of the project has."""
    await process.start("--no-traders")
    await process.ready()
    async with httpx.AsyncClient(trust_env=False) as client:
        for port in (process.port, process.port + 1):
            body = (await client.get(f"http://127.0.0.1:{port}/health")).json()
            assert (body["status"], body["service"]) == ("healthy", "devchain")
