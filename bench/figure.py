"""Defines figures: quantities that are measured more than once and compared with a target.

A figure has a name, a title, targets and `measure()`, which returns samples. A sample has one number per round and
never only one number: the target applies to the median, and the spread shows how reliable it is. Where two programs
are compared, the rounds alternate (A B A B ...) in one run on one machine, and the target applies to the ratio
within each round, because variations of the machine affect both of its sides.

A figure that cannot be measured raises NotMeasured with one sentence; no figure ever invents a number.
"""

from __future__ import annotations

import math
import statistics
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, assert_never

from .environment import BenchEnvironment
from .not_measured import NotMeasured

Bound = Literal["at least", "at most"]
Pace = Literal["quick", "usual", "full"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A bound on the median of the sample with the same label."""

    label: str
    bound: Bound
    value: float

    def is_met_by(self, value: float) -> bool:
        """Return whether a value meets the bound."""
        match self.bound:
            case "at least":
                return value >= self.value
            case "at most":
                return value <= self.value
            case _ as never:
                assert_never(never)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The values of a quantity, one per round."""

    label: str
    unit: str
    #: In the order of the rounds.
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """Return the smallest round."""
        return min(self.values)

    @property
    def high(self) -> float:
        """Return the greatest round."""
        return max(self.values)

    @property
    def spread(self) -> float:
        """Return the range of the rounds as a share of the median; 0 when they are equal."""
        return (self.high - self.low) / abs(self.median) if self.median else 0.0


@dataclass(frozen=True, kw_only=True)
class Effort:
    """The duration of a measurement; `quick` only shows that everything runs."""

    pace: Pace = "usual"
    #: Events in the log on which folds and rebuild are measured.
    log_events: int = 200_000

    @classmethod
    def of(cls, pace: Pace, log_events: int | None = None) -> Effort:
        """Return the usual size for a pace, unless `log_events` gives another."""
        usual = {"quick": 10_000, "usual": 200_000, "full": 1_000_000}[pace]
        return cls(pace=pace, log_events=log_events or usual)

    def choose(self, quick: int, usual: int, full: int | None = None) -> int:
        """Return the number for this pace; `full` equals `usual` where it is not given."""
        match self.pace:
            case "quick":
                return quick
            case "usual":
                return usual
            case "full":
                return usual if full is None else full
            case _ as never:
                assert_never(never)


class Figure(ABC):
    """A quantity that can be measured."""

    #: Its name on the command line and of its result files.
    name: ClassVar[str]
    title: ClassVar[str]
    #: The unit of the sample that the first target applies to.
    unit: ClassVar[str]
    targets: ClassVar[Sequence[Target]]
    #: A short description of the measurement and its method; bench/README.md consists of these.
    method: ClassVar[str]
    #: The measurement is cancelled after this many seconds.
    limit_seconds: ClassVar[float] = 600.0

    @abstractmethod
    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure; raise NotMeasured with the reason, in one sentence, where that is not possible."""


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed (nearest rank).

    Nothing is interpolated: a p99 is a latency that was measured. Raises NotMeasured without values.
    """
    if not values:
        raise NotMeasured("There is nothing to take a quantile of.")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(label: str, numerator: Sample, denominator: Sample) -> Sample:
    """Return the ratio of two samples, round by round; both must have the same rounds."""
    pairs = zip(numerator.values, denominator.values, strict=True)
    return Sample(label=label, unit="x", values=tuple(above / below for above, below in pairs))
