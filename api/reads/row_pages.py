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

from .batching import RequestBatcher, Row, Run, Varying
from .row_cache import RowCache, VersionScope, row_numbers

#: How often a page is looked up whose rows change meanwhile, before one snapshot is held for it.
TRIES = 3

#: A statement that is to write so many rows takes no further page: a small one is not to wait for many large ones.
MOST_ROWS = 1_000

_T = TypeVar("_T")
_PageT = TypeVar("_PageT")

#: Runs statements that all see one moment.
SnapshotFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[Run]]


@dataclass(frozen=True)
class ListSpec:
    """What a list is of."""

    #: The member of the body that holds the rows.
    name: str
    #: The statement that writes rows by their numbers: version and text of each.
    rows_statement: str


@dataclass
class _PageRows:
    """A row of a page's statement."""

    epoch: str
    seq: int
    slot: int | None
    commitment: str
    started_at: str
    #: The rows in order, a space between two.
    versions: str | None
    #: The other members of the body, as a JSON object; None where there is no such list.
    other_members: bytes | None
    #: What becomes of it, for all who asked for it together: the whole, its rows being written, another reading.
    result: Any = field(default=None, init=False)
    rendering: asyncio.Task[Any] | None = field(default=None, init=False)
    snapshot_read: asyncio.Task[Any] | None = field(default=None, init=False)

    @property
    def scope(self) -> VersionScope:
        """Where the versions mean something."""
        return self.epoch, self.started_at

    @functools.cached_property
    def rows(self) -> list[str]:
        """The versions, one by one."""
        return (self.versions or "").split()

    def body(self, name: str, rows: Mapping[str, bytes]) -> bytes:
        """The page with its rows; KeyError where one of them is not among the texts."""
        assert self.other_members is not None
        return b'{"%s":[%s],%s' % (name.encode(), b",".join([rows[row] for row in self.rows]), self.other_members[1:])


class _RowRenderer:
    """Has rows written: those that pages lack at the same time, by one statement."""

    def __init__(self, run: Run) -> None:
        self._run = run
        #: By statement: the rows that it will be asked for next, and the asking.
        self._pending: dict[str, tuple[set[str], asyncio.Task[dict[str, bytes]]]] = {}

    async def render(self, statement: str, missing: Iterable[str]) -> dict[str, bytes]:
        """The texts of rows by version, of these numbers and maybe of others."""
        rows, rendering = self._pending.get(statement, (None, None))
        if rows is None or rendering is None or len(rows) >= MOST_ROWS:
            rows = set()
            rendering = _consume_exception(asyncio.create_task(self._render(statement, rows)))
            self._pending[statement] = rows, rendering
        rows.update(missing)
        return await asyncio.shield(rendering)

    async def _render(self, statement: str, rows: set[str]) -> dict[str, bytes]:
        # Pages that were looked up together have come in the turn of the loop before this one.
        if self._pending[statement][0] is rows:
            del self._pending[statement]
        return {version: text.encode() for version, text in await self._run(statement, {"numbers": sorted(rows)})}


class PageReader(Generic[_PageT]):
    """Pages, read for all who ask for the same at a time, and the texts of their rows."""

    def __init__(
        self, run: Run, snapshot: SnapshotFactory, build_page: Callable[[Row], _PageT], *, most_bytes: int
    ) -> None:
        self._snapshot = snapshot
        #: What is made of epoch, seq, slot, commitment and body (None where there is no such list), once for all.
        self._build_page = build_page
        self._renderer = _RowRenderer(run)
        self._pages = RequestBatcher(run, _to_page_rows)
        self._row_cache = RowCache(most_bytes=most_bytes)

    async def read(
        self, spec: ListSpec, statement: str, parameters: Mapping[str, Any], *, varying: Varying
    ) -> _PageT | None:
        """The page as it is at a moment after this call; None where there is no log."""
        for _ in range(TRIES):
            page: _PageRows | None = await self._pages.row(statement, parameters, varying=varying)
            if page is None:
                return None
            if result := await self.fill(spec, page):
                return result
        assert page is not None
        if page.snapshot_read is None:
            page.snapshot_read = _consume_exception(
                asyncio.create_task(self._read_in_snapshot(spec, statement, parameters))
            )
        found: _PageT | None = await asyncio.shield(page.snapshot_read)
        return found

    async def _read_in_snapshot(self, spec: ListSpec, statement: str, parameters: Mapping[str, Any]) -> _PageT | None:
        async with self._snapshot() as run:
            if not (found := await run(statement, parameters)):
                return None
            result = await self._render_missing(spec, _to_page_rows(found[0]), _RowRenderer(run))
        assert result is not None, "both statements see one moment"
        return result

    async def fill(self, spec: ListSpec, page: _PageRows) -> _PageT | None:
        """The page with its rows, put together once; None where a row changed before it was written."""
        if page.result is None and page.rendering is None:
            cached = self._row_cache.find(page.scope, page.rows)
            if self._assemble(spec, page, cached) is None:
                page.rendering = _consume_exception(
                    asyncio.create_task(self._render_missing(spec, page, self._renderer))
                )
        # Who goes away does not take it with him: others wait.
        found: _PageT | None = page.result if page.rendering is None else await asyncio.shield(page.rendering)
        return found

    async def _render_missing(self, spec: ListSpec, page: _PageRows, renderer: _RowRenderer) -> _PageT | None:
        texts = self._row_cache.find(page.scope, page.rows)
        if unknown := [row for row in page.rows if row not in texts]:
            rendered = await renderer.render(spec.rows_statement, row_numbers(unknown))
            self._row_cache.store(page.scope, rendered)
            texts |= rendered
        return self._assemble(spec, page, texts)

    def _assemble(self, spec: ListSpec, page: _PageRows, texts: Mapping[str, bytes]) -> _PageT | None:
        """What is made of the page with its rows; None where one of them is not among the texts."""
        try:
            body = None if page.other_members is None else page.body(spec.name, texts)
        except KeyError:
            return None
        page.result = result = self._build_page((page.epoch, page.seq, page.slot, page.commitment, body))
        return result


def _to_page_rows(row: Row) -> _PageRows:
    return _PageRows(*row)


def _consume_exception(task: asyncio.Task[_T]) -> asyncio.Task[_T]:
    """The task; where all who waited for it have gone, what went wrong in it is nobody's trouble."""
    task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return task
