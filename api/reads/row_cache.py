"""Caches rendered rows: the JSON that Postgres wrote for a row, for as long as the row's version is the same.

Finding the rows of a page is the smaller part of reading it; the larger part is to render fifty of them as JSON and to
transfer that. But most rows have not changed since they were last requested, on this page or on another one. So the
statement of a list returns its rows as number and version, all in the snapshot of the answer, and each version is
rendered only once.

    list  ->  71:16402:9811  72:16402:9760 ...      read now, never cached
    text of 72:16402:9760  ->  {"id":"...", ...}    never changes for this version

A version consists of the row's number, its table, and the transactions that wrote the row and the data shown with it
(`xmin`). Other transactions see only one version of a row per transaction that wrote it, so on one server these four
values identify it. On another server, for example a promoted replica, the id of a lost transaction may have been
assigned again. So the rendered rows belong to one epoch of the log and one start of the server, and are dropped when
an answer has another epoch or start.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

#: Epoch of the log and start time of its server: versions are unique within both.
VersionScope: TypeAlias = tuple[str, str]

#: Size of an entry in addition to its characters: two objects and a place in a dictionary.
_ENTRY_OVERHEAD_BYTES = 250


class RowCache:
    """Rendered rows by version, in bounded memory; the least recently used are evicted first."""

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._scope: VersionScope | None = None
        self._rows: collections.OrderedDict[str, bytes] = collections.OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """Return the size of the cached rows."""
        return self._bytes

    @property
    def has_space(self) -> bool:
        """Return whether it may hold any row."""
        return self._most_bytes > 0

    def find(self, scope: VersionScope, versions: Iterable[str]) -> dict[str, bytes]:
        """Return the rendered rows of those versions that are cached."""
        if scope != self._scope:
            return {}
        entries, found = self._rows, {}
        for version in versions:
            text = entries.get(version)
            if text is not None:
                entries.move_to_end(version)
                found[version] = text
        return found

    def store(self, scope: VersionScope, rows: Mapping[str, bytes]) -> None:
        """Cache rows that Postgres rendered."""
        if not self.has_space:
            return
        if scope != self._scope:
            self._scope, self._bytes = scope, 0
            self._rows.clear()
        for version, text in rows.items():
            if version not in self._rows:
                self._rows[version] = text
                self._bytes += _weight(version, text)
        while self._bytes > self._most_bytes:
            self._bytes -= _weight(*self._rows.popitem(last=False))


def row_numbers(versions: Iterable[str]) -> Sequence[str]:
    """Return the numbers of the rows."""
    return [version.partition(":")[0] for version in versions]


def _weight(version: str, text: bytes) -> int:
    return len(version) + len(text) + _ENTRY_OVERHEAD_BYTES
