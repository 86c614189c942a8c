"""Every entry once and in order, with any fault of notification, connection and server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from feed_log import FeedLog

from zmart import testing
from zmart.db import feed, migrate
from zmart.db.connection import connect
from zmart.run.postgres import embedded

#: Longer than any test: a reader with this interval depends on notifications alone.
NEVER_POLLS = 120.0
TIMEOUT_SECONDS = 30.0


def listening(log: FeedLog, *, poll_seconds: float = 0.05, limit: int = 1000) -> feed.FeedListener:
    """A listener from the beginning of the log."""
    epoch = log.owner.execute("select epoch::text from raw.identity").fetchone()
    assert epoch is not None
    beginning = feed.FeedPosition(str(epoch[0]), 0)
    return feed.FeedListener(log.dsn, after=beginning, poll_seconds=poll_seconds, limit=limit)


async def read_seqs(listener: feed.FeedListener, until: int) -> list[int]:
    """Return the seqs received, until one of them is `until`."""
    seqs: list[int] = []
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not seqs or seqs[-1] < until:
            batch = await anext(listener)
            assert batch.entries
            assert batch.position.seq == batch.entries[-1].seq
            seqs += [entry.seq for entry in batch.entries]
    return seqs


async def test_reads_from_a_position_in_order(feed_log: FeedLog) -> None:
    """`read` returns the entries after a position, at most `limit`, and the end of the log."""
    feed_log.append(10)
    connection = await connect(feed_log.dsn, autocommit=True)
    async with connection:
        end = await feed.head(connection)
        batch = await feed.read(connection, end.with_seq(3), limit=4)
        rest = await feed.read(connection, batch.position, limit=100)
        nothing = await feed.read(connection, end)
    assert [entry.seq for entry in batch.entries] == [4, 5, 6, 7]
    assert (batch.position, batch.head, batch.is_last) == (end.with_seq(7), end, False)
    assert [entry.seq for entry in rest.entries] == [8, 9, 10]
    assert rest.is_last
    assert nothing.entries == ()
    assert (nothing.position, nothing.is_last) == (end, True)


async def test_without_a_position_it_begins_at_the_end(feed_log: FeedLog) -> None:
    """A listener without a position receives only entries appended after it started."""
    feed_log.append(5)
    async with feed.FeedListener(feed_log.dsn, poll_seconds=0.05) as listener:
        assert (await listener.start()).seq == 5
        feed_log.append(2)
        assert await read_seqs(listener, 7) == [6, 7]


async def test_notification_wakes_the_listener(feed_log: FeedLog) -> None:
    """With notifications there is no wait for the poll; notifications between two waits are not lost."""
    async with listening(feed_log, poll_seconds=NEVER_POLLS) as listener:
        await listener.start()
        for seq in range(1, 30):
            feed_log.append()
            assert await read_seqs(listener, seq) == [seq]


async def test_lost_notification_costs_one_poll(feed_log: FeedLog) -> None:
    """Entries without a notification are found by polling."""
    async with listening(feed_log) as listener:
        await listener.start()
        feed_log.append(3, ring=False)
        assert await read_seqs(listener, 3) == [1, 2, 3]
        feed_log.append(2, ring=False)
        assert await read_seqs(listener, 5) == [4, 5]


async def test_a_killed_connection_is_replaced(feed_log: FeedLog) -> None:
    """A terminated backend loses no entry and repeats none, not even those notified in the meantime."""
    async with listening(feed_log, poll_seconds=NEVER_POLLS) as listener:
        feed_log.append(2)
        assert await read_seqs(listener, 2) == [1, 2]
        for seq in (4, 6, 8):
            feed_log.terminate_readers()
            feed_log.append(2)
            assert await read_seqs(listener, seq) == [seq - 1, seq]


async def test_killed_while_it_waits(feed_log: FeedLog) -> None:
    """A backend that dies while a reader waits is noticed at once, without any poll."""
    async with listening(feed_log, poll_seconds=NEVER_POLLS) as listener:
        await listener.start()
        first = listener.backend_pid
        waiting = asyncio.create_task(read_seqs(listener, 1))
        await until_it_waits(feed_log, first)
        feed_log.terminate_readers()
        feed_log.append()
        assert await waiting == [1]
        assert listener.backend_pid != first


async def test_many_batches_under_fire(feed_log: FeedLog) -> None:
    """Hundreds of transactions, small reads, lost notifications and killed connections: once, in order."""

    async def write() -> None:
        for number in range(300):
            await asyncio.to_thread(feed_log.append, 1 + number % 5, ring=number % 3 > 0)
            if number % 60 == 30:
                await asyncio.to_thread(feed_log.terminate_readers)

    async with listening(feed_log, limit=7) as listener:
        await listener.start()
        async with asyncio.timeout(TIMEOUT_SECONDS):
            writing = asyncio.create_task(write())
            seqs = await read_seqs(listener, 900)
            await writing
    assert seqs == list(range(1, 901))


async def test_a_server_restart_is_survived(tmp_path: Path) -> None:
    """A reader outlives its server: it waits, reads on, and misses and repeats nothing."""
    with testing.temporary_server() as server:
        migrate.migrate(server.dsn())
        with log_of(server) as log:
            log.owner.execute("select raw.renew_identity()")
            log.append(3)
            listener = listening(log)
        async with listener:
            assert await read_seqs(listener, 3) == [1, 2, 3]
            waiting = asyncio.create_task(read_seqs(listener, 5))
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            with log_of(server) as log:
                log.append(2)
            assert await waiting == [4, 5]


async def test_two_listeners_receive_the_same_entries(feed_log: FeedLog) -> None:
    """Readers do not take entries from one another."""
    async with listening(feed_log) as one, listening(feed_log, limit=3) as other:
        feed_log.append(20)
        assert await read_seqs(one, 20) == await read_seqs(other, 20)


async def test_a_hole_is_reported_and_never_skipped(feed_log: FeedLog) -> None:
    """At a missing seq the listener raises an error that names it, at every call."""
    feed_log.append(6)
    feed_log.owner.execute("delete from raw.feed where seq = 4")
    async with listening(feed_log, limit=3) as listener:
        assert await read_seqs(listener, 3) == [1, 2, 3]
        for _ in range(2):
            with pytest.raises(feed.Gap, match="no entry 4"):
                await anext(listener)
        feed_log.owner.execute("insert into raw.feed (seq, kind) values (4, 'mart_stale')")
        assert await read_seqs(listener, 6) == [4, 5, 6]


async def test_another_epoch_is_noticed(feed_log: FeedLog) -> None:
    """When the log becomes another one, the reader gets an error, and continues from a position of its choice."""
    async with listening(feed_log) as listener:
        feed_log.append(4)
        assert await read_seqs(listener, 4) == [1, 2, 3, 4]
        feed_log.renew_epoch()
        with pytest.raises(feed.ForeignEpoch) as caught:
            await anext(listener)
        assert caught.value.found.seq == 4
        listener.seek(caught.value.found)
        feed_log.append()
        assert await read_seqs(listener, 5) == [5]


async def test_a_log_that_went_back_is_noticed(feed_log: FeedLog) -> None:
    """A feed that ends before the reader's position is an error, not a wait."""
    async with listening(feed_log) as listener:
        feed_log.append(4)
        assert await read_seqs(listener, 4) == [1, 2, 3, 4]
        feed_log.owner.execute("delete from raw.feed where seq > 2")
        with pytest.raises(feed.FuturePosition) as caught:
            await anext(listener)
        assert caught.value.found.seq == 2


async def test_its_heartbeat_is_visible(feed_log: FeedLog) -> None:
    """While Postgres answers, the idle time stays short; before the first response it is infinite."""
    async with listening(feed_log) as listener:
        assert listener.silent_seconds == float("inf")
        feed_log.append()
        await read_seqs(listener, 1)
        assert listener.silent_seconds < TIMEOUT_SECONDS


@contextlib.contextmanager
def log_of(server: embedded.EmbeddedPostgres) -> Iterator[FeedLog]:
    """The log of a server that starts and stops."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as owner:
        yield FeedLog(owner=owner, dsn=server.dsn("zmart_api"))


async def until_it_waits(log: FeedLog, pid: int | None) -> None:
    """Return once the backend only listens."""
    query = "select wait_event from pg_stat_activity where pid = %s and state = 'idle'"
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while log.owner.execute(query, [pid]).fetchone() != ("ClientRead",):  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.01)
