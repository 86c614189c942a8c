"""Pages of which only what is new is written: rows are named first, then those that nobody knows are put into words.

The statement of a page gives its rows by number and version, and everything else that the body says, of one snapshot.
Texts of versions that were written before are at hand (`api/reads/row_cache.py`); one more statement writes the others
by number. A row may change between the two. Its text is then of another version, the page is not whole, and it is
looked up again; where that goes on, both statements are run in one transaction.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from .batching import Gatherer, Row, Run, Varying
from .row_cache import Server, Texts, numbers

#: How often a page is looked up whose rows change meanwhile, before one snapshot is held for it.
TRIES = 3

#: A statement that is to write so many rows takes no further page: a small one is not to wait for many large ones.
MOST_ROWS = 1_000

_T = TypeVar("_T")
_Whole = TypeVar("_Whole")

#: Runs statements that all see one moment.
Snapshot: TypeAlias = Callable[[], AbstractAsyncContextManager[Run]]


@dataclass(frozen=True)
class Listed:
    """What a list is of."""

    #: The member of the body that holds the rows.
    name: str
    #: The statement that writes rows by their numbers: version and text of each.
    texts: str


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
    #: What becomes of it, for all who asked for it together: the whole, its rows being written, another reading.
    whole: Any = field(default=None, init=False)
    writing: asyncio.Task[Any] | None = field(default=None, init=False)
    anew: asyncio.Task[Any] | None = field(default=None, init=False)

    @property
    def server(self) -> Server:
        """Where the versions mean something."""
        return self.epoch, self.started_at

    @functools.cached_property
    def rows(self) -> list[str]:
        """The versions, one by one."""
        return (self.versions or "").split()

    def body(self, name: str, texts: Mapping[str, bytes]) -> bytes:
        """The page with its rows; KeyError where one of them is not among the texts."""
        assert self.rest is not None
        return b'{"%s":[%s],%s' % (name.encode(), b",".join([texts[row] for row in self.rows]), self.rest[1:])


class _Scribe:
    """Has rows written: those that pages lack at the same time, by one statement."""

    def __init__(self, run: Run) -> None:
        self._run = run
        #: By statement: the rows that it will be asked for next, and the asking.
        self._next: dict[str, tuple[set[str], asyncio.Task[dict[str, bytes]]]] = {}

    async def write(self, statement: str, wanted: Iterable[str]) -> dict[str, bytes]:
        """The texts of rows by version, of these numbers and maybe of others."""
        rows, writing = self._next.get(statement, (None, None))
        if rows is None or writing is None or len(rows) >= MOST_ROWS:
            rows = set()
            writing = _heard(asyncio.create_task(self._write(statement, rows)))
            self._next[statement] = rows, writing
        rows.update(wanted)
        return await asyncio.shield(writing)

    async def _write(self, statement: str, rows: set[str]) -> dict[str, bytes]:
        # Pages that were looked up together have come in the turn of the loop before this one.
        if self._next[statement][0] is rows:
            del self._next[statement]
        return {version: text.encode() for version, text in await self._run(statement, {"numbers": sorted(rows)})}


class Listings(Generic[_Whole]):
    """Pages, read for all who ask for the same at a time, and the texts of their rows."""

    def __init__(self, run: Run, snapshot: Snapshot, made: Callable[[Row], _Whole], *, most_bytes: int) -> None:
        self._snapshot = snapshot
        #: What is made of epoch, seq, slot, commitment and body (None where there is no such list), once for all.
        self._made = made
        self._scribe = _Scribe(run)
        self._pages = Gatherer(run, _page)
        self._texts = Texts(most_bytes=most_bytes)

    async def read(
        self, listed: Listed, statement: str, parameters: Mapping[str, Any], *, varying: Varying
    ) -> _Whole | None:
        """The page as it is at a moment after this call; None where there is no log."""
        for _ in range(TRIES):
            page: _Page | None = await self._pages.row(statement, parameters, varying=varying)
            if page is None:
                return None
            if whole := await self._filled(listed, page):
                return whole
        assert page is not None
        if page.anew is None:
            page.anew = _heard(asyncio.create_task(self._at_one_moment(listed, statement, parameters)))
        found: _Whole | None = await asyncio.shield(page.anew)
        return found

    async def _at_one_moment(self, listed: Listed, statement: str, parameters: Mapping[str, Any]) -> _Whole | None:
        async with self._snapshot() as run:
            if not (found := await run(statement, parameters)):
                return None
            whole = await self._written(listed, _page(found[0]), _Scribe(run))
        assert whole is not None, "both statements see one moment"
        return whole

    async def _filled(self, listed: Listed, page: _Page) -> _Whole | None:
        """The page with its rows, put together once; None where a row changed before it was written."""
        if page.whole is None and page.writing is None:
            known = self._texts.find(page.server, page.rows)
            if self._whole(listed, page, known) is None:
                page.writing = _heard(asyncio.create_task(self._written(listed, page, self._scribe)))
        # Who goes away does not take it with him: others wait.
        found: _Whole | None = page.whole if page.writing is None else await asyncio.shield(page.writing)
        return found

    async def _written(self, listed: Listed, page: _Page, scribe: _Scribe) -> _Whole | None:
        texts = self._texts.find(page.server, page.rows)
        if unknown := [row for row in page.rows if row not in texts]:
            written = await scribe.write(listed.texts, numbers(unknown))
            self._texts.learn(page.server, written)
            texts |= written
        return self._whole(listed, page, texts)

    def _whole(self, listed: Listed, page: _Page, texts: Mapping[str, bytes]) -> _Whole | None:
        """What is made of the page with its rows; None where one of them is not among the texts."""
        try:
            body = None if page.rest is None else page.body(listed.name, texts)
        except KeyError:
            return None
        page.whole = whole = self._made((page.epoch, page.seq, page.slot, page.commitment, body))
        return whole


def _page(row: Row) -> _Page:
    return _Page(*row)


def _heard(task: asyncio.Task[_T]) -> asyncio.Task[_T]:
    """The task; where all who waited for it have gone, what went wrong in it is nobody's trouble."""
    task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return task
