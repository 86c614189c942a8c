"""Limits what each address may ask of the streams: a budget of weights, and turns at the connections that read for it.

A handshake, a subscription, a snapshot and each window of a client's past have a weight. An address has a budget of
them that refills continuously. What goes beyond it waits until the budget covers it, so that a client which asks too
often is served later and needs no code for it; only a handshake that is not covered is refused.

One weight is about a millisecond of processor time, of the API and of Postgres together. Measured on two cores of an
AMD EPYC, over a log of 100 markets and 6,000 trades, the API process and its Postgres sessions:

    action                                  weight      ms     of it Postgres
    handshake                                    1     1.4                0
    subscription without a state                 2     1.9              0.7
    subscription to 1 market                     2     2.8              0.8
    subscription to 10, 20, 50 markets     3, 4, 7     3.3, 4.6, 6.3    1.2, 2.0, 3.2
    subscription to 100 markets                 12    11.1              5.8
    window of 200 trades                         1      16               11

A window weighs less than it costs when it is full, because most resuming clients lack a few entries: all clients behind
one address must be able to resume after a restart. The turns below bound what full windows cost.

The weights bound the load of one address over time. The turns bound it at each moment: reads of different addresses
alternate, so those of one address with hundreds of connections wait for one another and not in front of the others.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

#: The weight of opening a connection.
HANDSHAKE: Final = 1
#: The weight of a change of topics, and of a ticket that is redeemed in Postgres.
SUBSCRIPTION: Final = 1
TICKET: Final = 1
#: The weight of one window of the past, which is one statement.
WINDOW: Final = 1
#: A snapshot weighs 1, and 1 more for each of these topics.
_TOPICS_PER_WEIGHT: Final = 10
#: The weights that an address may spend at once for each stream that it may open: enough for all of its clients to
#: connect, to subscribe and to resume after a restart of the process.
WEIGHTS_PER_STREAM: Final = 8
#: A budget is never smaller than this, so that a client alone may subscribe to its topics one by one.
SMALLEST_BUDGET: Final = 400
#: A budget that is used up is full again after this time.
REFILL_SECONDS: Final = 60.0
#: Above this number of addresses, those whose budget is full are forgotten.
_MOST_ADDRESSES: Final = 20_000


def snapshot_weight(topics: int) -> int:
    """Return the weight of a snapshot of this number of topics."""
    return 1 + topics // _TOPICS_PER_WEIGHT


class AddressBudgets:
    """The budgets of all addresses in one process."""

    def __init__(self, budget: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds_per_weight = REFILL_SECONDS / budget
        #: For each address, when everything that it has spent will be refilled.
        self._full_at: dict[str, float] = {}
        self._closed = asyncio.Event()

    @classmethod
    def for_streams(cls, most_per_address: int, clock: Callable[[], float] = time.monotonic) -> AddressBudgets:
        """Return budgets for processes that allow this number of streams from one address."""
        return cls(max(SMALLEST_BUDGET, WEIGHTS_PER_STREAM * most_per_address), clock)

    def take(self, address: str, weight: int) -> float:
        """Take a weight if the budget covers it; return 0, or the seconds until it would."""
        delay = self._delay(address, weight)
        if delay <= 0.0:
            self._charge(address, weight)
            return 0.0
        return delay

    async def spend(self, address: str, weight: int) -> None:
        """Take a weight, now or as soon as the budget covers it; return at once when the process is shutting down."""
        delay = self._delay(address, weight)
        self._charge(address, weight)
        if delay > 0.0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await self._closed.wait()

    def close(self) -> None:
        """Release all who wait."""
        self._closed.set()

    def _delay(self, address: str, weight: int) -> float:
        now = self._clock()
        full_at = max(now, self._full_at.get(address, now))
        return full_at + weight * self._seconds_per_weight - REFILL_SECONDS - now

    def _charge(self, address: str, weight: int) -> None:
        now = self._clock()
        if len(self._full_at) >= _MOST_ADDRESSES and address not in self._full_at:
            self._full_at = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        self._full_at[address] = max(now, self._full_at.get(address, now)) + weight * self._seconds_per_weight


class AlternatingSlots:
    """A number of slots that are given to waiting addresses in turn."""

    def __init__(self, slots: int) -> None:
        self._free = slots
        #: Those who wait, by address; the address whose turn is next comes first.
        self._waiting: collections.OrderedDict[str, collections.deque[asyncio.Future[None]]] = collections.OrderedDict()

    @contextlib.asynccontextmanager
    async def of(self, address: str) -> AsyncIterator[None]:
        """Hold a slot for the block."""
        await self._acquire(address)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, address: str) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, collections.deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The slot was given at the same moment: pass it on.
                self._release()
            raise

    def _release(self) -> None:
        while self._waiting:
            address, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[address] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
