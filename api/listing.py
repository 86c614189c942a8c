"""Pages of which only what is new is written: rows are named first, then those that nobody knows are put into words.

The statement of a page gives its rows by number and version, and everything else that the body says, of one snapshot.
Texts of versions that were written before are at hand (`api/texts.py`); one more statement writes the others by number.
A row may change between the two. Its text is then of another version, the page is not whole, and it is looked up again;
where that goes on, both statements are run in one transaction.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from .gathering import Gatherer, Row, Run, Varying
from .texts import Server, Texts, numbers

#: How often a page is looked up whose rows change meanwhile, before one snapshot is held for it.
TRIES = 3

#: Runs statements that all see one moment.
Snapshot: TypeAlias = Callable[[], AbstractAsyncContextManager[Run]]


@dataclass(frozen=True)
class Listed:
    """What a list is of."""

    #: The member of the body that holds the rows.
    name: str
    #: The statement that writes rows by their numbers: version and text of each.
    texts: str


class Whole(NamedTuple):
    """A page with its rows, as an answer has it."""

    epoch: str
    seq: int
    slot: int | None
    commitment: str
    #: None where there is no such list.
    body: bytes | None


@dataclass
class _Page:
    """A row of a page's statement."""

    epoch: str
    seq: int
    slot: int | None
    commitment: str
    started_at: str
    #: The rows in order, a space between two.
    versions: str | None
    #: The other members of the body, as a JSON object; None where there is no such list.
    rest: bytes | None
    #: What becomes of it, for all who asked for it together.
    whole: Whole | None = field(default=None, init=False)
    writing: asyncio.Task[Whole | None] | None = field(default=None, init=False)

    @property
    def server(self) -> Server:
        """Where the versions mean something."""
        return self.epoch, self.started_at

    @functools.cached_property
    def rows(self) -> list[str]:
        """The versions, one by one."""
        return (self.versions or "").split()

    def filled(self, name: str, texts: Mapping[str, bytes]) -> Whole | None:
        """The page with its rows; None where one of them is not among the texts."""
        if self.rest is None:
            body = None
        elif all(map(texts.__contains__, self.rows)):
            body = b'{"%s":[%s],%s' % (name.encode(), b",".join([texts[row] for row in self.rows]), self.rest[1:])
        else:
            return None
        self.whole = Whole(self.epoch, self.seq, self.slot, self.commitment, body)
        return self.whole


class _Scribe:
    """Has rows written: those that pages lack at the same time, by one statement."""

    def __init__(self, run: Run) -> None:
        self._run = run
        #: By statement: the rows that it will be asked for next, and the asking.
        self._next: dict[str, tuple[set[str], asyncio.Task[dict[str, bytes]]]] = {}

    async def write(self, statement: str, wanted: Iterable[str]) -> dict[str, bytes]:
        """The texts of rows by version, of these numbers and maybe of others."""
        if statement not in self._next:
            rows: set[str] = set()
            self._next[statement] = rows, asyncio.create_task(self._write(statement, rows))
        rows, writing = self._next[statement]
        rows.update(wanted)
        return await asyncio.shield(writing)

    async def _write(self, statement: str, rows: set[str]) -> dict[str, bytes]:
        # Pages that were looked up together have come in the turn of the loop before this one.
        del self._next[statement]
        return {version: text.encode() for version, text in await self._run(statement, {"numbers": sorted(rows)})}


class Listings:
    """Pages, read for all who ask for the same at a time, and the texts of their rows."""

    def __init__(self, run: Run, snapshot: Snapshot, *, most_bytes: int) -> None:
        self._snapshot = snapshot
        self._scribe = _Scribe(run)
        self._pages = Gatherer(run, _page)
        self._texts = Texts(most_bytes=most_bytes)

    async def read(
        self, listed: Listed, statement: str, parameters: Mapping[str, Any], *, varying: Varying
    ) -> Whole | None:
        """The page as it is at a moment after this call; None where there is no log."""
        for _ in range(TRIES):
            page: _Page | None = await self._pages.row(statement, parameters, varying=varying)
            if page is None:
                return None
            if whole := await self._filled(listed, page):
                return whole
        async with self._snapshot() as run:
            if not (found := await run(statement, parameters)):
                return None
            whole = await self._written(listed, _page(found[0]), _Scribe(run))
        assert whole is not None, "both statements see one moment"
        return whole

    async def _filled(self, listed: Listed, page: _Page) -> Whole | None:
        """The page with its rows, put together once; None where a row changed before it was written."""
        if page.whole is None and page.writing is None:
            known = self._texts.find(page.server, page.rows)
            if page.filled(listed.name, known) is None:
                page.writing = asyncio.create_task(self._written(listed, page, self._scribe))
        # Who goes away does not take it with him: others wait.
        return page.whole if page.writing is None else await asyncio.shield(page.writing)

    async def _written(self, listed: Listed, page: _Page, scribe: _Scribe) -> Whole | None:
        texts = self._texts.find(page.server, page.rows)
        if unknown := [row for row in page.rows if row not in texts]:
            written = await scribe.write(listed.texts, numbers(unknown))
            self._texts.learn(page.server, written)
            texts |= written
        return page.filled(listed.name, texts)


def _page(row: Row) -> _Page:
    return _Page(*row)
