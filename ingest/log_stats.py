"""What the database says of the log when somebody looks: for /metrics and `zmart status`.

One statement on a connection of its own, at most every few seconds however often it is asked for, so that neither a
scraper nor a curious person costs the log anything. A database that does not answer is itself a thing to say.
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

log = structlog.get_logger()
sql = queries.load("ingest.store", "queries.sql")

#: A look is at most this old.
MAX_AGE_SECONDS = 5.0
STATEMENT_TIMEOUT_SECONDS = 5.0
#: Of fewer, what Postgres takes for a database with nothing in it is the larger part.
MIN_EVENTS = 10_000


@dataclass(frozen=True, kw_only=True)
class LogStatsSample:
    """The log at one moment; -1 where nothing is known."""

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
        """What a million events take, indexes and marts included; None while there are too few to tell."""
        if self.events < MIN_EVENTS:
            return None
        return round(self.database_bytes * 1_000_000 / self.events)


class LogStats:
    """Looks, and remembers what it saw."""

    def __init__(self, dsn: str) -> None:
        self._connection = ReconnectingConnection(
            dsn, application_name="zmart ingest metrics", statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
        )
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self.latest = LogStatsSample()

    async def refresh(self) -> LogStatsSample:
        """The log now, or as it was a few seconds ago; never an error."""
        async with self._lock:
            if time.monotonic() - self._read_at >= MAX_AGE_SECONDS:
                self.latest = await self._read()
                self._read_at = time.monotonic()
        return self.latest

    async def close(self) -> None:
        """Close the connection."""
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
