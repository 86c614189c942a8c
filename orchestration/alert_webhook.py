"""Posts alerts to the operators' chat, each once.

A service that finds a fault raises an alert in `ops.alerts` (zmart.db.alerts), where repetitions of the same fault
increment the count of one row. One sensor posts the alerts to ALERT_WEBHOOK_URL, so every part of the system is
covered and nothing is posted twice: an alert is posted when it is raised and when it is over, and a critical one
again each day until an operator acknowledges it. The row itself records what was posted. Each alert is posted on its
own: one that the chat refuses is counted, retried and reported, and does not block the others. docs/runbook.md has a
section for each kind.
"""

from __future__ import annotations

import functools
import json
import logging
import ssl
import time

import httpx

from zmart import errors
from zmart.db import queries
from zmart.db.alerts import AlertRow, Severity, raise_alert, resolve_alert
from zmart.settings import Secret

from .resources import Connection

sql = queries.load("orchestration")
# httpx logs every request's URL, which is a secret, at level INFO.
logging.getLogger("httpx").setLevel(logging.WARNING)

#: Chat services answer within a second; a slow one must not delay the other sensors.
TIMEOUT_SECONDS = 10.0
#: A tick has 60 s; one more alert may take TIMEOUT_SECONDS to connect and as much to answer.
DELIVERY_SECONDS = 30.0
#: Discord accepts 2,000 characters and Slack cuts at 40,000; `zmart alerts list` shows the whole message.
MOST_MESSAGE_CHARACTERS = 1_500
MOST_SUBJECT_CHARACTERS = 200
#: Refusals in a row that raise the alert REFUSED; a chat that restarts is back sooner than that.
REPORT_AFTER_REFUSALS = 3
#: From this many refusals on (five minutes), an alert is tried only every SLOW_SECONDS.
SLOW_AFTER_REFUSALS = 10
SLOW_SECONDS = 600.0
REFUSED = "alert_refused"
_SIGNS: dict[Severity, str] = {"info": "ℹ️", "warning": "⚠️", "critical": "🔴"}
_RESOLVED_SIGN = "✅"
#: A critical alert that nobody acknowledges is posted again after this time.
REMIND_AFTER_HOURS = 24
RUNBOOK = "docs/runbook.md"
_JSON = {"Content-Type": "application/json"}


def pending_notifications(connection: Connection) -> list[AlertRow]:
    """Return the alerts to post now, at most 20, oldest first: newly raised, unacknowledged, or newly over."""
    rows = connection.execute(
        sql.pending_notifications,
        {
            "remind_after_hours": REMIND_AFTER_HOURS,
            "slow_after": SLOW_AFTER_REFUSALS,
            "slow_seconds": SLOW_SECONDS,
        },
    )
    return [AlertRow(*row) for row in rows]


def deliver(connection: Connection, url: Secret) -> tuple[int, list[errors.Unavailable]]:
    """Post the pending alerts one by one; return how many were posted, and the errors of the others.

    A refusal is counted in the alert's row and retried. REPORT_AFTER_REFUSALS in a row raise the alert REFUSED, which
    is resolved when no refusals are left.
    """
    posted, refused = 0, []
    deadline = time.monotonic() + DELIVERY_SECONDS
    for each in pending_notifications(connection):
        if time.monotonic() > deadline:
            break
        try:
            post(url, each)
        except errors.Unavailable as error:
            refused.append(error)
            connection.execute(sql.alert_refused, {"alert_no": each.alert_no, "refusal": error.args[0]})
        else:
            posted += 1
            connection.execute(sql.mark_alert_posted, {"alert_no": each.alert_no, "is_over": each.is_over})
    _report_refused(connection, is_news=bool(refused))
    return posted, refused


def _report_refused(connection: Connection, *, is_news: bool) -> None:
    rows = connection.execute(sql.alerts_refused, {"least": REPORT_AFTER_REFUSALS, "about": REFUSED}).fetchall()
    if not rows:
        resolve_alert(connection, REFUSED, "")
    elif is_news:
        alert_no, kind, refusals, refusal = rows[0]
        raise_alert(
            connection,
            REFUSED,
            "",
            "warning",
            f"ALERT_WEBHOOK_URL has rejected {len(rows)} alerts, among them alert {alert_no} ({kind}), {refusals} "
            f"times in a row: {refusal} List them with: zmart alerts list",
        )


@functools.cache
def _certificates() -> ssl.SSLContext:
    # Reading the authorities' certificates takes 20 ms; without this, each alert reads them again.
    return httpx.create_ssl_context()


def post(url: Secret, alert: AlertRow) -> None:
    """Post an alert in Slack's format. Raises Unavailable, without the address, if the webhook refuses it."""
    try:
        # A stream: the body of the answer is not read, whatever its size. Redirects are refusals: a client that
        # follows one sends a GET, and the alert would count as posted and be lost.
        with httpx.stream(
            "POST",
            url.reveal(),
            content=render_body(alert),
            headers=_JSON,
            timeout=TIMEOUT_SECONDS,
            verify=_certificates(),
        ) as response:
            if response.is_success:
                return
            status = response.status_code
            # Our own phrase: proxies send 499 and 520 to 599, for which it is empty.
            answer = f"{status} {httpx.codes.get_reason_phrase(status)}".rstrip()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        answer = type(error).__name__
    # From None: the cause contains the address, which is a secret.
    raise errors.Unavailable(
        f"The alert webhook rejected alert {alert.alert_no}: {answer}.",
        help="Correct ALERT_WEBHOOK_URL; delivery is retried.",
    ) from None


def render_body(alert: AlertRow) -> bytes:
    """Return the alert as `{"text": ...}`; an open one has a link to its section of the runbook."""
    about = f" ({_bounded(alert.subject, MOST_SUBJECT_CHARACTERS)})" if alert.subject else ""
    if alert.is_over:
        text = f"{_RESOLVED_SIGN} *ZMART {alert.kind}*{about} is resolved."
    else:
        message = _bounded(alert.message, MOST_MESSAGE_CHARACTERS)
        text = f"{_SIGNS[alert.severity]} *ZMART {alert.kind}*{about}: {message}\n{RUNBOOK}#{alert.kind}"
    return json.dumps({"text": text}, ensure_ascii=False).encode()


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
