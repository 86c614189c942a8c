"""SQL over HTTP: as the role analyst, read-only, limited, without side effects."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import hypothesis
import msgspec
import psycopg
import pytest
import structlog
from api_fixtures import Log, market_id, served
from hypothesis import strategies

from api import app, schemas
from api.auth.service import AuthService
from api.sql_console import executor, validator
from ingest.testing import address
from zmart import errors, settings
from zmart.db import queries

Client = httpx.AsyncClient
SECRET = "a secret of at least thirty-two characters"


def more(markets: Log) -> dict[str, str]:
    """The settings of a server that accepts SQL."""
    analyst = markets.database.dsn("analyst")
    return {"JWT_SECRET": SECRET, "RATE_LIMIT_PER_MINUTE": "0", "ANALYST_SQL": "true", "DATABASE_URL_ANALYST": analyst}


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[Client]:
    """An application that accepts SQL, and a wallet that is signed in."""
    configuration = markets.settings(**more(markets))
    token = AuthService(configuration, None, None).tokens.issue(address(2))  # type: ignore[arg-type]
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
    assert response.headers["zmart-seq"] == table.as_of.position == markets.position()


async def test_csv(client: Client) -> None:
    """A header line, then rows; a decimal is written as Postgres writes it."""
    response = await ask(client, "select 'a,\"b\"' as x, 1.10 as y, null as z, true as t", format="csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.text == 'x,y,z,t\r\n"a,""b""",1.10,,true\r\n'


async def test_worked_queries_work(client: Client) -> None:
    """Each is listed, and can be run by its name."""
    listed = msgspec.json.decode((await client.get("/api/sql")).content, type=schemas.SqlConsole)
    assert listed.is_on
    assert [one.name for one in listed.named] == list(executor.NAMED_QUERIES)
    for one in listed.named:
        response = await client.post("/api/sql", json={"name": one.name})
        assert response.status_code == 200, response.text


async def test_rows_beyond_the_limit_are_cut(client: Client) -> None:
    """The response reports that it was truncated."""
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
    "select 1 --\r) as q; set role zmart_owner; --",
    "select 1 --\r, pg_sleep(1)",
    "select (1).pg_sleep",
    "select g.pg_advisory_lock from generate_series(1, 1) as g",
    "select ('server_version'::text) . \"current_setting\"",
    "select E'a'\n'\\' || ', pg_sleep(1) --'",
]


async def test_what_may_not_be_asked(client: Client, markets: Log) -> None:
    """4xx with the reason, and nothing changed; the next query succeeds."""
    before = markets.owner.execute("select count(*), sum(state_code) from marts.markets").fetchone()
    for query in REFUSED:
        response = await ask(client, query)
        assert response.status_code in {400, 422}, (query, response.text)
        assert response.json()["message"]
        assert markets.owner.execute("select count(*), sum(state_code) from marts.markets").fetchone() == before
        assert (await ask(client, "select 1 as one")).json()["rows"] == [{"one": 1}]


#: A right too many of a login, the statement that revokes it, and the reason for rejecting it.
EXCESS = [
    ("alter role analyst superuser", "alter role analyst nosuperuser", "superuser"),
    ("alter role analyst createrole", "alter role analyst nocreaterole", "create roles"),
    ("alter role analyst bypassrls", "alter role analyst nobypassrls", "row security"),
    ("grant zmart_keeper to analyst", "revoke zmart_keeper from analyst", "member"),
    ("grant pg_monitor to analyst", "revoke pg_monitor from analyst", "member"),
    ("create schema its authorization analyst", "drop schema its", "owns"),
]


async def test_a_login_that_is_more_than_an_analyst_is_refused(client: Client, markets: Log) -> None:
    """Any right besides reading is found, from the moment that it is granted; the log names it."""
    with markets.database.connect("postgres") as superuser:
        for grant, revoke, reason in EXCESS:
            superuser.execute(grant.encode())
            try:
                with structlog.testing.capture_logs() as logged:
                    response = await ask(client, "select 1 as one")
            finally:
                superuser.execute(revoke.encode())
            assert (response.status_code, response.json()["code"]) == (404, "not_found"), grant
            (refusal,) = [line for line in logged if line["event"] == "sql_login_refused"]
            assert reason in " ".join(refusal["reasons"])
            assert (await ask(client, "select 1 as one")).json()["rows"] == [{"one": 1}]


async def test_an_analysts_temporary_table_is_no_reason(client: Client, markets: Log) -> None:
    """A psql session as the analyst does not block SQL over HTTP."""
    with markets.database.connect("analyst") as analyst:
        analyst.execute("set default_transaction_read_only = off")
        analyst.execute("create temporary table mine as select 1 as one")
        assert (await ask(client, "select 1 as one")).json()["rows"] == [{"one": 1}]


async def test_a_login_that_steps_down_is_refused(markets: Log) -> None:
    """DATABASE_URL_ANALYST with a superuser and the role analyst: `set role` would lead back."""
    dsn = settings.dsn_with_role(markets.database.dsn("postgres"), "analyst")
    configuration = markets.settings(**{**more(markets), "DATABASE_URL_ANALYST": dsn})
    token = AuthService(configuration, None, None).tokens.issue(address(2))  # type: ignore[arg-type]
    async with served(configuration) as found:
        found.headers["Authorization"] = f"Bearer {token}"
        response = await ask(found, "select 1 as one")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


def test_no_application_without_a_login_for_sql(markets: Log) -> None:
    """With DATABASE_URL alone, SQL over HTTP would start as its login."""
    configuration = settings.load({"DATABASE_URL": markets.database.dsn("postgres"), "ANALYST_SQL": "true"})
    with pytest.raises(errors.ConfigurationError, match="DATABASE_URL_ANALYST"):
        app.create(configuration)


#: Delimiters of literals, names and comments, and calls that may be inside of them or not.
PIECES = [
    *(
        "'",
        "''",
        '"',
        "$$",
        "$a$",
        "E'",
        "b'",
        "\\",
        "\\'",
        "--",
        "/*",
        "*/",
        "U&'",
        "1_0",
        "0x1",
        "1e",
        "a",
        "a$",
        ".",
    ),
    *("\n", "\r", "\t", " ", "\f", "\v", "\x1f", "\x7f", "\x85", "\xa0", "\u2028", "é"),
    *(", ", " || ", "x", ", forbidden(1)", ", (1).forbidden ", ", forbidden(1) --", ", 'a'", " -- ' ", "(", ")"),
]


@pytest.fixture
def passes_with_a_call(markets: Log) -> Iterator[Callable[[str], bool]]:
    """Return whether the list accepts a text in which Postgres finds a call of a function that is not on it."""
    with markets.database.connect() as owner, markets.database.connect("analyst") as analyst:
        # Not in SQL, because the planner would inline its text.
        owner.execute("create function public.forbidden(int) returns int language plpgsql as 'begin return 1; end'")
        owner.execute("grant execute on function public.forbidden to analyst")

        def calls(query: str) -> bool:
            plan = analyst.execute(f"explain (verbose, costs off)\n{query}".encode())
            shown = "\n".join(str(line) for (line,) in plan)
            return "forbidden(" in re.sub(r"'(?:[^']|'')*'", "", shown)

        calling_fields = queries.load("api.sql_console", "login.sql").calling_fields

        def passes(query: str) -> bool:
            try:
                statement = validator.validate(query)
                named = {"names": list(validator.fields(statement))}
                is_refused = analyst.execute(calling_fields, named).fetchone() is not None
                return not is_refused and calls(statement)
            except (validator.InvalidSql, psycopg.Error):
                return False

        # Postgres reports a call, and none.
        assert calls("select (1).forbidden, 'x'")
        assert not calls("select 'forbidden(1)' -- forbidden(1)")
        yield passes


# Each example is a round trip, because Postgres' own parser is the reference.
@hypothesis.settings(max_examples=3000, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(strategies.lists(strategies.sampled_from(PIECES), max_size=9).map("".join))
@hypothesis.example(" --\r, forbidden(1)")
@hypothesis.example(", E'a'\n'\\' || ', forbidden(1) --'")
@hypothesis.example(", (1).forbidden ")
def test_the_list_reads_as_postgres_does(passes_with_a_call: Callable[[str], bool], pieces: str) -> None:
    """No accepted text calls a function that is not on the list, at any position of literals and comments."""
    assert not passes_with_a_call(f"select 1{pieces}")


async def test_nothing_is_left_for_the_next(client: Client) -> None:
    """Settings and prepared statements of one query are unknown to another on the same connection."""
    for _ in range(3):
        table = (await ask(client, "select count(*) as n from pg_prepared_statements where name = 'other'")).json()
        assert table["rows"] == [{"n": 0}]
        setting = "select setting from pg_settings where name = 'transaction_read_only'"
        assert (await ask(client, setting)).json()["rows"] == [{"setting": "on"}]


async def test_each_question_has_its_settings(client: Client, markets: Log) -> None:
    """On a server with just-in-time compilation and backslashes in literals, and after the connection was cleaned."""
    with markets.database.connect("postgres") as superuser:
        for setting in ("jit = on", "standard_conforming_strings = off"):
            superuser.execute(f"alter database {markets.database.name} set {setting}".encode())
    names = "('jit', 'standard_conforming_strings', 'statement_timeout')"
    for _ in range(3):
        table = (await ask(client, f"select setting from pg_settings where name in {names} order by name")).json()
        assert [row["setting"] for row in table["rows"]] == ["off", "on", "2000"]


async def test_only_who_is_signed_in_asks(client: Client) -> None:
    """401 without a token."""
    del client.headers["Authorization"]
    assert (await ask(client, "select 1")).status_code == 401


async def test_off_is_not_found_without_a_token(markets: Log) -> None:
    """Nobody is sent to sign in for a console that is off."""
    async with served(markets.settings(JWT_SECRET=SECRET)) as client:
        answer = await client.post("/api/sql", json={"query": "select 1"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.json()["message"] == "This server does not accept SQL. Start it with ANALYST_SQL=true."


async def test_off_unless_asked_for(markets: Log) -> None:
    """Without ANALYST_SQL there is no SQL, and the list reports it."""
    configuration = markets.settings(JWT_SECRET=SECRET)
    token = AuthService(configuration, None, None).tokens.issue(address(2))  # type: ignore[arg-type]
    async with served(configuration) as client:
        headers = {"Authorization": f"Bearer {token}"}
        assert (await client.post("/api/sql", json={"query": "select 1"}, headers=headers)).status_code == 404
        assert (await client.get("/api/sql")).json()["is_on"] is False
