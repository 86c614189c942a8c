"""The supervisor's decisions, without a process."""

from __future__ import annotations

from zmart.run.supervisor import process, restarts
from zmart.run.supervisor.service import Service
from zmart.run.supervisor.supervisor import stop_stages

POLICY = restarts.RestartPolicy(limit=4, window_seconds=60, first_delay_seconds=0.5, longest_delay_seconds=1.5)


def _service(name: str, *, foundation: bool = False) -> Service:
    launch = process.Launch(command=("true",), environment={})
    return Service(name=name, launch=lambda: launch, is_foundation=foundation)


def test_delays_double_up_to_a_bound() -> None:
    """Each recent stop doubles the wait."""
    decisions = [restarts.decide(POLICY, [10.0] * count, now=10.0) for count in (1, 2, 3)]

    assert decisions == [
        restarts.RestartAfterDelay(after_seconds=0.5),
        restarts.RestartAfterDelay(after_seconds=1.0),
        restarts.RestartAfterDelay(after_seconds=1.5),
    ]


def test_too_many_stops_are_given_up() -> None:
    """A service that keeps stopping is not restarted any more, after a fixed number of stops."""
    assert restarts.decide(POLICY, [1, 2, 3, 4], now=5) == restarts.GiveUp(stops=4)


def test_old_stops_are_forgotten() -> None:
    """Four stops a day are no reason to give up."""
    assert restarts.decide(POLICY, [0, 100, 200, 300], now=300) == restarts.RestartAfterDelay(after_seconds=0.5)


def test_foundations_stop_last_and_latest_first() -> None:
    """Postgres ends after everything that writes to it."""
    postgres, redis = _service("postgres", foundation=True), _service("redis", foundation=True)
    api, ingest = _service("api"), _service("ingest")

    assert stop_stages([postgres, redis, ingest, api]) == [[ingest, api], [redis], [postgres]]
