"""A result that many ask for is computed once."""

from __future__ import annotations

import asyncio

import pytest

from zmart import errors
from zmart.tasks import SharedResult


class Question:
    """Counts how often it is answered; the answer waits until it is released."""

    def __init__(self) -> None:
        self.count = 0
        self.now = 0.0
        self.released = asyncio.Event()
        self.shared = SharedResult(self.answer, 1.0, lambda: self.now)

    async def answer(self) -> int:
        """Return how often this was called."""
        self.count += 1
        await self.released.wait()
        if self.count == 3:
            raise errors.Unavailable("Postgres is away.")
        return self.count


async def test_those_who_ask_at_once_share_a_run() -> None:
    """However old the run is: one that hangs is not started again beside itself."""
    question = Question()
    first = asyncio.create_task(question.shared.get())
    await asyncio.sleep(0)
    question.now = 60.0
    second = asyncio.create_task(question.shared.get())
    await asyncio.sleep(0)
    question.released.set()
    assert await asyncio.gather(first, second) == [1, 1]


async def test_a_result_is_shared_for_its_seconds_only() -> None:
    """From the begin of the run; an error is shared like a result."""
    question = Question()
    question.released.set()
    assert [await question.shared.get(), await question.shared.get()] == [1, 1]
    question.now = 1.0
    assert await question.shared.get() == 2
    question.now = 2.0
    for _ in range(2):
        with pytest.raises(errors.Unavailable, match="away"):
            await question.shared.get()
    assert question.count == 3


async def test_one_who_leaves_ends_it_for_nobody_else() -> None:
    """A caller that is cancelled does not cancel the run."""
    question = Question()
    leaving = asyncio.create_task(question.shared.get())
    staying = asyncio.create_task(question.shared.get())
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.sleep(0)
    question.released.set()
    assert await staying == 1
    assert leaving.cancelled()
