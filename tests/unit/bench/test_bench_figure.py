"""Figures: medians, quantiles, ratios within rounds, and targets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figure import Effort, Pace, Sample, Target, quantile, ratio
from bench.not_measured import NotMeasured

FINITE = st.floats(min_value=0.001, max_value=1e9)


def sample(*values: float, label: str = "ours", unit: str = "events/s") -> Sample:
    """A sample of these rounds."""
    return Sample(label=label, unit=unit, values=values)


def test_a_sample_is_judged_by_its_middle_round() -> None:
    """One slow round moves the lowest value and the spread, not the median."""
    rounds = sample(100, 102, 10)
    assert (rounds.median, rounds.low, rounds.high) == (100, 10, 102)
    assert rounds.spread == pytest.approx(0.92)


def test_a_ratio_is_taken_within_each_round() -> None:
    """A machine that becomes half as fast between rounds does not change the ratio."""
    assert ratio("ours to theirs", sample(60, 30), sample(10, 5)).values == (6, 6)


def test_ratios_need_the_same_rounds() -> None:
    """Rounds without a partner are an error, not an average."""
    with pytest.raises(ValueError, match="shorter"):
        ratio("ours to theirs", sample(1, 2), sample(1))


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_quantile_is_a_value_that_was_measured(share: float, expected: int) -> None:
    """Nearest rank: of a hundred values the p99 is the ninety-ninth."""
    assert quantile([float(value) for value in range(100, 0, -1)], share) == expected


@given(st.lists(FINITE, min_size=1), st.floats(0, 1))
def test_at_least_the_share_is_not_above_the_quantile(values: list[float], share: float) -> None:
    """The definition of a quantile, for any values."""
    found = quantile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)


def test_nothing_has_no_quantile() -> None:
    """Without values there is no number."""
    with pytest.raises(NotMeasured):
        quantile([], 0.99)


@pytest.mark.parametrize(
    ("bound", "value", "met"),
    [("at least", 6.0, True), ("at least", 5.9, False), ("at most", 6.0, True), ("at most", 6.1, False)],
)
def test_a_bound_includes_itself(bound: str, value: float, met: bool) -> None:
    """At least 6 is met by 6, and so is at most 6."""
    assert Target(label="x", bound=bound, value=6.0).is_met_by(value) is met  # type: ignore[arg-type]


def test_the_log_grows_with_the_effort_unless_a_size_is_set() -> None:
    """Quick, usual and full have their sizes; --events outranks them."""
    paces: tuple[Pace, ...] = ("quick", "usual", "full")
    assert [Effort.of(pace).log_events for pace in paces] == [10_000, 200_000, 1_000_000]
    assert Effort.of("full", 5).log_events == 5
    assert [Effort.of(pace).choose(1, 2) for pace in paces] == [1, 2, 2]
