"""The doorbell: something was appended, look.

Broadcaster carries it, so that another transport is one setting away. Our own backend wraps the
feed's listener: one LISTEN connection per process, which reconnects, polls and re-reads by itself
(zmart/db/feed.py). What arrives is a hint; whoever hears it reads the log. BROADCAST_URL=postgresql://...
listens on another connection than DATABASE_URL, for a pooler that cannot LISTEN. With redis://... the hint
comes over Redis, rung by whoever committed (zmart/db/redis_notify.py); nothing there promises that every hint
arrives, so waiting ends after a second in any case.

Broadcaster has one subscriber here, whatever the number of clients: its queues are unbounded and the first
of several concurrent subscribers can be lost (docs/adr/0013-broadcaster-and-the-wire.md), and neither can
happen to one that always reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from typing import Any, Self

import broadcaster
import structlog
from broadcaster._backends.base import BroadcastBackend

from zmart.db import feed, redis_notify

from . import tasks

log = structlog.get_logger()

CHANNEL = redis_notify.CHANNEL
#: What a listener says to hear whether it can be heard; broadcaster's own task may end without a word.
BEAT = "beat"
BEAT_SECONDS = 5.0
#: A hole in the feed is reported again this often until it is mended.
REPORT_SECONDS = 5.0


class FeedBackend(BroadcastBackend):
    """Broadcaster's view of the feed: one channel, rung by the transactions that append."""

    def __init__(self, dsn: str) -> None:
        self._listener = feed.FeedListener(dsn, application_name="zmart api feed", on_notify=self._on_notify)
        self._moved = asyncio.Event()
        self._was_notified = False
        self._reached: feed.FeedPosition | None = None
        self._following: asyncio.Task[None] | None = None

    @property
    def silent_seconds(self) -> float:
        """Time since Postgres was last heard."""
        return self._listener.silent_seconds

    async def connect(self) -> None:
        """Begin to follow the feed; waits for nothing, the listener connects by itself."""
        self._following = asyncio.create_task(self._follow())

    async def disconnect(self) -> None:
        """Stop following and give the connection back."""
        if self._following is not None:
            await tasks.cancel_and_wait(self._following)
        await self._listener.close()

    # These two must not suspend: broadcaster loses a subscriber when the first subscription does.
    async def subscribe(self, channel: str) -> None:
        """Do nothing: there is one channel, listened to from the start."""

    async def unsubscribe(self, channel: str) -> None:
        """Do nothing."""

    async def publish(self, channel: str, message: Any) -> None:
        """Refuse: only a transaction that appends to the log rings."""
        raise NotImplementedError("the doorbell is rung by the transaction that appends")

    async def next_published(self) -> broadcaster.Event:
        """Wait for a bell (no message) or for entries (how far they reach).

        Never raises: that would end broadcaster's own task.
        """
        await self._moved.wait()
        self._moved.clear()
        was_notified, self._was_notified = self._was_notified, False
        return broadcaster.Event(CHANNEL, "" if was_notified else str(self._reached))

    async def _follow(self) -> None:
        while True:
            try:
                await self._read_next()
            except (feed.ForeignEpoch, feed.FuturePosition) as error:
                self._listener.seek(error.found)
            except Exception as error:
                # A mistake of ours, or a table that is missing while a dump is restored, must not end the listening.
                log.error("feed_listener_stalled", reason=str(error), kind=type(error).__name__)
                await asyncio.sleep(REPORT_SECONDS)
                continue
            self._reached = self._listener.position
            self._moved.set()

    def _on_notify(self) -> None:
        # At the bell itself, not after the listener's own reading: that saves readers a round trip.
        self._was_notified = True
        self._moved.set()

    async def _read_next(self) -> None:
        if self._listener.position is None:
            await self._listener.start()
        else:
            await anext(self._listener)


class ChangeSignal:
    """One subscription per process, whatever carries it; many rings before a look are one."""

    def __init__(self, dsn: str, url: str | None = None) -> None:
        is_postgres = url is None or url.startswith("postgres")
        #: None where the carrier is not Postgres.
        self._backend = FeedBackend(url or dsn) if is_postgres else None
        self._url = None if is_postgres else url
        self._changed = asyncio.Event()
        #: How far the hub has come; word of entries that it has read already wakes nobody.
        self.reached: feed.FeedPosition | None = None
        self._listen_task: asyncio.Task[None] | None = None

    @property
    def silent_seconds(self) -> float:
        """Time since Postgres was last heard; 0 where the carrier is not Postgres."""
        return self._backend.silent_seconds if self._backend else 0.0

    async def __aenter__(self) -> Self:
        self._listen_task = asyncio.create_task(self._listen_forever())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        assert self._listen_task is not None
        await tasks.cancel_and_wait(self._listen_task)

    def notify(self) -> None:
        """Ring from inside: somebody knows of something that was appended."""
        self._changed.set()

    async def wait(self) -> None:
        """Return once somebody rang, or after a second where rings may get lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self._backend else feed.POLL_SECONDS):
                await self._changed.wait()
        self._changed.clear()

    async def _listen_forever(self) -> None:
        """Listen, and begin again where the carrier is lost; looking every second goes on meanwhile."""
        while True:
            try:
                await self._listen()
            except Exception as error:
                # Whatever it is, streams are a second slower until it is mended and never wrong.
                log.warning("change_channel_lost", kind=type(error).__name__, again_in_seconds=REPORT_SECONDS)
                await asyncio.sleep(REPORT_SECONDS)

    async def _listen(self) -> None:
        carrier = broadcaster.Broadcast(self._url, backend=self._backend)
        async with carrier, carrier.subscribe(CHANNEL) as subscriber:
            # What was rung before we listened is lost.
            self._changed.set()
            while True:
                event = await self._next(carrier, subscriber)
                if event.message != BEAT and not self._is_old(event.message):
                    self._changed.set()

    async def _next(
        self, carrier: broadcaster.Broadcast, subscriber: broadcaster._base.Subscriber
    ) -> broadcaster.Event:
        """The next word. Over Redis, silence is answered with a beat of ours, which must come back in time."""
        if self._backend is not None:
            return await subscriber.get()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                return await subscriber.get()
        await carrier.publish(CHANNEL, BEAT)
        async with asyncio.timeout(BEAT_SECONDS):
            return await subscriber.get()

    def _is_old(self, message: str) -> bool:
        """Whether these are entries that the hub has passed; a bell never is."""
        if self._backend is None or not message or self.reached is None:
            return False
        position = feed.FeedPosition.parse(message)
        return position.epoch == self.reached.epoch and position.seq <= self.reached.seq
