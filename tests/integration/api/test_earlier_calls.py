"""The calls of the earlier frontend, of its HTTP tests and of the vote aggregator's clients (docs/migrating.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import api_fixtures
import httpx
import pytest
from api_fixtures import SOL, Log, market_address, market_id
from wallets import SIGNING_IN, Wallet, bearer

from ingest.testing import address

Client = httpx.AsyncClient
ONE, TWO = market_id(1), market_id(2)
HOLDER, UNKNOWN = address(2), address(77)
#: The public key that the client library of Supabase sends twice with every request.
ANON = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2ln"
SUPABASE = {"apikey": ANON, "Authorization": f"Bearer {ANON}", "X-Client-Info": "supabase-js-web/2.38.0"}
ONE_OBJECT = SUPABASE | {"Accept": "application/vnd.pgrst.object+json"}
UPSERT = ONE_OBJECT | {"Prefer": "resolution=merge-duplicates,return=representation"}


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application over the three markets: 1 is ACTIVE, 2 is PROPOSED."""
    async with api_fixtures.served(markets.settings(**SIGNING_IN)) as found:
        yield found


@pytest.fixture
async def older(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The same with LEGACY_AUTH."""
    async with api_fixtures.served(markets.settings(**SIGNING_IN, LEGACY_AUTH="true")) as found:
        yield found


def comment(log: Log, market: int, wallet: int, content: str) -> int:
    """Post as a wallet, and return the post's number."""
    with log.owner.transaction():
        log.owner.execute("set local role zmart_api")
        log.owner.execute("select set_config('zmart.wallet', %s, true)", [address(wallet)])
        row = log.owner.execute("select app.post_comment(%s, %s)", [market_id(market), content]).fetchone()
    assert row is not None
    return int(row[0])


# --- rows ---------------------------------------------------------------------------------------------


async def test_positions_have_the_fields_that_the_portfolio_page_reads(reader: Client) -> None:
    """`state` is the index of the page's own list of names; the row has the columns of the earlier table."""
    for path in (f"/api/users/{HOLDER}/positions", f"/api/positions/{HOLDER}"):
        (row,) = (await reader.get(path)).json()
        assert (row["state"], row["state_name"]) == (2, "ACTIVE")
        assert ["PROPOSED", "APPROVED", "ACTIVE", "RESOLVING", "DISPUTED", "FINALIZED"][row["state"]] == "ACTIVE"
        assert (row["market_pubkey"], row["user_pubkey"]) == (market_address(1), HOLDER)
        assert row["invested"] == row["total_invested"] == 11 * SOL // 10
        assert row["unrealized_pnl"] == row["unrealizedPnL"] == row["current_value"] - row["total_invested"]
        assert row["realized_pnl"] == row["realizedPnL"] == 0
        assert row["updated_at"]
    one = (await reader.get(f"/api/users/{HOLDER}/positions/{ONE}")).json()
    assert (one["state"], one["state_name"]) == (2, "ACTIVE")


async def test_rows_have_the_time_of_their_last_change(client: Client, markets: Log) -> None:
    """updated_at of a market and of a user position is the time of the entry that changed it, and advances."""
    before = (await client.get(f"/api/markets/{ONE}")).json()
    (position,) = (await client.get(f"/api/users/{HOLDER}/positions")).json()
    listed = (await client.get("/api/markets")).json()["markets"]
    assert {row["id"]: row["updated_at"] for row in listed}[ONE] == before["updated_at"]
    markets.buy(1, 2)
    await markets.deliver()
    after = (await client.get(f"/api/markets/{ONE}")).json()
    (changed,) = (await client.get(f"/api/users/{HOLDER}/positions")).json()
    assert after["updated_at"] > before["updated_at"]
    assert changed["updated_at"] > position["updated_at"]
    row = markets.owner.execute("select at from raw.feed order by seq desc limit 1").fetchone()
    assert row is not None
    # JSON of Postgres omits zeros at the end of a fraction.
    assert datetime.fromisoformat(after["updated_at"]) == row[0]


async def test_trades_have_the_columns_of_the_earlier_table(reader: Client) -> None:
    """trader_pubkey and market_pubkey, in every list of trades."""
    for path in (f"/api/markets/{ONE}/trades", f"/api/users/{HOLDER}/trades", "/api/trades"):
        for trade in (await reader.get(path)).json()["trades"]:
            assert (trade["trader_pubkey"], trade["market_pubkey"]) == (trade["trader"], market_address(1))


async def test_tallies_have_the_names_of_the_earlier_tests(reader: Client) -> None:
    """proposal_votes and dispute_votes beside the counts of both kinds."""
    tally = (await reader.get(f"/api/votes/{TWO}")).json()
    assert tally["proposal_votes"] == {"likes": 3, "dislikes": 1}
    assert tally["dispute_votes"] == {"agrees": 0, "disagrees": 0}
    assert tally["counts"]["proposal"] == {"agree": 3, "disagree": 1, "total": 4}


@pytest.mark.parametrize(("limit", "used"), [("0", 1), ("-5", 1), ("1", 1), ("100000", None), (str(10**30), None)])
@pytest.mark.parametrize(
    ("path", "rows", "most"),
    [
        ("/api/markets", "markets", 100),
        (f"/api/markets/{ONE}/trades", "trades", 500),
        (f"/api/users/{HOLDER}/trades", "trades", 500),
        ("/api/trades", "trades", 500),
        (f"/api/discussions/{ONE}", "discussions", 100),
        (f"/api/markets/{ONE}/discussions", "discussions", 100),
    ],
)
async def test_a_limit_out_of_range_becomes_the_nearest_one(
    reader: Client, path: str, rows: str, most: int, limit: str, used: int | None
) -> None:
    """The earlier API took any number, so its clients send any; the response states the limit that was used."""
    response = await reader.get(path, params={"limit": limit})
    assert response.status_code == 200, response.text
    assert response.json()["limit"] == (used or most)
    assert len(response.json()[rows]) <= (used or most)


async def test_an_unknown_category_has_an_empty_page(reader: Client) -> None:
    """Not an error: the earlier frontend offers categories that no market has."""
    page = (await reader.get("/api/markets", params={"category": "weather"})).json()
    assert (page["markets"], page["count"]) == ([], 0)


# --- votes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["proposal", "dispute"])
async def test_a_vote_without_proof_is_not_authenticated(client: Client, older: Client, kind: str) -> None:
    """401 if only the proof is missing or malformed, as the earlier backend checked it first; 400 for other faults."""
    path, vote = f"/api/votes/{kind}", {"market_id": TWO, "vote": True}
    for api in (client, older):
        answer = await api.post(path, json=vote)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")
        assert answer.json()["message"].startswith(
            "Authentication required: message, signature, and wallet must be provided. "
        )
        malformed = await api.post(path, json=vote | Wallet().in_body() | {"signature": "none"})
        assert malformed.status_code == 401
        assert (await api.post(path, json={"invalid": "data"})).status_code == 400
        assert (await api.post(path, json=vote | {"vote": "maybe"} | Wallet().in_body())).status_code == 400
        assert (await api.post(path, content="{invalid json")).status_code == 400


@pytest.mark.parametrize(
    ("kind", "market", "changes", "status", "sentence"),
    [
        ("proposal", TWO, {"signature": None}, 400, "Missing required fields: vote, signature, publicKey, message"),
        ("proposal", TWO, {"vote": "maybe"}, 400, 'Invalid vote. Must be "like" or "dislike"'),
        ("dispute", TWO, {"vote": "like"}, 400, 'Invalid vote. Must be "agree" or "disagree"'),
        ("proposal", "nowhere", {}, 404, "Invalid market ID"),
        (
            "proposal",
            TWO,
            {"publicKey": HOLDER},
            401,
            "Invalid wallet signature. Sign exactly this text with this wallet.",
        ),
    ],
)
async def test_the_aggregators_paths_fail_in_its_words(
    older: Client, kind: str, market: str, changes: dict[str, str | None], status: int, sentence: str
) -> None:
    """protocol.md 4.2: `success` is false and `error` has the sentence; `code` is for newer clients."""
    proof = Wallet().in_body()
    body: dict[str, Any] = {"vote": "like", "publicKey": proof["wallet"], **proof, **changes}
    sent = {name: value for name, value in body.items() if value is not None}
    answer = await older.post(f"/api/votes/{kind}/{market}", json=sent)
    assert answer.status_code == status, answer.text
    assert (answer.json()["success"], answer.json()["error"]) == (False, sentence)
    assert answer.json()["code"]


async def test_the_aggregators_second_ballot(older: Client) -> None:
    """`Already voted: <vote>` names the ballot that counts."""
    proof = Wallet().in_body()
    body = {"publicKey": proof["wallet"], "message": proof["message"], "signature": proof["signature"]}
    first = await older.post(f"/api/votes/proposal/{TWO}", json=body | {"vote": "like"})
    assert first.json()["success"] is True
    second = await older.post(f"/api/votes/proposal/{market_address(2)}", json=body | {"vote": "dislike"})
    assert second.status_code == 409
    assert (second.json()["success"], second.json()["error"]) == (False, "Already voted: like")


async def test_the_aggregators_counts_of_an_unknown_market(reader: Client) -> None:
    """Reading fails in the same words."""
    answer = await reader.get("/api/votes/dispute/nowhere")
    assert (answer.status_code, answer.json()["success"], answer.json()["error"]) == (404, False, "Invalid market ID")


# --- PostgREST ----------------------------------------------------------------------------------------


async def test_the_frontend_reads_a_user(client: Client) -> None:
    """`select('*').eq('wallet', ...).single()`: the row; for an unknown wallet the code that it takes for null."""
    asked = {"select": "*", "wallet": f"eq.{HOLDER}"}
    answer = await client.get("/rest/v1/users", params=asked, headers=ONE_OBJECT)
    assert answer.status_code == 200, answer.text
    user = answer.json()
    assert (user["wallet"], user["total_trades"], user["total_volume"]) == (HOLDER, 2, 22 * SOL // 10)
    assert user["created_at"] <= user["last_seen_at"]
    assert (user["twitter_handle"], user["reputation_score"]) == (None, None)
    assert (await client.get("/rest/v1/users", params=asked, headers=SUPABASE)).json() == [user]

    missing = {"select": "*", "wallet": f"eq.{UNKNOWN}"}
    assert (await client.get("/rest/v1/users", params=missing, headers=SUPABASE)).json() == []
    answer = await client.get("/rest/v1/users", params=missing, headers=ONE_OBJECT)
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST116")
    assert answer.json().keys() == {"code", "message", "details", "hint"}


async def test_the_frontend_tests_its_connection(client: Client, markets: Log) -> None:
    """`select('count').limit(1)`: the number of wallets."""
    row = markets.owner.execute("select count(*) from raw.wallets_seen").fetchone()
    assert row is not None
    answer = await client.get("/rest/v1/users", params={"select": "count", "limit": "1"}, headers=SUPABASE)
    assert answer.json() == [{"count": row[0]}]


def visits(log: Log) -> list[tuple[Any, ...]]:
    """Return the wallets that reported themselves."""
    return log.owner.execute(
        "select s.wallet, w.last_seen_at from app.wallets as w inner join raw.wallets_seen as s using (wallet_no)"
    ).fetchall()


@pytest.mark.parametrize("wallet", [HOLDER, UNKNOWN])
async def test_reporting_a_wallet_without_a_token_stores_nothing(client: Client, markets: Log, wallet: str) -> None:
    """`upsert(...).select().single()` and `update(...).eq('wallet', ...)`: answered with what is known."""
    report = {"wallet": wallet, "last_seen_at": "2026-01-31T12:00:00Z"}
    query = {"on_conflict": "wallet", "select": "*"}
    answer = await client.post("/rest/v1/users", params=query, json=report, headers=UPSERT)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["wallet"], answer.json()["total_trades"]) == (wallet, 2 if wallet == HOLDER else 0)
    quiet = await client.post("/rest/v1/users", params=query, json=report, headers={"Prefer": "return=minimal"})
    assert (quiet.status_code, quiet.content) == (201, b"")
    later = await client.patch(
        "/rest/v1/users",
        params={"wallet": f"eq.{wallet}"},
        json={"last_seen_at": "2026-01-31T12:05:00Z"},
        headers=SUPABASE,
    )
    assert (later.status_code, later.content) == (204, b"")
    assert visits(markets) == []
    known = markets.owner.execute("select 1 from raw.wallets_seen where wallet = %s", [wallet]).fetchall()
    assert bool(known) == (wallet == HOLDER)


async def test_a_signed_in_wallet_updates_its_last_seen_at(client: Client, markets: Log) -> None:
    """By the server's clock, and only its own."""
    wallet = Wallet()
    token = (await wallet.session(client))["access_token"]
    report = {"wallet": wallet.address, "last_seen_at": "1999-01-01T00:00:00Z"}
    first = await client.post(
        "/rest/v1/users", params={"on_conflict": "wallet"}, json=report, headers=UPSERT | bearer(token)
    )
    assert first.status_code == 201, first.text
    ((seen, at),) = visits(markets)
    assert (seen, at) == (wallet.address, datetime.fromisoformat(first.json()["last_seen_at"]))
    assert at.year > 1999
    touched = await client.patch(
        "/rest/v1/users",
        params={"wallet": f"eq.{wallet.address}"},
        json={"last_seen_at": "1999-01-01T00:00:00Z"},
        headers=SUPABASE | bearer(token),
    )
    assert touched.status_code == 204
    assert visits(markets)[0][1] > at

    other = await client.post("/rest/v1/users", json=report | {"wallet": HOLDER}, headers=UPSERT | bearer(token))
    assert (other.status_code, other.json()["code"]) == (403, "forbidden")
    forged = await client.post("/rest/v1/users", json=report, headers=UPSERT | bearer("not.a.token"))
    assert (forged.status_code, forged.json()["code"]) == (401, "not_signed_in")
    assert len(visits(markets)) == 1


async def test_the_frontend_lists_discussions(client: Client, markets: Log) -> None:
    """`select('*').eq('market_id', ...).order('created_at', descending)`: by the names that the page reads."""
    first, second, gone = (comment(markets, 1, 9, text) for text in ("Rain is likely", "It is not", "Never mind"))
    markets.owner.execute("update app.comments set deleted_at = now() where comment_no = %s", [gone])
    query = {"select": "*", "market_id": f"eq.{ONE}", "order": "created_at.desc"}
    answer = await client.get("/rest/v1/discussions", params=query, headers=SUPABASE)
    rows = answer.json()
    assert [row["discussion_id"] for row in rows] == [str(second), str(first)]
    assert (rows[1]["wallet"], rows[1]["content"], rows[1]["upvotes"]) == (address(9), "Rain is likely", 0)
    assert (rows[0]["id"], rows[0]["user_wallet"], rows[0]["market_id"]) == (str(second), address(9), ONE)
    for unknown in (market_id(99), "market-1762466408246-4"):
        page = await client.get("/rest/v1/discussions", params=query | {"market_id": f"eq.{unknown}"})
        assert page.json() == []


@pytest.mark.parametrize(
    ("path", "query", "message"),
    [
        ("users", {"wallet": f"neq.{HOLDER}"}, "wallet: expected `eq.` and a value; no other operator is served"),
        ("users", {}, "wallet: expected `eq.` and a value; no other operator is served"),
        ("users", {"bio": "eq.x"}, "bio: not served here; known are limit, select, wallet"),
        ("users", {"wallet": f"eq.{HOLDER}", "select": "wallet,bio"}, "select: expected `*`"),
        (
            "discussions",
            {"market_id": f"in.({ONE})"},
            "market_id: expected `eq.` and a value; no other operator is served",
        ),
        ("discussions", {"market_id": f"eq.{ONE}", "order": "content.asc"}, "order: expected `created_at.desc`"),
        ("discussions", {"or": "(id.eq.1)"}, "or: not served here; known are limit, market_id, order, select"),
    ],
)
async def test_other_queries_are_refused(reader: Client, path: str, query: dict[str, str], message: str) -> None:
    """400 in PostgREST's format, with a message that the client library shows."""
    answer = await reader.get(f"/rest/v1/{path}", params=query, headers=SUPABASE)
    assert answer.status_code == 400
    assert answer.json() == {"code": "PGRST100", "message": message, "details": None, "hint": None}


async def test_calls_of_the_client_library_count_as_requests(markets: Log) -> None:
    """By address, because its public key is no wallet's token."""
    configured = markets.settings(**{**SIGNING_IN, "RATE_LIMIT_PER_MINUTE": "7"})
    async with api_fixtures.served(configured) as client:
        asked = {"select": "count", "limit": "1"}
        first = await client.get("/rest/v1/users", params=asked, headers=SUPABASE)
        assert (first.status_code, first.headers["ratelimit-remaining"]) == (200, "6")
        report = {"wallet": HOLDER, "last_seen_at": "2026-01-31T12:00:00Z"}
        second = await client.post("/rest/v1/users", json=report, headers=UPSERT)
        assert (second.status_code, second.headers["ratelimit-remaining"]) == (201, "1")
        assert (await client.post("/rest/v1/users", json=report, headers=UPSERT)).status_code == 429


async def test_a_refused_origin_is_shown_the_setting(reader: Client, capsys: pytest.CaptureFixture[str]) -> None:
    """The preflight's response and one line in the log name CORS_ORIGINS; ports of Vite and Next.js pass by default."""
    asks = {"Access-Control-Request-Method": "GET"}
    for number in (3000, 3001, 5173):
        origin = f"http://localhost:{number}"
        answer = await reader.options("/api/markets", headers={"Origin": origin, **asks})
        assert answer.headers["access-control-allow-origin"] == origin
    refused = "https://app.example"
    for _ in range(2):
        answer = await reader.options("/api/markets", headers={"Origin": refused, **asks})
        assert answer.status_code == 403
        assert answer.text == f"Pages of {refused} may not use this API. Add this origin to CORS_ORIGINS.\n"
        assert "access-control-allow-origin" not in answer.headers
    assert (await reader.get("/api/markets", headers={"Origin": refused})).status_code == 200
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "origin_refused" in line]
    assert "Add it to CORS_ORIGINS to allow its pages." in line


async def test_a_page_may_send_the_headers_of_the_client_library(reader: Client) -> None:
    """A browser asks first whether these headers are allowed."""
    sent = "apikey, authorization, content-type, prefer, x-client-info"
    answer = await reader.options(
        "/rest/v1/users",
        headers={
            "Origin": "http://localhost:3000",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": sent,
        },
    )
    allowed = {name.strip().lower() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert allowed >= set(sent.split(", "))
