"""Posts alerts to the operators' chat, each once.

A service that finds a fault raises an alert in `ops.alerts` (zmart.db.alerts), where the same fault is one row that
counts. One sensor posts them to ALERT_WEBHOOK_URL, so that every part of the system is covered and nothing is posted
twice: an alert when it is raised, a critical one again each day until somebody acknowledges it, and that it is over.
The row itself holds what was posted. Each alert is posted by itself: one that the chat refuses is counted, retried and
reported, and the others go on. docs/runbook.md has a section for each kind.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request

from zmart import errors
from zmart.db import queries
from zmart.db.alerts import AlertRow, Severity, raise_alert, resolve_alert
from zmart.settings import Secret

from .resources import Connection

sql = queries.load("orchestration")

#: Chat services answer within a second; a slow one must not hold up the other sensors.
TIMEOUT_SECONDS = 10.0
#: A tick has 60 s; one more alert may take TIMEOUT_SECONDS to connect and as much to answer.
DELIVERY_SECONDS = 30.0
#: Discord takes 2,000 characters and Slack cuts at 40,000; the whole message is in `zmart alerts list`.
MOST_MESSAGE_CHARACTERS = 1_500
MOST_SUBJECT_CHARACTERS = 200
#: Refusals in a row that make the alert REFUSED: a chat that restarts is back sooner.
REPORT_AFTER_REFUSALS = 3
#: From so many on (five minutes) an alert is tried only every so often.
SLOW_AFTER_REFUSALS = 10
SLOW_SECONDS = 600.0
REFUSED = "alert_refused"
_SIGNS: dict[Severity, str] = {"info": "ℹ️", "warning": "⚠️", "critical": "🔴"}
_RESOLVED_SIGN = "✅"
#: A critical alert that nobody acknowledges is posted again after so long.
REMIND_AFTER_HOURS = 24
RUNBOOK = "docs/runbook.md"


def pending_notifications(connection: Connection) -> list[AlertRow]:
    """What is to be posted now, oldest first, at most 20: alerts raised, left unacknowledged, or over since."""
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
    """Post the news, each by itself; return how many were posted, and why the others were not.

    What was refused is counted in its row and tried again. REPORT_AFTER_REFUSALS in a row open the alert REFUSED, which
    closes when nothing is refused any more.
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
            f"ALERT_WEBHOOK_URL does not accept {len(rows)} alerts, among them alert {alert_no} ({kind}), "
            f"{refusals} times in a row: {refusal} Read them with: zmart alerts list",
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """urllib follows a redirect of a POST with a GET: the alert would count as posted and be lost."""

    def redirect_request(self, *_: object) -> None:
        """None makes the redirect an HTTPError."""


_opener = urllib.request.build_opener(_NoRedirects)


def post(url: Secret, alert: AlertRow) -> None:
    """Post an alert as Slack and its likes read it. Raises Unavailable, without the address, when it is not taken."""
    request = urllib.request.Request(  # noqa: S310 - settings take http and https only
        url.reveal(), data=render_body(alert), headers={"Content-Type": "application/json"}, method="POST"
    )
    try:
        with _opener.open(request, timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        error.close()
        # http.HTTPStatus knows 62 statuses and raises ValueError for others; proxies send 499 and 520 to 599.
        answer = f"{error.code} {http.client.responses.get(error.code, '')}".rstrip()
    except (OSError, ValueError, http.client.HTTPException) as error:
        # HTTPException: what answers is no HTTP, or its status line is cut; it is neither of the other two.
        answer = type(error).__name__
    # From None: the cause carries the address, which is a secret.
    raise errors.Unavailable(
        f"The alert webhook did not take alert {alert.alert_no}: {answer}.",
        help="Correct ALERT_WEBHOOK_URL; delivery is tried again.",
    ) from None


def render_body(alert: AlertRow) -> bytes:
    """The alert as `{"text": ...}`; one that is open with the section of the runbook that belongs to it."""
    about = f" ({_bounded(alert.subject, MOST_SUBJECT_CHARACTERS)})" if alert.subject else ""
    if alert.is_over:
        text = f"{_RESOLVED_SIGN} *ZMART {alert.kind}*{about} is over."
    else:
        message = _bounded(alert.message, MOST_MESSAGE_CHARACTERS)
        text = f"{_SIGNS[alert.severity]} *ZMART {alert.kind}*{about}: {message}\n{RUNBOOK}#{alert.kind}"
    return json.dumps({"text": text}, ensure_ascii=False).encode()


def _bounded(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
