"""Which source was first, by how much, and the alerts about one that is silent or late."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from ingest.source_race import GRACE_SECONDS, WINDOW_SECONDS, SourceRace, SourceStanding
from ingest.sync.race_check import LAG_SECONDS, MIN_TRANSACTIONS, SourceRaceCheck


class AlertStore:
    """Alerts that are open, by kind and subject."""

    def __init__(self) -> None:
        self.open: dict[tuple[str, str], str] = {}

    async def alert(self, kind: str, message: str, *, subject: str = "", severity: str = "warning") -> None:
        """Raise an alert."""
        self.open[kind, subject] = message

    async def resolve(self, kind: str, subject: str = "") -> None:
        """Resolve an alert."""
        self.open.pop((kind, subject), None)


def race() -> tuple[SourceRace, SimpleNamespace]:
    """A race in which two sources are expected."""
    clock = SimpleNamespace(now=1_000.0)
    found = SourceRace(clock=lambda: clock.now)
    found.expected = frozenset({"grpc", "webhook"})
    return found, clock


def names(count: int, prefix: str = "s") -> list[str]:
    """Signatures."""
    return [f"{prefix}{number}" for number in range(count)]


def test_the_first_source_and_the_delay_of_the_others_are_counted_once() -> None:
    """A repetition by either source counts nothing, and sources that are late by nature take no part."""
    found, clock = race()
    firsts: list[str] = []
    laters: list[tuple[str, float]] = []
    found.on_first, found.on_later = firsts.append, lambda source, seconds: laters.append((source, seconds))

    found.record("walk", ["a"])
    found.record("grpc", ["a"], ["b"])
    clock.now += 0.25
    found.record("webhook", ["a", "b", "a"])
    found.record("grpc", ["a"])
    found.record("webhook", ["c"])

    assert firsts == ["grpc", "grpc", "webhook"]
    assert laters == [("webhook", 0.25), ("webhook", 0.25)]
    assert found.standings() == {
        "grpc": SourceStanding(first=2),
        "webhook": SourceStanding(first=1, later=2, median_lag_seconds=0.25),
    }
    clock.now += WINDOW_SECONDS + 1
    assert found.standings() == {"grpc": SourceStanding(), "webhook": SourceStanding()}


async def test_a_silent_source_raises_an_alert_and_the_first_report_ends_it() -> None:
    """It has time to report; a source that is not expected is never silent."""
    found, clock = race()
    check, alerts = SourceRaceCheck(found), AlertStore()
    database: Any = alerts
    found.record("grpc", names(MIN_TRANSACTIONS))
    await check.update_alerts(database)
    assert alerts.open == {}

    clock.now += GRACE_SECONDS + 1
    await check.update_alerts(database)
    assert list(alerts.open) == [("source_silent", "webhook")]

    found.record("webhook", ["new"])
    await check.update_alerts(database)
    assert alerts.open == {}
    found.expected = frozenset({"grpc"})
    clock.now += 1
    await check.update_alerts(database)
    assert alerts.open == {}


async def test_a_source_that_lags_raises_an_alert_until_it_is_in_time() -> None:
    """The median decides; some late reports are normal."""
    found, clock = race()
    check, alerts = SourceRaceCheck(found), AlertStore()
    database: Any = alerts
    found.record("grpc", names(MIN_TRANSACTIONS))
    clock.now += LAG_SECONDS + 1
    found.record("webhook", names(MIN_TRANSACTIONS))
    await check.update_alerts(database)
    assert list(alerts.open) == [("source_lags", "webhook")]
    assert "6.0 s" in alerts.open["source_lags", "webhook"]

    found.record("grpc", names(3 * MIN_TRANSACTIONS, "t"))
    clock.now += 0.1
    found.record("webhook", names(3 * MIN_TRANSACTIONS, "t"))
    await check.update_alerts(database)
    assert alerts.open == {}
