"""Distributes new feed entries to all connected clients of this process.

One task reads window after window from its position in the feed and offers each window to the clients. It never
waits for a client.

A client joins without a gap and without duplicates in two steps. First the hub registers it at the hub's position S,
so that everything after S is queued for it. Then the client receives the entries between its own position and S,
which the same statement reads from the log. No entry is on both sides of S. A client whose position is ahead of the
hub, because it read a newer REST response, is registered when the hub reaches that position.

The hub reads with connections of its own. What it reads for single clients, their past and their snapshots, uses other
connections, which addresses share in turn and within their budgets (budgets.py). So no number of clients that
subscribe delays the entries of the others.
"""

from __future__ import annotations

import asyncio
import collections
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import structlog

from zmart import errors as zmart_errors
from zmart.db import feed
from zmart.tracing import CommitTracer

from .. import errors
from .budgets import WINDOW, AddressBudgets, AlternatingSlots
from .client import QUEUE_FRAMES, REPLAY_QUEUE_FRAMES, ResyncReason, ResyncRequired, StreamClient, StreamClosed
from .frames import Frame, FrameBatch, LogWindow
from .metrics import PushMetrics
from .notifications import ChangeSignal
from .reader import Reader, Snapshot
from .recent_marks import RecentMarks
from .recent_windows import PastWindow, RecentWindows, render_window
from .subscriptions import Subscriptions

log = structlog.get_logger()

Found = TypeVar("Found")

#: Interval of the heartbeats to clients that receive no messages.
PING_SECONDS = 15.0
#: Number of reads for single clients that may run at once: replays and snapshots.
CLIENT_READS = 3
#: Delay between attempts to read while Postgres is unavailable or the feed has a hole.
_RETRY_SECONDS = 1.0
_FAILED_STATEMENT = "a statement failed; the log of this process has the reason."
#: Above this number of topics, reading every message costs less than filtering by topic.
_MANY_TOPICS = 200
#: After this number of reads during which topics were added, the hub reads all messages.
_MAX_FILTERED_READS = 3


class Hub:
    """The process's position in the feed, and its clients by subscription."""

    def __init__(
        self,
        reader: Reader,
        change_signal: ChangeSignal,
        *,
        client_reader: Reader | None = None,
        most_clients: int = 10_000,
        most_per_address: int = 1_000,
        metrics: PushMetrics | None = None,
        tracer: CommitTracer | None = None,
    ) -> None:
        #: Reads new entries.
        self.reader = reader
        #: Reads for single clients.
        self.client_reader = client_reader or reader
        #: What each address may still ask for.
        self.budgets = AddressBudgets.for_streams(most_per_address)
        self._change_signal = change_signal
        self._most_clients = most_clients
        self._most_per_address = most_per_address
        self._position: feed.FeedPosition | None = None
        self._recent_marks = RecentMarks()
        self._recent_windows = RecentWindows()
        #: How often the log was replaced by another one.
        self._replacements = 0
        self._moved = asyncio.Event()
        self._subscriptions = Subscriptions()
        self._clients: set[StreamClient] = set()
        self._per_address: collections.Counter[str] = collections.Counter()
        self._client_reads = AlternatingSlots(CLIENT_READS)
        self._is_closed = False
        #: The reason why the hub is stalled; None while it is not.
        self.stall_reason: str | None = None
        self._metrics = metrics or PushMetrics()
        self._metrics.register_hub(self)
        #: Writes the trace of each commit; None while tracing is off.
        self._tracer = tracer

    @property
    def position(self) -> feed.FeedPosition | None:
        """Return the position up to which everything was offered; None before the first read of the log."""
        return self._position

    @property
    def streams(self) -> int:
        """Return the number of registered clients."""
        return len(self._clients)

    @property
    def is_stalled(self) -> bool:
        """Return whether the feed cannot be read for the streams."""
        return self.stall_reason is not None

    @property
    def is_closed(self) -> bool:
        """Return whether the process is shutting down."""
        return self._is_closed

    @property
    def silent_seconds(self) -> float:
        """Return the seconds since the change signal last received data from Postgres."""
        return self._change_signal.silent_seconds

    async def run(self) -> None:
        """Offer window after window to the clients, until cancelled."""
        async with self._change_signal, asyncio.TaskGroup() as group:
            group.create_task(self._heartbeat_loop())
            while True:
                if await self._read_to_end():
                    await self._change_signal.wait()
                else:
                    await asyncio.sleep(_RETRY_SECONDS)

    def send_heartbeats(self) -> None:
        """Send a position-only heartbeat, so that idle clients resume from a recent seq."""
        if self._position is not None:
            batch = FrameBatch([Frame(self._position, ())])
            for client in self._subscriptions.clients():
                client.offer_heartbeat(batch)

    def close(self) -> None:
        """End every stream so that its client can resume elsewhere; accept no new streams."""
        self._is_closed = True
        self.budgets.close()
        for client in list(self._clients):
            client.close("shutdown")
        self._moved.set()

    def admit(self, address: str) -> None:
        """Raise TooManyStreams above the limits, Unavailable when the process is shutting down."""
        if self._is_closed:
            raise zmart_errors.Unavailable("This process is shutting down; reconnect.")
        if self.streams >= self._most_clients:
            self._metrics.refused.inc()
            raise errors.TooManyStreams(f"All {self._most_clients} streams of this process are in use.")
        if self._per_address[address] >= self._most_per_address:
            self._metrics.refused.inc()
            raise errors.TooManyStreams(f"{self._most_per_address} streams are open from this address already.")

    @contextmanager
    def register(self, client: StreamClient) -> Iterator[StreamClient]:
        """Count a client for as long as the block lasts; raise TooManyStreams above the limits."""
        self.admit(client.address)
        self._metrics.opened.inc()
        self._clients.add(client)
        self._per_address[client.address] += 1
        try:
            yield client
        finally:
            self._unregister(client)

    def unsubscribe(self, client: StreamClient) -> feed.FeedPosition | None:
        """Stop offering to the client; return the position up to which its messages were offered."""
        self._subscriptions.discard(client)
        return self._position

    def set_topics(self, client: StreamClient, topics: frozenset[str]) -> None:
        """Change the client's topics from the next window on; none of them may be new to the client."""
        self._subscriptions.discard(client)
        client.topics = topics
        self._subscriptions.add(client)

    async def snapshot(self, client: StreamClient, topics: frozenset[str]) -> Snapshot:
        """Return the states of topics, when the turn of the client's address has come; raise Transient."""
        async with self._client_reads.of(client.address):
            return await self.client_reader.snapshot(topics)

    async def check_position(self, since: feed.FeedPosition, client: StreamClient) -> None:
        """Raise ResyncRequired if the position does not exist in this log."""
        has_been_here = self._has_reached(since)
        if has_been_here and (since.mark is None or self._recent_marks.has(since)):
            return
        replacements = self._replacements
        await self._read_for(client, lambda: self.client_reader.window(since, frozenset()))
        if has_been_here and replacements == self._replacements:
            # The next clients with this position need no statement.
            self._recent_marks.add(since)

    async def subscribe(self, client: StreamClient) -> feed.FeedPosition:
        """Queue new entries for the client from now on; return the start position. Raise StreamClosed at shutdown."""
        while self._position is None and not self._is_closed:
            await self._moved.wait()
        if self._position is None:
            raise StreamClosed("shutdown")
        self._subscriptions.add(client)
        if self._is_closed:
            client.close("shutdown")
        return self._position

    async def resume(self, client: StreamClient, since: feed.FeedPosition) -> AsyncIterator[list[Frame]]:
        """Yield the frames that the client missed since its position; afterwards its queue continues from there.

        Raises ResyncRequired if the position does not exist in this log.
        """
        position = since
        if since.mark is not None:
            await self.check_position(since, client)
        while not self._is_within_reach(position):
            window = await self._replay_window(position, client.topics, client, until_seq=None)
            yield window.frames
            position = window.position
        await self.wait_until_reached(position, client)
        start = await self.subscribe(client)
        self._check_position(position, start)
        client.most_frames = REPLAY_QUEUE_FRAMES
        try:
            async for frames in self.replay(client, position, start, client.topics):
                yield frames
        finally:
            client.most_frames = QUEUE_FRAMES

    async def wait_until_reached(self, position: feed.FeedPosition, client: StreamClient) -> None:
        """Wait until the hub reaches a position of the log; raise ResyncRequired if the log does not contain it."""
        if self._has_reached(position):
            return
        while not self._has_reached(position):
            replacements = self._replacements
            await self._read_for(client, lambda: self.client_reader.window(position, frozenset()))
            self._change_signal.notify()
            while not self._has_reached(position) and replacements == self._replacements:
                if client.closed is not None:
                    raise StreamClosed(client.closed)
                await self._moved.wait()
        # The end of the log may have been lost while the client waited, and other entries may have its numbers now.
        await self.check_position(position, client)

    async def replay(
        self, client: StreamClient, after: feed.FeedPosition, until: feed.FeedPosition, topics: frozenset[str]
    ) -> AsyncIterator[list[Frame]]:
        """Yield the frames of these topics for the entries after one position and up to another.

        Raises ResyncRequired if the first position does not exist in the log of the second.
        """
        self._check_position(after, until)
        position = after
        while position.seq < until.seq:
            window = await self._replay_window(position, topics, client, until_seq=until.seq)
            yield [frame for frame in window.frames if frame.position.seq <= until.seq]
            position = window.position

    # --- private ------------------------------------------------------------------------------

    async def _heartbeat_loop(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            self.send_heartbeats()

    async def _read_to_end(self) -> bool:
        """Read up to the end of the log; return False if the read must be retried."""
        try:
            if self._position is None:
                self._advance(await self.reader.head())
            while not await self._offer_next_window():
                pass
        except feed.ForeignPosition as error:
            self._start_over(error)
        except zmart_errors.ZmartError as error:
            # The read is tried every second; each reason is logged once.
            if self.stall_reason != str(error):
                log.error("streams_stalled", reason=str(error))
            self.stall_reason = str(error)
            return False
        except Exception:
            # A bug in this code, or marts that are not built yet: report the stall, but keep the task running.
            if self.stall_reason != _FAILED_STATEMENT:
                log.exception("streams_stalled")
            self.stall_reason = _FAILED_STATEMENT
            return False
        self.stall_reason = None
        return True

    async def _offer_next_window(self) -> bool:
        """Offer one window; return whether it was the last."""
        assert self._position is not None
        began = time.perf_counter()
        window = await self._read_window(self._position)
        for position, _ in window.messages:
            self._recent_marks.add(position)
        frames = 0
        for subscription, batch in self._subscriptions.batches(window):
            frames += len(batch.frames) * len(subscription.clients)
            for client in list(subscription.clients):
                client.offer(batch)
        self._metrics.count_window(window.ages, frames)
        if self._tracer is not None:
            seconds = time.perf_counter() - began
            self._tracer.trace_push(window.position.epoch, window.marks, seconds=seconds, streams=self.streams)
        self._advance(window.position)
        return window.is_last

    async def _read_window(self, after: feed.FeedPosition) -> LogWindow:
        """Return the next window with all subscribed topics, including those that were added during the read."""
        for _ in range(_MAX_FILTERED_READS):
            version, topics = self._subscriptions.version, self._subscriptions.topics
            if len(topics) > _MANY_TOPICS:
                break
            window = await self.reader.window(after, topics)
            if version == self._subscriptions.version:
                return window
        return await self.reader.window(after, None)

    def _advance(self, position: feed.FeedPosition) -> None:
        self._position = self._change_signal.reached = position
        self._recent_marks.add(position)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _start_over(self, error: feed.ForeignPosition) -> None:
        """Make every client read the state again, because the database now contains another log."""
        log.warning("streams_resync", reason=str(error))
        self._recent_marks.clear()
        self._recent_windows.clear()
        self._replacements += 1
        self._advance(error.found)
        for client in self._subscriptions.clients():
            client.resync(self._resync_required(error))

    async def _replay_window(
        self, position: feed.FeedPosition, topics: frozenset[str], client: StreamClient, *, until_seq: int | None
    ) -> PastWindow:
        """Return a window of a client's past; it may be one that was read for another client.

        Such a window contains what the log has up to `until_seq`.
        """

        async def find_or_read() -> PastWindow:
            # Another client may have read it while this one waited for its turn.
            return self._recent_windows.find(position, topics, until_seq) or await self._read_past(position, topics)

        if found := self._recent_windows.find(position, topics, until_seq):
            await self.budgets.spend(client.address, WINDOW)
            return found
        return await self._read_for(client, find_or_read)

    async def _read_past(self, position: feed.FeedPosition, topics: frozenset[str]) -> PastWindow:
        replacements = self._replacements
        read = await self.client_reader.window(position, topics)
        # What the hub itself has not reached may still be lost. What was read before a replacement is of another log.
        if replacements == self._replacements and self._has_reached(read.position) and not read.lacks_states:
            return self._recent_windows.store(position, topics, read)
        return render_window(read, topics)

    async def _read_for(self, client: StreamClient, read: Callable[[], Awaitable[Found]]) -> Found:
        """Read for one client when its address has its turn; wait while Postgres is unavailable, as live clients do."""
        await self.budgets.spend(client.address, WINDOW)
        while True:
            try:
                async with self._client_reads.of(client.address):
                    return await read()
            except feed.ForeignPosition as error:
                raise self._resync_required(error) from error
            except zmart_errors.Transient:
                if self._is_closed:
                    raise StreamClosed("shutdown") from None
                await asyncio.sleep(_RETRY_SECONDS)

    def _is_within_reach(self, position: feed.FeedPosition) -> bool:
        """Return whether the gap is so small that the queue can hold new entries while the gap is replayed."""
        current = self._position
        return current is None or position.epoch != current.epoch or current.seq - position.seq < QUEUE_FRAMES

    def _has_reached(self, position: feed.FeedPosition) -> bool:
        current = self._position
        return current is not None and current.epoch == position.epoch and current.seq >= position.seq

    def _check_position(self, position: feed.FeedPosition, end: feed.FeedPosition) -> None:
        try:
            feed.check_position(position, end)
        except feed.ForeignPosition as error:
            raise self._resync_required(error) from error

    def _resync_required(self, error: feed.ForeignPosition) -> ResyncRequired:
        self._metrics.resyncs.inc()
        return ResyncRequired(_RESYNC_REASONS[type(error)], error.found)

    def _unregister(self, client: StreamClient) -> None:
        self._subscriptions.discard(client)
        self._clients.discard(client)
        self._metrics.closed.labels(client.closed or "left").inc()
        self._per_address[client.address] -= 1
        if not self._per_address[client.address]:
            del self._per_address[client.address]


_RESYNC_REASONS: Mapping[type[feed.ForeignPosition], ResyncReason] = {
    feed.ForeignEpoch: "foreign_epoch",
    feed.FuturePosition: "future_position",
    feed.MarkMismatch: "mark_mismatch",
}
