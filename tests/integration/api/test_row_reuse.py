"""Lists show the current version of each row, although unchanged rows are not rendered again."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx
import pytest
from api_fixtures import Log, market_id, served

from api.reads import pagination, statements
from api.reads.row_pages import PageReader
from ingest.testing import address

ONE = market_id(1)
LISTS = ("/api/markets?limit=20", f"/api/markets/{ONE}/trades", "/api/trades", f"/api/users/{address(2)}/trades")


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application with default settings."""
    async with served(markets.settings(RATE_LIMIT_PER_MINUTE="0")) as found:
        yield found


@pytest.fixture
async def fresh(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """One without caches, for comparison."""
    async with served(markets.settings(RATE_LIMIT_PER_MINUTE="0", RESPONSE_CACHE_MIB="0")) as found:
        yield found


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the numbers of the rows that Postgres was asked to render."""
    numbers: list[str] = []
    opened = PageReader.__init__

    def watched(self: PageReader[Any], run: Any, *rest: Any, **more: Any) -> None:
        async def counted(statement: str, parameters: Mapping[str, Any]) -> Any:
            numbers.extend(parameters.get("numbers", ()))
            return await run(statement, parameters)

        opened(self, counted, *rest, **more)

    monkeypatch.setattr(PageReader, "__init__", watched)
    return numbers


async def test_a_list_is_the_same_however_much_of_it_was_known(
    client: httpx.AsyncClient, fresh: httpx.AsyncClient, markets: Log
) -> None:
    """Through trades and a creation: byte for byte, tags included."""
    happenings: tuple[Callable[[], None], ...] = (
        lambda: None,
        lambda: markets.buy(1, 2),
        lambda: markets.create(77),
        lambda: markets.buy(2, 2),
    )
    for happen in happenings:
        happen()
        await markets.deliver()
        for path in LISTS:
            one, other = await client.get(path), await fresh.get(path)
            assert one.status_code == 200
            assert one.content == other.content
            assert one.headers["etag"] == other.headers["etag"]


async def test_pages_asked_for_at_once_are_each_their_own(client: httpx.AsyncClient, fresh: httpx.AsyncClient) -> None:
    """Other markets, offsets, cursors and sorts in one statement return the same as alone."""
    cursor = (await fresh.get("/api/markets?limit=1")).json()["next_cursor"]
    place = (await fresh.get(f"/api/markets/{ONE}/trades?limit=1")).json()["next_cursor"]
    paths = [
        *(f"/api/markets?limit={limit}&offset={offset}" for limit in (1, 2) for offset in range(4)),
        f"/api/markets?limit=1&cursor={cursor}",
        "/api/markets?sort=volume&limit=1&offset=1",
        "/api/markets?sort=volume&limit=1",
        *(f"/api/markets/{market_id(market)}/trades?limit=1&offset={offset}" for market in (1, 3) for offset in (0, 1)),
        f"/api/markets/{ONE}/trades?limit=1&cursor={place}",
        f"/api/markets/{market_id(99)}/trades?limit=1",
        *(f"/api/users/{address(wallet)}/trades?limit=1&offset={offset}" for wallet in (2, 3) for offset in (0, 1)),
    ]
    together = await asyncio.gather(*(client.get(path) for path in paths))
    for path, one in zip(paths, together, strict=True):
        alone = await fresh.get(path)
        assert (path, one.status_code) == (path, alone.status_code)
        # A problem contains the time.
        assert not one.is_success or one.content == alone.content, path
    assert {one.status_code for one in together} == {200, 404}


async def test_a_page_that_goes_on_changing_is_read_in_one_transaction(
    client: httpx.AsyncClient, fresh: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same response, with rows and position of one snapshot."""
    expected = [(await fresh.get(path)).content for path in LISTS]

    async def never(*_: object) -> None:
        return None

    monkeypatch.setattr(PageReader, "fill", never)
    for path, content in zip(LISTS, expected, strict=True):
        answers = await asyncio.gather(*(client.get(path) for _ in range(10)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, content)}


async def test_forged_cursor_fails_no_other_request(client: httpx.AsyncClient) -> None:
    """A value that Postgres cannot parse as a number or an instant is the client's error, never a server error."""
    good = [
        (await client.get(f"{path}limit=1")).json()["next_cursor"]
        for path in ("/api/markets?sort=volume&", "/api/trades?")
    ]
    for path, cursor, sort in zip(
        ("/api/markets?sort=volume", "/api/trades?"), good, ("volume", "trades"), strict=True
    ):
        forged = [
            base64.urlsafe_b64encode(json.dumps([sort, key, 1]).encode()).decode()
            for key in ("abc", "\0", "\ud800", "1e999999", "2026-13-45", "9" * 64, "infinity")
        ]
        answers = await asyncio.gather(
            *(client.get(f"{path}&limit=1&cursor={each}") for each in (cursor, *forged, cursor))
        )
        first, *others, last = [answer.status_code for answer in answers]
        assert (first, last) == (200, 200)
        assert set(others) <= {200, 400}
        assert 400 in others


async def test_rows_that_did_not_change_are_not_written_again(written: list[str], markets: Log) -> None:
    """Another page, another trade: only the traded market's row is new."""
    async with served(markets.settings(RATE_LIMIT_PER_MINUTE="0")) as client:
        first = (await client.get("/api/markets")).json()["markets"]
        assert len(written) == len(first) > 1
        del written[:]
        await client.get("/api/markets?limit=1")
        assert written == []
        markets.buy(1, 2)
        await markets.deliver()
        second = (await client.get("/api/markets")).json()["markets"]
    assert len(written) == 1
    changed = [after["id"] for before, after in zip(first, second, strict=True) if before != after]
    assert changed == [ONE]


async def test_market_page_shows_the_creators_newest_metadata(client: httpx.AsyncClient, markets: Log) -> None:
    """Metadata is in another table, and belongs to the version nevertheless."""
    for limit, question in enumerate(("Will it rain today?", "Will it snow today?"), start=18):
        markets.owner.execute("update app.market_metadata set question = %s where market_id = %s", (question, ONE))
        # Another page each time, so that the response is not cached.
        shown = (await client.get(f"/api/markets?limit={limit}")).json()["markets"]
        assert {market["id"]: market["question"] for market in shown}[ONE] == question


async def test_replaced_mart_is_rendered_again(client: httpx.AsyncClient, markets: Log) -> None:
    """The table that replaces a mart may have been filled by the transaction that last wrote the mart."""
    with markets.owner.transaction():
        markets.owner.execute("update marts.markets set last_seq = last_seq")
        markets.owner.execute("create table marts.another (like marts.markets including all)")
        markets.owner.execute("grant select on marts.another to zmart_api")
        columns = ", ".join(
            str(name)
            for (name,) in markets.owner.execute(
                "select attname from pg_attribute where attrelid = 'marts.markets'::regclass and attnum > 0"
                " and attgenerated = '' and not attisdropped"
            )
        )
        markets.owner.execute(f"insert into marts.another ({columns}) select {columns} from marts.markets")
        markets.owner.execute("update marts.another set trades_count = 4242")
    before = (await client.get("/api/markets?limit=18")).json()["markets"]
    with markets.owner.transaction():
        markets.owner.execute("alter table marts.markets rename to replaced")
        markets.owner.execute("alter table marts.another rename to markets")
    after = (await client.get("/api/markets?limit=19")).json()["markets"]
    assert [market["id"] for market in after] == [market["id"] for market in before] != []
    assert {market["trades_count"] for market in after} == {4242}


def test_every_list_writes_what_it_names() -> None:
    """The statement of a page and that of its rows use the same version expressions."""
    for noun, listed in (("market", pagination.MARKETS), ("trade", pagination.TRADES)):
        assert statements.part(f"{noun}_version") in listed.rows_statement
