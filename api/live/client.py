"""Holds one stream client: its topics and the bounded queue between it and the hub.

The hub offers batch after batch and never waits for a client. A client whose transport accepts bytes at once has
an `outlet`; then nothing is queued and no task is woken. All other clients use their queue: SSE clients, which wait
for their turn, clients whose past is being replayed, and clients whose peer reads too slowly. When the queue is full,
state messages that newer ones replace are dropped first. A client that still lags is closed with a reason. Messages
of the log are therefore delivered in order, or the client sees that they are missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, TypeAlias

from zmart.db import feed

from .frames import Frame, FrameBatch, coalesce

CloseReason: TypeAlias = Literal["slow", "shutdown", "key_revoked"]
ResyncReason: TypeAlias = Literal["foreign_epoch", "future_position", "mark_mismatch"]
#: Accepts a batch immediately and returns True, or returns False.
Outlet: TypeAlias = Callable[[FrameBatch], bool]

#: Frames a client may lag behind before it is closed; a few megabytes at worst.
QUEUE_FRAMES = 1000
#: The same for a client whose past is being read: it waits for Postgres, and is not slow itself.
REPLAY_QUEUE_FRAMES = 10 * QUEUE_FRAMES


class ResyncRequired(Exception):
    """The client's position does not exist in this log; the client must read the state again from `found`."""

    def __init__(self, reason: ResyncReason, found: feed.FeedPosition) -> None:
        super().__init__(reason)
        self.reason: ResyncReason = reason
        self.found = found


class StreamClosed(Exception):
    """The client receives nothing more; everything up to its position has been sent."""

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
        #: Frames that the client may lag behind now.
        self.most_frames = QUEUE_FRAMES
        #: Called when frames are waiting, for clients without a task that waits for them.
        self._on_wake = on_wake
        self._frames: list[Frame] = []
        self._closed: CloseReason | None = None
        self._resync: ResyncRequired | None = None
        self._wake = asyncio.Event()

    @property
    def closed(self) -> CloseReason | None:
        """Return the reason why the stream is closed, or None while it is open."""
        return self._closed

    def offer(self, batch: FrameBatch) -> None:
        """Send the batch or queue it; close the client if it is too slow."""
        if self._closed is not None:
            return
        if self.outlet is not None and not self._wake.is_set() and self.outlet(batch):
            return
        self._frames += batch.frames
        if len(self._frames) > self.most_frames:
            self._frames = coalesce(self._frames)
            # A queue that is still this full after coalescing belongs to a client that reads too slowly.
            if len(self._frames) > self.most_frames * 3 // 4:
                self.close("slow")
        self._notify()

    def offer_heartbeat(self, batch: FrameBatch) -> None:
        """Send a frame without messages, unless it would have to be queued."""
        if self.outlet is not None and self._closed is None and not self._wake.is_set():
            self.outlet(batch)

    def resync(self, resync: ResyncRequired) -> None:
        """Discard the queue and make the client read the state again."""
        self._frames = []
        self._resync = resync
        self._notify()

    def close(self, reason: CloseReason) -> None:
        """Close the stream. At shutdown the client still receives the queued frames."""
        if self._closed is None:
            self._closed = reason
            if reason != "shutdown":
                self._frames = []
            self._notify()

    async def take(self) -> list[Frame]:
        """Wait for frames and return all of them, coalesced. Raise ResyncRequired or StreamClosed."""
        await self._wake.wait()
        return self.take_now()

    def take_now(self) -> list[Frame]:
        """Return the queued frames, coalesced; may be empty. Raise ResyncRequired or StreamClosed."""
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
