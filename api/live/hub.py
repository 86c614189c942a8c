"""The hub: where the process stands in the feed, and who is to hear what comes next.

One task reads window after window and offers each to the clients; it waits for nobody.

Coming in without a gap and without a double: the client is registered at the hub's position S, so
that everything after S is queued for it; then it is sent what lies between its own position and S,
read from the log by the same statement. Nothing is on both sides of S. A client that stands ahead of
the hub, because it read an answer of REST that is newer, is registered when the hub has come as far.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import structlog

from zmart import errors as zmart_errors
from zmart.db import feed

from .. import errors
from .client import QUEUE_FRAMES, ResyncReason, ResyncRequired, StreamClient, StreamClosed
from .frames import Frame, FrameBatch, LogWindow, frames_for_topics
from .notifications import ChangeSignal
from .reader import Reader
from .subscriptions import Subscriptions

log = structlog.get_logger()

#: How often somebody who hears nothing is told that there was nothing to hear.
PING_SECONDS = 15.0
#: Histories replayed at once.
REPLAYS = 3
#: Waits between attempts to read when Postgres is away or the feed has a hole.
_RETRY_SECONDS = 1.0
#: Beyond so many topics it is less work to read every message than to ask which are wanted.
_MANY_TOPICS = 200
#: After so many reads during which others came in, everything is read.
_MAX_FILTERED_READS = 3


class Hub:
    """The process's place in the feed, and its clients by subscription."""

    def __init__(
        self, reader: Reader, change_signal: ChangeSignal, *, most_clients: int = 10_000, most_per_address: int = 1_000
    ) -> None:
        #: What the log is read with.
        self.reader = reader
        self._change_signal = change_signal
        self._most_clients = most_clients
        self._most_per_address = most_per_address
        self._position: feed.FeedPosition | None = None
        self._moved = asyncio.Event()
        self._subscriptions = Subscriptions()
        self._clients: set[StreamClient] = set()
        self._per_address: collections.Counter[str] = collections.Counter()
        self._replays = asyncio.Semaphore(REPLAYS)
        self._is_closed = False
        #: Why the hub stands still, while it does.
        self.stall_reason: str | None = None

    @property
    def position(self) -> feed.FeedPosition | None:
        """Everything up to here was offered; None before the first look at the log."""
        return self._position

    @property
    def streams(self) -> int:
        """Clients registered now."""
        return len(self._clients)

    @property
    def is_closed(self) -> bool:
        """Whether the process is going away."""
        return self._is_closed

    @property
    def silent_seconds(self) -> float:
        """Time since the doorbell's keeper last heard from Postgres."""
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
        """Tell those who have heard nothing else where they are, so that they need not be told a long past later."""
        if self._position is not None:
            batch = FrameBatch([Frame(self._position, ())])
            for client in self._subscriptions.clients():
                client.offer_heartbeat(batch)

    def close(self) -> None:
        """End every stream so that its client can resume elsewhere; take no new ones."""
        self._is_closed = True
        for client in list(self._clients):
            client.close("shutdown")
        self._moved.set()

    def admit(self, address: str) -> None:
        """Raise TooManyStreams beyond the limits, Unavailable when the process is going away."""
        if self._is_closed:
            raise zmart_errors.Unavailable("This process is shutting down; connect again.")
        if self.streams >= self._most_clients:
            raise errors.TooManyStreams(f"All {self._most_clients} streams of this process are taken.")
        if self._per_address[address] >= self._most_per_address:
            raise errors.TooManyStreams(f"{self._most_per_address} streams are open from this address already.")

    @contextmanager
    def register(self, client: StreamClient) -> Iterator[StreamClient]:
        """Count a client for as long as the block lasts; TooManyStreams beyond the limits."""
        self.admit(client.address)
        self._clients.add(client)
        self._per_address[client.address] += 1
        try:
            yield client
        finally:
            self._unregister(client)

    def unsubscribe(self, client: StreamClient) -> feed.FeedPosition | None:
        """Offer the client nothing more; returns up to where it was offered what it hears."""
        self._subscriptions.discard(client)
        return self._position

    def set_topics(self, client: StreamClient, topics: frozenset[str]) -> None:
        """Let a client hear other topics, none of them new to it, from the next window on."""
        self._subscriptions.discard(client)
        client.topics = topics
        self._subscriptions.add(client)

    async def check_position(self, since: feed.FeedPosition) -> None:
        """Raise Resync when a position is no place in this log."""
        await self._replay_window(since, frozenset())

    async def subscribe(self, client: StreamClient) -> feed.FeedPosition:
        """Queue what comes from now on for the client; returns where that begins. Closed at shutdown."""
        while self._position is None and not self._is_closed:
            await self._moved.wait()
        if self._position is None:
            raise StreamClosed("shutdown")
        self._subscriptions.add(client)
        if self._is_closed:
            client.close("shutdown")
        return self._position

    async def resume(self, client: StreamClient, since: feed.FeedPosition) -> AsyncIterator[list[Frame]]:
        """What the client missed since its position; afterwards its queue goes on from there.

        Raises Resync when that is no place in this log.
        """
        position = since
        while not self._is_within_reach(position):
            window = await self._replay_window(position, client.topics)
            yield frames_for_topics(window, client.topics)
            position = window.position
        await self._wait_until_reached(position, client)
        start = await self.subscribe(client)
        _check_position(position, start)
        async for frames in self.replay(position, start, client.topics):
            yield frames

    async def replay(
        self, after: feed.FeedPosition, until: feed.FeedPosition, topics: frozenset[str]
    ) -> AsyncIterator[list[Frame]]:
        """What these topics hear of the entries after one position and up to another.

        Raises Resync when the first is no place in the log of the second.
        """
        _check_position(after, until)
        position = after
        while position.seq < until.seq:
            window = await self._replay_window(position, topics)
            yield [frame for frame in frames_for_topics(window, topics) if frame.position.seq <= until.seq]
            position = window.position

    # --- private ------------------------------------------------------------------------------

    async def _heartbeat_loop(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            self.send_heartbeats()

    async def _read_to_end(self) -> bool:
        """Read up to the end of the log; False when that must be tried again."""
        try:
            if self._position is None:
                self._advance(await self.reader.head())
            while not await self._offer_next_window():
                pass
        except (feed.ForeignEpoch, feed.FuturePosition) as error:
            self._start_over(error)
        except zmart_errors.ZmartError as error:
            self.stall_reason = str(error)
            log.error("streams_stalled", reason=str(error))
            return False
        except Exception:
            # A mistake of ours, or marts that are not built yet: stand still and say so, but live.
            self.stall_reason = "a statement failed; the log of this process has the reason."
            log.exception("streams_stalled")
            return False
        self.stall_reason = None
        return True

    async def _offer_next_window(self) -> bool:
        """Offer one window; whether it was the last."""
        assert self._position is not None
        window = await self._read_window(self._position)
        for subscription, batch in self._subscriptions.batches(window):
            for client in list(subscription.clients):
                client.offer(batch)
        self._advance(window.position)
        return window.is_last

    async def _read_window(self, after: feed.FeedPosition) -> LogWindow:
        """The next window with what anybody wants of it, those included who came while it was read."""
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
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _start_over(self, error: feed.ForeignEpoch | feed.FuturePosition) -> None:
        """The log under us is another one: everyone must read the state again."""
        log.warning("streams_resync", reason=str(error))
        self._advance(error.found)
        for client in self._subscriptions.clients():
            client.resync(_resync_required(error))

    async def _replay_window(self, position: feed.FeedPosition, topics: frozenset[str]) -> LogWindow:
        """A window of somebody's past; waits for a Postgres that is away, as everybody else does meanwhile."""
        while True:
            try:
                async with self._replays:
                    return await self.reader.window(position, topics)
            except (feed.ForeignEpoch, feed.FuturePosition) as error:
                raise _resync_required(error) from error
            except zmart_errors.Transient:
                if self._is_closed:
                    raise StreamClosed("shutdown") from None
                await asyncio.sleep(_RETRY_SECONDS)

    def _is_within_reach(self, position: feed.FeedPosition) -> bool:
        """Whether so little is missing that the queue will hold what comes while it is read."""
        current = self._position
        return current is None or position.epoch != current.epoch or current.seq - position.seq < QUEUE_FRAMES

    async def _wait_until_reached(self, position: feed.FeedPosition, client: StreamClient) -> None:
        """Wait until the hub has come to a position that the log has; Resync when it has not."""
        if self._has_reached(position):
            return
        await self._replay_window(position, frozenset())
        self._change_signal.notify()
        while not self._has_reached(position):
            if client.closed is not None:
                raise StreamClosed(client.closed)
            await self._moved.wait()

    def _has_reached(self, position: feed.FeedPosition) -> bool:
        current = self._position
        return current is not None and current.epoch == position.epoch and current.seq >= position.seq

    def _unregister(self, client: StreamClient) -> None:
        self._subscriptions.discard(client)
        self._clients.discard(client)
        self._per_address[client.address] -= 1
        if not self._per_address[client.address]:
            del self._per_address[client.address]


def _check_position(position: feed.FeedPosition, end: feed.FeedPosition) -> None:
    try:
        feed.check_position(position, end)
    except (feed.ForeignEpoch, feed.FuturePosition) as error:
        raise _resync_required(error) from error


def _resync_required(error: feed.ForeignEpoch | feed.FuturePosition) -> ResyncRequired:
    reason: ResyncReason = "foreign_epoch" if isinstance(error, feed.ForeignEpoch) else "future_position"
    return ResyncRequired(reason, error.found)
