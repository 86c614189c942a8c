"""Provides the commands that list, acknowledge and close alerts."""

from __future__ import annotations

import contextlib
import getpass
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from zmart import settings as configuration

from . import formatting, parameters

if TYPE_CHECKING:
    from zmart.db.connection import SyncConnection


@click.group("alerts")
def alert_group() -> None:
    """List, acknowledge and close alerts."""


@alert_group.command("list")
@click.option("--all", "shows_all", is_flag=True, help="Include resolved alerts.")
@click.option("--limit", type=parameters.COUNT, default=50, show_default=True, help="Maximum, most severe first.")
def list_alerts(shows_all: bool, limit: int) -> None:
    """List open alerts.

    docs/runbook.md describes the next steps for each kind of alert.
    """
    from zmart.db import alerts

    with _connect() as connection:
        found = alerts.list_alerts(connection, shows_all=shows_all, limit=limit)
    if not found:
        click.echo("No alert is open.")
        return
    rows = [("NO", "SEVERITY", "STATE", "FOR", "TIMES", "ALERT", "")]
    for alert in found:
        age = formatting.format_duration(time.time() - alert.raised_at.timestamp())
        name = " ".join(filter(None, (alert.kind, alert.subject)))
        rows.append(
            (str(alert.alert_no), alert.severity, alert.state, age, str(alert.occurrences), name, alert.message)
        )
    for line in formatting.format_table(iter(rows)):
        click.echo(line)


@alert_group.command("ack")
@click.argument("numbers", nargs=-1, type=parameters.ROW_NUMBER, required=True)
@click.option("--by", default=getpass.getuser, show_default="you", help="Name of the operator.")
def acknowledge_alerts(numbers: tuple[int, ...], by: str) -> None:
    """Acknowledge the alerts NUMBERS.

    Acknowledged alerts stay open until their cause is gone, and send no more reminders.
    """
    from zmart.db import alerts

    with _connect() as connection:
        for number in numbers:
            alerts.acknowledge_alert(connection, number, by)
            click.echo(f"alert {number} is acknowledged by {by}")


@alert_group.command("close")
@click.argument("numbers", nargs=-1, type=parameters.ROW_NUMBER, required=True)
def close_alerts(numbers: tuple[int, ...]) -> None:
    """Close the alerts NUMBERS.

    Use this for alerts that cannot close by themselves. An alert whose cause persists is raised again.
    """
    from zmart.db import alerts

    with _connect() as connection:
        for number in numbers:
            alerts.close_alert(connection, number)
            click.echo(f"alert {number} is closed")


@contextlib.contextmanager
def _connect() -> Iterator[SyncConnection]:
    from zmart.db.connection import connect_sync, translate_errors

    dsn = configuration.load().postgres.dsn("zmart_keeper")
    with (
        translate_errors(),
        connect_sync(dsn, application_name="zmart alerts", autocommit=True) as connection,
    ):
        yield connection
