"""The doorbell: something was appended, look.

Broadcaster carries it, so that another transport is one setting away. Our own backend wraps the
feed's listener: one LISTEN connection per process, which reconnects, polls and re-reads by itself
(zmart/db/feed.py). What arrives is a hint; whoever hears it reads the log. With
BROADCAST_URL=redis://... the hint comes over Redis instead, and since nothing there promises that
every hint arrives, waiting ends after a second in any case.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from typing import Any, Self

import broadcaster
import structlog
from broadcaster._backends.base import BroadcastBackend

from zmart import errors
from zmart.db import feed

log = structlog.get_logger()

CHANNEL = "zmart_feed"
#: A hole in the feed is reported again this often until it is mended.
_REPORT_SECONDS = 5.0


class FeedBackend(BroadcastBackend):
    """Broadcaster's view of the feed: one channel, rung by the transactions that append."""

    def __init__(self, listener: feed.Listener) -> None:
        self._listener = listener

    async def connect(self) -> None:
        """Do nothing: the listener connects when it is first asked, and again when it must."""

    async def disconnect(self) -> None:
        """Give the connection back."""
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
        """Wait until the feed has moved. Never raises: that would end broadcaster's own task."""
        while True:
            try:
                return broadcaster.Event(CHANNEL, str(await self._reached()))
            except errors.ZmartError as error:
                log.error("doorbell_stands_still", reason=str(error))
                await asyncio.sleep(_REPORT_SECONDS)

    async def _reached(self) -> feed.Position:
        if self._listener.position is None:
            return await self._listener.start()
        try:
            return (await anext(self._listener)).position
        except (feed.ForeignEpoch, feed.FuturePosition) as error:
            self._listener.seek(error.found)
            return error.found


class Doorbell:
    """One subscription per process, whatever carries it; many rings before a look are one."""

    def __init__(self, listener: feed.Listener, url: str | None = None) -> None:
        self._listener = listener
        self._backend = None if url else FeedBackend(listener)
        self._carrier = broadcaster.Broadcast(url, backend=self._backend)
        self._rung = asyncio.Event()
        self._ears: asyncio.Task[None] | None = None

    @property
    def silent_seconds(self) -> float:
        """Time since Postgres was last heard; 0 where the carrier is not Postgres."""
        return self._listener.silent_seconds if self._backend else 0.0

    async def __aenter__(self) -> Self:
        await self._carrier.connect()
        self._ears = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        assert self._ears is not None
        self._ears.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._ears
        await self._carrier.disconnect()

    async def wait(self) -> None:
        """Return once somebody rang, or after a second where rings may get lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self._backend else feed.POLL_SECONDS):
                await self._rung.wait()
        self._rung.clear()

    async def _listen(self) -> None:
        async with self._carrier.subscribe(CHANNEL) as subscriber:
            while True:
                await subscriber.get()
                self._rung.set()
