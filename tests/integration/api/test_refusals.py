"""Rejections: status, code and message, without internals."""

from __future__ import annotations

import time
from typing import Any

import httpx
import msgspec
import pytest
from api_fixtures import Log, market_id, served

from api import schemas
from ingest.testing import address
from zmart import settings, testing

Client = httpx.AsyncClient
ONE = market_id(1)


def problem(response: Any) -> schemas.Problem:
    """Return the problem of a response, whose old and new members agree."""
    assert response.headers["content-type"] == "application/problem+json"
    decoded = msgspec.json.decode(response.content, type=schemas.Problem)
    assert (decoded.status, decoded.message, decoded.error) == (response.status_code, decoded.detail, decoded.title)
    assert decoded.timestamp
    assert "Traceback" not in response.text
    return decoded


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/nope", 404, "route_not_found"),
        ("/api/nope/deep", 404, "route_not_found"),
        (f"/api/markets/{'9' * 64}", 404, "not_found"),
        (f"/api/markets/{address(5)}", 404, "not_found"),
        ("/api/markets/abc", 404, "not_found"),
        ("/api/markets/' or 1=1 --", 404, "not_found"),
        (f"/api/markets/{market_id(9)}/trades", 404, "not_found"),
        (f"/api/markets/{market_id(9)}/votes", 404, "not_found"),
        (f"/api/markets/{market_id(9)}/stats", 404, "not_found"),
        ("/api/markets?limit=x", 400, "validation_failed"),
        ("/api/markets?limit=NaN", 400, "validation_failed"),
        ("/api/markets?offset=-1", 400, "validation_failed"),
        ("/api/markets?offset=99999999999999999999", 400, "validation_failed"),
        ("/api/markets?state=7", 400, "validation_failed"),
        ("/api/markets?state=OPEN", 400, "validation_failed"),
        ("/api/markets?creator=x", 400, "validation_failed"),
        ("/api/markets?sort=random", 400, "validation_failed"),
        ("/api/markets?cursor=xx", 400, "validation_failed"),
        ("/api/markets?cursor=WyJuZXdlc3QiLCAieCIsIDFd", 400, "validation_failed"),
        (f"/api/markets/{ONE}/votes?type=other", 400, "validation_failed"),
        (f"/api/markets/{market_id(9)}/price-history", 404, "not_found"),
        (f"/api/markets/{market_id(9)}/candles", 404, "not_found"),
        (f"/api/markets/{market_id(9)}/activity", 404, "not_found"),
        (f"/api/markets/{market_id(9)}/holders", 404, "not_found"),
        (f"/api/markets/{market_id(9)}/lifecycle", 404, "not_found"),
        (f"/api/markets/{market_id(3)}/activity", 404, "not_found"),
        (f"/api/markets/{market_id(3)}/holders", 404, "not_found"),
        ("/api/markets/abc/candles", 404, "not_found"),
        (f"/api/markets/{ONE}/price-history?limit=0", 400, "validation_failed"),
        (f"/api/markets/{ONE}/price-history?limit=1001", 400, "validation_failed"),
        (f"/api/markets/{ONE}/candles?interval=2m", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?interval=", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?from=yesterday", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?to=-5", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?to=999999999999", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?from=0001-01-01", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?from=0001-01-01T00:00:00%2B14:00", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?from=%D9%A1%D9%A2", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?from=200&to=200", 422, "unfit_window"),
        (f"/api/markets/{ONE}/candles?limit=1001", 400, "validation_failed"),
        (f"/api/markets/{ONE}/candles?fill=maybe", 400, "validation_failed"),
        ("/api/markets/activity?type=vote", 400, "validation_failed"),
        ("/api/markets/activity?limit=101", 400, "validation_failed"),
        (f"/api/markets/{ONE}/activity?cursor=xx", 400, "validation_failed"),
        (f"/api/markets/{ONE}/activity?cursor=WyJhY3Rpdml0eSIsICJ4IiwgMV0", 400, "validation_failed"),
        (f"/api/markets/{ONE}/holders?side=MAYBE", 400, "validation_failed"),
        (f"/api/markets/{ONE}/holders?side=NO&cursor=WyJob2xkZXJzX1lFUyIsICIxIiwgMV0", 400, "validation_failed"),
        (f"/api/markets/{ONE}/lifecycle?limit=501", 400, "validation_failed"),
        ("/api/users/x/activity", 400, "validation_failed"),
        ("/api/users/x/portfolio", 400, "validation_failed"),
        ("/api/users/x/positions", 400, "validation_failed"),
        ("/positions/0OIl", 400, "validation_failed"),
        ("/trades?wallet=x", 400, "validation_failed"),
        ("/api/stream", 422, "unknown_topic"),
        ("/api/stream?topics=weather", 422, "unknown_topic"),
        ("/api/stream?topics=markets&since=5", 400, "validation_failed"),
        (f"/api/stream?topics=markets&since={'0' * 8}-0000-0000-0000-{'0' * 12}:5:mark", 400, "validation_failed"),
        ("/api/markets/a%00b", 422, "unfit_text"),
        ("/api/markets?q=%00", 422, "unfit_text"),
        ("/api/markets?q=%ED%A0%80", 422, "unfit_text"),
        ("/api/markets?q=%FF", 422, "unfit_text"),
        ("/api/stream?topics=%00", 422, "unfit_text"),
    ],
)
async def test_bad_requests_are_problems(reader: Client, path: str, status: int, code: str) -> None:
    """Each has a status, a stable code and the members older clients read."""
    response = await reader.get(path)
    assert (response.status_code, problem(response).code) == (status, code)


@pytest.mark.parametrize(
    ("path", "field", "message"),
    [
        ("/api/markets/activity?limit=0", "limit", "expected 1 or more"),
        ("/api/markets/activity?limit=101", "limit", "expected 100 or less"),
        ("/api/markets?limit=x", "limit", "expected a whole number"),
        ("/api/markets/activity?type=vote", "type", "expected one of creation, resolution, trade"),
        (f"/api/markets/{ONE}/holders?outcome=MAYBE", "outcome", "expected one of NO, YES"),
        (f"/api/markets/{ONE}/holders?outcome=YES&side=YES", "side", "expected outcome alone"),
        (f"/api/markets/{ONE}/candles?fill=maybe", "fill", "expected true or false"),
        (f"/api/markets?q={'x' * 201}", "q", "expected at most 200 characters"),
        ("/api/votes/message?market_id=1&vote=true&wallet=x", "kind", "required, but missing"),
        (
            "/api/markets?state=OPEN",
            "state",
            "expected one of PROPOSED, APPROVED, ACTIVE, RESOLVING, DISPUTED, FINALIZED,",
        ),
    ],
)
async def test_a_validation_problem_names_the_field_and_the_accepted_values(
    reader: Client, path: str, field: str, message: str
) -> None:
    """The older message, the parameter by the name that the client sent, and the accepted values in plain words."""
    body = problem(await reader.get(path))
    assert (body.message, body.code) == ("Validation failed", "validation_failed")
    assert isinstance(body.details, list)
    assert body.details[0].field == field
    assert body.details[0].message.startswith(message)


@pytest.mark.parametrize(
    ("content", "field", "message"),
    [
        ("{invalid json", "body", "JSON is malformed: "),
        ("[]", "body", "expected a JSON object"),
        ("{}", "market_id", "required, but missing"),
        ('{"market_id": "1", "vote": "yes"}', "vote", "expected true or false"),
        ('{"market_id": "", "vote": true}', "market_id", "expected at least 1 characters"),
    ],
)
async def test_a_body_that_is_not_accepted_names_its_member(
    reader: Client, content: str, field: str, message: str
) -> None:
    """A member by its own name, the whole body as `body`; a body that is not JSON has the documented code, too."""
    body = problem(await reader.post("/api/votes/proposal", content=content))
    assert (body.status, body.code) == (400, "validation_failed")
    assert isinstance(body.details, list)
    assert (body.details[0].field, body.details[0].message[: len(message)]) == (field, message)


async def test_invalid_window_error_names_the_accepted_values(reader: Client) -> None:
    """The message and the field list the valid values of a chart."""
    body = problem(await reader.get(f"/api/markets/{ONE}/candles?interval=2m"))
    assert body.message == "interval: expected one of 1m, 5m, 1h, 1d."
    assert isinstance(body.details, list)
    assert body.details[0].field == "interval"


async def test_unknown_market_keeps_the_older_message(reader: Client) -> None:
    """The message of the older backend, with the requested id."""
    assert problem(await reader.get("/api/markets/nobody")).message == "Market not found: nobody"
    assert problem(await reader.get("/x?y=1")).message == "Route GET /x not found"


async def test_a_method_that_is_not_there(reader: Client) -> None:
    """405 as a problem, with the allowed methods."""
    response = await reader.delete("/api/markets")
    assert (response.status_code, problem(response).code) == (405, "method_not_allowed")
    assert "GET" in response.headers["allow"]


async def test_browsers_of_known_origins_may_call(reader: Client) -> None:
    """CORS names the configured origin and lets scripts read the position headers."""
    response = await reader.get("/api/markets", headers={"Origin": "http://localhost:3000"})
    assert response.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "Zmart-Seq" in response.headers["access-control-expose-headers"]
    other = await reader.get("/api/markets", headers={"Origin": "http://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


async def test_a_mistake_of_ours_shows_nothing(client: Client, markets: Log) -> None:
    """When a statement cannot work, the client reads that the server failed and no more."""
    markets.owner.execute("drop table marts.priced_trades cascade")
    response = await client.get("/trades")
    body = problem(response)
    assert (body.status, body.code) == (500, "internal")
    assert "marts" not in response.text


async def test_without_a_database_requests_come_back_later(unreachable: settings.Settings) -> None:
    """503 with Retry-After, soon; liveness stays, readiness has the reason."""
    async with served(unreachable) as client:
        began = time.monotonic()
        response = await client.get("/api/markets")
        assert time.monotonic() - began < 5
        assert (response.status_code, problem(response).code) == (503, "unavailable")
        assert int(response.headers["retry-after"]) >= 1
        assert (await client.get("/health")).status_code == 200
        ready = await client.get("/ready")
        assert ready.status_code == 503
        assert any("Postgres" in reason for reason in ready.json()["reasons"])
        assert "127.0.0.1" not in response.text + ready.text


async def test_killed_connections_cost_no_request(client: Client, markets: Log) -> None:
    """Connections that died in the pool are replaced before a request fails."""
    for _ in range(3):
        assert (await client.get("/api/markets")).status_code == 200
        markets.owner.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'zmart api' and datname = current_database()"
        )
    assert (await client.get("/api/markets")).status_code == 200


async def test_a_database_without_marts_is_not_ready(database: testing.PostgresDatabase) -> None:
    """A schema without models answers no request, and readiness has the next step."""
    with database.connect("postgres") as owner:
        owner.execute("select raw.renew_identity()")
    configuration = settings.load({"DATABASE_URL": database.dsn(), "DATABASE_URL_API": database.dsn("zmart_api")})
    async with served(configuration) as client:
        ready = await client.get("/ready")
        assert ready.status_code == 503
        assert any("zmart rebuild" in reason for reason in ready.json()["reasons"])
