"""Counting: blocks from a shared allowance, few statements, and never more than the limit."""

from __future__ import annotations

import asyncio
import math

import pytest

from api.middleware import rate_limit
from api.middleware.rate_limit import AllowanceBlock, RateLimiter
from zmart.http import client_address


class Shared:
    """An allowance for all processes, like app.lease_allowance."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.now = 0.0
        self.questions = 0
        self._began = -math.inf
        self._left = limit

    async def lease(self, bucket: str, wanted: int) -> AllowanceBlock:
        """A quarter of the rest, at least the requested amount, or nothing."""
        self.questions += 1
        if self.now - self._began >= rate_limit.WINDOW_SECONDS:
            self._began, self._left = self.now, self.limit
        granted = 0 if self._left < wanted else max(wanted, self._left // 4)
        self._left -= granted
        return AllowanceBlock(granted, self._left, self._began + rate_limit.WINDOW_SECONDS - self.now)

    def process(self) -> RateLimiter:
        """A process that counts."""
        return RateLimiter(self.lease, clock=lambda: self.now)


async def allowed(limiter: RateLimiter, weight: int = 1, times: int = 1) -> int:
    """Return how many of a number of requests are allowed."""
    return sum([(await limiter.take("ip", weight)).allowed for _ in range(times)])


async def test_an_allowance_is_used_up_and_comes_back() -> None:
    """A hundred of a hundred and fifty, few statements for them, none for the rejected; all again a minute later."""
    shared = Shared(100)
    limiter = shared.process()
    assert await allowed(limiter, times=150) == 100
    assert shared.questions < 25
    asked = shared.questions
    assert await allowed(limiter, times=50) == 0
    assert shared.questions == asked
    shared.now += rate_limit.WINDOW_SECONDS
    assert await allowed(limiter, times=150) == 100


async def test_processes_share_an_allowance() -> None:
    """Two processes together allow as much as one, to the last request."""
    shared = Shared(100)
    processes = [shared.process(), shared.process()]
    granted = [await allowed(process) for _ in range(100) for process in processes]
    assert sum(granted) == 100


async def test_a_heavy_request_leaves_the_rest_to_light_ones() -> None:
    """A rest too small for a write is still enough for reads."""
    limiter = Shared(12).process()
    assert await allowed(limiter, weight=5, times=3) == 2
    assert await allowed(limiter, weight=1, times=3) == 2


async def test_requests_at_once_ask_once() -> None:
    """A burst waits for one lease instead of one per request."""
    shared = Shared(1_000)
    limiter = shared.process()
    standings = await asyncio.gather(*(limiter.take("ip", 1) for _ in range(200)))
    assert all(standing.allowed for standing in standings)
    assert shared.questions == 1
    assert min(standing.remaining for standing in standings) == 800


async def test_memory_is_bounded() -> None:
    """With more clients than can be stored, those whose window is over are dropped, and counting continues."""
    shared = Shared(10)
    limiter = RateLimiter(shared.lease, clock=lambda: shared.now, most_buckets=100)
    for number in range(110):
        await limiter.take(f"ip {number}", 1)
        assert 0 < limiter.bucket_count <= 100


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
    ],
)
def test_an_ipv6_customer_counts_as_one(address: str, counted: str) -> None:
    """IPv4 by address, also inside IPv6; IPv6 by /64."""
    assert client_address.network(address) == counted
