"""Measures the latency from a commit to a consumer on the bus, and to a client of an API that reads a standby."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import nats
from nats.aio.msg import Msg
from nats.js import api as jetstream

from bench.environment import BenchEnvironment, RunningProcess, fill
from bench.figure import Effort, Figure, Sample, Target, quantile
from bench.live import Listener, Seconds, connect_listener, run_commits
from bench.not_measured import NotMeasured
from tests.streaming_standby import TUNING, streaming_standby
from zmart import testing
from zmart.db import migrate
from zmart.run import ports
from zmart.run.deploy import rebuild
from zmart.run.postgres import embedded
from zmart.run.supervisor import services

LOG_EVENTS = 10_000
CLIENTS = 3
BEGIN_SECONDS = 60.0
BUS, STANDBY = "the bus", "WebSocket"
#: The labels of what each listener measures.
LABELS = {BUS: "commit to a consumer on the bus", STANDBY: "commit to a socket on a standby"}


class RelayFigure(Figure):
    """Measures the latency over the two ways from one host to another."""

    name = "relay"
    title = "commit to a consumer on the bus, and to a client of a standby"
    unit = "ms"
    targets = tuple(Target(label=f"p50, {label}", bound="at most", value=20.0) for label in LABELS.values())
    method = (
        "A Postgres and a standby that streams from it (asynchronously, both with fsync on), a NATS server with "
        "JetStream, `zmart relay` at the primary, and `python -m api` with DATABASE_URL_READ at the standby, all on "
        "this machine. Ingest's writer commits one event at a time, about forty a second at uneven moments; "
        f"{CLIENTS} consumers of the stream on the bus and as many WebSocket clients of the API record when each "
        "entry arrives. It counts from the moment the writer knows that it has committed. Every entry must arrive at "
        "each of them, or nothing is reported."
    )
    limit_seconds = 400.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure rounds of commits."""
        rounds, commits = effort.choose(1, 5), effort.choose(40, 300)
        with ExitStack() as stack:
            folder = stack.enter_context(testing.state_dir())
            primary = stack.enter_context(embedded.EmbeddedPostgres(folder, tuning=TUNING))
            migrate.migrate(primary.dsn())
            rebuild.deploy(primary.dsn())
            asyncio.run(fill(primary.dsn("zmart_ingest"), LOG_EVENTS))
            standby = stack.enter_context(streaming_standby(primary, durable=True))
            bus = stack.enter_context(_start_bus(env))
            stack.enter_context(_start_relay(env, primary, bus))
            served = stack.enter_context(_start_api(env, primary, standby))
            listeners: list[Listener] = [stack.enter_context(_consume(bus)) for _ in range(CLIENTS)]
            listeners += [stack.enter_context(connect_listener(served, STANDBY)) for _ in range(CLIENTS)]
            found = asyncio.run(run_commits(primary.dsn("zmart_ingest"), listeners, rounds, commits))
        return [
            Sample(label=f"{word}, {label}", unit="ms", values=_quantiles(found, listener, share))
            for listener, label in LABELS.items()
            for word, share in (("p50", 0.5), ("p99", 0.99))
        ]


def _quantiles(found: list[Seconds], listener: str, share: float) -> tuple[float, ...]:
    return tuple(quantile(one["after the commit", listener], share) * 1e3 for one in found)


class _Consumer:
    """One consumer of the stream on the bus, on a thread of its own."""

    transport = BUS

    def __init__(self, url: str) -> None:
        self._url = url
        self.arrived: dict[int, float] = {}
        self._begun, self._over = threading.Event(), threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._begun.wait(BEGIN_SECONDS) or self._failure is not None:
            raise NotMeasured(f"The consumer on the bus did not begin: {self._failure!r}")

    def send_pong(self) -> None:
        """Do nothing: the client's library answers."""

    def close(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join(BEGIN_SECONDS)

    def _run(self) -> None:
        try:
            asyncio.run(self._consume())
        except BaseException as error:
            self._failure = error
            self._begun.set()

    async def _consume(self) -> None:
        client = await nats.connect(self._url)
        try:
            config = jetstream.ConsumerConfig(deliver_policy=jetstream.DeliverPolicy.NEW)
            await client.jetstream().subscribe("zmart.>", cb=self._receive, ordered_consumer=True, config=config)
            self._begun.set()
            await asyncio.to_thread(self._over.wait)
        finally:
            await client.close()

    async def _receive(self, message: Msg) -> None:
        now = time.perf_counter()
        # The id is the entry's position, epoch:seq:mark.
        seq = int((message.headers or {})["Nats-Msg-Id"].split(":")[1])
        self.arrived.setdefault(seq, now)


@contextmanager
def _consume(bus: RunningProcess) -> Iterator[_Consumer]:
    consumer = _Consumer(f"nats://127.0.0.1:{bus.port}")
    try:
        yield consumer
    finally:
        consumer.close()


@contextmanager
def _start_bus(env: BenchEnvironment) -> Iterator[RunningProcess]:
    port = ports.find_free_port()
    folder = env.folder / "nats"
    command = (services.nats_program(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder))
    with env.start("nats-server", command, environment={}, port=port) as running:
        deadline = time.monotonic() + BEGIN_SECONDS
        while "Server is ready" not in running.log.read_text(errors="replace"):
            running.check()
            if time.monotonic() > deadline:
                raise NotMeasured(f"nats-server was not ready: {running.last_line()}")
            time.sleep(0.05)
        yield running


@contextmanager
def _start_relay(env: BenchEnvironment, primary: embedded.EmbeddedPostgres, bus: RunningProcess) -> Iterator[None]:
    port = ports.find_free_port()
    environment = {
        "DATABASE_URL": primary.dsn(),
        "DATABASE_URL_API": primary.dsn("zmart_api"),
        "NATS_URL": f"nats://127.0.0.1:{bus.port}",
        "RELAY_PORT": str(port),
        "LOG_LEVEL": "warn",
    }
    # Without the history: the consumers begin at the end anyway.
    with env.start_python("relay", "--from-now", environment=environment, port=port):
        yield


@contextmanager
def _start_api(
    env: BenchEnvironment, primary: embedded.EmbeddedPostgres, standby: embedded.EmbeddedPostgres
) -> Iterator[RunningProcess]:
    port = ports.find_free_port()
    environment = {
        "DATABASE_URL": primary.dsn(),
        "DATABASE_URL_API": primary.dsn("zmart_api"),
        "DATABASE_URL_READ": standby.dsn("zmart_api"),
        "RATE_LIMIT_PER_MINUTE": "0",
        "JWT_SECRET": secrets.token_hex(32),
        "API_PORT": str(port),
        "LOG_LEVEL": "warn",
    }
    with env.start_python("api", environment=environment, port=port) as running:
        yield running


FIGURE = RelayFigure()
