"""Signals that entries were appended to the feed, so that the hub reads the log.

The broadcaster library transports the signal, so another transport needs only another setting. The backend in this
module wraps the feed's listener: one LISTEN connection per process, which reconnects, polls and re-reads by itself
(zmart/db/feed.py). A signal is only a hint; the receiver reads the log. BROADCAST_URL=postgresql://... listens on
another connection than DATABASE_URL, for a pooler that does not support LISTEN. With redis://... the signal comes
over Redis, published by the process that committed (zmart/db/redis_notify.py). Redis does not guarantee that every
signal arrives, so each wait ends after a second in any case.

Broadcaster has one subscriber here, for any number of clients. Its queues are unbounded, and the first of several
concurrent subscribers can be lost (docs/adr/0013-broadcaster-and-the-wire.md). Neither can happen with a single
subscriber that always reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from typing import Any, Self

import broadcaster
import structlog
from broadcaster._backends.base import BroadcastBackend

from zmart import tasks
from zmart.db import feed, redis_notify

log = structlog.get_logger()

CHANNEL = redis_notify.CHANNEL
#: A message that the listener sends to itself as a check; broadcaster's own task may end without an error.
BEAT = "beat"
BEAT_SECONDS = 5.0
#: How often a standby is asked for entries that the primary has signalled.
STANDBY_POLL_SECONDS = 0.01
#: A hole in the feed is logged again at this interval until it is repaired.
REPORT_SECONDS = 5.0


class FeedBackend(BroadcastBackend):
    """Broadcaster's view of the feed: one channel, notified by the transactions that append."""

    def __init__(self, dsn: str) -> None:
        self._listener = feed.FeedListener(dsn, application_name="zmart api feed", on_notify=self._on_notify)
        self._moved = asyncio.Event()
        self._was_notified = False
        self._reached: feed.FeedPosition | None = None
        self._following: asyncio.Task[None] | None = None

    @property
    def reached(self) -> feed.FeedPosition | None:
        """Return the end of the log when it was last read."""
        return self._reached

    @property
    def silent_seconds(self) -> float:
        """Return the seconds since the last data from Postgres."""
        return self._listener.silent_seconds

    async def connect(self) -> None:
        """Start to follow the feed. Does not wait, because the listener connects by itself."""
        self._following = asyncio.create_task(self._follow())

    async def disconnect(self) -> None:
        """Stop following and release the connection."""
        if self._following is not None:
            await tasks.cancel_and_wait(self._following)
        await self._listener.close()

    # These two must not suspend: broadcaster loses a subscriber when the first subscription does.
    async def subscribe(self, channel: str) -> None:
        """Do nothing: there is one channel, and it is followed from the start."""

    async def unsubscribe(self, channel: str) -> None:
        """Do nothing."""

    async def publish(self, channel: str, message: Any) -> None:
        """Raise NotImplementedError: only a transaction that appends to the log notifies."""
        raise NotImplementedError("notifications are sent by the transaction that appends")

    async def next_published(self) -> broadcaster.Event:
        """Wait for a notification (empty message) or for entries (the message is their last position).

        Never raises: an exception would end broadcaster's own task.
        """
        await self._moved.wait()
        self._moved.clear()
        was_notified, self._was_notified = self._was_notified, False
        return broadcaster.Event(CHANNEL, "" if was_notified else str(self._reached))

    async def _follow(self) -> None:
        while True:
            try:
                await self._read_next()
            except feed.ForeignPosition as error:
                self._listener.seek(error.found)
            except Exception as error:
                # A bug in this code, or a table that is missing while a dump is restored, must not end this task.
                log.error("feed_listener_stalled", reason=str(error), kind=type(error).__name__)
                await asyncio.sleep(REPORT_SECONDS)
                continue
            self._reached = self._listener.position
            self._moved.set()

    def _on_notify(self) -> None:
        # Signal at the notification itself, not after the listener's own read; this saves readers a round trip.
        self._was_notified = True
        self._moved.set()

    async def _read_next(self) -> None:
        if self._listener.position is None:
            await self._listener.start()
        else:
            await anext(self._listener)


class ChangeSignal:
    """One subscription per process, over any transport; several signals before a read count as one."""

    def __init__(self, dsn: str, url: str | None = None, *, is_for_standby: bool = False) -> None:
        is_postgres = url is None or url.startswith("postgres")
        #: None if the transport is not Postgres.
        self._backend = FeedBackend(url or dsn) if is_postgres else None
        self._url = None if is_postgres else url
        #: Whether the hub reads from a standby, which has an entry only some time after its signal.
        self._is_for_standby = is_for_standby
        self._changed = asyncio.Event()
        #: The hub's position; a signal about entries that the hub has already read wakes nothing.
        self.reached: feed.FeedPosition | None = None
        self._listen_task: asyncio.Task[None] | None = None

    @property
    def silent_seconds(self) -> float:
        """Return the seconds since the last data from Postgres.

        0 if the transport is not Postgres, or if the hub reads from a standby, which needs no signal.
        """
        return self._backend.silent_seconds if self._backend and not self._is_for_standby else 0.0

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
        """Signal from inside the process that something was appended."""
        self._changed.set()

    async def wait(self) -> None:
        """Return after a signal, or after a second if the transport can lose signals.

        For a standby that has not replayed the signalled entries, return after milliseconds: nothing signals that.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._longest_wait()):
                await self._changed.wait()
        self._changed.clear()

    def _longest_wait(self) -> float | None:
        if not self._is_for_standby:
            return None if self._backend else feed.POLL_SECONDS
        if self._backend is None:
            return STANDBY_POLL_SECONDS * 10
        known, reached = self._backend.reached, self.reached
        is_behind = (
            known is not None and reached is not None and known.epoch == reached.epoch and known.seq > reached.seq
        )
        return STANDBY_POLL_SECONDS if is_behind else feed.POLL_SECONDS

    async def _listen_forever(self) -> None:
        """Listen, and reconnect when the transport is lost; meanwhile the hub still polls every second."""
        while True:
            try:
                await self._listen()
            except Exception as error:
                # In every case streams are only a second slower until it recovers, and never wrong.
                log.warning("change_channel_lost", kind=type(error).__name__, retry_in_seconds=REPORT_SECONDS)
                await asyncio.sleep(REPORT_SECONDS)

    async def _listen(self) -> None:
        carrier = broadcaster.Broadcast(self._url, backend=self._backend)
        async with carrier, carrier.subscribe(CHANNEL) as subscriber:
            # Signals that were sent before this subscription are lost.
            self._changed.set()
            while True:
                event = await self._next(carrier, subscriber)
                if event.message != BEAT and not self._is_old(event.message):
                    self._changed.set()

    async def _next(
        self, carrier: broadcaster.Broadcast, subscriber: broadcaster._base.Subscriber
    ) -> broadcaster.Event:
        """Return the next event. If Redis is silent, send a check message, which must come back in time."""
        if self._backend is not None:
            return await subscriber.get()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT_SECONDS):
                return await subscriber.get()
        await carrier.publish(CHANNEL, BEAT)
        async with asyncio.timeout(BEAT_SECONDS):
            return await subscriber.get()

    def _is_old(self, message: str) -> bool:
        """Return whether these are entries that the hub has passed; a notification never is."""
        if self._backend is None or not message or self.reached is None:
            return False
        position = feed.FeedPosition.parse(message)
        return position.epoch == self.reached.epoch and position.seq <= self.reached.seq
