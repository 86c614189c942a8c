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
from .client import QUEUE_FRAMES, Client, Closed, Resync, ResyncReason
from .frames import Batch, Frame, Window, heard
from .notifications import Doorbell
from .reader import Reader
from .subscriptions import Routes

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
_PATIENCE = 3


class Hub:
    """The process's place in the feed, and its clients by subscription."""

    def __init__(
        self, reader: Reader, doorbell: Doorbell, *, most_clients: int = 10_000, most_per_address: int = 1_000
    ) -> None:
        #: What the log is read with.
        self.reader = reader
        self._doorbell = doorbell
        self._most_clients = most_clients
        self._most_per_address = most_per_address
        self._position: feed.FeedPosition | None = None
        self._moved = asyncio.Event()
        self._routes = Routes()
        self._clients: set[Client] = set()
        self._per_address: collections.Counter[str] = collections.Counter()
        self._replays = asyncio.Semaphore(REPLAYS)
        self._is_closed = False
        #: Why the hub stands still, while it does.
        self.trouble: str | None = None

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
        return self._doorbell.silent_seconds

    async def run(self) -> None:
        """Offer window after window to the clients, until cancelled."""
        async with self._doorbell, asyncio.TaskGroup() as group:
            group.create_task(self._beat())
            while True:
                if await self._is_at_the_end():
                    await self._doorbell.wait()
                else:
                    await asyncio.sleep(_RETRY_SECONDS)

    def pulse(self) -> None:
        """Tell those who have heard nothing else where they are, so that they need not be told a long past later."""
        if self._position is not None:
            batch = Batch([Frame(self._position, ())])
            for client in self._routes.clients():
                client.pulse(batch)

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
    def registered(self, client: Client) -> Iterator[Client]:
        """Count a client for as long as the block lasts; TooManyStreams beyond the limits."""
        self.admit(client.address)
        self._clients.add(client)
        self._per_address[client.address] += 1
        try:
            yield client
        finally:
            self._leave(client)

    def hush(self, client: Client) -> feed.FeedPosition | None:
        """Offer the client nothing more; returns up to where it was offered what it hears."""
        self._routes.discard(client)
        return self._position

    def turn(self, client: Client, topics: frozenset[str]) -> None:
        """Let a client hear other topics, none of them new to it, from the next window on."""
        self._routes.discard(client)
        client.topics = topics
        self._routes.add(client)

    async def check(self, since: feed.FeedPosition) -> None:
        """Raise Resync when a position is no place in this log."""
        await self._missed(since, frozenset())

    async def begin(self, client: Client) -> feed.FeedPosition:
        """Queue what comes from now on for the client; returns where that begins. Closed at shutdown."""
        while self._position is None and not self._is_closed:
            await self._moved.wait()
        if self._position is None:
            raise Closed("shutdown")
        self._routes.add(client)
        if self._is_closed:
            client.close("shutdown")
        return self._position

    async def resumed(self, client: Client, since: feed.FeedPosition) -> AsyncIterator[list[Frame]]:
        """What the client missed since its position; afterwards its queue goes on from there.

        Raises Resync when that is no place in this log.
        """
        position = since
        while not self._is_within_reach(position):
            window = await self._missed(position, client.topics)
            yield heard(window, client.topics)
            position = window.position
        await self._come_to(position, client)
        start = await self.begin(client)
        _check(position, start)
        async for frames in self.between(position, start, client.topics):
            yield frames

    async def between(
        self, after: feed.FeedPosition, until: feed.FeedPosition, topics: frozenset[str]
    ) -> AsyncIterator[list[Frame]]:
        """What these topics hear of the entries after one position and up to another.

        Raises Resync when the first is no place in the log of the second.
        """
        _check(after, until)
        position = after
        while position.seq < until.seq:
            window = await self._missed(position, topics)
            yield [frame for frame in heard(window, topics) if frame.position.seq <= until.seq]
            position = window.position

    # --- private ------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(PING_SECONDS)
            self.pulse()

    async def _is_at_the_end(self) -> bool:
        """Read up to the end of the log; False when that must be tried again."""
        try:
            if self._position is None:
                self._move(await self.reader.head())
            while not await self._step():
                pass
        except (feed.ForeignEpoch, feed.FuturePosition) as error:
            self._start_over(error)
        except zmart_errors.ZmartError as error:
            self.trouble = str(error)
            log.error("streams_stand_still", reason=str(error))
            return False
        except Exception:
            # A mistake of ours, or marts that are not built yet: stand still and say so, but live.
            self.trouble = "a statement failed; the log of this process has the reason."
            log.exception("streams_stand_still")
            return False
        self.trouble = None
        return True

    async def _step(self) -> bool:
        """Offer one window; whether it was the last."""
        assert self._position is not None
        window = await self._wanted_window(self._position)
        for subscription, batch in self._routes.batches(window):
            for client in list(subscription.clients):
                client.offer(batch)
        self._move(window.position)
        return window.is_last

    async def _wanted_window(self, after: feed.FeedPosition) -> Window:
        """The next window with what anybody wants of it, those included who came while it was read."""
        for _ in range(_PATIENCE):
            version, asked = self._routes.version, self._routes.topics
            if len(asked) > _MANY_TOPICS:
                break
            window = await self.reader.window(after, asked)
            if version == self._routes.version:
                return window
        return await self.reader.window(after, None)

    def _move(self, position: feed.FeedPosition) -> None:
        self._position = self._doorbell.reached = position
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    def _start_over(self, error: feed.ForeignEpoch | feed.FuturePosition) -> None:
        """The log under us is another one: everyone must read the state again."""
        log.warning("streams_resync", reason=str(error))
        self._move(error.found)
        for client in self._routes.clients():
            client.resync(_resync(error))

    async def _missed(self, position: feed.FeedPosition, topics: frozenset[str]) -> Window:
        """A window of somebody's past; waits for a Postgres that is away, as everybody else does meanwhile."""
        while True:
            try:
                async with self._replays:
                    return await self.reader.window(position, topics)
            except (feed.ForeignEpoch, feed.FuturePosition) as error:
                raise _resync(error) from error
            except zmart_errors.Transient:
                if self._is_closed:
                    raise Closed("shutdown") from None
                await asyncio.sleep(_RETRY_SECONDS)

    def _is_within_reach(self, position: feed.FeedPosition) -> bool:
        """Whether so little is missing that the queue will hold what comes while it is read."""
        here = self._position
        return here is None or position.epoch != here.epoch or here.seq - position.seq < QUEUE_FRAMES

    async def _come_to(self, position: feed.FeedPosition, client: Client) -> None:
        """Wait until the hub has come to a position that the log has; Resync when it has not."""
        if self._has_come_to(position):
            return
        await self._missed(position, frozenset())
        self._doorbell.nudge()
        while not self._has_come_to(position):
            if client.closed is not None:
                raise Closed(client.closed)
            await self._moved.wait()

    def _has_come_to(self, position: feed.FeedPosition) -> bool:
        here = self._position
        return here is not None and here.epoch == position.epoch and here.seq >= position.seq

    def _leave(self, client: Client) -> None:
        self._routes.discard(client)
        self._clients.discard(client)
        self._per_address[client.address] -= 1
        if not self._per_address[client.address]:
            del self._per_address[client.address]


def _check(position: feed.FeedPosition, end: feed.FeedPosition) -> None:
    try:
        feed.check_position(position, end)
    except (feed.ForeignEpoch, feed.FuturePosition) as error:
        raise _resync(error) from error


def _resync(error: feed.ForeignEpoch | feed.FuturePosition) -> Resync:
    reason: ResyncReason = "foreign_epoch" if isinstance(error, feed.ForeignEpoch) else "future_position"
    return Resync(reason, error.found)
