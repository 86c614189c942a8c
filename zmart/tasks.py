"""Ends background tasks reliably."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

#: Time after which a cancelled task is cancelled again.
_RETRY_SECONDS = 0.5


async def cancel_until_done(task: asyncio.Task[Any]) -> None:
    """Cancel a task and return when it has ended, however it ended.

    One cancellation is not always enough: until Python 3.12 `asyncio.wait_for`, which the drivers of Postgres and Redis
    use, loses a cancellation that arrives at the same moment as its result.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_RETRY_SECONDS)


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and return when it has ended; raise the error that it ended with."""
    await cancel_until_done(task)
    with contextlib.suppress(asyncio.CancelledError):
        task.result()
