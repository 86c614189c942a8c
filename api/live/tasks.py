"""Ending background tasks for certain."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

#: How long a cancelled task has before it is cancelled again.
_RETRY_SECONDS = 0.5


async def cancel_and_wait(task: asyncio.Task[Any]) -> None:
    """Cancel a task and return when it has ended; an error it ended with is raised.

    Once is not always enough: until Python 3.12 `asyncio.wait_for`, which the driver waits with,
    loses a cancellation that arrives in the moment its result does.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=_RETRY_SECONDS)
    with contextlib.suppress(asyncio.CancelledError):
        task.result()
