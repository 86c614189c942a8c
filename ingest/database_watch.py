"""Defines the base of the tasks that check something in the database at intervals and raise a critical alert for it."""

from __future__ import annotations

import abc
import asyncio

import psycopg
import structlog

from zmart import errors
from zmart.db import alerts
from zmart.db.connection import ReconnectingConnection
from zmart.tasks import cancel_until_done

log = structlog.get_logger()

STATEMENT_TIMEOUT_SECONDS = 10.0


class DatabaseWatch(abc.ABC):
    """A task with a connection of its own; start it with the server."""

    def __init__(self, dsn: str, *, name: str, interval_seconds: float) -> None:
        """`name` names the task and its connection: "keeper watch"."""
        self.name = name
        self.connection = ReconnectingConnection(
            dsn, application_name=f"zmart ingest {name}", statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
        )
        self._interval_seconds = interval_seconds
        self._task: asyncio.Task[None] | None = None

    @abc.abstractmethod
    async def check(self) -> object:
        """Check once. Raises the database's errors."""

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name=f"ingest {self.name}")

    async def stop(self) -> None:
        """Stop the task."""
        if self._task is not None:
            await cancel_until_done(self._task)
        await self.connection.close()

    async def alert(self, kind: str, message: str) -> None:
        """Raise a critical alert; while it is open, raising it again only increases its count."""
        connection = await self.connection.get()
        parameters = {"kind": kind, "subject": "", "severity": "critical", "message": message}
        await connection.execute(alerts.sql.raise_alert, parameters)

    async def resolve(self, kind: str) -> None:
        """Resolve the alert, if it is open."""
        connection = await self.connection.get()
        await connection.execute(alerts.sql.resolve_alert, {"kind": kind, "subject": ""})

    async def _run(self) -> None:
        while True:
            try:
                await self.check()
            except (errors.ZmartError, psycopg.Error) as failure:
                log.warning("watch_failed", watch=self.name, reason=str(failure))
            await asyncio.sleep(self._interval_seconds)
