"""The budgets of addresses, and the turns in which they are read for."""

from __future__ import annotations

import asyncio

import pytest

from api.live.budgets import REFILL_SECONDS, AddressBudgets, AlternatingSlots, snapshot_weight


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_a_budget_is_spent_and_refills() -> None:
    """Exactly its weights at once; then one weight for each sixtieth of a minute; another address has its own."""
    clock = Clock()
    budgets = AddressBudgets(60, clock)
    assert [budgets.take("a", 20) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert budgets.take("a", 2) == pytest.approx(2.0)
    assert budgets.take("b", 60) == 0.0
    clock.now += 2.0
    assert budgets.take("a", 2) == 0.0
    assert budgets.take("a", 1) == pytest.approx(1.0)
    clock.now += 2 * REFILL_SECONDS
    assert budgets.take("a", 60) == 0.0
    assert budgets.take("a", 1) > 0.0


def test_budgets_grow_with_the_streams_that_are_allowed() -> None:
    """All clients of an address may come back at once after a restart: connect, subscribe, resume."""
    budgets = AddressBudgets.for_streams(1000, Clock())
    assert [budgets.take("a", 1) for _ in range(8000)] == [0.0] * 8000
    assert budgets.take("a", 10) > 0.0


async def test_what_is_not_covered_waits_and_is_released_at_shutdown() -> None:
    """Spending never fails; those who wait for a minute return when the process stops."""
    budgets = AddressBudgets(60)
    await budgets.spend("a", 60)
    waiting = asyncio.create_task(budgets.spend("a", 60))
    await budgets.spend("b", 60)
    await asyncio.sleep(0)
    assert not waiting.done()
    budgets.close()
    await asyncio.wait_for(waiting, 10)


async def test_addresses_alternate() -> None:
    """A single read of one address waits for one of another's at most, not for all."""
    slots = AlternatingSlots(1)
    order: list[str] = []

    async def read(address: str) -> None:
        async with slots.of(address):
            order.append(address)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(read("many"))
        await asyncio.sleep(0)
        group.create_task(read("other"))
        group.create_task(read("third"))
    assert max(order.index("other"), order.index("third")) < 5


async def test_a_slot_is_not_lost_with_one_who_leaves() -> None:
    """Cancelled while waiting, and cancelled as the slot is given."""
    slots = AlternatingSlots(1)
    entered = asyncio.Event()

    async def hold() -> None:
        async with slots.of("b"):
            entered.set()

    async with slots.of("a"):
        leaving = asyncio.create_task(hold())
        given = asyncio.create_task(hold())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
    # The slot has been given to the second; it leaves before it runs.
    given.cancel()
    await asyncio.wait([leaving, given])
    assert not entered.is_set()
    async with asyncio.timeout(10), slots.of("c"):
        pass


def test_a_snapshot_of_many_topics_weighs_more() -> None:
    """One for the statement, one for each ten topics."""
    assert [snapshot_weight(topics) for topics in (0, 9, 10, 100)] == [1, 1, 2, 11]
