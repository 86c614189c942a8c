"""Measures fan-out of one log to five hundred sockets, beside the `ws` package of Node."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.environment import BenchEnvironment, RunningProcess, install_peers, node_command, wait_until_ready
from ingest.records import TransactionRow
from ingest.store import writer as writing
from zmart import testing
from zmart.run import ports

from . import history, sockets
from .figure import Effort, Figure, Sample, Target, ratio
from .not_measured import NotMeasured

SOCKETS = 500
COMMIT_EVENTS = 50
WITHIN_SECONDS = 120.0


class FanOutFigure(Figure):
    """Measures messages per second to many sockets."""

    name = "fanout"
    title = f"messages to {SOCKETS} WebSocket clients"
    unit = "x"
    targets = (Target(label="times the Node ws server's", bound="at least", value=1.0),)
    method = (
        f"{SOCKETS} sockets follow all trades. Ingest's writer commits them {COMMIT_EVENTS} at a time, as fast as "
        "it can, and the clock runs from the first commit to the last byte at the last socket. Ours is `python -m "
        "api`; the peer is `bench/peers/fanout.mjs`, which listens for the same notifications, reads the same log "
        "with a simpler statement and sends each message from one buffer with Node's `ws`, without positions, "
        "queues or topics. Both run on the same database in turn, and one thread here reads the sockets of either, "
        "so the rate is that of sender, receiver, writer and Postgres on one machine."
    )
    limit_seconds = 400.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure rounds of our server and of the peer in turn."""
        rounds, events = effort.choose(1, 5), effort.choose(200, 1_500)
        stream = (row for row in history.transactions(10**9, seed=4) if row.events[0].name.startswith("Shares"))
        ours: list[float] = []
        theirs: list[float] = []
        with ExitStack() as stack:
            database = stack.enter_context(env.database(log_events=10_000))
            api = stack.enter_context(env.start_api(database))
            peer = stack.enter_context(_peer(env, database))
            asking: dict[str, object] = {"action": "subscribe", "topics": ["trades"]}
            for number in range(-1, rounds):
                mine = _measure_round(database, api.port, "/ws", asking, stream, events)
                other = _measure_round(database, peer.port, "/", None, stream, events)
                # The first round warms up both servers.
                if number >= 0:
                    ours.append(mine)
                    theirs.append(other)
        mine_sample = Sample(label="ours", unit="messages/s", values=tuple(ours))
        their_sample = Sample(label="Node ws", unit="messages/s", values=tuple(theirs))
        return [ratio("times the Node ws server's", mine_sample, their_sample), mine_sample, their_sample]


@contextmanager
def _peer(env: BenchEnvironment, database: testing.PostgresDatabase) -> Iterator[RunningProcess]:
    folder = install_peers()
    port = ports.find_free_port()
    environment = {"PORT": str(port), "DATABASE_URL": database.dsn(), "NODE_ENV": "production"}
    with env.start(
        "the Node ws server", (node_command(), str(folder / "fanout.mjs")), environment=environment, port=port
    ) as running:
        wait_until_ready(running, "/")
        yield running


def _measure_round(
    database: testing.PostgresDatabase,
    port: int,
    path: str,
    asking: dict[str, object] | None,
    stream: Iterator[TransactionRow],
    events: int,
) -> float:
    """Return the messages per second to one server's sockets."""
    with sockets.connect_clients(port, SOCKETS, path=path, asking=asking) as clients:
        rows = list(itertools.islice(stream, events))
        began: list[float] = []
        failed: list[BaseException] = []

        def write() -> None:
            try:
                asyncio.run(_commit(database.dsn("zmart_ingest"), rows, began))
            except BaseException as error:
                failed.append(error)

        writing_thread = threading.Thread(target=write, daemon=True)
        writing_thread.start()
        ended = sockets.read_all(clients, events, WITHIN_SECONDS)
        writing_thread.join()
        if failed:
            raise NotMeasured(f"The writer failed: {failed[0]!r}")
    return SOCKETS * events / (ended - began[0])


async def _commit(dsn: str, rows: list[TransactionRow], began: list[float]) -> None:
    writer = await writing.Writer.connect(dsn)
    try:
        began.append(time.perf_counter())
        for start in range(0, len(rows), COMMIT_EVENTS):
            await writer.append(rows[start : start + COMMIT_EVENTS], source="bench")
    finally:
        await writer.close()


FIGURE = FanOutFigure()
