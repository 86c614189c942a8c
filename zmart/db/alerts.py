"""Raises, resolves, lists, acknowledges and closes alerts: each statement about ops.alerts that services share.

An alert is one row for as long as its cause lasts; raising it again counts one more occurrence. An acknowledged alert
stays open until its cause is gone; it is only not posted again. Most alerts are resolved by the service that raised
them. A few report something that happened and cannot be undone: those an operator closes.

The functions take a synchronous connection. Services with an asynchronous one run the statements of `sql` themselves.
"""

from __future__ import annotations

import datetime
from typing import Literal, NamedTuple, TypeAlias

from zmart import errors

from . import queries
from .connection import SyncConnection

sql = queries.load("zmart.db", "alerts.sql")

Severity: TypeAlias = Literal["info", "warning", "critical"]


class AlertRow(NamedTuple):
    """A row of ops.alerts."""

    alert_no: int
    kind: str
    subject: str
    severity: Severity
    message: str
    occurrences: int
    raised_at: datetime.datetime
    last_at: datetime.datetime
    acknowledged_at: datetime.datetime | None
    acknowledged_by: str | None
    resolved_at: datetime.datetime | None

    @property
    def is_over(self) -> bool:
        """Return whether its cause is gone, or an operator closed it."""
        return self.resolved_at is not None

    @property
    def state(self) -> str:
        """Return one word, with the name of the operator if the alert is acknowledged."""
        if self.is_over:
            return "over"
        return "open" if self.acknowledged_at is None else f"with {self.acknowledged_by}"


def raise_alert(connection: SyncConnection, kind: str, subject: str, severity: Severity, message: str) -> None:
    """Open the alert, or count one more occurrence of the open one."""
    connection.execute(
        sql.raise_alert,
        {"kind": kind, "subject": subject, "severity": severity, "message": message},
    )


def resolve_alert(connection: SyncConnection, kind: str, subject: str) -> None:
    """Resolve the open alert of this kind and subject, if there is one."""
    connection.execute(sql.resolve_alert, {"kind": kind, "subject": subject})


def open_subjects(connection: SyncConnection, kind: str) -> set[str]:
    """Return the subjects of the open alerts of a kind."""
    return {subject for (subject,) in connection.execute(sql.open_subjects, {"kind": kind})}


def list_alerts(connection: SyncConnection, *, shows_all: bool = False, limit: int = 50) -> list[AlertRow]:
    """Return open alerts, or all of them, the most severe first."""
    rows = connection.execute(sql.list_alerts, {"shows_all": shows_all, "limit": limit})
    return [AlertRow(*row) for row in rows]


def acknowledge_alert(connection: SyncConnection, alert_no: int, by: str) -> None:
    """Record that `by` handles an alert; raise NotFound where it is not open, or acknowledged already."""
    (is_acknowledged,) = connection.execute(sql.acknowledge, {"alert_no": alert_no, "by": by}).fetchone() or (False,)
    if not is_acknowledged:
        raise errors.NotFound(
            f"Alert {alert_no} is not open, or an operator has acknowledged it already.", help="See: zmart alerts list"
        )


def close_alert(connection: SyncConnection, alert_no: int) -> None:
    """Close an alert; raise NotFound where it is not open."""
    if connection.execute(sql.close, {"alert_no": alert_no}).rowcount == 0:
        raise errors.NotFound(f"Alert {alert_no} is not open.", help="See: zmart alerts list")
