"""Decides when a stopped service is started again, without waiting or starting anything itself.

A service that stops is started again after a pause that doubles with every failure in a row, up to a bound. It is never
given up: a full disk or a database that is away heals by itself, and nobody watches a terminal at night. A service that
was ready for a while before it stopped begins with the first pause again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """The pauses between restarts, and when an operator is alerted."""

    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 60.0
    #: A service that was ready for at least this long did not fail because of its start.
    stable_seconds: float = 60.0
    #: Failures in a row that raise the alert `service_failing`.
    alert_after: int = 5


@dataclass(frozen=True, kw_only=True)
class RestartAfterDelay:
    """Start the service after `after_seconds`; alert an operator when `is_alarming`."""

    after_seconds: float
    is_alarming: bool


def count_failures(policy: RestartPolicy, failures: int, ready_seconds: float) -> int:
    """Return the number of failures in a row after a stop, given the earlier number and how long it was ready."""
    return 1 if ready_seconds >= policy.stable_seconds else failures + 1


def decide(policy: RestartPolicy, failures: int) -> RestartAfterDelay:
    """Return the decision after the last of some failures in a row."""
    doublings = min(max(failures - 1, 0), 32)
    delay = min(policy.first_delay_seconds * 2**doublings, policy.longest_delay_seconds)
    return RestartAfterDelay(after_seconds=delay, is_alarming=failures >= policy.alert_after)
