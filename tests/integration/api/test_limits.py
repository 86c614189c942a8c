"""Limits over several processes, and the headers of each response."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import api_fixtures
import httpx
import pytest
from api_fixtures import market_id
from wallets import JWT_SECRET, Wallet

from api.routes import account
from zmart import log as zmart_log
from zmart import settings, testing

PATH = f"/api/markets/{market_id(1)}"


@pytest.fixture
def limited(
    known_markets: settings.Settings, postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[dict[str, str]]:
    """The settings of a process over a log for this test alone, with a limit of 20."""
    with postgres_server.clone(marts_template) as database:
        yield {
            "DATABASE_URL": database.dsn(),
            "DATABASE_URL_API": database.dsn("zmart_api"),
            "JWT_SECRET": JWT_SECRET,
            "RATE_LIMIT_PER_MINUTE": "20",
            "TRUSTED_PROXIES": "127.0.0.1",
        }


@contextlib.asynccontextmanager
async def processes(environ: dict[str, str], count: int = 1) -> AsyncIterator[list[httpx.AsyncClient]]:
    """This number of processes over one database."""
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(api_fixtures.served(settings.load(environ))) for _ in range(count)]


def from_address(address: str) -> dict[str, str]:
    """The header that a trusted proxy adds."""
    return {"X-Forwarded-For": address}


async def statuses(client: httpx.AsyncClient, times: int, path: str = "/api/status", **more: Any) -> list[int]:
    """Return the statuses of this number of reads."""
    return [(await client.get(path, **more)).status_code for _ in range(times)]


async def test_processes_share_what_an_address_may_ask(limited: dict[str, str]) -> None:
    """Twenty reads over two processes, then 429 from both, with Retry-After; another address is not limited."""
    async with processes(limited, 2) as (one, other):
        first = await one.get("/api/status")
        assert first.headers["ratelimit-limit"] == "20"
        assert first.headers["ratelimit-remaining"] == "19"
        assert 0 < int(first.headers["ratelimit-reset"]) <= 60
        answers = [await client.get("/api/status") for _ in range(12) for client in (one, other)]
        assert [answer.status_code for answer in answers].count(200) == 19
        for client in (one, other):
            refused = await client.get("/api/status")
            assert refused.status_code == 429
            assert refused.json()["code"] == "too_many_requests"
            assert refused.json()["message"] == "Too many requests from here, please try again later."
            assert 0 < int(refused.headers["retry-after"]) <= 60
            assert refused.headers["ratelimit-remaining"] == "0"
        assert await statuses(one, 2, headers=from_address("203.0.113.9")) == [200, 200]
        assert 429 not in await statuses(one, 2, "/health") + await statuses(one, 1, "/ready")


async def test_a_wallet_is_counted_wherever_it_asks_from(limited: dict[str, str]) -> None:
    """Other addresses do not raise a wallet's limit; other wallets have their own."""
    async with processes(limited) as (client,):
        wallet, other = Wallet(), Wallet()
        headers = await wallet.signed_in(client)
        asked = [
            (await client.get("/api/status", headers={**headers, **from_address(f"198.51.100.{n}")})).status_code
            for n in range(25)
        ]
        assert asked == [200] * 20 + [429] * 5
        headers = {**await other.signed_in(client), **from_address("198.51.100.77")}
        assert await statuses(client, 1, headers=headers) == [200]


async def test_addresses_are_counted_from_the_right(limited: dict[str, str]) -> None:
    """Entries that a client writes before the proxy's do not change the address; a /64 of IPv6 is one address."""
    async with processes(limited) as (client,):
        for n in range(20):
            assert await statuses(client, 1, headers=from_address(f"10.0.0.{n}, 203.0.113.9")) == [200]
        assert await statuses(client, 1, headers=from_address("10.9.9.9, 203.0.113.9")) == [429]
        for n in range(20):
            assert await statuses(client, 1, headers=from_address(f"2001:db8::{n:x}")) == [200]
        assert await statuses(client, 1, headers=from_address("2001:db8::ffff")) == [429]


async def test_writes_weigh_more_than_reads(limited: dict[str, str]) -> None:
    """A refresh counts as five, a ballot as ten; unknown tokens are counted, too."""
    async with processes(limited) as (client,):
        body = {"refresh_token": "x"}
        answers = [(await client.post("/api/auth/refresh", json=body)).status_code for _ in range(5)]
        assert answers == [401] * 4 + [429]
        headers = from_address("203.0.113.7")
        ballots = [(await client.post("/api/votes/proposal", json={}, headers=headers)).status_code for _ in range(3)]
        assert ballots == [400, 400, 429]


async def test_who_cannot_be_counted_is_not_refused_for_it() -> None:
    """While the database is unavailable the response is 503 and not 429, for any number of requests."""
    environ = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere", "RATE_LIMIT_PER_MINUTE": "1"}
    async with processes(environ) as (client,):
        assert await statuses(client, 2) == [503, 503]


async def test_a_browser_reads_a_refusal(limited: dict[str, str]) -> None:
    """429 has the CORS headers of any response, so that a page can read the reason."""
    async with processes(limited) as (client,):
        await statuses(client, 20)
        refused = await client.get("/api/status", headers={"Origin": "http://localhost:3000"})
        assert refused.status_code == 429
        assert refused.headers["access-control-allow-origin"] == "http://localhost:3000"
        assert "RateLimit-Remaining" in refused.headers["access-control-expose-headers"]


@pytest.fixture
def lines(known_markets: settings.Settings) -> Iterator[io.StringIO]:
    """The process's log."""
    import logging

    import structlog

    root, out = logging.getLogger(), io.StringIO()
    handlers, level = root.handlers[:], root.level
    zmart_log.configure(known_markets, service="api", stream=out)
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


async def test_requests_have_ids_and_are_logged(lines: io.StringIO, reader: httpx.AsyncClient) -> None:
    """The client's plain id or one of ours, in response and log; no query, header, body or routine read is logged."""
    named = await reader.get(
        "/api/nowhere?token=s3cret", headers={"X-Request-Id": "abc-1", "Authorization": "Bearer s3cret"}
    )
    assert (named.status_code, named.headers["x-request-id"]) == (404, "abc-1")
    odd = await reader.post("/api/auth/refresh", json={"refresh_token": "s3cret"}, headers={"X-Request-Id": "a b\tc"})
    assert len(odd.headers["x-request-id"]) == 16
    await reader.get(PATH)

    logged = [json.loads(line) for line in lines.getvalue().splitlines() if '"request"' in line]
    assert [(line["method"], line["path"], line["status"]) for line in logged] == [
        ("GET", "/api/nowhere", 404),
        ("POST", "/api/auth/refresh", odd.status_code),
    ]
    assert [line["request_id"] for line in logged] == ["abc-1", odd.headers["x-request-id"]]
    assert all(line["milliseconds"] >= 0 and line["address"] for line in logged)
    assert "s3cret" not in lines.getvalue()


async def test_large_bodies_and_unfit_text_are_refused(reader: httpx.AsyncClient) -> None:
    """413 beyond 256 KiB; 422 for NUL and lone surrogates at any place in a body; a pair is a character."""
    large = await reader.post("/api/auth/refresh", json={"refresh_token": "x" * account.MOST_BODY_BYTES})
    assert (large.status_code, large.json()["code"]) == (413, "request_entity_too_large")
    for text, status in (
        (rb"\u0000", 422),
        (rb"\ud800", 422),
        (b"\x00", 422),
        (b"\xff", 422),
        (rb"\ud83d\ude00", 401),
        (rb"\\u0000", 401),
    ):
        body = b'{"refresh_token": "a' + text + b'"}'
        answer = await reader.post("/api/auth/refresh", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, text) == (status, text), answer.text
