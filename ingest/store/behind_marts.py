"""Brings marts that are behind the log up to it again, without an operator and without a further delivery.

A model whose fold fails is skipped by the appends that follow (folds.fold). Here it is retried beside them, one short
transaction at a time (folds.retry_behind), so that neither a model that fails again nor a long window is ever part of
an append: a statement's timeout that rings in a retry refuses no delivery.
"""

from __future__ import annotations

import asyncio

import psycopg
import structlog

from zmart import errors
from zmart.db import queries
from zmart.db.connection import ReconnectingConnection, translate_errors

log = structlog.get_logger()
sql = queries.load("ingest.store", "queries.sql")

#: How often due marts are looked for; the pause of each mart is in ops.models.
RETRY_SECONDS = 1.0
#: An attempt holds the log: one that takes longer is ended, and the next one takes a smaller window.
STATEMENT_TIMEOUT_SECONDS = 20.0


class BehindMarts:
    """The task; start it with the server."""

    def __init__(self, dsn: str) -> None:
        self._connection = ReconnectingConnection(
            dsn, application_name="zmart ingest behind marts", statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="ingest behind marts")

    async def stop(self) -> None:
        """End; an attempt under way is undone and made again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._connection.close()

    async def retry(self) -> int:
        """Make every attempt that is due; how many that were. Raises what the database does not answer with."""
        attempts = 0
        with translate_errors():
            connection = await self._connection.get()
            while (await (await connection.execute(sql.retry_behind)).fetchone()) == (True,):
                attempts += 1
        return attempts

    async def _run(self) -> None:
        while True:
            try:
                if attempts := await self.retry():
                    log.info("marts_behind_retried", attempts=attempts)
            except (errors.ZmartError, psycopg.Error) as failure:
                log.warning("marts_behind_not_retried", reason=str(failure))
            await asyncio.sleep(RETRY_SECONDS)
