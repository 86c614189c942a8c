"""Measures the memory of thousands of idle sockets, and the cost of dozens of clients that never read."""

from __future__ import annotations

import asyncio
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import history, sockets
from bench.environment import BenchEnvironment, RunningProcess
from bench.figure import Effort, Figure, Sample, Target
from bench.not_measured import NotMeasured
from ingest.store import writer as writing
from zmart import testing
from zmart.run.supervisor import process

IDLE = 5_000
STALLED = 50
#: The server closes a stalled client in the end; all reconnect after this many seconds, so that their number stays the
#: same.
RECONNECT_SECONDS = 20.0
EVENTS_A_COMMIT, COMMIT_EVERY_SECONDS = 40, 0.2
ASKING: dict[str, object] = {"action": "subscribe", "topics": ["trades", "markets"]}


class ConnectionsFigure(Figure):
    """Measures the memory of one process with many sockets."""

    name = "connections"
    title = f"memory with {IDLE:,} idle sockets, and with {STALLED} clients that never read"
    unit = "KiB"
    targets = (
        Target(label="memory of an idle socket", bound="at most", value=64.0),
        Target(label="growth with stalled clients", bound="at most", value=16.0),
    )
    method = (
        f"One `python -m api`. {IDLE:,} WebSockets are accepted and subscribe to `status`; the growth of the process "
        f"(proportional set size) divided by their number is the memory of one. Then they close, and {STALLED} "
        f"clients follow all trades and markets without ever reading, while the writer commits {EVENTS_A_COMMIT} "
        "events five times a second for five minutes and one client reads everything. They reconnect every "
        f"{RECONNECT_SECONDS:.0f} s: each is closed when its queue is full. Growth is the memory at the end minus the "
        "memory after a quarter of that time, when queues and buffers have been full once."
    )
    limit_seconds = 700.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure one process, once."""
        idle, seconds = effort.choose(500, IDLE), effort.choose(12, 300)
        with ExitStack() as stack:
            database = stack.enter_context(env.database(log_events=10_000))
            api = stack.enter_context(env.start_api(database))
            socket_bytes = _idle_socket_bytes(api, idle)
            early, late, frames = _measure_stalled(api, database, seconds)
        return [
            Sample(label="memory of an idle socket", unit="KiB", values=(socket_bytes / 2**10,)),
            Sample(label="growth with stalled clients", unit="MiB", values=((late - early) / 2**20,)),
            Sample(label="the process at the end", unit="MiB", values=(late / 2**20,)),
            Sample(label="frames to the client that reads", unit="frames", values=(float(frames),)),
        ]


def _idle_socket_bytes(api: RunningProcess, count: int) -> float:
    """Return the bytes per socket."""
    with sockets.connect_clients(api.port, 50, path="/ws", asking=ASKING):
        # Code and data loaded with the first client do not count for any socket.
        pass
    before = process.memory_bytes(api.pid)
    with sockets.connect_clients(api.port, count, path="/ws", asking={"action": "subscribe", "topics": ["status"]}):
        return (process.memory_bytes(api.pid) - before) / count


def _measure_stalled(api: RunningProcess, database: testing.PostgresDatabase, seconds: float) -> tuple[int, int, int]:
    """Return the process's memory after a quarter of the time and at the end, and a reader's number of messages."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def write() -> None:
        try:
            asyncio.run(_commit(database.dsn("zmart_ingest"), stop))
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write, daemon=True)
    with sockets.connect_clients(api.port, 1, path="/ws", asking={"action": "subscribe", "topics": ["trades"]}) as (
        reader,
    ):
        writer.start()
        began = time.monotonic()
        early = 0
        while (passed := time.monotonic() - began) < seconds:
            with _stalled_clients(api.port, reader):
                until = min(RECONNECT_SECONDS, seconds / 4, seconds - passed)
                _read_for(reader, until)
            if not early and time.monotonic() - began >= seconds / 4:
                early = process.memory_bytes(api.pid)
        late = process.memory_bytes(api.pid)
        stop.set()
        writer.join()
        if failed:
            raise NotMeasured(f"The writer failed: {failed[0]!r}")
        if not reader.messages:
            raise NotMeasured("The client that reads received nothing.")
        return early, late, reader.messages


@contextmanager
def _stalled_clients(port: int, reader: sockets.SocketClient) -> Iterator[None]:
    """Connect clients that never read, while the reading client continues."""
    clients = []
    try:
        for _ in range(STALLED):
            client = sockets.SocketClient.connect(port, "/ws", ASKING)
            client.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            clients.append(client)
            _read_for(reader, 0.0)
        yield
    finally:
        for client in clients:
            client.close()


def _read_for(reader: sockets.SocketClient, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while reader.read() or time.monotonic() < deadline:
        time.sleep(0.005)


async def _commit(dsn: str, stop: threading.Event) -> None:
    stream = (row for row in history.transactions(10**9, seed=6) if row.events[0].name.startswith("Shares"))
    writer = await writing.Writer.connect(dsn)
    try:
        while not stop.is_set():
            await writer.append(list(itertools.islice(stream, EVENTS_A_COMMIT)), source="bench")
            await asyncio.sleep(COMMIT_EVERY_SECONDS)
    finally:
        await writer.close()


FIGURE = ConnectionsFigure()
