"""What a figure is: something measured more than once, and a bound it is held to.

A figure has a name, a title, targets and `measure()`, which returns samples. A sample is one number per
round, never one number: the median is what is judged, the spread says how much to believe it. Where two
programs are compared, the rounds alternate (A B A B ...) in one run on one machine, and what is judged is the
ratio within each round, because the machine's mood is in both of its sides.

What cannot be measured raises NotMeasured with one sentence; no figure ever makes a number up.
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
    """A bound on the median of the sample of the same label."""

    label: str
    bound: Bound
    value: float

    def is_met_by(self, value: float) -> bool:
        """Whether a value keeps the bound."""
        match self.bound:
            case "at least":
                return value >= self.value
            case "at most":
                return value <= self.value
            case _ as never:
                assert_never(never)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One number per round."""

    label: str
    unit: str
    #: In the order of the rounds.
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The smallest round."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The greatest round."""
        return max(self.values)

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, as a share of the median; 0 when they agree."""
        return (self.high - self.low) / abs(self.median) if self.median else 0.0


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long to measure; `quick` only shows that everything runs."""

    pace: Pace = "usual"
    #: Events in the log that folds and rebuild are measured on.
    log_events: int = 200_000

    @classmethod
    def of(cls, pace: Pace, log_events: int | None = None) -> Effort:
        """The usual size for a pace, unless another is asked for."""
        usual = {"quick": 10_000, "usual": 200_000, "full": 1_000_000}[pace]
        return cls(pace=pace, log_events=log_events or usual)

    def choose(self, quick: int, usual: int, full: int | None = None) -> int:
        """The number for this pace; `full` is `usual` where it makes no difference."""
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
    """Something that can be measured."""

    #: Its word on the command line and the name of its result files.
    name: ClassVar[str]
    title: ClassVar[str]
    #: The unit of the sample that the first target is about.
    unit: ClassVar[str]
    targets: ClassVar[Sequence[Target]]
    #: What is measured, and how, in a few sentences; bench/README.md is made of these.
    method: ClassVar[str]
    #: Beyond this the figure is given up.
    limit_seconds: ClassVar[float] = 600.0

    @abstractmethod
    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure; NotMeasured says in a sentence why that is not possible."""


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank).

    Nothing is interpolated: a p99 is a latency that somebody had. Raises NotMeasured without values.
    """
    if not values:
        raise NotMeasured("There is nothing to take a quantile of.")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(label: str, numerator: Sample, denominator: Sample) -> Sample:
    """How many times more, round by round; both have the same rounds."""
    pairs = zip(numerator.values, denominator.values, strict=True)
    return Sample(label=label, unit="x", values=tuple(above / below for above, below in pairs))
