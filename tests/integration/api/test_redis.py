"""Notifications over Redis: fast while Redis works, complete when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from api_fixtures import Log
from push import Served, served

from api.live import notifications
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from tests.fix_redis import Redis
from zmart.db import feed, redis_notify


@pytest.fixture
async def server(markets: Log, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Served]:
    """A server that listens to Redis and polls so rarely that only a notification explains a message."""
    monkeypatch.setattr(feed, "POLL_SECONDS", 3600.0)
    monkeypatch.setattr(notifications, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(notifications, "REPORT_SECONDS", 0.1)
    monkeypatch.setattr(redis_notify, "RETRY_SECONDS", 0.1)
    async with served(markets, BROADCAST_URL=redis.url) as found:
        yield found


async def test_notification_after_the_commit_reaches_clients(markets: Log, redis: Redis, server: Served) -> None:
    """A committer notifies over Redis, and clients of processes that never listen to Postgres receive the entry."""
    async with server.connected() as socket, redis_notify.Notifier(redis.url) as ours:
        start = (await socket.ask(action="subscribe", topics=["trades"]))["seq"]
        for number in range(1, 6):
            markets.buy(1, 2)
            await markets.deliver()
            frame = await _rung(ours, socket.next())
            assert frame["seq"] == start + number
    assert _listening(markets) == 0


async def test_a_redis_that_was_away_is_found_again(markets: Log, redis: Redis, server: Served) -> None:
    """A killed server loses notifications, never messages; when it is back, notifications arrive again."""
    async with server.connected() as socket, redis_notify.Notifier(redis.url) as ours:
        start = (await socket.ask(action="subscribe", topics=["trades"]))["seq"]
        redis.stop()
        markets.buy(1, 2)
        await markets.deliver()
        ours.notify()
        redis.start()
        assert (await _rung(ours, socket.next()))["seq"] == start + 1


async def test_a_redis_that_is_not_there_stops_nobody(markets: Log) -> None:
    """Without a Redis at the address the process serves nevertheless, at most a second late."""
    async with served(markets, BROADCAST_URL="redis://127.0.0.1:1") as server, server.connected() as socket:
        start = (await socket.ask(action="subscribe", topics=["trades"]))["seq"]
        markets.buy(1, 2)
        await markets.deliver()
        assert (await socket.next())["seq"] == start + 1


async def test_postgres_at_another_address(markets: Log) -> None:
    """postgresql:// is the address to listen on when the other one is a pooler's; no other driver is needed."""
    dsn = markets.database.dsn("zmart_api")
    async with served(markets, BROADCAST_URL=dsn) as server, server.connected() as socket:
        start = (await socket.ask(action="subscribe", topics=["trades"]))["seq"]
        markets.buy(1, 2)
        await markets.deliver()
        assert (await socket.next())["seq"] == start + 1


async def _rung(ours: redis_notify.Notifier, coming: object) -> dict[str, int]:
    """Return the message, and notify until it arrives: a notification may be lost while Redis is away."""
    waiting = asyncio.ensure_future(coming)  # type: ignore[call-overload]
    while not waiting.done():
        ours.notify()
        await asyncio.wait([waiting], timeout=0.2)
    found: dict[str, int] = waiting.result()
    return found


def _listening(log: Log) -> int:
    row = log.owner.execute(
        "select count(*) from pg_stat_activity"
        " where application_name = 'zmart api feed' and datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])


async def test_ingest_rings_after_each_commit(markets: Log, redis: Redis, server: Served) -> None:
    """An entry of ingest is notified over Redis without further settings."""
    markets.buy(1, 2)
    rows = markets.story.transactions[-1:]

    async def connect() -> Writer:
        return await Writer.connect(markets.database.dsn("zmart_ingest"))

    async with server.connected() as socket, Pipeline(connect) as pipeline, redis_notify.Notifier(redis.url) as ours:
        pipeline.on_commit = ours.notify
        start = (await socket.ask(action="subscribe", topics=["trades"]))["seq"]
        await pipeline.submit(rows)
        assert (await socket.next())["seq"] == start + 1
