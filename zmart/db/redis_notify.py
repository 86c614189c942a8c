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
_AGAIN_SECONDS = 1.0


class Bell:
    """A bell to ring after each commit; without a Redis address it is silent, for Postgres rings."""

    def __init__(self, url: str | None) -> None:
        self._url = url if url is not None and url.startswith("redis") else None
        self._wanted = asyncio.Event()
        self._ringing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        if self._ringing is not None:
            self._ringing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ringing

    def ring(self) -> None:
        """Say that something was committed; returns at once and never fails. Needs a running event loop."""
        if self._url is None:
            return
        if self._ringing is None:
            self._ringing = asyncio.create_task(self._ring_on())
        self._wanted.set()

    async def _ring_on(self) -> None:
        while True:
            try:
                async with broadcaster.Broadcast(self._url) as carrier:
                    await self._ring_over(carrier)
            except Exception as error:
                # Listeners look every second by themselves.
                log.warning("bell_not_rung", kind=type(error).__name__, again_in_seconds=_AGAIN_SECONDS)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _ring_over(self, carrier: broadcaster.Broadcast) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await carrier.publish(CHANNEL, "")
