"""Keeps the server's queue of notifications from filling up, and raises the alert `notifications_held`.

Every commit of the log notifies its readers. Postgres keeps a notification until each session that listens has read it.
An analyst may LISTEN, stay in a transaction, and NOTIFY: commands that Postgres lets no one revoke. A full queue would
refuse every commit that notifies, so sessions of analysts that may hold it are ended long before.
"""

from __future__ import annotations

import structlog

from zmart.db import queries
from zmart.db.connection import translate_all_errors

from .database_watch import DatabaseWatch

log = structlog.get_logger()
sql = queries.load("ingest", "notification_watch.sql")

ALERT = "notifications_held"
INTERVAL_SECONDS = 5.0
#: The part of the queue from which sessions are ended. A queue of 8 GB takes a fast session a minute to fill.
LIMIT = 0.05
#: Sessions ended in one check; the login may open twenty.
MOST_ENDED = 20


class NotificationWatch(DatabaseWatch):
    """The task that watches the queue."""

    def __init__(self, dsn: str, *, limit: float = LIMIT) -> None:
        super().__init__(dsn, name="notification watch", interval_seconds=INTERVAL_SECONDS)
        self._limit = limit
        self._is_raised = True

    async def check(self) -> int:
        """Look once: end sessions where the queue fills up, and return their number. Raises the database's errors."""
        with translate_all_errors("The queue of notifications cannot be watched"):
            connection = await self.connection.get()
            ((usage,),) = await (await connection.execute(sql.usage)).fetchall()
            if usage < self._limit:
                if self._is_raised:
                    await self.resolve(ALERT)
                    self._is_raised = False
                return 0
            ((ended,),) = await (await connection.execute(sql.end_listeners, {"limit": MOST_ENDED})).fetchall()
            log.error("notifications_held", usage=usage, ended=ended)
            message = (
                f"The server's queue of notifications is {usage:.1%} full. {ended} sessions of analysts that may hold "
                "it were ended. If it stays so, another session that listens does not read (docs/runbook.md, "
                "notifications_held)."
            )
            await self.alert(ALERT, message)
            self._is_raised = True
            return int(ended)
