"""The rate of requests to a node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmart import errors
from zmart.chain.request_pacer import RequestPacer


def test_a_burst_and_then_in_step() -> None:
    """The first requests pass at once, the next ones an interval apart, and idle time is credited."""
    pace = RequestPacer(per_second=10, burst=2)
    assert [round(pace.reserve(100.0), 6) for _ in range(4)] == [0.0, 0.0, 0.1, 0.2]
    assert [round(pace.reserve(200.0), 6) for _ in range(3)] == [0.0, 0.0, 0.1]


@given(st.lists(st.floats(0, 0.5), min_size=2, max_size=40), st.integers(1, 5))
def test_never_more_in_a_second(gaps: list[float], burst: int) -> None:
    """For any times of requests, no window of a second lets more through than the rate and the burst."""
    pace, now, starts = RequestPacer(per_second=4, burst=burst), 0.0, []
    for gap in gaps:
        now += gap
        starts.append(now + pace.reserve(now))
    for start in starts:
        assert sum(start <= other < start + 1 - 1e-9 for other in starts) <= 4 + burst


async def test_a_budget_ends() -> None:
    """The last request of a total is the last."""
    pace = RequestPacer(per_second=1e6, total=2)
    await pace.wait()
    await pace.wait()
    assert pace.remaining == 0
    with pytest.raises(errors.Overloaded, match="budget of 2 requests"):
        await pace.wait()


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_pace_that_is_none(per_second: float, burst: int) -> None:
    """A rate of zero is rejected."""
    with pytest.raises(errors.InvalidInput):
        RequestPacer(per_second=per_second, burst=burst)
