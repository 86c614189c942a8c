"""Pages are put together of rows that are known and rows that are written, all of the page's own moment."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from api.reads.batching import Row, Run
from api.reads.row_pages import MOST_ROWS, TRIES, Listed, Listings

PAGE, WRITE = "the page", "the texts"
LIST = Listed("rows", WRITE)


class Mart:
    """Numbered rows, each with how often it was written; asking for texts may be preceded by another write."""

    def __init__(self, count: int) -> None:
        self.versions = dict.fromkeys(range(count), 1)
        self.asked: list[Sequence[str] | None] = []
        #: What happens after a statement: how many changes of every row, in turn.
        self.changes: list[int] = []
        #: Set while rows are being written.
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
        """Nothing changes here."""
        self.changes.clear()
        self.snapshots += 1
        yield self.run

    def _page(self) -> list[Row]:
        self.asked.append(None)
        versions = " ".join(f"{number}:{version}" for number, version in self.versions.items())
        rest = b'{"count": 1}' if self.is_there else None
        return [("epoch", 5, 4, "confirmed", self.started_at, versions or None, rest)]

    def _texts(self, numbers: Sequence[str]) -> list[Row]:
        self.asked.append(numbers)
        return [(f"{n}:{self.versions[int(n)]}", f'"{n}, {self.versions[int(n)]}"') for n in numbers]


@pytest.fixture
def mart() -> Mart:
    """Three rows."""
    return Mart(3)


@pytest.fixture
def listings(mart: Mart) -> Listings[Row]:
    """With room for what they learn."""
    return Listings(mart.run, mart.snapshot, tuple, most_bytes=1 << 20)


async def said(listings: Listings[Row]) -> Any:
    """The body of the page."""
    whole = await listings.read(LIST, PAGE, {}, varying=None)
    assert whole is not None
    return json.loads(whole[-1])


async def test_only_what_is_new_is_written(mart: Mart, listings: Listings[Row]) -> None:
    """The first time all rows, then those that changed."""
    assert await said(listings) == {"rows": ["0, 1", "1, 1", "2, 1"], "count": 1}
    mart.versions[1] = 2
    assert await said(listings) == {"rows": ["0, 1", "1, 2", "2, 1"], "count": 1}
    await said(listings)
    assert mart.asked == [None, ["0", "1", "2"], None, ["1"], None]


async def test_no_rows_are_no_question(mart: Mart, listings: Listings[Row]) -> None:
    """An empty list."""
    mart.versions.clear()
    assert await said(listings) == {"rows": [], "count": 1}
    assert mart.asked == [None]


async def test_what_is_not_there_has_no_body(mart: Mart, listings: Listings[Row]) -> None:
    """A list of something that does not exist."""
    mart.is_there = False
    whole = await listings.read(LIST, PAGE, {}, varying=None)
    assert whole is not None
    assert whole[-1] is None


async def test_a_row_that_changes_meanwhile_is_looked_up_again(mart: Mart, listings: Listings[Row]) -> None:
    """A page never holds the text of another moment's row."""
    mart.changes = [1]
    assert await said(listings) == {"rows": ["0, 2", "1, 2", "2, 2"], "count": 1}
    assert mart.snapshots == 0


async def test_rows_that_go_on_changing_are_read_in_one_moment(mart: Mart, listings: Listings[Row]) -> None:
    """After a few tries a snapshot is held."""
    mart.changes = [1] * 100
    last = 2 * TRIES + 1
    assert await said(listings) == {"rows": [f"{n}, {last}" for n in range(3)], "count": 1}
    assert mart.snapshots == 1


async def test_a_crowd_shares_its_last_resort(mart: Mart, listings: Listings[Row]) -> None:
    """However many asked for the page that goes on changing, one snapshot is held for them."""
    mart.changes = [1] * 100
    pages = await asyncio.gather(*(said(listings) for _ in range(50)))
    assert len({json.dumps(page) for page in pages}) <= 2
    assert mart.snapshots <= 2


async def test_a_page_is_made_once(mart: Mart) -> None:
    """What is made of a page, a digest for one, is made once for all who share it."""
    made: list[Row] = []
    listings = Listings(mart.run, mart.snapshot, lambda row: made.append(row) or row, most_bytes=1 << 20)  # type: ignore[func-returns-value]
    await asyncio.gather(*(listings.read(LIST, PAGE, {}, varying=None) for _ in range(50)))
    assert len(made) <= 2


async def test_pages_that_lack_rows_at_once_share_statements_of_bounded_size() -> None:
    """One for all that fit, and another one where they do not."""
    mart = Mart(MOST_ROWS)
    listings = Listings(mart.run, mart.snapshot, tuple, most_bytes=1 << 24)
    other = Listed("others", WRITE)
    await asyncio.gather(
        listings.read(LIST, PAGE, {}, varying=None),
        listings.read(other, PAGE, {"another": 1}, varying=None),
        listings.read(other, PAGE, {"another": 2}, varying=None),
    )
    assert sum(numbers is not None for numbers in mart.asked) == 3


async def test_nobody_hears_of_a_failure_that_nobody_waits_for(
    mart: Mart, listings: Listings[Row], caplog: pytest.LogCaptureFixture
) -> None:
    """The only one who asked hangs up, then writing fails."""
    reading = asyncio.create_task(said(listings))
    await mart.writing.wait()
    mart.versions.clear()
    reading.cancel()
    await asyncio.wait([reading])
    del reading
    for _ in range(5):
        await asyncio.sleep(0)
    gc.collect()
    assert caplog.records == []


async def test_who_asks_together_is_written_for_once(mart: Mart, listings: Listings[Row]) -> None:
    """Two pages are under way at most, and each writes its rows once."""
    pages = await asyncio.gather(*(said(listings) for _ in range(20)))
    assert len(pages) == 20
    assert sum(numbers is not None for numbers in mart.asked) <= 2


async def test_who_goes_away_takes_nothing_from_others(mart: Mart, listings: Listings[Row]) -> None:
    """The one who asked first hangs up while rows are being written."""
    first, second = (asyncio.create_task(said(listings)) for _ in range(2))
    await mart.writing.wait()
    first.cancel()
    assert len((await second)["rows"]) == 3


async def test_another_server_knows_nothing(mart: Mart, listings: Listings[Row]) -> None:
    """After a restart all rows are written again."""
    await said(listings)
    mart.started_at = "Tuesday"
    await said(listings)
    assert mart.asked == [None, ["0", "1", "2"]] * 2
