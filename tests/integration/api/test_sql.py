"""SQL for people: as the analyst, reading only, bounded, and leaving nothing behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
from api_log import Log, market_id, served

from api import schemas
from api.analyst import desk
from api.auth.gate import Gate
from ingest.testing import address

Client = httpx.AsyncClient
SECRET = "a secret of at least thirty-two characters"


def more(markets: Log) -> dict[str, str]:
    """The settings of a server that takes SQL."""
    analyst = markets.database.dsn("analyst")
    return {"JWT_SECRET": SECRET, "RATE_LIMIT_PER_MINUTE": "0", "ANALYST_SQL": "true", "DATABASE_URL_ANALYST": analyst}


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[Client]:
    """An application that takes SQL, and a wallet that is signed in."""
    configuration = markets.settings(**more(markets))
    token = Gate(configuration, None).tokens.issue(address(2))  # type: ignore[arg-type]
    async with served(configuration) as found:
        found.headers["Authorization"] = f"Bearer {token}"
        yield found


async def ask(client: Client, query: str, **sent: Any) -> httpx.Response:
    """Send a query."""
    return await client.post("/api/sql", json={"query": query, **sent})


async def test_rows_come_with_their_columns_and_position(client: Client, markets: Log) -> None:
    """Numbers beyond 2**53 are exact in the text; the position is that of the log."""
    response = await ask(client, "select id, 9007199254740993 as big, trades_count from markets order by id")
    table = msgspec.json.decode(response.content, type=schemas.SqlAnswer)
    assert [column.name for column in table.columns] == ["id", "big", "trades_count"]
    assert '"big":9007199254740993' in response.text
    assert [row["id"] for row in table.rows] == [market_id(1), market_id(2), market_id(3)]
    assert (table.count, table.is_cut) == (3, False)
    assert (table.as_of.epoch, table.as_of.seq) == markets.head()
    assert response.headers["zmart-seq"] == f"{table.as_of.epoch}:{table.as_of.seq}"


async def test_csv(client: Client) -> None:
    """A line of names, then rows; a decimal is written as Postgres writes it."""
    response = await ask(client, "select 'a,\"b\"' as x, 1.10 as y, null as z, true as t", format="csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text == 'x,y,z,t\r\n"a,""b""",1.10,,true\r\n'


async def test_worked_queries_work(client: Client) -> None:
    """Each is listed, and asked by its name."""
    listed = msgspec.json.decode((await client.get("/api/sql")).content, type=schemas.SqlDesk)
    assert listed.is_on
    assert [one.name for one in listed.named] == list(desk.NAMED)
    for one in listed.named:
        response = await client.post("/api/sql", json={"name": one.name})
        assert response.status_code == 200, response.text


async def test_rows_beyond_the_limit_are_cut(client: Client) -> None:
    """And said to be."""
    table = (await ask(client, "select g from generate_series(1, 100) as g", limit=7)).json()
    assert ([row["g"] for row in table["rows"]], table["is_cut"]) == (list(range(1, 8)), True)


REFUSED = [
    "select pg_sleep(1)",
    "select 1; select 2",
    "select 1) as q; drop table marts.markets; --",
    "select 1) as q union all select (2",
    "insert into marts.markets default values",
    "update marts.markets set state_code = 1",
    "delete from marts.markets",
    "drop table marts.markets",
    "create temp table t (x int)",
    "with gone as (delete from marts.markets returning 1) select * from gone",
    "select * from app.sessions",
    "select * from app.redeemed_nonces",
    "select * from pg_authid",
    "set role zmart_owner",
    "copy marts.markets to stdout",
    "do $$ begin end $$",
    "explain analyze select 1",
    "select 1 as a, 2 as a",
    "select from",
    "selec 1",
    "table nowhere",
    "select count(*) from generate_series(1, 1000000000)",
    "select string_agg(id, '') from (select m.id from markets m, generate_series(1, 2000)) as t",
    "commit",
    "",
]


async def test_what_may_not_be_asked(client: Client, markets: Log) -> None:
    """4xx that says why, and nothing changed; the next question is answered."""
    before = markets.owner.execute("select count(*), sum(state_code) from marts.markets").fetchone()
    for query in REFUSED:
        response = await ask(client, query)
        assert response.status_code in {400, 422}, (query, response.text)
        assert response.json()["message"]
        assert markets.owner.execute("select count(*), sum(state_code) from marts.markets").fetchone() == before
        assert (await ask(client, "select 1 as one")).json()["rows"] == [{"one": 1}]


async def test_nothing_is_left_for_the_next(client: Client) -> None:
    """Settings and prepared statements of one question are unknown to another on the same connection."""
    for _ in range(3):
        table = (await ask(client, "select count(*) as n from pg_prepared_statements where name = 'other'")).json()
        assert table["rows"] == [{"n": 0}]
        setting = "select setting from pg_settings where name = 'transaction_read_only'"
        assert (await ask(client, setting)).json()["rows"] == [{"setting": "on"}]


async def test_only_who_is_signed_in_asks(client: Client) -> None:
    """401 without a token."""
    del client.headers["Authorization"]
    assert (await ask(client, "select 1")).status_code == 401


async def test_off_unless_asked_for(markets: Log) -> None:
    """Without ANALYST_SQL there is nobody to ask, and the list says so."""
    configuration = markets.settings(JWT_SECRET=SECRET)
    token = Gate(configuration, None).tokens.issue(address(2))  # type: ignore[arg-type]
    async with served(configuration) as client:
        headers = {"Authorization": f"Bearer {token}"}
        assert (await client.post("/api/sql", json={"query": "select 1"}, headers=headers)).status_code == 404
        assert (await client.get("/api/sql")).json()["is_on"] is False
