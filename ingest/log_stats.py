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
from zmart.db import pool, queries

log = structlog.get_logger()
sql = queries.load("ingest.store", "queries.sql")

#: A look is at most this old.
FRESH_SECONDS = 5.0
STATEMENT_TIMEOUT_SECONDS = 5.0
#: Of fewer, what Postgres takes for a database with nothing in it is the larger part.
FEWEST_EVENTS = 10_000


@dataclass(frozen=True, kw_only=True)
class Condition:
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
        if self.events < FEWEST_EVENTS:
            return None
        return round(self.database_bytes * 1_000_000 / self.events)


class Look:
    """Looks, and remembers what it saw."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: pool.Connection | None = None
        self._turn = asyncio.Lock()
        self._looked_at = float("-inf")
        self.seen = Condition()

    async def again(self) -> Condition:
        """The log now, or as it was a few seconds ago; never an error."""
        async with self._turn:
            if time.monotonic() - self._looked_at >= FRESH_SECONDS:
                self.seen = await self._read()
                self._looked_at = time.monotonic()
        return self.seen

    async def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _read(self) -> Condition:
        try:
            with pool.translate_errors():
                cursor = await (await self._connected()).execute(sql.condition)
                row = await cursor.fetchone()
        except (errors.ZmartError, psycopg.Error) as trouble:
            log.warning("the log's condition is unknown", reason=str(trouble))
            return Condition()
        assert row is not None
        names = [column.name for column in cursor.description or ()]
        return Condition(database_up=1, **dict(zip(names, row, strict=True)))

    async def _connected(self) -> pool.Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = await pool.connect(
                self._dsn,
                application_name="zmart ingest metrics",
                statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
                autocommit=True,
            )
        return self._connection
