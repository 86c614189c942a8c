"""Keeps the server's queue of notifications from filling up, and raises the alert `notifications_held`.

Every commit of the log notifies its readers. Postgres keeps a notification until each session that listens has read it.
An analyst may LISTEN, stay in a transaction, and NOTIFY: commands that Postgres lets no one revoke. A full queue would
refuse every commit that notifies, so sessions of analysts that may hold it are ended long before.
"""

from __future__ import annotations

import asyncio

import psycopg
import structlog

from zmart import errors
from zmart.db import alerts, queries
from zmart.db.connection import ReconnectingConnection, translate_all_errors
from zmart.tasks import cancel_until_done

log = structlog.get_logger()
sql = queries.load("ingest", "notification_watch.sql")

ALERT = "notifications_held"
INTERVAL_SECONDS = 5.0
STATEMENT_TIMEOUT_SECONDS = 10.0
#: The part of the queue from which sessions are ended. A queue of 8 GB takes a fast session a minute to fill.
LIMIT = 0.05
#: Sessions ended in one check; the login may open twenty.
MOST_ENDED = 20


class NotificationWatch:
    """The task that watches; start it with the server."""

    def __init__(self, dsn: str, *, limit: float = LIMIT) -> None:
        self._connection = ReconnectingConnection(
            dsn, application_name="zmart ingest notification watch", statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
        )
        self._limit = limit
        self._is_raised = True
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="ingest notification watch")

    async def stop(self) -> None:
        """Stop the task."""
        if self._task is not None:
            await cancel_until_done(self._task)
        await self._connection.close()

    async def check(self) -> int:
        """Look once: end sessions where the queue fills up, and return their number. Raises the database's errors."""
        with translate_all_errors("The queue of notifications cannot be watched"):
            connection = await self._connection.get()
            ((usage,),) = await (await connection.execute(sql.usage)).fetchall()
            if usage < self._limit:
                if self._is_raised:
                    await connection.execute(alerts.sql.resolve_alert, {"kind": ALERT, "subject": ""})
                    self._is_raised = False
                return 0
            ((ended,),) = await (await connection.execute(sql.end_listeners, {"limit": MOST_ENDED})).fetchall()
            log.error("notifications_held", usage=usage, ended=ended)
            message = (
                f"The server's queue of notifications is {usage:.1%} full. {ended} sessions of analyst that may hold "
                "it were ended. If it stays so, another session that listens does not read (docs/runbook.md, "
                "notifications_held)."
            )
            await self.alert(ALERT, message)
            self._is_raised = True
            return int(ended)

    async def alert(self, kind: str, message: str) -> None:
        """Raise a critical alert; while it is open, raising it again only increases its count."""
        connection = await self._connection.get()
        parameters = {"kind": kind, "subject": "", "severity": "critical", "message": message}
        await connection.execute(alerts.sql.raise_alert, parameters)

    async def _run(self) -> None:
        while True:
            try:
                await self.check()
            except (errors.ZmartError, psycopg.Error) as failure:
                log.warning("notifications_not_watched", reason=str(failure))
            await asyncio.sleep(INTERVAL_SECONDS)
