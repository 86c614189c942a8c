"""Measures one process with many clients: thousands of idle sockets, and thousands of clients that resume at once."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import selectors
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import history, sockets
from bench.environment import BenchEnvironment, RunningProcess
from bench.figure import Effort, Figure, Sample, Target
from bench.not_measured import NotMeasured
from ingest.records import TransactionRow
from ingest.store import writer as writing
from zmart import testing
from zmart.http.connections import RESERVED_FILES, raise_file_limit
from zmart.run.supervisor import process

IDLE = 20_000
RESUMING = 5_000
LOG_EVENTS = 10_000
#: Trades that each client missed, and trades while they come back.
MISSED, MEANWHILE = 100, 20
#: How long idle sockets stay open before the memory is read: two pings of the server.
IDLE_SECONDS = 31.0
WITHIN_SECONDS = 120.0
#: How long nothing further may arrive at the end.
SILENT_SECONDS = 2.0
#: Within this time the server must know that clients have left: the next ones need their places.
LEFT_WITHIN_SECONDS = 30.0
#: Files of a server that are no sockets of these clients.
OTHER_FILES = 100


class ClientsFigure(Figure):
    """Measures the memory of idle sockets and the time until many clients have resumed."""

    name = "clients"
    title = f"{IDLE:,} idle sockets on one process, and {RESUMING:,} clients that resume at once"
    unit = "MiB"
    targets = (
        Target(label=f"memory with {IDLE:,} idle sockets", bound="at most", value=1024.0),
        Target(label="until all have resumed", bound="at most", value=15.0),
    )
    method = (
        f"One `python -m api`. {IDLE:,} WebSockets subscribe to `status` and stay open for half a minute; its memory "
        "(proportional set size) is read at the end. A process accepts as many streams as half of its limit of open "
        "files: where that is less, so many are opened, `sockets` says how many, and the growth is scaled to "
        f"{IDLE:,}. Then {RESUMING:,} clients from as many addresses connect at once, each with the position before "
        f"the last {MISSED} trades, while {MEANWHILE} further ones are committed. The time ends when each has received "
        "every trade. None may get one twice or too few, or nothing is reported."
    )

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure one process."""
        files = raise_file_limit()
        idle = min(effort.choose(500, IDLE), files // 2 - RESERVED_FILES - OTHER_FILES)
        resuming = min(effort.choose(200, RESUMING), idle)
        rounds = effort.choose(1, 3)
        if idle < effort.choose(500, RESUMING):
            raise NotMeasured(f"The limit of open files is {files:,}, which is too low for so many clients.")
        with ExitStack() as stack:
            database = stack.enter_context(env.database(log_events=LOG_EVENTS))
            api = stack.enter_context(env.start_api(database, STREAMS="30000", STREAMS_PER_ADDRESS="30000"))
            before, after = _measure_idle(api, idle, effort.choose(1, int(IDLE_SECONDS)))
            _wait_until_all_left(api)
            rows = (
                row for row in history.transactions(10**9, after=LOG_EVENTS) if row.events[0].name.startswith("Shares")
            )
            seconds = [_measure_resuming(api, database, rows, resuming) for _ in range(rounds)]
        scaled = before + (after - before) * IDLE / idle
        return [
            Sample(label=f"memory with {IDLE:,} idle sockets", unit="MiB", values=(scaled / 2**20,)),
            Sample(label="until all have resumed", unit="s", values=tuple(seconds)),
            Sample(label="memory of the process, measured", unit="MiB", values=(after / 2**20,)),
            Sample(label="sockets", unit="sockets", values=(float(idle),)),
            Sample(label="memory of a socket", unit="KiB", values=((after - before) / idle / 2**10,)),
            Sample(label="clients that resumed", unit="clients", values=(float(resuming),) * rounds),
        ]


def _measure_idle(api: RunningProcess, count: int, seconds: int) -> tuple[int, int]:
    """Return the bytes of the process without and with idle sockets."""
    asking: dict[str, object] = {"action": "subscribe", "topics": ["status"]}
    with sockets.connect_clients(api.port, 50, path="/ws", asking=asking):
        # Code and data loaded with the first client do not count for any socket.
        pass
    before = process.memory_bytes(api.pid)
    with sockets.connect_clients(api.port, count, path="/ws", asking=asking) as clients:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for client in clients:
                # Pings and heartbeats; a socket that the server has closed is an error.
                client.read()
            time.sleep(min(sockets.LIVE_SECONDS, seconds))
        return before, process.memory_bytes(api.pid)


def _measure_resuming(
    api: RunningProcess, database: testing.PostgresDatabase, rows: Iterator[TransactionRow], count: int
) -> float:
    """Return the seconds from the first connection until each client has every trade."""
    dsn = database.dsn("zmart_ingest")
    with database.connect() as owner:
        found = owner.execute(
            "select i.epoch || ':' || h.seq || ':' || raw.mark_of(h.seq) from raw.identity as i,"
            " lateral (select max(seq) as seq from raw.feed) as h"
        ).fetchone()
    if found is None:
        raise NotMeasured("The log has no position.")
    asyncio.run(_commit(dsn, list(itertools.islice(rows, MISSED)), pause_seconds=0.0))
    meanwhile = list(itertools.islice(rows, MEANWHILE))
    failed: list[BaseException] = []

    def write() -> None:
        try:
            asyncio.run(_commit(dsn, meanwhile, pause_seconds=0.1))
        except BaseException as error:
            failed.append(error)

    with _connecting_clients(api.port, count, f"/ws?topics=trades&since={found[0]}") as (clients, began):
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        ended = _read_all(clients, MISSED + MEANWHILE)
        writer.join()
    _wait_until_all_left(api)
    if failed:
        raise NotMeasured(f"The writer failed: {failed[0]!r}")
    return ended - began


def _wait_until_all_left(api: RunningProcess) -> None:
    """Return when the server counts no stream any more."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + LEFT_WITHIN_SECONDS
    while True:
        with opener.open(f"http://127.0.0.1:{api.port}/ready", timeout=LEFT_WITHIN_SECONDS) as answer:
            streams = json.load(answer)["streams"]
        if streams == 0:
            return
        if time.monotonic() > deadline:
            raise NotMeasured(f"The server still counts {streams} streams whose clients have left.")
        time.sleep(0.1)


@contextmanager
def _connecting_clients(port: int, count: int, path: str) -> Iterator[tuple[list[sockets.SocketClient], float]]:
    """Begin to connect all clients at once, each from an address of its own; return them and when that began."""
    clients: list[sockets.SocketClient] = []
    asking = (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    began = time.perf_counter()
    try:
        with selectors.DefaultSelector() as selector:
            for number in range(count):
                raw = socket.socket()
                clients.append(sockets.SocketClient(raw))
                raw.setblocking(False)
                raw.bind((f"127.1.{number // 250}.{number % 250 + 1}", 0))
                if raw.connect_ex(("127.0.0.1", port)) not in {0, errno.EINPROGRESS}:
                    raise NotMeasured("A client could not connect.")
                selector.register(raw, selectors.EVENT_WRITE)
            missing = count
            while missing:
                for key, _ in selector.select(WITHIN_SECONDS):
                    raw = key.fileobj  # type: ignore[assignment]
                    raw.sendall(asking)
                    selector.unregister(raw)
                    missing -= 1
        yield clients, began
    finally:
        for client in clients:
            client.close()


def _read_all(clients: list[sockets.SocketClient], each: int) -> float:
    """Return when the last client had all messages; raise NotMeasured if one gets too few or too many."""
    ended = sockets.read_all(clients, each, WITHIN_SECONDS)
    silent_until = time.monotonic() + SILENT_SECONDS
    while time.monotonic() < silent_until:
        for client in clients:
            client.read()
        time.sleep(0.1)
    wrong = [client.messages for client in clients if client.messages != each]
    if wrong:
        raise NotMeasured(f"{len(wrong)} clients received another number of messages than {each}, as {wrong[0]}.")
    return ended


async def _commit(dsn: str, rows: list[TransactionRow], *, pause_seconds: float) -> None:
    writer = await writing.Writer.connect(dsn)
    try:
        for row in rows:
            await writer.append([row], source="bench")
            await asyncio.sleep(pause_seconds)
    finally:
        await writer.close()


FIGURE = ClientsFigure()
