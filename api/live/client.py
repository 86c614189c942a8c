"""One subscriber: what it hears, and the bounded queue between it and the hub.

The hub offers batch after batch and waits for nobody. A client whose transport takes bytes at once has
an `outlet`, and then nothing is queued and no task is woken; one that waits for its turn (SSE), that is
being told its past, or whose peer reads too slowly, has its queue. When that fills, messages of state
that newer ones replace are dropped first, and a client that still does not keep up is closed with a
reason. So messages of the log are delivered in order or visibly not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

from zmart.db import feed

from .frames import Frame, FrameBatch, coalesce

CloseReason: TypeAlias = Literal["slow", "shutdown"]
ResyncReason: TypeAlias = Literal["foreign_epoch", "future_position"]
#: Takes a batch right now, or says that it cannot.
Outlet: TypeAlias = Callable[[FrameBatch], bool]

#: Frames a client may lag behind before it is closed; a few megabytes at worst.
QUEUE_FRAMES = 1000
#: After coalescing, a queue still this full belongs to a client that does not keep up.
_SLOW_CLIENT_FRAMES = QUEUE_FRAMES * 3 // 4


class ResyncRequired(Exception):
    """The client's position is no place in this log; it must read the state again from `found`."""

    def __init__(self, reason: ResyncReason, found: feed.FeedPosition) -> None:
        super().__init__(reason)
        self.reason: ResyncReason = reason
        self.found = found


class StreamClosed(Exception):
    """The client hears nothing more; what it was sent is complete up to its position."""

    def __init__(self, reason: CloseReason) -> None:
        super().__init__(reason)
        self.reason: CloseReason = reason


class StreamClient:
    """One subscriber's topics and queue."""

    def __init__(self, topics: frozenset[str], address: str, *, on_wake: Callable[[], None] | None = None) -> None:
        self.topics = topics
        self.address = address
        #: Where batches go while nothing is queued; None makes everything queue.
        self.outlet: Outlet | None = None
        #: Told when something waits to be taken, by those who have no task that waits.
        self._on_wake = on_wake
        self._frames: list[Frame] = []
        self._closed: CloseReason | None = None
        self._resync: ResyncRequired | None = None
        self._wake = asyncio.Event()

    @property
    def closed(self) -> CloseReason | None:
        """Why nothing more comes."""
        return self._closed

    def offer(self, batch: FrameBatch) -> None:
        """Pass a batch on or queue it, or close the client when it does not keep up."""
        if self._closed is not None:
            return
        if self.outlet is not None and not self._wake.is_set() and self.outlet(batch):
            return
        self._frames += batch.frames
        if len(self._frames) > QUEUE_FRAMES:
            self._frames = coalesce(self._frames)
            if len(self._frames) > _SLOW_CLIENT_FRAMES:
                self.close("slow")
        self._notify()

    def offer_heartbeat(self, batch: FrameBatch) -> None:
        """Pass a frame without messages on, where that takes no queue."""
        if self.outlet is not None and self._closed is None and not self._wake.is_set():
            self.outlet(batch)

    def resync(self, resync: ResyncRequired) -> None:
        """Forget what is queued and tell the client to read the state again."""
        self._frames = []
        self._resync = resync
        self._notify()

    def close(self, reason: CloseReason) -> None:
        """Tell the client that nothing more comes. At shutdown it still gets what is queued."""
        if self._closed is None:
            self._closed = reason
            if reason == "slow":
                self._frames = []
            self._notify()

    async def take(self) -> list[Frame]:
        """Wait for frames and take them all, coalesced. Raises Resync or Closed."""
        await self._wake.wait()
        return self.take_now()

    def take_now(self) -> list[Frame]:
        """Take what is there, coalesced; empty when nothing is. Raises Resync or Closed."""
        if self._resync is not None:
            resync, self._resync = self._resync, None
            raise resync
        frames, self._frames = self._frames, []
        if not frames and self._closed is not None:
            raise StreamClosed(self._closed)
        if self._closed is None:
            self._wake.clear()
        return coalesce(frames)

    def _notify(self) -> None:
        self._wake.set()
        if self._on_wake is not None:
            self._on_wake()
