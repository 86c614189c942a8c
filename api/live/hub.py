"""The hub: where the process stands in the feed, and who is to hear what comes next.

One task reads window after window and offers each to the clients; it waits for nobody. A client's
queue is bounded. When it fills, messages of state that newer ones replace are dropped first; a
client that still does not keep up is closed with a reason and comes back with its position. So
messages of the log are either delivered in order or visibly not at all.

Coming in without a gap and without a double: the client is registered at the hub's position S, so
that everything after S is queued for it; then it is sent what lies between its own position and S,
read from the log by the same statement. Nothing is on both sides of S.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import structlog

from zmart import errors as zmart_errors
from zmart.db import feed

from .. import errors
from .doorbell import Doorbell
from .frames import Frame, Window, coalesced, heard
from .reader import Reader

log = structlog.get_logger()

Reason: TypeAlias = Literal["slow", "shutdown"]
ResyncReason: TypeAlias = Literal["foreign_epoch", "future_position"]

#: Frames a client may lag behind before it is closed; a few megabytes at worst.
QUEUE_FRAMES = 1000
#: After coalescing, a queue still this full belongs to a client that does not keep up.
_STILL_FULL = QUEUE_FRAMES * 3 // 4
MOST_CLIENTS = 5000
MOST_CLIENTS_PER_ADDRESS = 1000
#: Histories replayed at once.
REPLAYS = 3
#: Waits between attempts to read when Postgres is away or the feed has a hole.
_RETRY_SECONDS = 1.0


class Resync(Exception):
    """The client's position is no place in this log; it must read the state again from `found`."""

    def __init__(self, reason: ResyncReason, found: feed.Position) -> None:
        super().__init__(reason)
        self.reason: ResyncReason = reason
        self.found = found


class Closed(Exception):
    """The client hears nothing more; what it was sent is complete up to its position."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class Client:
    """One subscriber's bounded queue."""

    def __init__(self, topics: frozenset[str], address: str) -> None:
        self.topics = topics
        self.address = address
        self._frames: list[Frame] = []
        self._closed: Reason | None = None
        self._resync: Resync | None = None
        self._wake = asyncio.Event()

    def offer(self, frames: list[Frame]) -> None:
        """Queue frames, or close the client when it does not keep up."""
        if self._closed is not None:
            return
        self._frames += frames
        if len(self._frames) > QUEUE_FRAMES:
            self._frames = coalesced(self._frames)
            if len(self._frames) > _STILL_FULL:
                self.close("slow")
        self._wake.set()

    def resync(self, resync: Resync) -> None:
        """Forget what is queued and tell the client to read the state again."""
        self._frames = []
        self._resync = resync
        self._wake.set()

    def close(self, reason: Reason) -> None:
        """Tell the client that nothing more comes. At shutdown it still gets what is queued."""
        if self._closed is None:
            self._closed = reason
            if reason == "slow":
                self._frames = []
            self._wake.set()

    async def take(self) -> list[Frame]:
        """Wait for frames and take them all, coalesced. Raises Resync or Closed."""
        await self._wake.wait()
        if self._resync is not None:
            resync, self._resync = self._resync, None
            raise resync
        frames, self._frames = self._frames, []
        if not frames and self._closed is not None:
            raise Closed(self._closed)
        if self._closed is None:
            self._wake.clear()
        return coalesced(frames)


class Hub:
    """The process's place in the feed, and its clients by subscription."""

    def __init__(self, reader: Reader, doorbell: Doorbell) -> None:
        self._reader = reader
        self._doorbell = doorbell
        self._position: feed.Position | None = None
        self._begun = asyncio.Event()
        self._clients: dict[frozenset[str], set[Client]] = {}
        self._per_address: collections.Counter[str] = collections.Counter()
        self._replays = asyncio.Semaphore(REPLAYS)
        self._is_closed = False
        #: Why the hub stands still, while it does.
        self.trouble: str | None = None

    @property
    def position(self) -> feed.Position | None:
        """Everything up to here was offered; None before the first look at the log."""
        return self._position

    @property
    def streams(self) -> int:
        """Clients registered now."""
        return self._per_address.total()

    @property
    def silent_seconds(self) -> float:
        """Time since the doorbell's keeper last heard from Postgres."""
        return self._doorbell.silent_seconds

    async def run(self) -> None:
        """Offer window after window to the clients, until cancelled."""
        async with self._doorbell:
            while True:
                if await self._is_at_the_end():
                    await self._doorbell.wait()
                else:
                    await asyncio.sleep(_RETRY_SECONDS)

    def close(self) -> None:
        """End every stream so that its client can resume elsewhere; take no new ones."""
        self._is_closed = True
        for clients in self._clients.values():
            for client in clients:
                client.close("shutdown")

    def admit(self, address: str) -> None:
        """Raise TooManyStreams beyond the limits, Unavailable when the process is going away."""
        if self._is_closed:
            raise zmart_errors.Unavailable("This process is shutting down; connect again.")
        if self.streams >= MOST_CLIENTS:
            raise errors.TooManyStreams(f"All {MOST_CLIENTS} streams of this process are taken.")
        if self._per_address[address] >= MOST_CLIENTS_PER_ADDRESS:
            raise errors.TooManyStreams(f"{MOST_CLIENTS_PER_ADDRESS} streams are open from this address already.")

    @contextmanager
    def client(self, topics: frozenset[str], address: str) -> Iterator[Client]:
        """A registered client, for as long as the block lasts; TooManyStreams beyond the limits."""
        self.admit(address)
        client = Client(topics, address)
        self._per_address[address] += 1
        try:
            yield client
        finally:
            self._leave(client)

    async def begin(self, client: Client) -> feed.Position:
        """Queue what comes from now on for the client; returns where that begins."""
        await self._begun.wait()
        assert self._position is not None
        self._clients.setdefault(client.topics, set()).add(client)
        if self._is_closed:
            client.close("shutdown")
        return self._position

    async def resumed(self, client: Client, since: feed.Position) -> AsyncIterator[list[Frame]]:
        """What the client missed since its position; afterwards its queue goes on from there.

        Raises Resync when that is no place in this log.
        """
        position = since
        while not self._is_within_reach(position):
            window = await self._missed(position, client.topics)
            yield heard(window, client.topics)
            position = window.position
        start = await self.begin(client)
        _check(position, start)
        while position.seq < start.seq:
            window = await self._missed(position, client.topics)
            yield [frame for frame in heard(window, client.topics) if frame.position.seq <= start.seq]
            position = window.position

    # --- private ------------------------------------------------------------------------------

    async def _is_at_the_end(self) -> bool:
        """Read up to the end of the log; False when that must be tried again."""
        try:
            if self._position is None:
                self._position = await self._reader.head()
                self._begun.set()
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
        for topics, clients in self._clients.items():
            if frames := heard(window, topics):
                for client in clients:
                    client.offer(frames)
        self._position = self._doorbell.reached = window.position
        return window.is_last

    async def _wanted_window(self, after: feed.Position) -> Window:
        """The next window with what anybody wants of it, those included who came while it was read."""
        while True:
            asked = self._wanted()
            window = await self._reader.window(after, asked)
            if self._wanted() <= asked:
                return window

    def _wanted(self) -> frozenset[str]:
        return frozenset[str]().union(*self._clients)

    def _start_over(self, error: feed.ForeignEpoch | feed.FuturePosition) -> None:
        """The log under us is another one: everyone must read the state again."""
        log.warning("streams_resync", reason=str(error))
        self._position = error.found
        for clients in self._clients.values():
            for client in clients:
                client.resync(_resync(error))

    async def _missed(self, position: feed.Position, topics: frozenset[str]) -> Window:
        async with self._replays:
            try:
                return await self._reader.window(position, topics)
            except (feed.ForeignEpoch, feed.FuturePosition) as error:
                raise _resync(error) from error

    def _is_within_reach(self, position: feed.Position) -> bool:
        """Whether so little is missing that the queue will hold what comes while it is read."""
        here = self._position
        return here is None or position.epoch != here.epoch or here.seq - position.seq < QUEUE_FRAMES

    def _leave(self, client: Client) -> None:
        self._per_address[client.address] -= 1
        self._per_address += collections.Counter()
        clients = self._clients.get(client.topics, set())
        clients.discard(client)
        if not clients:
            self._clients.pop(client.topics, None)


def _check(position: feed.Position, end: feed.Position) -> None:
    try:
        feed.check_place(position, end)
    except (feed.ForeignEpoch, feed.FuturePosition) as error:
        raise _resync(error) from error


def _resync(error: feed.ForeignEpoch | feed.FuturePosition) -> Resync:
    reason: ResyncReason = "foreign_epoch" if isinstance(error, feed.ForeignEpoch) else "future_position"
    return Resync(reason, error.found)
