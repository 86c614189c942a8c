"""Telling a person, once.

Whatever finds trouble raises an alert in `ops.alerts`, where the same trouble is one row that counts. One sensor
delivers new rows to ALERT_WEBHOOK_URL, so that every part of the system is heard and nothing is posted twice.
"""

from __future__ import annotations

import http
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Literal, TypeAlias

from zmart import errors
from zmart.db import queries
from zmart.settings import Secret

from .resources import Connection

sql = queries.load("orchestration")

Severity: TypeAlias = Literal["info", "warning", "critical"]

#: Chat services answer within a second; a slow one must not hold up the other sensors.
TIMEOUT_SECONDS = 10.0
_SIGNS: dict[Severity, str] = {"info": "ℹ️", "warning": "⚠️", "critical": "🔴"}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One open row of ops.alerts."""

    alert_no: int
    kind: str
    subject: str
    severity: Severity
    message: str


def raise_alert(connection: Connection, kind: str, subject: str, severity: Severity, message: str) -> None:
    """Open the alert, or count one more occurrence of the open one."""
    connection.execute(
        sql.raise_alert,
        {"kind": kind, "subject": subject, "severity": severity, "message": message},
    )


def resolve(connection: Connection, kind: str, subject: str) -> None:
    """Close the alert about something that is well again, if it is open."""
    connection.execute(sql.resolve_alert, {"kind": kind, "subject": subject})


def open_subjects(connection: Connection, kind: str) -> set[str]:
    """What alerts of this kind are open about."""
    return {subject for (subject,) in connection.execute(sql.open_subjects, {"kind": kind})}


def open_after(connection: Connection, alert_no: int) -> list[Alert]:
    """Open alerts raised after `alert_no`, oldest first, at most 20."""
    rows = connection.execute(sql.open_alerts_after, {"alert_no": alert_no})
    return [
        Alert(alert_no=no, kind=kind, subject=subject, severity=severity, message=message)
        for no, kind, subject, severity, message in rows
    ]


def post(url: Secret, alert: Alert) -> None:
    """Post an alert as Slack and its likes read it. Raises Unavailable, without the address, when it is not taken."""
    request = urllib.request.Request(  # noqa: S310 - settings take http and https only
        url.reveal(), data=body(alert), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS):  # noqa: S310 - the same
            pass
    except urllib.error.HTTPError as error:
        said = f"{error.code} {http.HTTPStatus(error.code).phrase}"
    except (OSError, ValueError) as error:
        said = type(error).__name__
    else:
        return
    # From None: the cause carries the address, which is a secret.
    raise errors.Unavailable(
        f"The alert webhook did not take alert {alert.alert_no}: {said}.",
        help="Correct ALERT_WEBHOOK_URL; delivery is tried again.",
    ) from None


def body(alert: Alert) -> bytes:
    """The alert as `{"text": ...}`."""
    about = f" ({alert.subject})" if alert.subject else ""
    text = f"{_SIGNS[alert.severity]} *ZMART {alert.kind}*{about}: {alert.message}"
    return json.dumps({"text": text}, ensure_ascii=False).encode()
