"""What the supervisor knows of failing services is stored as alerts, also when Postgres comes back later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from zmart import testing
from zmart.run.supervisor import alerts
from zmart.run.supervisor.alerts import ServiceAlerts

OPEN = (
    "select subject, severity, message, occurrences from ops.alerts"
    " where kind = %s and resolved_at is null order by subject"
)


def _open(database: testing.PostgresDatabase) -> list[tuple[object, ...]]:
    with database.connect() as owner:
        return owner.execute(OPEN, (alerts.KIND,)).fetchall()


def test_the_alerts_of_a_host_follow_what_fails_there(database: testing.PostgresDatabase) -> None:
    """An alert is raised once, closes when its service works again, and those of other hosts are left alone."""
    dsn = database.dsn("zmart_keeper")
    alerts.store(dsn, "other", {"api on other": "It ends at once."})
    alerts.store(dsn, "here", {"api on here": "It ends at once.", "ws on here": "The port is in use."})
    alerts.store(dsn, "here", {"api on here": "It ends at once.", "ws on here": "The port is in use."})
    assert _open(database) == [
        ("api on here", "critical", "It ends at once.", 1),
        ("api on other", "critical", "It ends at once.", 1),
        ("ws on here", "critical", "The port is in use.", 1),
    ]

    alerts.store(dsn, "here", {"ws on here": "The port is in use."})
    assert [row[0] for row in _open(database)] == ["api on other", "ws on here"]
    alerts.store(dsn, "here", {})
    assert [row[0] for row in _open(database)] == ["api on other"]


async def test_alerts_are_stored_when_postgres_answers_again(
    database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor goes on while the database is away, and states what fails at each of its steps."""
    monkeypatch.setattr(alerts, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr("socket.gethostname", lambda: "here")
    address = ["postgresql://zmart_keeper@127.0.0.1:1/nowhere"]
    asked: list[str] = []

    def dsn() -> str:
        asked.append(address[0])
        return address[0]

    service_alerts = ServiceAlerts(dsn)

    async def update_until(is_done: Callable[[], bool], failing: dict[str, str]) -> None:
        deadline = time.monotonic() + 30
        while not is_done():
            assert time.monotonic() < deadline
            service_alerts.update(failing)
            await asyncio.sleep(0.02)

    failing = {"postgres": "The disk is full."}
    await update_until(lambda: len(asked) >= 2, failing)
    assert _open(database) == []

    address[0] = database.dsn("zmart_keeper")
    await update_until(lambda: [row[0] for row in _open(database)] == ["postgres on here"], failing)
    await update_until(lambda: not _open(database), {})
