"""Limits how many bytes may be received and not yet committed, altogether and of each address."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable

from zmart import errors

#: A budget that is used to this ratio has no space for most deliveries.
FULL_RATIO = 0.9

#: A budget counts as full for this long after it rejected something.
FULL_AFTER_REFUSAL_SECONDS = 5.0


class ByteBudget:
    """Limits the number of uncommitted bytes, altogether and, with `share_bytes`, of each address."""

    def __init__(
        self, limit_bytes: int, *, share_bytes: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit_bytes = limit_bytes
        self._share_bytes = limit_bytes if share_bytes is None else share_bytes
        self._used_by_address: collections.Counter[str] = collections.Counter()
        self.used_bytes = 0
        self._clock = clock
        self._refused_at = float("-inf")

    @property
    def is_full(self) -> bool:
        """Whether the next request may be rejected: little is left, or something was rejected a moment ago."""
        return (
            self.used_bytes >= FULL_RATIO * self.limit_bytes
            or self._clock() - self._refused_at < FULL_AFTER_REFUSAL_SECONDS
        )

    def reserve(self, address: str = "") -> Reservation:
        """Return an empty reservation of this budget, for an address."""
        return Reservation(self, address)

    def acquire(self, count: int, address: str = "") -> None:
        """Use `count` more bytes. Raises Overloaded if the budget, or the address's share, does not have them."""
        if self.used_bytes + count > self.limit_bytes:
            self._refused_at = self._clock()
            raise errors.Overloaded(
                "The limit of uncommitted bytes is reached.",
                help="Deliver again shortly. If this lasts, check whether Postgres is slow.",
            )
        if self._used_by_address[address] + count > self._share_bytes:
            raise errors.Overloaded(
                "The limit of unverified bytes of this address is reached.", help="Deliver again shortly."
            )
        self.used_bytes += count
        self._used_by_address[address] += count

    def release(self, count: int, address: str = "") -> None:
        """Return `count` bytes to the budget."""
        self.used_bytes -= count
        self._used_by_address[address] -= count
        if not self._used_by_address[address]:
            del self._used_by_address[address]


class Reservation:
    """Bytes reserved for several owners; they return to the budget when the last owner releases them."""

    def __init__(self, budget: ByteBudget, address: str = "") -> None:
        self._budget = budget
        self._address = address
        self._bytes = 0
        self._owners = 1

    def grow(self, count: int) -> None:
        """Reserve `count` more bytes. Raises Overloaded if the budget does not have them."""
        self._budget.acquire(count, self._address)
        self._bytes += count

    def move_to(self, budget: ByteBudget) -> None:
        """Reserve the same bytes of another budget instead. Raises Overloaded if that does not have them."""
        budget.acquire(self._bytes, self._address)
        self._budget.release(self._bytes, self._address)
        self._budget = budget

    def add_owner(self) -> None:
        """Add one owner."""
        self._owners += 1

    def release(self) -> None:
        """Remove one owner; the last one returns the bytes to the budget."""
        self._owners -= 1
        if self._owners == 0:
            self._budget.release(self._bytes, self._address)
            self._bytes = 0
