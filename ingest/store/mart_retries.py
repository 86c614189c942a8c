"""Retries the folds of marts that are behind the log, without an operator and without a further delivery.

A model whose fold fails is skipped by the appends that follow (folds.fold). This task retries it beside them, one short
transaction at a time (folds.retry_behind), so that neither a model that fails again nor a long window is ever part of
an append: a statement timeout in a retry rejects no delivery.
"""

from __future__ import annotations

import asyncio

import psycopg
import structlog

from zmart import errors
from zmart.db import queries
from zmart.db.connection import ReconnectingConnection, translate_errors
from zmart.tasks import cancel_until_done

log = structlog.get_logger()
sql = queries.load("ingest.store", "queries.sql")

#: Interval between checks for marts that are due; the pause of each mart is stored in ops.models.
RETRY_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
#: An attempt locks the log. An attempt that takes longer is cancelled, and the next one uses a smaller window.
STATEMENT_TIMEOUT_SECONDS = 20.0


class MartRetrier:
    """The retry task; start it with the server."""

    def __init__(self, dsn: str) -> None:
        self._connection = ReconnectingConnection(
            dsn, application_name="zmart ingest mart retries", statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="ingest mart retries")

    async def stop(self) -> None:
        """Stop the task; an attempt under way is rolled back and repeated at the next start."""
        if self._task is not None:
            await cancel_until_done(self._task)
        await self._connection.close()

    async def retry(self) -> int:
        """Make every attempt that is due and return their number. Raises the database's errors."""
        attempts = 0
        with translate_errors():
            connection = await self._connection.get()
            while (await (await connection.execute(sql.retry_behind)).fetchone()) == (True,):
                attempts += 1
        return attempts

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                if attempts := await self.retry():
                    log.info("marts_behind_retried", attempts=attempts)
                failures = 0
            except (errors.ZmartError, psycopg.Error) as failure:
                failures += 1
                log.warning("marts_behind_not_retried", reason=str(failure), failures=failures)
            await asyncio.sleep(pause_seconds(failures))


def pause_seconds(failures: int) -> float:
    """Return the pause after some failures in a row, which grows: a server that is away must not fill the log."""
    return min(RETRY_SECONDS * 2.0 ** min(max(failures - 1, 0), 30), LONGEST_PAUSE_SECONDS)
