"""The supervisor's decisions, without a process."""

from __future__ import annotations

from zmart.run.supervisor import process, restarts
from zmart.run.supervisor.service import Service
from zmart.run.supervisor.supervisor import stop_stages

POLICY = restarts.RestartPolicy(first_delay_seconds=0.5, longest_delay_seconds=1.5, stable_seconds=60, alert_after=4)


def _service(name: str, *, foundation: bool = False) -> Service:
    launch = process.Launch(command=("true",), environment={})
    return Service(name=name, launch=lambda: launch, is_foundation=foundation)


def test_delays_double_up_to_a_bound_and_never_end() -> None:
    """Each failure in a row doubles the delay; from a certain number on, an operator is alerted."""
    decisions = [restarts.decide(POLICY, failures) for failures in (1, 2, 3, 4, 10_000)]

    assert [each.after_seconds for each in decisions] == [0.5, 1.0, 1.5, 1.5, 1.5]
    assert [each.is_alarming for each in decisions] == [False, False, False, True, True]


def test_a_service_that_worked_for_a_while_begins_again() -> None:
    """A stop after a minute of work follows from no earlier one; a stop before that does."""
    assert restarts.count_failures(POLICY, 3, ready_seconds=59) == 4
    assert restarts.count_failures(POLICY, 3, ready_seconds=60) == 1


def test_foundations_stop_last_and_latest_first() -> None:
    """Postgres ends after everything that writes to it."""
    postgres, redis = _service("postgres", foundation=True), _service("redis", foundation=True)
    api, ingest = _service("api"), _service("ingest")

    assert stop_stages([postgres, redis, ingest, api]) == [[ingest, api], [redis], [postgres]]
