"""Reads pages in two steps: fetch (number, version) per row, then render JSON only for rows missing from the cache.

The statement of a page returns its rows by number and version, and all other members of the body, from one snapshot.
Versions that were rendered before are in the cache (`api/reads/row_cache.py`); a second statement renders the others
by number. A row may change between the two statements. Then the rendered row has another version, the page is
incomplete, and it is read again. If that repeats, both statements run in one transaction.

While most rows of a list are not in the cache, as after a start or without a cache, the first statement also renders
them, if the list has an expression for that. It then finds each row once, and the second statement is saved.
"""

from __future__ import annotations

import asyncio
import collections
import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

from .batching import RequestBatcher, Row, Run, Varying
from .row_cache import RowCache, VersionScope, row_numbers

#: How often a page whose rows keep changing is read, before it is read in one snapshot.
TRIES = 3

#: A statement that must render this many rows accepts no further page, so that a small page does not wait for many
#: large ones.
MOST_ROWS = 1_000
#: Larger pages are not rendered by their first statement: up to 32 of them share one (batching.MOST_VALUES).
MOST_ROWS_RENDERED_AT_ONCE = 50
#: The weight of the newest page in the average share of rows that were in the cache.
_NEWEST_WEIGHT = 0.1
#: Between rows, in a body and in the text of `ListSpec.shown_rows`. Postgres writes no comma with a line end in JSON.
_ROW_SEPARATOR = b",\n"
#: The column of a page's statement that `ListSpec.shown_rows` replaces.
_NO_ROWS = "null::text as texts"

_T = TypeVar("_T")
_PageT = TypeVar("_PageT")

#: Provides a function that runs statements which all see one snapshot.
SnapshotFactory: TypeAlias = Callable[[], AbstractAsyncContextManager[Run]]


@dataclass(frozen=True)
class ListSpec:
    """Describes a list."""

    #: The member of the body that contains the rows.
    name: str
    #: The statement that renders rows by their numbers; it returns the version and text of each.
    rows_statement: str
    #: In the statement of a page, the text of all its rows; None if rows are rendered by their numbers only.
    shown_rows: str | None = None

    @functools.cache  # noqa: B019 - there are a few lists, which live as long as the process
    def with_rows(self, statement: str) -> str:
        """Return a page's statement that also renders the rows."""
        assert self.shown_rows is not None
        return statement.replace(_NO_ROWS, f"{self.shown_rows} as texts")


@dataclass
class _PageRows:
    """A row of a page's statement."""

    epoch: str
    seq: int
    mark: str | None
    slot: int | None
    commitment: str
    started_at: str
    #: The rows in order, separated by a space.
    versions: str | None
    #: The text of all rows; None if the statement does not render them.
    texts: str | None
    #: The other members of the body, as a JSON object; None if there is no such list.
    other_members: bytes | None
    #: Shared by all requests that were read together: the finished page, the rendering task, the snapshot task.
    result: Any = field(default=None, init=False)
    rendering: asyncio.Task[Any] | None = field(default=None, init=False)
    snapshot_read: asyncio.Task[Any] | None = field(default=None, init=False)

    @property
    def scope(self) -> VersionScope:
        """Return the scope in which the versions are unique."""
        return self.epoch, self.started_at

    @functools.cached_property
    def rows(self) -> list[str]:
        """Return the versions as a list."""
        return (self.versions or "").split()

    def joined(self, texts: Mapping[str, bytes]) -> bytes:
        """Return the text of all rows; raise KeyError if one of them is not in `texts`."""
        return _ROW_SEPARATOR.join([texts[row] for row in self.rows])

    def body(self, name: str, rows: bytes) -> bytes:
        """Return the page with the text of its rows."""
        assert self.other_members is not None
        return b'{"%s":[%s],%s' % (name.encode(), rows, self.other_members[1:])


class _RowRenderer:
    """Renders rows: one statement for all rows that pages need at the same time."""

    def __init__(self, run: Run) -> None:
        self._run = run
        #: By statement: the rows for its next run, and the task that runs it.
        self._pending: dict[str, tuple[set[str], asyncio.Task[dict[str, bytes]]]] = {}

    async def render(self, statement: str, missing: Iterable[str]) -> dict[str, bytes]:
        """Return the rendered rows by version: those of these numbers and possibly others."""
        rows, rendering = self._pending.get(statement, (None, None))
        if rows is None or rendering is None or len(rows) >= MOST_ROWS:
            rows = set()
            rendering = _consume_exception(asyncio.create_task(self._render(statement, rows)))
            self._pending[statement] = rows, rendering
        rows.update(missing)
        return await asyncio.shield(rendering)

    async def _render(self, statement: str, rows: set[str]) -> dict[str, bytes]:
        # Pages that were read together have added their rows in the previous iteration of the event loop.
        if self._pending[statement][0] is rows:
            del self._pending[statement]
        return {version: text.encode() for version, text in await self._run(statement, {"numbers": sorted(rows)})}


class PageReader(Generic[_PageT]):
    """Reads pages once for all equal requests at a time, and caches their rendered rows."""

    def __init__(
        self, run: Run, snapshot: SnapshotFactory, build_page: Callable[[Row], _PageT], *, most_bytes: int
    ) -> None:
        self._snapshot = snapshot
        #: Builds a page from epoch, seq, mark, slot, commitment and body (None if there is no such list), once for all.
        self._build_page = build_page
        self._renderer = _RowRenderer(run)
        self._pages = RequestBatcher(run, _to_page_rows)
        self._row_cache = RowCache(most_bytes=most_bytes)
        #: By list: which share of the rows of its latest pages was in the cache.
        self._cached_shares: collections.defaultdict[ListSpec, float] = collections.defaultdict(float)

    async def read(
        self, spec: ListSpec, statement: str, parameters: Mapping[str, Any], *, varying: Varying
    ) -> _PageT | None:
        """Return the page as it is at a moment after this call; None if there is no log."""
        for _ in range(TRIES):
            chosen = spec.with_rows(statement) if self._renders_at_once(spec, parameters) else statement
            page: _PageRows | None = await self._pages.row(chosen, parameters, varying=varying)
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
        """Return the page with its rows, assembled once; None if a row changed before it was rendered."""
        if page.result is None and page.rendering is None:
            cached = self._row_cache.find(page.scope, page.rows)
            self._count_cached(spec, cached, page)
            if page.texts is not None:
                rows = page.texts.encode()
                if self._row_cache.has_space:
                    self._row_cache.store(page.scope, dict(zip(page.rows, rows.split(_ROW_SEPARATOR), strict=True)))
                self._build(spec, page, rows)
            elif self._assemble(spec, page, cached) is None:
                page.rendering = _consume_exception(
                    asyncio.create_task(self._render_missing(spec, page, self._renderer))
                )
        # A request that is cancelled must not cancel the task, because other requests wait for it.
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
        """Build the page with its rows; return None if one of them is not in `texts`."""
        try:
            rows = page.joined(texts)
        except KeyError:
            return None
        return self._build(spec, page, rows)

    def _build(self, spec: ListSpec, page: _PageRows, rows: bytes) -> _PageT:
        body = None if page.other_members is None else page.body(spec.name, rows)
        page.result = result = self._build_page((page.epoch, page.seq, page.mark, page.slot, page.commitment, body))
        return result

    def _renders_at_once(self, spec: ListSpec, parameters: Mapping[str, Any]) -> bool:
        """Return whether the statement of a page should render its rows, because most are not in the cache."""
        return (
            spec.shown_rows is not None
            and parameters["limit"] <= MOST_ROWS_RENDERED_AT_ONCE
            and self._cached_shares[spec] < 0.5
        )

    def _count_cached(self, spec: ListSpec, cached: Mapping[str, bytes], page: _PageRows) -> None:
        if spec.shown_rows is not None and page.rows:
            self._cached_shares[spec] += (len(cached) / len(page.rows) - self._cached_shares[spec]) * _NEWEST_WEIGHT


def _to_page_rows(row: Row) -> _PageRows:
    return _PageRows(*row)


def _consume_exception(task: asyncio.Task[_T]) -> asyncio.Task[_T]:
    """Return the task; its exception is marked as retrieved, for the case that no request waits for it any more."""
    task.add_done_callback(lambda done: None if done.cancelled() else done.exception())
    return task
