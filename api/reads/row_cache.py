"""Texts of rows: what Postgres wrote of a row once it need not write again while the row is the same version.

Of reading a page the smaller part is finding its rows; the larger is writing fifty of them as JSON and carrying that
here. But most rows are what they were when somebody last asked, on this page or on another one. So the statement of a
list names its rows by number and version, all in the snapshot that the answer is of, and the text of a version is
asked for once.

    list  ->  71:16402:9811  72:16402:9760 ...      found now, never kept
    text of 72:16402:9760  ->  {"id":"...", ...}    of this version for ever

A version is the row's number, its table, and the transactions that wrote it and what is shown with it (`xmin`). A
transaction leaves others one version of a row, so on one server these four name it. On another one, a promoted replica
say, a lost transaction's number may have been given again; so texts belong to an epoch of the log and a start of the
server, and go when an answer comes from elsewhere.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

#: Epoch of the log, and when its server started: where versions are unique.
VersionScope: TypeAlias = tuple[str, str]

#: What an entry weighs beside its characters: two objects and a place in a dictionary.
_ENTRY_OVERHEAD_BYTES = 250


class RowCache:
    """Texts by version, in bounded memory; what was not wanted for longest goes first."""

    def __init__(self, *, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._scope: VersionScope | None = None
        self._rows: collections.OrderedDict[str, bytes] = collections.OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """What they weigh."""
        return self._bytes

    def find(self, scope: VersionScope, versions: Iterable[str]) -> dict[str, bytes]:
        """The texts of those versions that are known."""
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
        """Keep what Postgres wrote."""
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
    """The numbers of the rows."""
    return [version.partition(":")[0] for version in versions]


def _weight(version: str, text: bytes) -> int:
    return len(version) + len(text) + _ENTRY_OVERHEAD_BYTES
