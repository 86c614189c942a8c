"""Reads statistics of the log from the database on request, for /metrics and `zmart status`.

It runs one statement on a connection of its own, at most every few seconds however often it is requested, so that
neither a scraper nor a curious user slows the log down. A database that does not answer is itself reported.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
import structlog

from zmart import errors
from zmart.db import queries
from zmart.db.connection import ReconnectingConnection, translate_errors
from zmart.tasks import cancel_until_done

log = structlog.get_logger()
sql = queries.load("ingest.store", "queries.sql")

#: Maximum age of a sample.
MAX_AGE_SECONDS = 5.0
STATEMENT_TIMEOUT_SECONDS = 5.0
#: How long a request waits for a sample.
ANSWER_SECONDS = 2.0
#: With fewer events, the size of an empty Postgres database dominates.
MIN_EVENTS = 10_000


@dataclass(frozen=True, kw_only=True)
class LogStatsSample:
    """The statistics of the log at one moment; -1 where nothing is known."""

    database_up: int = 0
    head_seq: int = -1
    events: int = -1
    last_event_age_seconds: float = -1.0
    coverage_gaps: int = -1
    wanted: int = -1
    suspects: int = -1
    stale_models: int = -1
    behind_models: int = -1
    database_bytes: int = -1
    #: Reason code to count.
    open_dead_letters: Mapping[str, int] = field(default_factory=dict)

    @property
    def bytes_per_million_events(self) -> int | None:
        """Bytes per million events, indexes and marts included; None while there are too few events to estimate."""
        if self.events < MIN_EVENTS:
            return None
        return round(self.database_bytes * 1_000_000 / self.events)


class LogStats:
    """Reads the statistics and caches the latest sample."""

    def __init__(self, dsn: str) -> None:
        self._connection = ReconnectingConnection(
            dsn, application_name="zmart ingest metrics", statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
        )
        self._reading: asyncio.Task[LogStatsSample] | None = None
        self._read_at = float("-inf")
        self.latest = LogStatsSample()

    async def refresh(self) -> LogStatsSample:
        """Return the current sample, or one that is a few seconds old; never raises an error of the database.

        A database that does not answer within ANSWER_SECONDS is reported as down; the read goes on meanwhile.
        """
        if self._reading is None and time.monotonic() - self._read_at < MAX_AGE_SECONDS:
            return self.latest
        reading = self._reading = self._reading or asyncio.create_task(self._read(), name="ingest log statistics")
        done, _ = await asyncio.wait([reading], timeout=ANSWER_SECONDS)
        self.latest = reading.result() if done else LogStatsSample()
        if done and self._reading is reading:
            self._reading, self._read_at = None, time.monotonic()
        return self.latest

    async def close(self) -> None:
        """Close the connection."""
        if self._reading is not None:
            await cancel_until_done(self._reading)
        await self._connection.close()

    async def _read(self) -> LogStatsSample:
        try:
            with translate_errors():
                cursor = await (await self._connection.get()).execute(sql.log_stats)
                row = await cursor.fetchone()
        except (errors.ZmartError, psycopg.Error) as error:
            log.warning("log_stats_unavailable", reason=str(error))
            return LogStatsSample()
        assert row is not None
        names = [column.name for column in cursor.description or ()]
        return LogStatsSample(database_up=1, **dict(zip(names, row, strict=True)))
