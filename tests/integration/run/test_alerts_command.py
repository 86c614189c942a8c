"""`zmart alerts`: open alerts, and their operators."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from zmart import cli, settings, testing
from zmart.db import alerts


@pytest.fixture
def three_alerts(database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> testing.PostgresDatabase:
    """Three alerts, one of them resolved."""
    monkeypatch.setenv(settings.RUN_VARIABLE, "test")
    monkeypatch.setenv("DATABASE_URL_KEEPER", database.dsn("zmart_keeper"))
    with database.connect() as connection:
        severities: dict[str, alerts.Severity] = {"dust": "info", "fire": "critical", "rain": "warning"}
        for kind, severity in severities.items():
            alerts.raise_alert(connection, kind, "stack", severity, f"There is {kind}.")
        alerts.resolve_alert(connection, "rain", "stack")
    return database


def zmart(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(cli.main, list(arguments))


def test_what_is_open_is_listed_the_gravest_first(three_alerts: testing.PostgresDatabase) -> None:
    """Resolved alerts only on request."""
    lines = zmart("alerts", "list").output.splitlines()

    assert [line.split()[0] for line in lines] == ["NO", "2", "1"]
    assert "There is fire." in lines[1]
    assert "rain stack" in zmart("alerts", "list", "--all").output


def test_an_alert_is_acknowledged_once(three_alerts: testing.PostgresDatabase) -> None:
    """It stays open, shows the operator, and is listed last; a resolved or unknown one is rejected."""
    assert zmart("alerts", "ack", "2", "--by", "ada").output == "alert 2 is acknowledged by ada\n"
    lines = zmart("alerts", "list").output.splitlines()
    assert [line.split()[0] for line in lines] == ["NO", "1", "2"]
    assert "with ada" in lines[2]

    for number in ("2", "3", "99"):
        refused = zmart("alerts", "ack", number, "--by", "eve")
        assert refused.exit_code == 2
        assert "zmart alerts list" in refused.output


def test_an_alert_is_closed_by_hand(three_alerts: testing.PostgresDatabase) -> None:
    """Once; for events that cannot be undone."""
    assert zmart("alerts", "close", "1").output == "alert 1 is closed\n"
    assert zmart("alerts", "close", "1").exit_code == 2
    assert len(zmart("alerts", "list").output.splitlines()) == 2


def test_no_open_alert_prints_a_message(database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """The output is a sentence."""
    monkeypatch.setenv(settings.RUN_VARIABLE, "test")
    monkeypatch.setenv("DATABASE_URL_KEEPER", database.dsn("zmart_keeper"))

    assert zmart("alerts", "list").output == "No alert is open.\n"
