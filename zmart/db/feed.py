"""Reads the feed: all facts that a reader can learn, in one order and without a gap.

`raw.feed` has one row per fact. One writer at a time appends to it and takes the next `seq` under a lock that it holds
until commit, so the order of `seq` is the order of commits, and a reader that has read n only needs the entries after
n. That is the whole state of a reader: a `FeedPosition`, written `epoch:seq` or `epoch:seq:mark`. The epoch identifies
the log; a database that was restored or reset has another epoch, and a position of the old epoch is meaningless there.
The mark is optional and does not take part in comparisons.

A reader follows the feed in these steps:

1. `read` reads the entries after a position, in one statement, and checks that they are contiguous. A missing seq would
be a fact that some reader never receives, so it is an error (`Gap`) and never skipped.
2. Each appending transaction sends a notification (`NOTIFY zmart_feed`, no payload). It only means "read now": a lost
notification, or one without a listener, costs one poll and no data.
3. `FeedListener` does both on its own connection: it reads until nothing is left, waits for a notification but never
longer than a second, and reads again. The read doubles as the heartbeat. When the connection is lost, it opens another
and continues from its position; that is why nothing is missed or repeated.

    async with FeedListener(dsn, after=position) as listener:
        async for batch in listener:
            for entry in batch.entries: ...
            remember(batch.position)
"""

from __future__ import annotations

import asyncio
import datetime
import re
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self, TypeAlias

import psycopg
import structlog

from zmart import errors

from . import queries
from .connection import Connection, ReconnectingConnection, translate_errors

log = structlog.get_logger()

Kind: TypeAlias = Literal[
    "event",
    "retracted",
    "moved",
    "finalized_through",
    "ballot",
    "comment",
    "reaction",
    "metadata",
    "mart_stale",
    "moderation",
    "profile",
    "market_page",
    "event_group",
]

#: The longest delay that a lost notification can cause.
POLL_SECONDS = 1.0
#: Entries per statement: large enough to catch up quickly, small enough to hold in memory.
BATCH_ENTRIES = 1000
#: Waits between attempts to connect grow from the first to the second value.
BACKOFF_SECONDS = (0.05, 3.0)
_STATEMENT_TIMEOUT_SECONDS = 10.0

_SQL = queries.load("zmart.db", "feed.sql")
# Parsed from the left, so that later parts never change how epoch and seq are read.
_POSITION = re.compile(
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}):(0|[1-9][0-9]{0,18})(?::([0-9a-f]{16}))?"
)


class ForeignPosition(errors.Conflict):
    """The position is not in this log."""

    def __init__(self, message: str, found: FeedPosition) -> None:
        super().__init__(message, help="Read the current state again and go on from its as_of.")
        #: The end of the current log.
        self.found = found


class ForeignEpoch(ForeignPosition):
    """The position belongs to another log than the current one."""

    def __init__(self, position: FeedPosition, found: FeedPosition) -> None:
        super().__init__(f"Position {position} belongs to another log; the current one is {found.epoch}.", found)


class FuturePosition(ForeignPosition):
    """The position lies beyond the end of the log."""

    def __init__(self, position: FeedPosition, found: FeedPosition) -> None:
        super().__init__(f"Position {position} lies beyond the end of the log, which is at {found.seq}.", found)


class MarkMismatch(ForeignPosition):
    """The position belongs to another history of the same log: a copy that was put back, or a tail that was lost."""

    def __init__(self, position: FeedPosition, found: FeedPosition) -> None:
        super().__init__(f"Position {position} belongs to another history of this log, which is at {found.seq}.", found)


class Gap(errors.Permanent):
    """A seq is missing from the feed."""

    def __init__(self, after: int, found: int) -> None:
        super().__init__(
            f"The feed has no entry {after + 1}: the next entry after {after} is {found}.",
            help="Reading stops before a gap. Run `zmart doctor`, then restore the missing rows.",
        )
        self.after = after
        self.found = found


@dataclass(frozen=True)
class FeedPosition:
    """A reader's progress: everything up to `seq` of the log `epoch` was read.

    Equality and hashes use epoch and seq only.
    """

    epoch: str
    seq: int
    #: 16 hexadecimal digits: the beginning of the chain value of the append that holds `seq` (raw.mark_of).
    #: None for seq 0, and for entries that are not sealed yet.
    mark: str | None = field(default=None, compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `epoch:seq` or `epoch:seq:mark`; raise InvalidInput with the expected form."""
        match = _POSITION.fullmatch(text)
        if match is None or int(match[2]) >= 1 << 63:
            raise errors.InvalidInput(
                "A position is written epoch:seq or epoch:seq:mark, a UUID in lower case, an integer and 16"
                " hexadecimal digits; send the `position` of a frame or of an `as_of` unchanged."
            )
        return cls(match[1], int(match[2]), match[3])

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}" if self.mark is None else f"{self.epoch}:{self.seq}:{self.mark}"

    def with_seq(self, seq: int, mark: str | None = None) -> FeedPosition:
        """Return the position of another entry of the same log."""
        return FeedPosition(self.epoch, seq, mark)


class FeedEntry(NamedTuple):
    """The row of one fact in the feed; the fact itself is in the table that `kind` names."""

    seq: int
    kind: Kind
    #: event: None (the event has the same seq). retracted, moved: the event's seq.
    #: finalized_through: the slot. Others: key of the row in schema app.
    ref: int | None
    market_no: int | None
    wallet_no: int | None
    #: When the entry was appended here, not when the fact happened.
    at: datetime.datetime


@dataclass(frozen=True, kw_only=True)
class FeedBatch:
    """Contiguous entries, and the end of the log when they were read."""

    #: The reader's position after these entries.
    position: FeedPosition
    #: The end of the log in the same snapshot.
    head: FeedPosition
    entries: tuple[FeedEntry, ...]

    @property
    def is_last(self) -> bool:
        """Return whether the log contained no further entries."""
        return self.position.seq == self.head.seq


async def head(connection: Connection) -> FeedPosition:
    """Return the position of the end of the log; raise Unavailable when the database has no log yet."""
    with translate_errors():
        cursor = await connection.execute(_SQL.head)
        row = await cursor.fetchone()
    if row is None:
        raise _missing_log_error()
    return FeedPosition(*row)


async def check_identity(connection: Connection, position: FeedPosition | None = None) -> None:
    """Begin a new epoch where this database is another log than before; every new connection of a service calls this.

    The server, its timeline, the database or the feed's table may have changed: after a failover, or when a dump or a
    copy was put back. A position with a mark of this history proves that it is the same log. On a promoted server a
    caller without a position decides nothing for fifteen seconds, so that others can prove it; nothing is appended
    meanwhile. Does nothing in a database without a log, and on a standby.
    """
    parameters = {
        "epoch": position.epoch if position else None,
        "seq": position.seq if position else None,
        "mark": position.mark if position else None,
    }
    try:
        await connection.execute(_SQL.confirm_identity, parameters)
    except (psycopg.errors.UndefinedFunction, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedTable):
        await connection.rollback()


async def read(connection: Connection, after: FeedPosition, limit: int = BATCH_ENTRIES) -> FeedBatch:
    """Read up to `limit` entries after a position, oldest first; the batch is empty where there are none.

    Raise ForeignEpoch, FuturePosition or MarkMismatch when `after` is not in this log, Gap when entries are not
    contiguous, and Unavailable when Postgres does not answer.
    """
    with translate_errors():
        cursor = await connection.execute(_SQL.read, {"after": after.seq, "max_entries": limit})
        rows = await cursor.fetchall()
    if not rows:
        raise _missing_log_error()
    epoch, head_seq, head_mark, after_mark, last_mark = rows[0][:5]
    end = FeedPosition(epoch, head_seq, head_mark)
    check_position(after, end, after_mark)
    entries = tuple(FeedEntry(*row[5:]) for row in rows if row[5] is not None)
    check_contiguous(after.seq, [entry.seq for entry in entries])
    reached = after.with_seq(entries[-1].seq, last_mark) if entries else after.with_seq(after.seq, after_mark)
    return FeedBatch(position=reached, head=end, entries=entries)


def check_position(position: FeedPosition, end: FeedPosition, mark: str | None = None) -> None:
    """Raise ForeignEpoch, FuturePosition or MarkMismatch for a position that is not in the log ending at `end`.

    `mark` is the log's own mark of the position's seq, or None where it has none.
    """
    if position.epoch != end.epoch:
        raise ForeignEpoch(position, end)
    if position.seq > end.seq:
        raise FuturePosition(position, end)
    if position.mark is not None and mark is not None and position.mark != mark:
        raise MarkMismatch(position, end)


def check_contiguous(after: int, seqs: Sequence[int]) -> None:
    """Raise Gap unless `seqs` are `after` + 1, `after` + 2 and so on."""
    for expected, found in enumerate(seqs, start=after + 1):
        if found != expected:
            raise Gap(expected - 1, found)


class FeedListener:
    """Reads the feed for one reader, and continues across lost notifications, connections and servers.

    Iterating yields batches that are never empty, each starting where the last ended. It waits without a limit, also
    for a server that is unavailable. It raises errors on which an operator or the caller must decide: `Gap` (at each
    call, until the feed is repaired), `ForeignEpoch`, `FuturePosition` and `MarkMismatch` (`seek` then sets where to
    continue), and a
    refused login.
    """

    def __init__(
        self,
        dsn: str,
        *,
        after: FeedPosition | None = None,
        limit: int = BATCH_ENTRIES,
        poll_seconds: float = POLL_SECONDS,
        application_name: str = "zmart feed",
        on_notify: Callable[[], None] | None = None,
    ) -> None:
        #: Everything up to here was returned. None means the end of the log, until the connection is open.
        self.position = after
        self._limit = limit
        self._poll_seconds = poll_seconds
        #: Called at each notification before the entries are read, for callers that then read something else.
        self._on_notify = on_notify
        self._connection = ReconnectingConnection(
            dsn,
            application_name=application_name,
            statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS,
            on_connect=self._listen,
        )
        self._is_drained = False
        self._last_answer_at: float | None = None

    @property
    def silent_seconds(self) -> float:
        """Return the time since Postgres last answered; infinite before the first answer."""
        return float("inf") if self._last_answer_at is None else time.monotonic() - self._last_answer_at

    @property
    def backend_pid(self) -> int | None:
        """Return the pid of the server process of the connection, or None without a connection."""
        return self._connection.backend_pid

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: types.TracebackType | None,
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FeedBatch:
        failures = 0
        while True:
            try:
                batch = await self._step()
            except errors.Transient as error:
                await self._back_off(failures, error)
                failures += 1
                continue
            failures = 0
            if batch.entries:
                return batch

    def seek(self, position: FeedPosition) -> None:
        """Continue from another position."""
        self.position = position
        self._is_drained = False

    async def start(self) -> FeedPosition:
        """Connect, and return the position where reading begins."""
        failures = 0
        while True:
            try:
                await self._connection.get()
            except errors.Transient as error:
                await self._back_off(failures, error)
                failures += 1
            else:
                assert self.position is not None
                return self.position

    async def close(self) -> None:
        """Close the connection; iterating afterwards connects again."""
        await self._connection.close()

    async def _step(self) -> FeedBatch:
        """Wait if everything was read, then read once."""
        connection = await self._connection.get()
        if self._is_drained:
            await self._wait_for_notify(connection)
        assert self.position is not None
        batch = await read(connection, self.position, self._limit)
        self._last_answer_at = time.monotonic()
        self.position = batch.position
        self._is_drained = batch.is_last
        return batch

    async def _listen(self, connection: Connection) -> None:
        await check_identity(connection, self.position)
        await connection.execute(_SQL.listen)
        if self.position is None:
            self.position = await head(connection)
        # Notifications sent while no connection was open are lost: read before waiting for the next one.
        self._is_drained = False

    async def _wait_for_notify(self, connection: Connection) -> None:
        # psycopg stores notifications that arrive during a statement, so none is lost between two waits.
        with translate_errors():
            async for _ in connection.notifies(timeout=self._poll_seconds, stop_after=1):
                if self._on_notify is not None:
                    self._on_notify()

    async def _back_off(self, failures: int, error: errors.Transient) -> None:
        await self.close()
        first, longest = BACKOFF_SECONDS
        seconds = min(longest, first * 2 ** min(failures, 16))
        log.warning("feed_connection_lost", error=str(error), retry_in_seconds=seconds)
        await asyncio.sleep(seconds)


def _missing_log_error() -> errors.Unavailable:
    return errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
