"""When to start a service again: the decision alone, without waiting or starting anything.

A service that stops is started again after a delay that doubles with every stop in the recent past,
up to a bound; after too many in that time it is left alone until somebody asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """How patient to be."""

    #: Stops within the window after which a service is left alone.
    limit: int = 5
    window_seconds: float = 60.0
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 10.0


@dataclass(frozen=True, kw_only=True)
class RestartAfterDelay:
    """Start it again, after a while."""

    after_seconds: float


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """Leave it alone; it stopped this often."""

    stops: int


Decision: TypeAlias = RestartAfterDelay | GiveUp


def decide(policy: RestartPolicy, stops: Sequence[float], now: float) -> Decision:
    """Decide after a stop; `stops` are the times of all of them, this one included, in seconds."""
    recent = sum(1 for stop in stops if now - stop < policy.window_seconds)
    if recent >= policy.limit:
        return GiveUp(stops=recent)
    delay = policy.first_delay_seconds * 2 ** max(recent - 1, 0)
    return RestartAfterDelay(after_seconds=min(delay, policy.longest_delay_seconds))
