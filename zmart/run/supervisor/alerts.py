"""Keeps the alert `service_failing` in the database equal to what the supervisor sees.

The database may be away just then, or be the service that fails. So the supervisor states which services fail, and the
statement is stored when the database answers again.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping

import psycopg

from zmart import errors
from zmart.db import alerts
from zmart.db.connection import connect_sync

KIND = "service_failing"
#: Between attempts to store the alerts while the database does not answer.
RETRY_SECONDS = 10.0
_CONNECT_SECONDS = 5


class ServiceAlerts:
    """Stores the alerts about the services of this host."""

    def __init__(self, dsn: Callable[[], str]) -> None:
        self._dsn = dsn
        self._host = socket.gethostname()
        self._stored: Mapping[str, str] | None = None
        self._tried_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def update(self, failing: Mapping[str, str]) -> None:
        """Store that exactly these services fail, with a message each; return at once."""
        subjects = {f"{name} on {self._host}": message for name, message in failing.items()}
        is_stored = self._stored is not None and self._stored.keys() == subjects.keys()
        is_busy = self._task is not None and not self._task.done()
        if is_stored or is_busy or time.monotonic() - self._tried_at < RETRY_SECONDS:
            return
        self._task = asyncio.create_task(self._store(subjects), name="service alerts")

    async def _store(self, subjects: Mapping[str, str]) -> None:
        try:
            await asyncio.to_thread(store, self._dsn(), self._host, subjects)
        except (psycopg.Error, errors.ZmartError):
            # The reason is on the terminal already; the database may be the service that fails.
            self._tried_at = time.monotonic()
        else:
            self._stored = subjects


def store(dsn: str, host: str, subjects: Mapping[str, str]) -> None:
    """Raise the alerts of a host that are not open yet, and resolve its others."""
    with connect_sync(
        dsn, application_name="zmart up", autocommit=True, connect_timeout_seconds=_CONNECT_SECONDS
    ) as connection:
        known = {subject for subject in alerts.open_subjects(connection, KIND) if subject.endswith(f" on {host}")}
        for subject in subjects.keys() - known:
            alerts.raise_alert(connection, KIND, subject, "critical", subjects[subject])
        for subject in known - subjects.keys():
            alerts.resolve_alert(connection, KIND, subject)
