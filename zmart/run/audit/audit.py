"""Seals the history of the log, and verifies its chain.

`seal_history` gives entries their place in the chain that were appended without one: those of a database that was
upgraded, and those of a process of an earlier version. It works in steps; ingest and reading go on. Near the end of
the log it takes the writer's lock for one small step.

`verify` reads the log in one snapshot and computes every value again. It finds a changed event, a removed or an
inserted entry, a removed commit, a row that is in no entry, and what wallets and moderators wrote if it is not that of
its newest entry. docs/operating/security.md lists what no entry holds. `verify` cannot find that the end of log and
chain was cut off and another end appended, because that is a chain, too. To find that, pass a position that was stored
outside the database (`expected`). If only the end of the chain was removed, sealing refuses it (ChainBroken) until an
operator accepts it, because a new chain over the same entries would hide what was changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from zmart import errors
from zmart.db import alerts, feed, queries
from zmart.db.connection import SyncConnection, connect_sync, translate_errors

from . import leaves
from .leaves import EntryDiffers, StoredEntry

sql = queries.load("zmart.run.audit", "audit.sql")
#: Entries of one commit when history is sealed: 42 kB of leaves, some tens of milliseconds.
SEAL_ENTRIES: Final = 1_000
_FETCH_ENTRIES: Final = 2_000
#: Events of one statement that looks for rows without an entry: some tenths of a second.
_STRAY_ENTRIES: Final = 200_000

#: Receives the number of entries that are done and the number of all.
Report = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """An unbroken chain."""

    #: The end of the log with its mark.
    position: feed.FeedPosition
    entries: int
    commits: int
    #: Entries at the end that are not in the chain.
    unsealed: int
    #: Whether these are not history that waits to be sealed: somebody removed the end of the chain.
    is_end_removed: bool
    #: The last value of the chain, 64 hex digits.
    value: str


class ChainBroken(errors.Conflict):
    """The chain ends before the log does, and not because an earlier release appended the rest without a chain."""

    def __init__(self, head: _LogHead) -> None:
        super().__init__(
            f"The log has entries up to {head.seq:,}, but its chain ends at {head.last_seq:,}, and no earlier release"
            " left the rest without a chain: somebody removed the end of the chain.",
            help="Run `zmart audit --position` with a position that you stored outside this database, and follow"
            " docs/runbook.md, chain_broken.",
        )


@dataclass(frozen=True, kw_only=True)
class _LogHead:
    """The end of the log and of its chain."""

    epoch: str
    seq: int
    last_seq: int
    value: bytes
    unsealed_through: int | None

    @property
    def is_end_removed(self) -> bool:
        return self.last_seq < self.seq and self.unsealed_through != self.seq


def accept_broken_chain(dsn: str, *, who: str, reason: str) -> bool:
    """Let `seal_history` seal entries whose chain was removed; return whether there are any. Recorded in ops.audit."""
    with translate_errors(), connect_sync(dsn, application_name="zmart audit") as connection:
        connection.execute(sql.lock_log)
        head = _fetch_head(connection)
        if head.is_end_removed:
            parameters = {"head": head.seq, "last": head.last_seq, "who": who, "reason": reason}
            connection.execute(sql.accept_broken_chain, parameters)
            alerts.resolve_alert(connection, "chain_broken", "log")
    return head.is_end_removed


def seal_history(dsn: str, *, report: Report = lambda done, of: None) -> int:
    """Seal every entry that is not in the chain, and return how many there were.

    Raise ChainBroken where the end of the chain was removed, EntryDiffers for an event that cannot be encoded,
    Unavailable when Postgres does not answer.
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
    head = _fetch_head(connection)
    if head.seq == head.last_seq and head.unsealed_through is None:
        return None
    is_near_end = head.seq - head.last_seq <= SEAL_ENTRIES
    with connection.transaction():
        if is_near_end:
            # Appends wait for this step, else the end would move away for ever.
            connection.execute(sql.lock_log)
            head = _fetch_head(connection)
        if head.is_end_removed:
            raise ChainBroken(head)
        last, until = head.last_seq, min(head.seq, head.last_seq + SEAL_ENTRIES)
        rows = connection.execute(sql.entries, {"after": last, "until": until}).fetchall()
        entries = [StoredEntry(*row) for row in rows]
        content = b"".join(leaves.leaf(entry) for entry in entries)
        if entries:
            connection.execute(sql.extend_chain, {"first": last + 1, "last": until, "leaves": content})
        if is_near_end and until == head.seq:
            connection.execute(sql.end_unsealed_history)
    return _SealStep(sealed=len(entries), last_seq=until, head_seq=head.seq)


def _fetch_head(connection: SyncConnection) -> _LogHead:
    try:
        row = connection.execute(sql.head).fetchone()
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName):
        row = None
    if row is None:
        raise errors.Unavailable("This database has no log with a chain yet.", help="Run `zmart migrate`.")
    epoch, seq, last_seq, value, unsealed_through = row
    return _LogHead(
        epoch=epoch,
        seq=seq,
        last_seq=last_seq or 0,
        value=value or leaves.GENESIS,
        unsealed_through=unsealed_through,
    )


def verify(
    dsn: str, *, expected: feed.FeedPosition | None = None, report: Report = lambda done, of: None
) -> AuditResult:
    """Compute the chain again and compare; return what was verified.

    Raise EntryDiffers with the first commit or entry that differs, a ForeignPosition where `expected` is not in this
    log, Unavailable when Postgres does not answer.
    """
    with translate_errors(), connect_sync(dsn, application_name="zmart audit") as connection:
        connection.execute("set transaction isolation level repeatable read read only")
        # One statement reads the retractions of all events, and one all that wallets wrote.
        connection.execute("set local statement_timeout = '1h'")
        # Times in digests are written in UTC.
        connection.execute("set local timezone = 'UTC'")
        if expected is not None:
            _check_expected(connection, expected)
        head = _fetch_head(connection)
        steps = head.last_seq + head.seq
        value, commits = _verify_commits(connection, head.last_seq, lambda done, of: report(done, steps))
        _refuse_strays(connection, head, lambda done, of: report(head.last_seq + done, steps))
        mark = value.hex()[:16] if head.last_seq == head.seq and head.seq else None
        return AuditResult(
            position=feed.FeedPosition(head.epoch, head.seq, mark),
            entries=head.last_seq,
            commits=commits,
            unsealed=head.seq - head.last_seq,
            is_end_removed=head.is_end_removed,
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


def _refuse_strays(connection: SyncConnection, head: _LogHead, report: Report) -> None:
    """Raise EntryDiffers for the first row that folds or pages read and that is not the one of an entry."""
    for after in range(0, head.seq, _STRAY_ENTRIES):
        # The last step also finds what was added after the end.
        until = after + _STRAY_ENTRIES if after + _STRAY_ENTRIES < head.seq else 2**62
        _refuse_stray(connection.execute(sql.stray_events, {"after": after, "until": until}).fetchone())
        report(min(until, head.seq), head.seq)
    _refuse_stray(connection.execute(sql.stray_retractions).fetchone())
    _refuse_stray(connection.execute(sql.stray_writings).fetchone())


def _refuse_stray(row: tuple[Any, ...] | None) -> None:
    if row is not None:
        seq, problem = row
        entry = f"Entry {seq}: {problem}" if seq else f"Without an entry: {problem}"
        raise EntryDiffers(f"{entry}.")


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
