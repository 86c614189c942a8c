"""A gentle export rests in proportion to its work."""

from __future__ import annotations

import pytest

from zmart.run.export.pace import MOST_SECONDS, Pace


class PausingClock:
    """A clock that a test moves; it records each sleep and moves by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def read(self) -> float:
        """The time, in seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Move by this time."""
        self.slept.append(seconds)
        self.now += seconds


def make(share: float) -> tuple[Pace, PausingClock]:
    """A pace with a clock of its own."""
    clock = PausingClock()
    return Pace(share, clock=clock.read, sleep=clock.sleep), clock


def test_a_quarter_of_the_time_is_work() -> None:
    """Each rest is three times as long as the work before it; the rest itself is no work."""
    pace, clock = make(0.25)
    for worked in (1.0, 0.5, 0.0, 2.0):
        clock.now += worked
        pace.rest()

    assert clock.slept == [3.0, 1.5, 0.0, 6.0]


def test_full_speed_never_rests() -> None:
    """Nobody sleeps, not even for no time."""
    pace, clock = make(1.0)
    clock.now += 10.0
    pace.rest()

    assert clock.slept == []


def test_a_rest_has_an_upper_limit() -> None:
    """A store that answered after an hour does not keep the snapshot open for three."""
    pace, clock = make(0.25)
    clock.now += 3_600.0
    pace.rest()

    assert clock.slept == [MOST_SECONDS]


@pytest.mark.parametrize("share", [0.0, -0.5, 1.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    """Zero would never end."""
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        Pace(share)
