"""Reads the log from Postgres, one segment of whole appends after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zmart import errors
from zmart.db import queries
from zmart.db.connection import SyncConnection

from . import manifest as manifests
from . import tables
from .manifest import SegmentDamaged
from .pace import Pace

if TYPE_CHECKING:
    import pyarrow

sql = queries.load("zmart.run.export", "export.sql")


@dataclass(frozen=True, kw_only=True)
class SegmentContent:
    """The entries `first` to `last` of the log, the appends that wrote them, and the chain before and after them."""

    first: int
    last: int
    entries: pyarrow.Table
    commits: pyarrow.Table
    previous_chain_value: str | None
    chain_value: str | None


class SegmentReader:
    """Reads segments over a connection of its own, so that another can be written meanwhile."""

    def __init__(self, connection: SyncConnection, pace: Pace) -> None:
        self._connection = connection
        self._pace = pace

    def read(self, ranges: Iterable[tuple[int, int]], *, size: int) -> Iterator[SegmentContent]:
        """Yield the content of `ranges` (both ends included) in segments of about `size` entries.

        At full speed a segment is read while the one before it is used, so that Postgres and we have a core each.
        Raise InvalidInput for a range that does not end where an append ends.
        """
        contents = self._read(ranges, size)
        return contents if self._pace.is_gentle else _read_ahead(contents)

    def _read(self, ranges: Iterable[tuple[int, int]], size: int) -> Iterator[SegmentContent]:
        for first, last in ranges:
            before = first - 1
            while before < last:
                until = self._next_end(before, last, size)
                yield self._read_segment(before + 1, until)
                before = until

    def _next_end(self, after: int, until: int, size: int) -> int:
        row = self._connection.execute(sql.next_end, {"after": after, "until": until, "size": size}).fetchone()
        found = None if row is None else row[0]
        if found is None or found > until:
            raise errors.InvalidInput(
                f"Entries {after + 1} to {until} are no whole appends: the next one ends with entry {found}.",
                help="Choose a range that ends where an append ends (log.commits.last_seq).",
            )
        return int(found)

    def _read_segment(self, first: int, last: int) -> SegmentContent:
        span = {"first": first, "last": last}
        bounds = self._connection.execute(sql.transactions_between, span).fetchone()
        assert bounds is not None
        arguments = {**span, "first_transaction": bounds[0], "last_transaction": bounds[1]}
        entries = tables.concatenate(
            tables.copy_rows(self._connection, self._pace, sql.copy_entries, arguments), tables.entries_schema()
        )
        commits = tables.concatenate(
            tables.copy_rows(self._connection, self._pace, sql.copy_commits, span), tables.commits_schema()
        )
        if entries.num_rows != last - first + 1:
            raise SegmentDamaged(
                f"The log holds {entries.num_rows:,} of the entries {first} to {last}.", help="Run `zmart audit`."
            )
        return SegmentContent(
            first=first,
            last=last,
            entries=entries,
            commits=commits,
            previous_chain_value=manifests.GENESIS if first == 1 else read_chain_value(self._connection, first - 1),
            chain_value=read_chain_value(self._connection, last),
        )


def read_chain_value(connection: SyncConnection, seq: int) -> str | None:
    """Return the value of the chain at an entry that ends an append, in hexadecimal digits; None for any other."""
    row = connection.execute(sql.chain_value, {"seq": seq}).fetchone()
    return None if row is None else str(row[0])


def _read_ahead(contents: Iterator[SegmentContent]) -> Iterator[SegmentContent]:
    """Yield the same; each is read, on another thread, while the one before it is used."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read segment") as pool:
        pending = pool.submit(next, contents, None)
        while (content := pending.result()) is not None:
            pending = pool.submit(next, contents, None)
            yield content
