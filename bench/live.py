"""Measures the latency from a commit to the message at a client of the API's stream, over SSE and over WebSocket."""

from __future__ import annotations

import asyncio
import collections
import itertools
import random
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol, TypeAlias

from bench.environment import BenchEnvironment, RunningProcess
from ingest.records import TransactionRow
from ingest.store import writer as writing

from . import history, sockets
from .figure import Effort, Figure, Sample, Target, quantile
from .not_measured import NotMeasured

LOG_EVENTS = 10_000
CLIENTS = 3
PER_SECOND = 40
FRAME_TIMEOUT_SECONDS = 5.0
#: A frame with messages has the same text over both transports.
_FRAME = re.compile(rb'"seq":(\d+),"position":"[^"]*","messages":\[{')
_SSE = b"GET /api/stream?topics=trades HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_WEBSOCKET = (
    b"GET /ws?topics=trades HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
#: The request of each transport, and the bytes that show that the stream has begun.
TRANSPORTS = {"WebSocket": (_WEBSOCKET, b'"subscribed"'), "SSE": (_SSE, b"event: welcome")}


#: Latencies in seconds, by the moment from which they count and by transport.
Seconds: TypeAlias = dict[tuple[str, str], list[float]]


class LiveFigure(Figure):
    """Measures the latency from commit to message."""

    name = "live"
    title = "commit to message at a WebSocket and at GET /api/stream"
    unit = "ms"
    targets = (
        Target(label="p50, after the commit, WebSocket", bound="at most", value=5.0),
        Target(label="p99, after the commit, WebSocket", bound="at most", value=25.0),
        Target(label="p50, after the commit, SSE", bound="at most", value=5.0),
        Target(label="p99, after the commit, SSE", bound="at most", value=25.0),
        Target(label="p50, after the append began, WebSocket", bound="at most", value=12.0),
    )
    method = (
        f"Ingest's writer commits one event at a time, about {PER_SECOND} a second at uneven moments; {CLIENTS} "
        "clients follow `trades` over each transport at a running `python -m api`, each on a thread of its own "
        "that records when a frame arrives. `after the commit` counts from the moment the writer knows that it has "
        "committed (a frame that was faster counts as 0), `after the append began` from before the writer sent "
        "anything, so it is an upper bound of the real latency. Every frame must arrive at every client, or "
        "nothing is reported."
    )
    limit_seconds = 240.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure one API with rounds of commits."""
        rounds, commits = effort.choose(1, 5), effort.choose(40, 300)
        with ExitStack() as stack:
            database = stack.enter_context(env.database(log_events=LOG_EVENTS))
            running = stack.enter_context(env.start_api(database))
            listeners = [
                stack.enter_context(connect_listener(running, transport))
                for transport in TRANSPORTS
                for _ in range(CLIENTS)
            ]
            latencies = asyncio.run(run_commits(database.dsn("zmart_ingest"), listeners, rounds, commits))
        return [
            Sample(
                label=f"{word}, {since}, {transport}",
                unit="ms",
                values=tuple(quantile(one[since, transport], share) * 1e3 for one in latencies),
            )
            for since in ("after the commit", "after the append began")
            for transport in TRANSPORTS
            for word, share in (("p50", 0.5), ("p99", 0.99))
        ]


class Listener(Protocol):
    """A client that records when entries arrive."""

    #: How it is connected.
    transport: str
    #: Arrival time of each seq.
    arrived: dict[int, float]

    def send_pong(self) -> None:
        """Show that it is there."""
        ...


class StreamListener:
    """One client of the stream."""

    def __init__(self, running: RunningProcess, transport: str) -> None:
        self.transport = transport
        asking, self._welcome = TRANSPORTS[transport]
        self._socket = socket.create_connection(("127.0.0.1", running.port))
        self._socket.sendall(asking)
        #: Arrival time of each seq.
        self.arrived: dict[int, float] = {}
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        if not self._begun.wait(FRAME_TIMEOUT_SECONDS):
            raise NotMeasured(f"The stream did not begin: {running.last_line()}")

    def _read(self) -> None:
        unread = b""
        try:
            while chunk := self._socket.recv(1 << 16):
                now = time.perf_counter()
                unread += chunk
                if self._welcome in unread:
                    self._begun.set()
                end = 0
                for frame in _FRAME.finditer(unread):
                    self.arrived.setdefault(int(frame[1]), now)
                    end = frame.end()
                unread = unread[end:]
        except OSError:
            return

    def send_pong(self) -> None:
        """Send a message that counts as a pong, because this client does not answer pings; SSE needs none."""
        if self.transport == "WebSocket":
            self._socket.sendall(sockets.PONG)

    def close(self) -> None:
        """Close the connection."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(FRAME_TIMEOUT_SECONDS)
        self._socket.close()


@contextmanager
def connect_listener(running: RunningProcess, transport: str) -> Iterator[StreamListener]:
    """Connect one client of the stream for as long as a block lasts."""
    listener = StreamListener(running, transport)
    try:
        yield listener
    finally:
        listener.close()


async def run_commits(dsn: str, listeners: Sequence[Listener], rounds: int, commits: int) -> list[Seconds]:
    """Commit trades, one at a time; return the latencies of each round at all listeners.

    They continue a log of LOG_EVENTS events: trades of the past would be folded again with all that follows them.
    """
    stream = (row for row in history.transactions(10**9, after=LOG_EVENTS) if row.events[0].name.startswith("Shares"))
    draw = random.Random(1)
    writer = await writing.Writer.connect(dsn)
    try:
        await _measure_round(writer, stream, draw, listeners, 20)
        return [await _measure_round(writer, stream, draw, listeners, commits) for _ in range(rounds)]
    finally:
        await writer.close()


async def _measure_round(
    writer: writing.Writer,
    stream: Iterator[TransactionRow],
    draw: random.Random,
    listeners: Sequence[Listener],
    commits: int,
) -> Seconds:
    moments: dict[int, tuple[float, float]] = {}
    for listener in listeners:
        listener.send_pong()
    for row in itertools.islice(stream, commits):
        await asyncio.sleep(draw.uniform(0.5, 1.5) / PER_SECOND)
        began = time.perf_counter()
        appended = await writer.append([row], source="bench")
        ended = time.perf_counter()
        if appended.last_seq is None:
            raise NotMeasured("The writer had stored a new transaction already.")
        moments[appended.last_seq] = began, ended
    await _wait_for_frames(listeners, set(moments))
    found: Seconds = collections.defaultdict(list)
    for listener in listeners:
        for seq, (began, ended) in moments.items():
            at = listener.arrived[seq]
            found["after the commit", listener.transport].append(max(0.0, at - ended))
            found["after the append began", listener.transport].append(at - began)
    return found


async def _wait_for_frames(listeners: Sequence[Listener], seqs: set[int]) -> None:
    deadline = time.monotonic() + FRAME_TIMEOUT_SECONDS
    while missing := sum(len(seqs - listener.arrived.keys()) for listener in listeners):
        if time.monotonic() > deadline:
            raise NotMeasured(f"{missing} of {len(seqs) * len(listeners)} frames did not arrive.")
        await asyncio.sleep(0.05)


FIGURE = LiveFigure()
