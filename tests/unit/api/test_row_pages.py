"""Pages consist of cached and newly rendered rows, all of one snapshot."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from api.reads.batching import Row, Run
from api.reads.row_pages import MOST_ROWS, MOST_ROWS_RENDERED_AT_ONCE, TRIES, ListSpec, PageReader

PAGE, WRITE = "the page", "the texts"
LIST = ListSpec("rows", WRITE)


class Mart:
    """Numbered rows, each with the number of its rendering; another write may come before the texts are read."""

    def __init__(self, count: int) -> None:
        self.versions = dict.fromkeys(range(count), 1)
        self.queries: list[Sequence[str] | None] = []
        #: The changes of every row after each statement, in turn.
        self.changes: list[int] = []
        #: Set while rows are being rendered.
        self.writing = asyncio.Event()
        self.started_at = "Monday"
        self.is_there = True
        self.snapshots = 0

    async def run(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """Either statement."""
        if statement == WRITE:
            self.writing.set()
        await asyncio.sleep(0)
        rows = self._texts(parameters["numbers"]) if statement == WRITE else self._page()
        if self.changes:
            times = self.changes.pop(0)
            self.versions = {number: version + times for number, version in self.versions.items()}
        return rows

    @contextlib.asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Run]:
        """Nothing changes in this lifespan."""
        self.changes.clear()
        self.snapshots += 1
        yield self.run

    def _page(self) -> list[Row]:
        self.queries.append(None)
        versions = " ".join(f"{number}:{version}" for number, version in self.versions.items())
        rest = b'{"count": 1}' if self.is_there else None
        return [("epoch", 5, "0123456789abcdef", 4, "confirmed", self.started_at, versions or None, None, rest)]

    def _texts(self, numbers: Sequence[str]) -> list[Row]:
        self.queries.append(numbers)
        return [(f"{n}:{self.versions[int(n)]}", self.text(int(n))) for n in numbers]

    def text(self, number: int) -> str:
        """The JSON of a row."""
        return f'"{number}, {self.versions[number]}"'


@pytest.fixture
def mart() -> Mart:
    """Three rows."""
    return Mart(3)


@pytest.fixture
def page_reader(mart: Mart) -> PageReader[Row]:
    """With space for the rendered rows."""
    return PageReader(mart.run, mart.snapshot, tuple, most_bytes=1 << 20)


async def read_page(page_reader: PageReader[Row]) -> Any:
    """The body of the page."""
    page = await page_reader.read(LIST, PAGE, {}, varying=None)
    assert page is not None
    return json.loads(page[-1])


async def test_only_new_rows_are_rendered(mart: Mart, page_reader: PageReader[Row]) -> None:
    """The first time all rows, then the changed ones."""
    assert await read_page(page_reader) == {"rows": ["0, 1", "1, 1", "2, 1"], "count": 1}
    mart.versions[1] = 2
    assert await read_page(page_reader) == {"rows": ["0, 1", "1, 2", "2, 1"], "count": 1}
    await read_page(page_reader)
    assert mart.queries == [None, ["0", "1", "2"], None, ["1"], None]


async def test_an_empty_list_reads_no_rows(mart: Mart, page_reader: PageReader[Row]) -> None:
    """An empty list."""
    mart.versions.clear()
    assert await read_page(page_reader) == {"rows": [], "count": 1}
    assert mart.queries == [None]


async def test_a_missing_resource_has_no_body(mart: Mart, page_reader: PageReader[Row]) -> None:
    """A list of something that does not exist."""
    mart.is_there = False
    whole = await page_reader.read(LIST, PAGE, {}, varying=None)
    assert whole is not None
    assert whole[-1] is None


async def test_a_row_that_changes_during_the_read_is_read_again(mart: Mart, page_reader: PageReader[Row]) -> None:
    """A page never contains a row of another snapshot."""
    mart.changes = [1]
    assert await read_page(page_reader) == {"rows": ["0, 2", "1, 2", "2, 2"], "count": 1}
    assert mart.snapshots == 0


async def test_rows_that_keep_changing_are_read_in_one_snapshot(mart: Mart, page_reader: PageReader[Row]) -> None:
    """After a few tries a snapshot is opened."""
    mart.changes = [1] * 100
    last = 2 * TRIES + 1
    assert await read_page(page_reader) == {"rows": [f"{n}, {last}" for n in range(3)], "count": 1}
    assert mart.snapshots == 1


async def test_concurrent_requests_share_one_snapshot(mart: Mart, page_reader: PageReader[Row]) -> None:
    """For any number of requests of a page that keeps changing, one snapshot is opened."""
    mart.changes = [1] * 100
    pages = await asyncio.gather(*(read_page(page_reader) for _ in range(50)))
    assert len({json.dumps(page) for page in pages}) <= 2
    assert mart.snapshots <= 2


async def test_a_page_is_made_once(mart: Mart) -> None:
    """A value derived from a page, such as a digest, is computed once for all requests that share it."""
    made: list[Row] = []
    listings = PageReader(mart.run, mart.snapshot, lambda row: made.append(row) or row, most_bytes=1 << 20)  # type: ignore[func-returns-value]
    await asyncio.gather(*(listings.read(LIST, PAGE, {}, varying=None) for _ in range(50)))
    assert len(made) <= 2


async def test_pages_that_lack_rows_at_once_share_statements_of_bounded_size() -> None:
    """One statement for all that fit, and another one for the rest."""
    mart = Mart(MOST_ROWS)
    listings = PageReader(mart.run, mart.snapshot, tuple, most_bytes=1 << 24)
    other = ListSpec("others", WRITE)
    await asyncio.gather(
        listings.read(LIST, PAGE, {}, varying=None),
        listings.read(other, PAGE, {"another": 1}, varying=None),
        listings.read(other, PAGE, {"another": 2}, varying=None),
    )
    assert sum(numbers is not None for numbers in mart.queries) == 3


async def test_a_failure_without_waiters_is_not_logged(
    mart: Mart, page_reader: PageReader[Row], caplog: pytest.LogCaptureFixture
) -> None:
    """The only request disconnects, then the rendering fails."""
    reading = asyncio.create_task(read_page(page_reader))
    await mart.writing.wait()
    mart.versions.clear()
    reading.cancel()
    await asyncio.wait([reading])
    del reading
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == []


async def test_concurrent_requests_render_rows_once(mart: Mart, page_reader: PageReader[Row]) -> None:
    """At most two pages are read at a time, and each renders its rows once."""
    pages = await asyncio.gather(*(read_page(page_reader) for _ in range(20)))
    assert len(pages) == 20
    assert sum(numbers is not None for numbers in mart.queries) <= 2


async def test_a_cancelled_request_does_not_cancel_rendering(mart: Mart, page_reader: PageReader[Row]) -> None:
    """The first request disconnects while rows are being rendered."""
    first, second = (asyncio.create_task(read_page(page_reader)) for _ in range(2))
    await mart.writing.wait()
    first.cancel()
    assert len((await second)["rows"]) == 3


async def test_a_server_restart_invalidates_cached_rows(mart: Mart, page_reader: PageReader[Row]) -> None:
    """After a restart all rows are rendered again."""
    await read_page(page_reader)
    mart.started_at = "Tuesday"
    await read_page(page_reader)
    assert mart.queries == [None, ["0", "1", "2"]] * 2


PAGE_OF_RENDERED = "the page, null::text as texts"
RENDERED = ListSpec("rows", WRITE, shown_rows="all texts")
AT_ONCE = "all"


class RenderingMart(Mart):
    """The statement of its page can render the rows, too."""

    async def run(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """Any of the three statements."""
        if statement != RENDERED.with_rows(PAGE_OF_RENDERED):
            return await super().run(statement, parameters)
        [(*first, _, rest)] = self._page()
        self.queries[-1] = AT_ONCE
        return [(*first, ",\n".join(self.text(number) for number in self.versions) or None, rest)]


async def read_pages(mart: Mart, most_bytes: int, *, count: int, limit: int = 3) -> list[Sequence[str] | None]:
    """Read the same page so often, compare its bytes, and return the statements."""
    reader = PageReader(mart.run, mart.snapshot, tuple, most_bytes=most_bytes)
    for _ in range(count):
        page = await reader.read(RENDERED, PAGE_OF_RENDERED, {"limit": limit}, varying=None)
        assert page is not None
        rows = b",\n".join(mart.text(number).encode() for number in mart.versions)
        assert page[-1] == b'{"rows":[%s],"count": 1}' % rows
    return mart.queries


async def test_one_statement_reads_a_page_while_most_rows_are_not_cached() -> None:
    """It fills the cache; once half of the rows of the latest pages were found there, pages only name them."""
    queries = await read_pages(RenderingMart(3), 1 << 20, count=20)
    named = queries.index(None)
    assert 2 < named < 15
    assert queries == [AT_ONCE] * named + [None] * (20 - named)


async def test_one_statement_reads_every_page_without_a_cache() -> None:
    """Nothing is ever found, so nothing is named."""
    assert await read_pages(RenderingMart(3), 0, count=20) == [AT_ONCE] * 20


async def test_a_large_page_renders_its_rows_apart() -> None:
    """Up to 32 pages share one statement, which must not render thousands of rows."""
    queries = await read_pages(RenderingMart(3), 1 << 20, count=2, limit=MOST_ROWS_RENDERED_AT_ONCE + 1)
    assert queries == [None, ["0", "1", "2"], None]


async def test_an_empty_page_is_rendered_at_once() -> None:
    """There is no text at all."""
    assert await read_pages(RenderingMart(0), 1 << 20, count=1) == [AT_ONCE]
