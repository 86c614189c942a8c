"""Cached responses are used only while they are correct: for which requests, and after which writes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from api_fixtures import Log, market_id, served
from psycopg import sql

from api.auth.service import AuthService
from api.reads import response_cache
from api.reads.database import Answer, ReadDatabase
from api.reads.row_pages import ListSpec, PageReader
from ingest.testing import address
from zmart.domain.ids import Address

ONE = market_id(1)
ANN, BOB = address(2), address(3)
PAGE = "/api/markets?limit=20"
THREADS = f"/api/markets/{ONE}/discussions"
SECRET = "a secret of at least thirty-two characters"


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application with signing in."""
    async with served(markets.settings(JWT_SECRET=SECRET, RATE_LIMIT_PER_MINUTE="0")) as found:
        yield found


@pytest.fixture
def of(markets: Log) -> Any:
    """Headers of a wallet that is signed in."""
    auth = AuthService(markets.settings(JWT_SECRET=SECRET), None, None)  # type: ignore[arg-type]
    return lambda wallet: {"Authorization": f"Bearer {auth.tokens.issue(Address(wallet))}"}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the statements that were executed for a response."""
    statements: list[str] = []
    reading = ReadDatabase.read

    async def counted(self: ReadDatabase, statement: str, *values: Any, **more: Any) -> Answer:
        statements.append(statement)
        return await reading(self, statement, *values, **more)

    listing = PageReader.read

    async def counted_page(self: PageReader[Any], listed: ListSpec, statement: str, *values: Any, **more: Any) -> Any:
        statements.append(statement)
        return await listing(self, listed, statement, *values, **more)

    monkeypatch.setattr(ReadDatabase, "read", counted)
    monkeypatch.setattr(PageReader, "read", counted_page)
    return statements


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry expires during a test: entries are dropped for another reason."""
    monkeypatch.setattr(response_cache, "MAX_AGE_SECONDS", float("inf"))


async def test_a_page_is_read_once_while_nothing_happens(
    client: httpx.AsyncClient, read: list[str], stopped_clock: None
) -> None:
    """The second response equals the first one, headers included, and also serves a 304."""
    first, second = await client.get(PAGE), await client.get(PAGE)
    assert len(read) == 1
    assert second.content == first.content
    for name in ("etag", "zmart-seq", "zmart-slot", "zmart-commitment", "cache-control", "content-type"):
        assert second.headers[name] == first.headers[name]
    known = await client.get(PAGE, headers={"If-None-Match": first.headers["etag"]})
    assert (known.status_code, known.content, len(read)) == (304, b"", 1)


async def test_another_question_is_another_answer(
    client: httpx.AsyncClient, read: list[str], stopped_clock: None
) -> None:
    """Every parameter counts."""
    pages = [(await client.get(f"/api/markets?limit={limit}")).json() for limit in (1, 2)]
    assert [len(page["markets"]) for page in pages] == [1, 2]
    assert len(read) == 2


async def test_what_another_process_commits_is_in_the_next_answer(
    client: httpx.AsyncClient, markets: Log, stopped_clock: None
) -> None:
    """No notification is needed: after a commit, no response shows the state before it."""
    before = (await client.get(f"/api/markets/{ONE}")).json()
    for count in range(1, 6):
        markets.buy(1, 2)
        await markets.deliver()
        response = await client.get(f"/api/markets/{ONE}")
        assert response.json()["trades_count"] == before["trades_count"] + count
        assert response.headers["zmart-seq"] == markets.position()


async def test_wallet_reads_its_own_write_at_once(
    client: httpx.AsyncClient, of: Any, markets: Log, stopped_clock: None
) -> None:
    """A flag is in no log entry, so only the clearing of the cache shows it."""
    created = await client.post(THREADS, json={"content": "Look at this."}, headers=of(ANN))
    number = created.json()["discussion"]["id"]
    assert (await client.get(THREADS)).json()["discussions"][0]["flags"] == 0
    end = markets.head()
    response = await client.post(f"/api/discussions/{number}/flag", json={"reason": "spam"}, headers=of(BOB))
    assert response.is_success, response.text
    assert markets.head() == end
    assert (await client.get(THREADS)).json()["discussions"][0]["flags"] == 1


async def test_what_is_for_the_caller_alone_is_always_read(
    client: httpx.AsyncClient, of: Any, read: list[str], stopped_clock: None
) -> None:
    """Responses that contain the time are not cached either."""
    for path in ("/api/users/me", "/api/status"):
        del read[:]
        for _ in range(2):
            assert (await client.get(path, headers=of(ANN))).is_success
        assert len(read) == 2


async def test_response_cache_is_off_when_its_size_is_zero(markets: Log, read: list[str], stopped_clock: None) -> None:
    """RESPONSE_CACHE_MIB=0."""
    async with served(markets.settings(RESPONSE_CACHE_MIB="0")) as client:
        for _ in range(2):
            await client.get(PAGE)
    assert len(read) == 2


async def test_a_database_that_is_away_is_not_hidden(markets: Log, stopped_clock: None) -> None:
    """A cached response that cannot be verified is not used."""
    async with served(markets.settings()) as client:
        assert (await client.get(PAGE)).status_code == 200
        here = sql.Identifier(markets.owner.info.dbname)
        markets.owner.execute(sql.SQL("alter database {} connection limit 0").format(here))
        markets.owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where usename = 'zmart_api' and datname = current_database()"
        )
        assert (await client.get(PAGE)).status_code == 503
