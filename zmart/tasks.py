"""Ends background tasks reliably, and shares the result of a task among those who ask for it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

#: Time after which a cancelled task is cancelled again.
_RETRY_SECONDS = 0.5

Result = TypeVar("Result")
#: Cancelled work that still runs; without a reference here it could be collected before it ends.
_abandoned: set[asyncio.Task[Any]] = set()


async def run_within(seconds: float, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`; raise TimeoutError after `seconds`, even where the work does not end when cancelled.

    A cancelled statement waits up to ten seconds for a server that does not answer, so `asyncio.timeout` around it is
    no deadline.
    """
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not done:
        _abandon(task)
        raise TimeoutError
    return task.result()


def _abandon(task: asyncio.Task[Any]) -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        # Reading the exception marks it as retrieved; nobody waits for it any more.
        task.exception()


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


class SharedResult(Generic[Result]):
    """The result of one run, for all who ask while it runs and for `seconds` after it began.

    Anybody may ask a service whether it is ready, as often as they like; this bounds what their questions cost.
    """

    def __init__(
        self,
        run: Callable[[], Coroutine[Any, Any, Result]],
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._seconds = seconds
        self._clock = clock
        self._task: asyncio.Task[Result] | None = None
        self._began = 0.0

    async def get(self) -> Result:
        """Return the result, at most `seconds` old; raise the error that the run ended with."""
        now = self._clock()
        if self._task is None or (self._task.done() and now - self._began >= self._seconds):
            self._task, self._began = asyncio.ensure_future(self._run()), now
        # One who leaves does not end the run for the others.
        return await asyncio.shield(self._task)
