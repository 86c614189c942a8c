"""Decides when a stopped service is restarted, without waiting or starting anything itself.

A service that stops is restarted after a delay that doubles with every recent stop, up to a bound. After too many stops
within the window it is not restarted until that is requested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """The limits and delays of restarts."""

    #: Stops within the window after which a service is not restarted.
    limit: int = 5
    window_seconds: float = 60.0
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 10.0


@dataclass(frozen=True, kw_only=True)
class RestartAfterDelay:
    """Restart the service after `after_seconds`."""

    after_seconds: float


@dataclass(frozen=True, kw_only=True)
class GiveUp:
    """Do not restart the service: it stopped `stops` times within the window."""

    stops: int


Decision: TypeAlias = RestartAfterDelay | GiveUp


def decide(policy: RestartPolicy, stops: Sequence[float], now: float) -> Decision:
    """Return the decision after a stop; `stops` are the times of all stops, this one included, in seconds."""
    recent = sum(1 for stop in stops if now - stop < policy.window_seconds)
    if recent >= policy.limit:
        return GiveUp(stops=recent)
    delay = policy.first_delay_seconds * 2 ** max(recent - 1, 0)
    return RestartAfterDelay(after_seconds=min(delay, policy.longest_delay_seconds))
