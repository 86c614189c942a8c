"""Many connections of one address: what they ask for delays nobody else's stream."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from api_fixtures import Log, market_id
from push import Served, Socket, of_type, served
from websockets.exceptions import ConnectionClosed, InvalidStatus

from api.live import budgets, hub
from api.live.client import StreamClient
from api.live.frames import LogWindow
from api.live.reader import LogReader, Snapshot
from zmart.db import feed

MANY = 150
#: What a snapshot takes in Postgres here. All connections for clients are busy for 150 times this.
SNAPSHOT_SECONDS = 0.5
#: Less than half of what their snapshots take on three connections.
SOON_SECONDS = 10.0
SLEEPERS = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"


@pytest.fixture(params=[SNAPSHOT_SECONDS])
def slow_snapshots(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots that occupy their connection as those of many topics on a large database do."""
    snapshot = LogReader.snapshot

    async def slow(self: LogReader, topics: frozenset[str]) -> Snapshot:
        await self._database.rows("select pg_sleep(%(seconds)s)", {"seconds": request.param})
        return await snapshot(self, topics)

    monkeypatch.setattr(LogReader, "snapshot", slow)


async def _subscribe_again_and_again(socket: Socket) -> None:
    number = 0
    with contextlib.suppress(ConnectionClosed):
        while True:
            number += 1
            await socket.send(action="subscribe", topics=[f"market:{market_id(number % 90)}"])
            await socket.next()


@contextlib.asynccontextmanager
async def subscribing_connections(server: Served) -> AsyncIterator[None]:
    """Connections of 127.0.0.1, none of them signed in, each of which subscribes without a pause."""
    async with contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(server.connected()) for _ in range(MANY)]
        tasks = [asyncio.create_task(_subscribe_again_and_again(socket)) for socket in sockets]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _next_trade(log: Log, socket: Socket) -> float:
    """Deliver a trade; return the seconds until the client has it."""
    log.buy(1, 2)
    began = time.monotonic()
    await log.deliver()
    seq = log.head()[1]
    assert [trade["seq"] for trade in of_type(await socket.until_seq(seq), "trade")] == [seq]
    return time.monotonic() - began


@pytest.mark.usefixtures("slow_snapshots")
async def test_many_that_subscribe_delay_no_other_stream(markets: Log) -> None:
    """150 connections of an address: another client's entries arrive at once, and a new one's subscription soon."""
    async with served(markets) as server, server.connected(local_addr=("127.0.0.2", 0)) as other:
        await other.ask(action="subscribe", topics=["trades"])
        async with subscribing_connections(server):
            for _ in range(5):
                assert await _next_trade(markets, other) < SOON_SECONDS / 5
            async with asyncio.timeout(SOON_SECONDS), server.connected(local_addr=("127.0.0.2", 0)) as late:
                subscribed = await late.ask(action="subscribe", topics=[f"market:{market_id(1)}"])
                assert subscribed["type"] == "subscribed"
            async with httpx.AsyncClient(base_url=server.http) as client:
                ready = await client.get("/ready")
                assert ready.status_code == 200, ready.text


@pytest.mark.parametrize("slow_snapshots", [4.0], indirect=True)
@pytest.mark.usefixtures("slow_snapshots")
async def test_entries_are_read_while_all_reads_for_clients_are_busy(markets: Log) -> None:
    """Snapshots occupy every connection for clients for four seconds: a trade is sent within one."""
    async with served(markets) as server, server.connected(local_addr=("127.0.0.2", 0)) as other:
        await other.ask(action="subscribe", topics=["trades"])
        async with contextlib.AsyncExitStack() as stack:
            for number in range(2 * hub.CLIENT_READS):
                socket = await stack.enter_async_context(server.connected())
                await socket.send(action="subscribe", topics=[f"market:{market_id(number)}"])
            async with asyncio.timeout(SOON_SECONDS):
                while markets.owner.execute(SLEEPERS).fetchone() != (hub.CLIENT_READS,):  # noqa: ASYNC110 - asks a server
                    await asyncio.sleep(0.05)
            assert await _next_trade(markets, other) < 1.0


@pytest.fixture
def small_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Budgets of ten weights, which refill within hours."""
    monkeypatch.setattr(budgets, "SMALLEST_BUDGET", 10)
    monkeypatch.setattr(budgets, "WEIGHTS_PER_STREAM", 0)
    monkeypatch.setattr(budgets, "REFILL_SECONDS", 36_000.0)


@pytest.mark.usefixtures("small_budgets")
async def test_handshakes_beyond_the_budget_are_refused(markets: Log) -> None:
    """429 with Retry-After for WebSocket and SSE, until the budget refills; another address is not concerned."""
    async with served(markets, TRUSTED_PROXIES="127.0.0.1") as server:
        for _ in range(10):
            async with server.connected():
                pass
        with pytest.raises(InvalidStatus) as refused:
            async with server.connected():
                pass
        assert refused.value.response.status_code == 429
        assert 0 < int(refused.value.response.headers["Retry-After"]) <= 3600
        async with httpx.AsyncClient(base_url=server.http) as client:
            answer = await client.get("/api/stream?topics=trades")
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
            assert int(answer.headers["Retry-After"]) > 0
        # The networks of one customer of IPv6 share a budget.
        for last in range(10):
            async with server.connected(additional_headers={"X-Forwarded-For": f"2001:db8::{last}"}):
                pass
        with pytest.raises(InvalidStatus):
            async with server.connected(additional_headers={"X-Forwarded-For": "2001:db8::ffff"}):
                pass


@pytest.mark.usefixtures("small_budgets")
async def test_subscriptions_beyond_the_budget_wait_and_keep_what_they_have(markets: Log) -> None:
    """The client receives its earlier topics meanwhile; the snapshot comes when the budget covers it."""
    async with served(markets) as server, server.connected() as socket:
        for number in range(4):
            assert (await socket.ask(action="subscribe", topics=[f"votes:{market_id(number)}", "trades"]))["type"] == (
                "subscribed"
            )
        waits = server.services.hub.budgets
        await socket.send(action="subscribe", topics=["status"])
        await _next_trade(markets, socket)
        assert waits.take("127.0.0.1", 1) > 0.0
        waits.close()
        assert (await socket.until(lambda message: message["type"] == "subscribed"))[-1]["topics"]


async def test_every_read_for_a_client_is_paid_for(markets: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that resumes and then subscribes to more: the weights cover its reads, and one a message."""
    reads = spent = 0
    window, snapshot, spend = LogReader.window, LogReader.snapshot, budgets.AddressBudgets.spend

    async def counted_window(self: LogReader, after: feed.FeedPosition, topics: frozenset[str] | None) -> LogWindow:
        nonlocal reads
        reads += self is server.services.hub.client_reader
        return await window(self, after, topics)

    async def counted_snapshot(self: LogReader, topics: frozenset[str]) -> Snapshot:
        nonlocal reads
        reads += 1
        return await snapshot(self, topics)

    async def counted_spend(self: budgets.AddressBudgets, address: str, weight: int) -> None:
        nonlocal spent
        assert address == "127.0.0.1"
        spent += weight
        await spend(self, address, weight)

    async with served(markets) as server, server.connected() as socket:
        monkeypatch.setattr(LogReader, "window", counted_window)
        monkeypatch.setattr(LogReader, "snapshot", counted_snapshot)
        monkeypatch.setattr(budgets.AddressBudgets, "spend", counted_spend)
        await socket.ask(action="subscribe", topics=["trades"], since=markets.position(1))
        await socket.until_seq(markets.head()[1])
        await socket.send(action="subscribe", topics=[f"market:{market_id(1)}"])
        await socket.until(lambda message: message["type"] == "subscribed")
        assert reads >= 3
        # Weights are also taken for a snapshot that is not needed, and for a window that was read before.
        assert reads + 2 <= spent <= reads + 4


async def test_clients_that_missed_the_same_read_it_once(markets: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty resume at once: Postgres is asked a few times, and each has every trade once, also those after that."""
    asked = 0
    read = LogReader.window
    epoch, start = markets.head()

    async def counted(self: LogReader, after: feed.FeedPosition, topics: frozenset[str] | None) -> LogWindow:
        nonlocal asked
        asked += after.seq == start
        return await read(self, after, topics)

    async def resume(server: Served) -> list[int]:
        async with server.connected() as socket:
            await socket.ask(action="subscribe", topics=["trades"], since=f"{epoch}:{start}")
            return [trade["seq"] for trade in of_type(await socket.until_seq(markets.head()[1]), "trade")]

    for _ in range(20):
        markets.buy(1, 2)
        await markets.deliver()
    async with served(markets) as server:
        await server.services.hub.wait_until_reached(feed.FeedPosition(*markets.head()), StreamClient(frozenset(), ""))
        monkeypatch.setattr(LogReader, "window", counted)
        missed = list(range(start + 1, start + 21))
        assert await asyncio.gather(*(resume(server) for _ in range(40))) == [missed] * 40
        assert 0 < asked <= 2 * hub.CLIENT_READS
        markets.buy(1, 2)
        await markets.deliver()
        assert await asyncio.gather(*(resume(server) for _ in range(5))) == [[*missed, start + 21]] * 5
