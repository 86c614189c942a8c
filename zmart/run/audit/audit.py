"""Seals the history of the log, and verifies its chain.

`seal_history` gives entries their place in the chain that were appended without one: those of a database that was
upgraded, and those of a process of an earlier version. It works in steps; ingest and reading go on. Near the end of
the log it takes the writer's lock for one small step.

`verify` reads the log in one snapshot and computes every value again. It finds a changed event, a removed or an
inserted entry, a removed commit, a row that is in no entry, and a changed comment. It cannot find that the end of the
log, or of the chain, was cut off and another end appended, because that is a chain, too. To find that, pass a position
that was stored outside the database (`expected`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from zmart import errors
from zmart.db import feed, queries
from zmart.db.connection import SyncConnection, connect_sync, translate_errors

from . import leaves
from .leaves import EntryDiffers, StoredEntry

sql = queries.load("zmart.run.audit", "audit.sql")
#: Entries of one commit when history is sealed: 42 kB of leaves, some tens of milliseconds.
SEAL_ENTRIES: Final = 1_000
_FETCH_ENTRIES: Final = 2_000

#: Receives the number of entries that are done and the number of all.
Report = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """An unbroken chain."""

    #: The end of the log with its mark.
    position: feed.FeedPosition
    entries: int
    commits: int
    #: Entries at the end that are not in the chain yet.
    unsealed: int
    #: The last value of the chain, 64 hex digits.
    value: str


def seal_history(dsn: str, *, report: Report = lambda done, of: None) -> int:
    """Seal every entry that is not in the chain, and return how many there were.

    Raise EntryDiffers for an event that cannot be encoded, Unavailable when Postgres does not answer.
    """
    sealed = 0
    with translate_errors(), connect_sync(dsn, application_name="zmart audit", autocommit=True) as connection:
        while (step := _seal_step(connection)) is not None:
            sealed += step.sealed
            report(step.last_seq, step.head_seq)
    return sealed


@dataclass(frozen=True, kw_only=True)
class _SealStep:
    sealed: int
    last_seq: int
    head_seq: int


def _seal_step(connection: SyncConnection) -> _SealStep | None:
    """Seal the next entries; return None when nothing is left."""
    _, head, last, _ = _fetch_head(connection)
    if head == last:
        return None
    is_near_end = head - last <= SEAL_ENTRIES
    with connection.transaction():
        if is_near_end:
            # Appends wait for this step, else the end would move away for ever.
            connection.execute(sql.lock_log)
            _, head, last, _ = _fetch_head(connection)
        until = min(head, last + SEAL_ENTRIES)
        rows = connection.execute(sql.entries, {"after": last, "until": until}).fetchall()
        entries = [StoredEntry(*row) for row in rows]
        content = b"".join(leaves.leaf(entry) for entry in entries)
        if entries:
            connection.execute(sql.extend_chain, {"first": last + 1, "last": until, "leaves": content})
    return _SealStep(sealed=len(entries), last_seq=until, head_seq=head)


def _fetch_head(connection: SyncConnection) -> tuple[str, int, int, bytes]:
    try:
        row = connection.execute(sql.head).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        row = None
    if row is None:
        raise errors.Unavailable("This database has no log with a chain yet.", help="Run `zmart migrate`.")
    epoch, head, last, value = row
    return epoch, head, last or 0, value or leaves.GENESIS


def verify(
    dsn: str, *, expected: feed.FeedPosition | None = None, report: Report = lambda done, of: None
) -> AuditResult:
    """Compute the chain again and compare; return what was verified.

    Raise EntryDiffers with the first commit or entry that differs, a ForeignPosition where `expected` is not in this
    log, Unavailable when Postgres does not answer.
    """
    with translate_errors(), connect_sync(dsn, application_name="zmart audit") as connection:
        connection.execute("set transaction isolation level repeatable read read only")
        # `strays` reads all events in one statement. The whole audit of 10 million took 14 minutes before it had that.
        connection.execute("set local statement_timeout = '1h'")
        if expected is not None:
            _check_expected(connection, expected)
        epoch, head, last, _ = _fetch_head(connection)
        value, commits = _verify_commits(connection, last, report)
        _refuse_strays(connection)
        mark = value.hex()[:16] if last == head and head else None
        return AuditResult(
            position=feed.FeedPosition(epoch, head, mark),
            entries=last,
            commits=commits,
            unsealed=head - last,
            value=value.hex(),
        )


def _check_expected(connection: SyncConnection, expected: feed.FeedPosition) -> None:
    row = connection.execute(sql.epoch, {"seq": expected.seq}).fetchone()
    assert row is not None
    epoch, head, mark = row
    end = feed.FeedPosition(epoch, head)
    feed.check_position(expected, end, mark)
    if expected.mark is not None and mark is None:
        # A position has a mark only if its entry ended a commit, so that commit was removed.
        raise feed.MarkMismatch(expected, end)


def _refuse_strays(connection: SyncConnection) -> None:
    row = connection.execute(sql.strays).fetchone()
    if row is not None:
        seq, problem = row
        raise EntryDiffers(f"Entry {seq}: {problem}.")


def _verify_commits(connection: SyncConnection, last: int, report: Report) -> tuple[bytes, int]:
    value, expected_first, commits = leaves.GENESIS, 1, 0
    entries = _entries(connection, last)
    with connection.cursor(name="commits") as cursor:
        cursor.itersize = _FETCH_ENTRIES
        for first_seq, last_seq, stored in cursor.execute(sql.commits):
            if first_seq != expected_first:
                raise EntryDiffers(
                    f"No commit begins with entry {expected_first}; the next one begins with {first_seq}."
                )
            value = leaves.chain_value(value, _leaves(entries, first_seq, last_seq))
            if value != stored:
                raise EntryDiffers(
                    f"The commit of entries {first_seq} to {last_seq} differs: an entry or the value was changed."
                )
            expected_first, commits = last_seq + 1, commits + 1
            report(last_seq, last)
    return value, commits


def _entries(connection: SyncConnection, until: int) -> Iterator[StoredEntry]:
    with connection.cursor(name="entries") as cursor:
        cursor.itersize = _FETCH_ENTRIES
        for row in cursor.execute(sql.entries, {"after": 0, "until": until}):
            yield StoredEntry(*row)


def _leaves(entries: Iterator[StoredEntry], first_seq: int, last_seq: int) -> Iterator[bytes]:
    for seq in range(first_seq, last_seq + 1):
        entry: Any = next(entries, None)
        if entry is None or entry.seq != seq:
            raise EntryDiffers(f"Entry {seq} is missing.")
        yield leaves.leaf(entry)
