"""Sends the notification of new feed entries over Redis, after each commit.

With Postgres alone this is not needed: the appending transaction notifies, and listeners receive it when it commits.
Where BROADCAST_URL names Redis, the process that committed publishes here, afterwards and without waiting. A lost
notification delays a listener by one second, whereas a commit that waits for Redis would delay every client.
Notifications that arrive while one is being sent are combined into one.
"""

from __future__ import annotations

import asyncio
import types
from typing import Self

import broadcaster
import structlog

from zmart.tasks import cancel_until_done

log = structlog.get_logger()

#: The channel of the notifications; with Postgres it is the channel of NOTIFY.
CHANNEL = "zmart_feed"
#: After a failure, Redis is not contacted for this long.
RETRY_SECONDS = 1.0


class Notifier:
    """Sends a notification after each commit; without a Redis address it does nothing, because Postgres notifies."""

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
            await cancel_until_done(self._task)

    def notify(self) -> None:
        """Report a commit; return at once and never fail. Requires a running event loop."""
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
                # Listeners poll every second by themselves.
                log.warning("redis_notify_failed", kind=type(error).__name__, retry_in_seconds=RETRY_SECONDS)
                await asyncio.sleep(RETRY_SECONDS)

    async def _publish_pending(self, carrier: broadcaster.Broadcast) -> None:
        while True:
            await self._pending.wait()
            self._pending.clear()
            await carrier.publish(CHANNEL, "")
