"""Telling a person, once.

Whatever finds trouble raises an alert in `ops.alerts`, where the same trouble is one row that counts. One sensor
delivers news of them to ALERT_WEBHOOK_URL, so that every part of the system is heard and nothing is posted twice: an
alert when it is raised, a critical one again each day until somebody acknowledges it, and that it is over. The row
itself remembers what was posted. docs/runbook.md has a section for each kind.
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
_OVER = "✅"
#: A critical alert that nobody acknowledges is posted again after so long.
REMIND_AFTER_HOURS = 24
RUNBOOK = "docs/runbook.md"


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A row of ops.alerts."""

    alert_no: int
    kind: str
    subject: str
    severity: Severity
    message: str
    is_over: bool = False


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


def news(connection: Connection) -> list[Alert]:
    """What is to be posted now, oldest first, at most 20: alerts raised, left unacknowledged, or over since."""
    rows = connection.execute(sql.alert_news, {"remind_after_hours": REMIND_AFTER_HOURS})
    return [
        Alert(alert_no=no, kind=kind, subject=subject, severity=severity, message=message, is_over=is_over)
        for no, kind, subject, severity, message, is_over in rows
    ]


def posted(connection: Connection, alert: Alert) -> None:
    """Remember that it was."""
    connection.execute(sql.alert_posted, {"alert_no": alert.alert_no, "is_over": alert.is_over})


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
    """The alert as `{"text": ...}`; one that is open with the section of the runbook that belongs to it."""
    about = f" ({alert.subject})" if alert.subject else ""
    if alert.is_over:
        text = f"{_OVER} *ZMART {alert.kind}*{about} is over."
    else:
        text = f"{_SIGNS[alert.severity]} *ZMART {alert.kind}*{about}: {alert.message}\n{RUNBOOK}#{alert.kind}"
    return json.dumps({"text": text}, ensure_ascii=False).encode()
