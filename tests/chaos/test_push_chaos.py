"""All parts under the streams are killed repeatedly, and every client ends with exactly the log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import event_histories
import httpx
import psycopg
import pytest
import websockets

from api.__main__ import describe_wait
from ingest.store.writer import Writer
from ingest.testing import address
from zmart import errors, tasks, testing
from zmart.db import migrate
from zmart.run import ports
from zmart.run.deploy import rebuild
from zmart.run.postgres.embedded import SUPERUSER, EmbeddedPostgres

# Without the fixture: its initdb and dbt deployment take 27 s on a busy machine and more than 185 s at a load of 20.
# When they counted, little of the 240 s was left for the test itself, whose two shutdowns take up to 9 s each.
pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(240, func_only=True)]

PROJECT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 60.0
#: The whole test takes 35 s on a busy machine. Unlike pytest's own limit, this one reports the missing clients.
OVERALL_SECONDS = 150.0
#: A process ends within nine seconds of SIGTERM by itself; this leaves a margin for a slow machine.
STOP_SECONDS = 30.0
PROCESSES = 2
CLIENTS_OF_EACH_TRANSPORT = 12
COMMITS = 90
TOPICS = ("trades,status", f"market:{1:064x},wallet:{address(2)}", f"votes:{2:064x},markets")
#: Messages from the log alone, so that every client receives the same ones.
LOG = frozenset({"trade", "trade_executed", "vote", "market_event", "retracted", "moved", "status", "discussion"})


class PushStack:
    """A Postgres that can be killed, the log in it, and API processes that can be killed, too."""

    def __init__(
        self,
        embedded: EmbeddedPostgres,
        server: testing.PostgresServer,
        database: testing.PostgresDatabase,
        folder: Path,
    ) -> None:
        self.embedded, self.server, self.database, self.folder = embedded, server, database, folder
        self.ports = ports.find_free_ports(PROCESSES)
        self.processes: list[asyncio.subprocess.Process] = []
        #: Committed transactions of the history.
        self.delivered = 0

    async def start(self, index: int) -> asyncio.subprocess.Process:
        """Start the process of a place; clients connect when it listens."""
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PROJECT),
            "DATABASE_URL": self.database.dsn(),
            "DATABASE_URL_API": self.database.dsn("zmart_api"),
            "DATABASE_URL_ANALYST": self.database.dsn("analyst"),
            "ZMART_STATE_DIR": str(self.folder / "state"),
            "API_PORT": str(self.ports[index]),
            "LOG_LEVEL": "error",
            # SIGABRT writes the stack of each thread to the log.
            "PYTHONFAULTHANDLER": "1",
        }
        with (self.folder / f"api-{index}.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "api", cwd=self.folder, env=environment, stdout=log, stderr=log
            )

    async def replace(self, index: int, number: signal.Signals) -> None:
        """Stop a process, by SIGTERM or SIGKILL, and start another in its place."""
        process = self.processes[index]
        process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            raise AssertionError(f"{number.name} did not end process {index}: {await self.describe(index)}") from None
        self.processes[index] = await self.start(index)

    async def describe(self, index: int) -> str:
        """End a process with SIGABRT; return its state and the end of its log, which has its stacks."""
        process = self.processes[index]
        if process.returncode is None:
            process.send_signal(signal.SIGABRT)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await process.wait()
        log = (self.folder / f"api-{index}.log").read_text(errors="replace")
        return f"process {index}, status {process.returncode}, log:\n{log[-6000:]}"

    def disconnect(self) -> None:
        """Close every connection of the processes to Postgres, listeners first."""
        with contextlib.suppress(psycopg.OperationalError), self.database.connect(SUPERUSER) as superuser:
            superuser.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'zmart api%' and datname = current_database()"
            )

    def kill_postgres(self) -> None:
        """Kill the server as a power failure would, and start it again."""
        pid = self.embedded.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.embedded.stop()
        self.embedded.start()
        # The start set the passwords of the embedded server; the processes know those of the tests.
        self.server.provision()


class Client:
    """Follow topics until stopped, and reconnect with the last position to any process that answers."""

    def __init__(self, stack: PushStack, topics: str, position: str, draw: random.Random) -> None:
        self.stack, self.topics, self.position, self.draw = stack, topics, position, draw
        #: (seq, type, id) of each message of the log, as often as it was received.
        self.received: list[tuple[int, str, str]] = []
        self.seqs: list[int] = []
        self.reconnects = 0

    @property
    def seq(self) -> int:
        """Return the last seq received."""
        return int(self.position.rpartition(":")[2])

    async def follow(self) -> None:
        """Reconnect until stopped."""
        while True:
            port = self.draw.choice(self.stack.ports)
            with contextlib.suppress(OSError, httpx.HTTPError, websockets.WebSocketException, TimeoutError):
                await self.listen(port)
            self.reconnects += 1
            await asyncio.sleep(self.draw.uniform(0.02, 0.2))

    async def listen(self, port: int) -> None:
        """Follow one connection to its end."""
        raise NotImplementedError

    def store_frame(self, frame: dict[str, Any]) -> None:
        """Store a frame."""
        assert frame.get("type") != "resync", frame
        self.position = f"{frame['epoch']}:{frame['seq']}"
        if not frame["messages"]:
            return
        self.seqs.append(frame["seq"])
        for message in frame["messages"]:
            if message["type"] in LOG:
                data = message["data"]
                self.received.append((frame["seq"], message["type"], str(data.get("tx_signature") or data.get("id"))))


class Sse(Client):
    """Over server-sent events."""

    async def listen(self, port: int) -> None:  # noqa: D102
        url = f"http://127.0.0.1:{port}/api/stream?topics={self.topics}"
        timeout = httpx.Timeout(5.0, read=30.0)
        async with (
            httpx.AsyncClient(trust_env=False, timeout=timeout) as client,
            client.stream("GET", url, headers={"Last-Event-ID": self.position}) as response,
        ):
            if response.status_code != 200:
                return
            name, data = "message", None
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    data = json.loads(line[6:])
                elif line.startswith("event: "):
                    name = line[7:]
                elif not line:
                    if data is not None and name == "message":
                        self.store_frame(data)
                    assert name != "resync", data
                    name, data = "message", None


class WebSocket(Client):
    """Over WebSocket."""

    async def listen(self, port: int) -> None:  # noqa: D102
        url = f"ws://127.0.0.1:{port}/ws"
        async with websockets.connect(url, proxy=None, compression=None, open_timeout=5) as raw:
            topics = self.topics.split(",")
            await raw.send(json.dumps({"action": "subscribe", "topics": topics, "since": self.position}))
            async for text in raw:
                message = json.loads(text)
                if "messages" in message:
                    self.store_frame(message)
                else:
                    assert message["type"] == "welcome", message


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[PushStack]:
    """A durable Postgres with an empty log, and API processes over it."""
    with testing.state_dir() as folder:
        embedded = EmbeddedPostgres(folder)
        embedded.start()
        try:
            server = testing.PostgresServer(origin="embedded", admin_dsn=embedded.dsn(SUPERUSER))
            server.provision()
            database = server.create()
            await asyncio.to_thread(_deploy_schema, database)
            stack = PushStack(embedded, server, database, tmp_path)
            stack.processes = [await stack.start(index) for index in range(PROCESSES)]
            try:
                yield stack
            finally:
                for process in stack.processes:
                    if process.returncode is None:
                        process.kill()
                        await process.wait()
        finally:
            embedded.stop()


async def test_every_client_receives_exactly_the_log(stack: PushStack) -> None:
    """Listeners, connections, Postgres and processes are killed while trades continue: each client has received the
    log's messages of its topics, in order, once, over both transports."""
    draw = random.Random(8)
    history = event_histories.EventHistory(8)
    await _append(stack, _create_markets(history))
    start = _head(stack)
    clients = [
        kind(stack, TOPICS[number % len(TOPICS)], start, random.Random(number))
        for kind in (Sse, WebSocket)
        for number in range(CLIENTS_OF_EACH_TRANSPORT)
    ]
    following = [asyncio.create_task(client.follow()) for client in clients]
    writing = asyncio.create_task(_write(stack, history))
    try:
        async with asyncio.timeout(OVERALL_SECONDS):
            await _harm(stack, draw, writing)
            await writing
            end = int(_head(stack).rpartition(":")[2])
            expected = await _read_expected(stack, int(start.rpartition(":")[2]))
            await _wait_until_all_received(clients, expected, following)
    except TimeoutError:
        pytest.fail(f"not over after {OVERALL_SECONDS:.0f} s: {await _describe(stack, clients, [writing, *following])}")
    finally:
        # Until they have ended: cancelling once is not always enough (zmart.tasks).
        ending = (tasks.cancel_and_wait(task) for task in (writing, *following))
        ended = await asyncio.gather(*ending, return_exceptions=True)
    assert [error for error in ended if error is not None] == []
    for client in clients:
        assert client.received == expected[client.topics], (type(client).__name__, client.topics)
        assert client.seqs == sorted(set(client.seqs))
        assert client.seq <= end
    assert sum(client.reconnects for client in clients) >= 2 * len(clients)
    assert all(len(messages) > 20 for messages in expected.values())


async def _describe(stack: PushStack, clients: Sequence[Client], running: Sequence[asyncio.Task[None]]) -> str:
    """Describe the state of each client, each task and each process."""
    lines = [f"{type(c).__name__} {c.topics}: seq {c.seq}, {c.reconnects} reconnects" for c in clients]
    lines += [f"{'ended' if task.done() else 'waits'}: {describe_wait(task)}" for task in running]
    return "\n".join([*lines, *[await stack.describe(index) for index in range(PROCESSES)]])


async def _harm(stack: PushStack, draw: random.Random, writing: asyncio.Task[None]) -> None:
    """Break one part after another, each at least once, until all is written."""
    harms = ["disconnect", "postgres", "kill", "term", "disconnect", "kill", "term"]
    for harm in harms:
        await asyncio.sleep(draw.uniform(0.3, 1.2))
        index = draw.randrange(PROCESSES)
        match harm:
            case "disconnect":
                await asyncio.to_thread(stack.disconnect)
            case "postgres":
                await asyncio.to_thread(stack.kill_postgres)
            case "kill":
                await stack.replace(index, signal.SIGKILL)
            case "term":
                await stack.replace(index, signal.SIGTERM)
    assert not writing.done() or writing.exception() is None


async def _write(stack: PushStack, history: event_histories.EventHistory) -> None:
    """Commit a few transactions at a time, and repeat them when Postgres was away: known ones are duplicates."""
    for number in range(COMMITS):
        for _ in range(1 + number % 4):
            history.append(history.trade(1 + number % 2))
        if number % 5 == 0:
            history.append(("ProposalVoteSubmitted", 2, 100 + number, {"vote": True}, None))
        await _append(stack, history)
        await asyncio.sleep(0.05)
    # All of TOPICS include it, so that each of the clients ends here.
    terms = {"outcome": True, "shares": "1000000000", "cost": "1000000000", "new_price_yes": "500000000"}
    history.append(("SharesBought", 1, 2, terms, None))
    await _append(stack, history)


async def _append(stack: PushStack, history: event_histories.EventHistory) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            writer = await Writer.connect(stack.database.dsn("zmart_ingest"))
            try:
                await writer.append(history.transactions[stack.delivered :], source="webhook")
            finally:
                await writer.close()
        except errors.Transient:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        else:
            stack.delivered = len(history.transactions)
            return


async def _read_expected(stack: PushStack, after: int) -> dict[str, list[tuple[int, str, str]]]:
    """Return the log's messages for each set of topics, read from one process at the end."""
    found: dict[str, list[tuple[int, str, str]]] = {}
    for topics in TOPICS:
        reader = WebSocket(stack, topics, f"{_head(stack).partition(':')[0]}:{after}", random.Random(0))
        reading = asyncio.create_task(reader.follow())
        end = int(_head(stack).rpartition(":")[2])
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while reader.seq < end and time.monotonic() < deadline:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
        await tasks.cancel_and_wait(reading)
        found[topics] = reader.received
        _check_against_the_feed(stack, topics, reader.received, after)
    return found


def _check_against_the_feed(
    stack: PushStack, topics: str, received: Sequence[tuple[int, str, str]], after: int
) -> None:
    """The messages read at the end equal the tables, queried without any of the stream's own statements."""
    if topics != TOPICS[0]:
        return
    with stack.database.connect(SUPERUSER) as superuser:
        rows = superuser.execute(
            "select e.seq, e.signature from log.events as e where e.seq > %s"
            " and e.name in ('SharesBought', 'SharesSold') order by e.seq",
            [after],
        ).fetchall()
    assert [(seq, signature) for seq, kind, signature in received if kind == "trade"] == [
        (seq, f"{signature}") for seq, signature in rows
    ]


async def _wait_until_all_received(
    clients: Sequence[Client], expected: dict[str, list[tuple[int, str, str]]], following: Sequence[asyncio.Task[None]]
) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while any(len(client.received) < len(expected[client.topics]) for client in clients):
        broken = [task.exception() for task in following if task.done() and not task.cancelled()]
        assert not broken
        missing = Counter({type(c).__name__: len(expected[c.topics]) - len(c.received) for c in clients})
        assert time.monotonic() < deadline, missing
        await asyncio.sleep(0.05)


def _create_markets(history: event_histories.EventHistory) -> event_histories.EventHistory:
    context = {"initial_liquidity": "1000000000", "ipfs_question_hash": "Q" * 46}
    for market in (1, 2):
        history.append(("MarketCreated", market, 1, {"b_parameter": "100000000000", "state": 0}, context))
    return history


def _deploy_schema(database: testing.PostgresDatabase) -> None:
    testing.apply_migrations(database)
    rebuild.deploy(database.dsn())
    migrate.prepare(database.dsn(SUPERUSER))


def _head(stack: PushStack) -> str:
    with stack.database.connect(SUPERUSER) as superuser:
        row = superuser.execute(
            "select epoch || ':' || (select coalesce(max(seq), 0) from raw.feed) from raw.identity"
        ).fetchone()
    assert row is not None
    return str(row[0])
