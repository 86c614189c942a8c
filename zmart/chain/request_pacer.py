"""Limits the rate and the total of requests to a node: providers count requests per second and per month."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from zmart import errors


class RequestPacer:
    """Allows at most `per_second` requests a second, the first `burst` at once, and `total` altogether.

    Several clients of one process may share one pacer.
    """

    def __init__(self, *, per_second: float, burst: int = 1, total: int | None = None) -> None:
        if per_second <= 0 or burst < 1:
            raise errors.InvalidInput("The rate must be above zero requests per second, and the burst at least one.")
        self._interval_seconds: Final = 1 / per_second
        self._burst: Final = burst
        self._total: Final = total
        self._next_at = float("-inf")
        self.spent = 0

    @property
    def remaining(self) -> int | None:
        """Return how many requests may still be made, or None where there is no limit."""
        return None if self._total is None else self._total - self.spent

    async def wait(self) -> None:
        """Wait until the next request is allowed; raise Overloaded when the total is used up."""
        await asyncio.sleep(self.reserve(time.monotonic()))

    def reserve(self, now: float) -> float:
        """Count one request at `now`, a monotonic clock's seconds, and return how many seconds it has to wait."""
        if self.remaining == 0:
            raise errors.Overloaded(
                f"The budget of {self._total} requests is spent.",
                help="Run the command again later, or allow more requests.",
            )
        self.spent += 1
        self._next_at = max(self._next_at, now - (self._burst - 1) * self._interval_seconds)
        wait_seconds = max(0.0, self._next_at - now)
        self._next_at += self._interval_seconds
        return wait_seconds
