"""Ringing the doorbell over Redis, for those who committed something.

Postgres rings by itself: the appending transaction notifies, and the bell is heard when it commits. Where
BROADCAST_URL names Redis, whoever committed says so here, afterwards and without waiting: a bell that is
lost costs a listener one second, a commit that waited for Redis would cost everybody. Rings that come while
one is on its way are one.
"""

from __future__ import annotations

import asyncio
import contextlib
import types
from typing import Self

import broadcaster
import structlog

log = structlog.get_logger()

#: What bells are rung on; with Postgres it is the channel of NOTIFY.
CHANNEL = "zmart_feed"
#: After a failure, Redis is left alone for this long.
RETRY_SECONDS = 1.0


class Notifier:
    """A bell to ring after each commit; without a Redis address it is silent, for Postgres rings."""

    def __init__(self, url: str | None) -> None:
        self._url = url if url is not None and url.startswith("redis") else None
        self._pending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def notify(self) -> None:
        """Say that something was committed; returns at once and never fails. Needs a running event loop."""
        if self._url is None:
            return
        if self._task is None:
            self._task = asyncio.create_task(self._publish_forever())
        self._pending.set()

    async def _publish_forever(self) -> None:
        while True:
            try:
                async with broadcaster.Broadcast(self._url) as carrier:
                    await self._publish_pending(carrier)
            except Exception as error:
                # Listeners look every second by themselves.
                log.warning("redis_notify_failed", kind=type(error).__name__, retry_in_seconds=RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)

    async def _publish_pending(self, carrier: broadcaster.Broadcast) -> None:
        while True:
            await self._pending.wait()
            self._pending.clear()
            await carrier.publish(CHANNEL, "")
