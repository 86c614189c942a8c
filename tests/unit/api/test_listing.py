"""Pages are put together of rows that are known and rows that are written, all of the page's own moment."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import pytest

from api.gathering import Row, Run
from api.listing import TRIES, Listed, Listings, Whole

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
def listings(mart: Mart) -> Listings:
    """With room for what they learn."""
    return Listings(mart.run, mart.snapshot, most_bytes=1 << 20)


async def said(listings: Listings) -> Any:
    """The body of the page."""
    whole = await listings.read(LIST, PAGE, {}, varying=None)
    assert isinstance(whole, Whole)
    assert whole.body is not None
    return json.loads(whole.body)


async def test_only_what_is_new_is_written(mart: Mart, listings: Listings) -> None:
    """The first time all rows, then those that changed."""
    assert await said(listings) == {"rows": ["0, 1", "1, 1", "2, 1"], "count": 1}
    mart.versions[1] = 2
    assert await said(listings) == {"rows": ["0, 1", "1, 2", "2, 1"], "count": 1}
    await said(listings)
    assert mart.asked == [None, ["0", "1", "2"], None, ["1"], None]


async def test_no_rows_are_no_question(mart: Mart, listings: Listings) -> None:
    """An empty list."""
    mart.versions.clear()
    assert await said(listings) == {"rows": [], "count": 1}
    assert mart.asked == [None]


async def test_what_is_not_there_has_no_body(mart: Mart, listings: Listings) -> None:
    """A list of something that does not exist."""
    mart.is_there = False
    whole = await listings.read(LIST, PAGE, {}, varying=None)
    assert whole is not None
    assert whole.body is None


async def test_a_row_that_changes_meanwhile_is_looked_up_again(mart: Mart, listings: Listings) -> None:
    """A page never holds the text of another moment's row."""
    mart.changes = [1]
    assert await said(listings) == {"rows": ["0, 2", "1, 2", "2, 2"], "count": 1}
    assert mart.snapshots == 0


async def test_rows_that_go_on_changing_are_read_in_one_moment(mart: Mart, listings: Listings) -> None:
    """After a few tries a snapshot is held."""
    mart.changes = [1] * 100
    last = 2 * TRIES + 1
    assert await said(listings) == {"rows": [f"{n}, {last}" for n in range(3)], "count": 1}
    assert mart.snapshots == 1


async def test_who_asks_together_is_written_for_once(mart: Mart, listings: Listings) -> None:
    """Two pages are under way at most, and each writes its rows once."""
    pages = await asyncio.gather(*(said(listings) for _ in range(20)))
    assert len(pages) == 20
    assert sum(numbers is not None for numbers in mart.asked) <= 2


async def test_who_goes_away_takes_nothing_from_others(mart: Mart, listings: Listings) -> None:
    """The one who asked first hangs up while rows are being written."""
    first, second = (asyncio.create_task(said(listings)) for _ in range(2))
    await mart.writing.wait()
    first.cancel()
    assert len((await second)["rows"]) == 3


async def test_another_server_knows_nothing(mart: Mart, listings: Listings) -> None:
    """After a restart all rows are written again."""
    await said(listings)
    mart.started_at = "Tuesday"
    await said(listings)
    assert mart.asked == [None, ["0", "1", "2"]] * 2
