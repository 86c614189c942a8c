"""Every call of older clients is answered with the fields and JSON types that they read.

The tables of protocol.md 4.2, 5.2 and 5.3, one line per call: the types are those the clients compute with, so an
integer that became text would fail here although our own schemas agreed with it.
"""

from __future__ import annotations

import datetime
from typing import Any

import httpx
import pytest
from api_fixtures import market_address, market_id

from api.middleware import deprecation
from ingest.testing import address

ONE, TWO = market_id(1), market_id(2)
HOLDER, UNKNOWN_WALLET = address(2), address(77)

#: The required form of a value: a type, a list's element, an object's members; a tuple lists alternatives.
number = (int, float)
text = str
maybe_text = (str, type(None))
maybe_number = (int, float, type(None))

MARKET_ROW = {
    "id": text,
    "on_chain_address": text,
    "question": text,
    "description": maybe_text,
    "category": text,
    "state": text,
    "state_code": int,
    "status": text,
    "creator_wallet": text,
    "b_parameter": int,
    "initial_liquidity": (int, type(None)),
    "shares_yes": int,
    "shares_no": int,
    "created_at": text,
    "total_volume": int,
    "activated_at": maybe_text,
    "resolution_proposed_at": maybe_text,
    "creator": text,
    "priceYes": maybe_number,
    "priceNo": maybe_number,
    "totalShares": int,
    "liquidityParameter": int,
    "createdAt": text,
    "outcome": maybe_text,
}
MARKET_PAGE = {"markets": [MARKET_ROW], "count": int, "offset": int, "limit": int}
TRADE_ROW = {
    "id": text,
    "market_id": text,
    "marketId": text,
    "trader": text,
    "user_wallet": text,
    "trade_type": text,
    "outcome": text,
    "outcome_bool": bool,
    "shares": int,
    "cost": int,
    "price": number,
    "price_after": number,
    "tx_signature": text,
    "block_time": text,
    "created_at": text,
    "timestamp": text,
}
POSITION = {
    "market_id": text,
    "user_wallet": text,
    "shares_yes": int,
    "shares_no": int,
    "total_invested": int,
    "current_value": int,
    "trades_count": int,
    "has_claimed": bool,
    "userId": text,
    "marketId": text,
    "sharesYes": int,
    "sharesNo": int,
    "totalCost": int,
    "unrealizedPnL": int,
    "realizedPnL": int,
    "realized_pnl": int,
    "unrealized_pnl": int,
    "invested": int,
    "updated_at": text,
    "market_pubkey": text,
    "user_pubkey": text,
    "question": text,
    "state": int,
    "state_name": text,
}
VOTE_ROW = {"market_id": text, "user_wallet": text, "vote": bool, "voted_at": text, "tx_signature": maybe_text}

CALLS: list[tuple[str, Any]] = [
    ("/health", {"status": text, "service": text, "timestamp": text, "uptime": number, "environment": text}),
    ("/api/markets?state=ACTIVE&category=crypto&limit=20&offset=0", MARKET_PAGE),
    (f"/api/markets?state=2&creator={address(1)}&limit=20&offset=0", MARKET_PAGE),
    ("/markets", MARKET_PAGE),
    (
        "/api/markets/activity?limit=20",
        {
            "activities": [
                {"id": text, "type": text, "user": text, "action": text, "market": text, "marketId": text, "time": text}
            ],
            "count": int,
        },
    ),
    ("/api/markets/activity?type=trade", {"activities": [{"amount": text}], "count": int}),
    (
        "/api/markets/trending?limit=3",
        {
            "trending": [
                {
                    "id": text,
                    "question": text,
                    "yesPrice": number,
                    "change24h": number,
                    "volume24h": number,
                    "uniqueTraders": int,
                    "trendingScore": number,
                }
            ],
            "count": int,
        },
    ),
    (
        "/api/markets/categories",
        {"categories": [{"id": text, "name": text, "count": int, "emoji": text, "trend": text}], "count": int},
    ),
    (
        f"/api/markets/{TWO}/related?limit=3",
        {
            "related": [
                {"id": text, "question": text, "yesPrice": number, "category": text, "categoryMatch": bool},
            ],
            "count": int,
        },
    ),
    (f"/api/markets/{ONE}", MARKET_ROW),
    (f"/api/markets/{market_address(1)}", MARKET_ROW),
    (f"/markets/{ONE}", MARKET_ROW),
    (f"/api/markets/{ONE}/trades?limit=50&offset=0", {"trades": [TRADE_ROW], "count": int, "market_id": text}),
    (
        f"/api/markets/{TWO}/votes?type=proposal",
        {
            "votes": [VOTE_ROW],
            "stats": {"likes": int, "dislikes": int, "total": int, "approval_rate": text},
            "market_id": text,
            "type": text,
        },
    ),
    (
        f"/api/markets/{ONE}/stats",
        {
            "market_id": text,
            "stats": {
                "total_volume": int,
                "total_trades": int,
                "unique_traders": int,
                "buy_volume": int,
                "sell_volume": int,
            },
        },
    ),
    (
        f"/api/markets/{ONE}/price-history?limit=50",
        {"market_id": text, "price_history": [{"timestamp": text, "yes": number, "no": number}], "count": int},
    ),
    ("/trades", {"trades": [TRADE_ROW], "count": int}),
    (f"/api/users/{HOLDER}/positions", [POSITION]),
    (f"/positions/{HOLDER}", [POSITION]),
    (f"/api/positions/{HOLDER}", [POSITION]),
    (f"/api/users/{HOLDER}/positions/{ONE}", POSITION),
    (f"/api/users/{HOLDER}/trades?limit=50", {"trades": [TRADE_ROW], "count": int, "wallet": text}),
    (
        f"/api/users/{HOLDER}/votes?type=all",
        {"proposal_votes": [VOTE_ROW], "dispute_votes": list, "total": int, "wallet": text},
    ),
    (
        f"/api/users/{HOLDER}/stats",
        {"totalTrades": int, "totalVolume": int, "winRate": number, "totalPnL": int, "activePositions": int},
    ),
    (
        f"/api/users/{HOLDER}",
        {
            "wallet": text,
            "stats": {
                "total_trades": int,
                "total_votes": int,
                "proposal_votes": int,
                "dispute_votes": int,
                "discussions": int,
            },
        },
    ),
    (f"/api/votes/{TWO}", {"counts": dict}),
    (
        f"/api/votes/proposal/{market_address(2)}",
        {"success": bool, "marketId": text, "counts": {"likes": int, "dislikes": int, "total": int}},
    ),
    (
        f"/api/votes/dispute/{TWO}",
        {"success": bool, "marketId": text, "counts": {"agrees": int, "disagrees": int, "total": int}},
    ),
]


@pytest.mark.parametrize(("path", "shape"), CALLS, ids=[path for path, _ in CALLS])
async def test_a_call_is_answered_as_its_client_reads_it(reader: httpx.AsyncClient, path: str, shape: Any) -> None:
    """200, and every member that the client reads has the JSON type that it computes with."""
    response = await reader.get(path)
    assert response.status_code == 200, response.text
    conforms(response.json(), shape, path)


async def test_health_is_what_monitors_compare(reader: httpx.AsyncClient) -> None:
    """The status is healthy and the instant is ISO 8601."""
    health = (await reader.get("/health")).json()
    assert health["status"] == "healthy"
    assert datetime.datetime.fromisoformat(health["timestamp"]).tzinfo is not None


async def test_an_unknown_wallet_has_zeros_and_no_market_has_nothing_related(reader: httpx.AsyncClient) -> None:
    """As before: neither is an error."""
    stats = (await reader.get(f"/api/users/{UNKNOWN_WALLET}")).json()["stats"]
    assert set(stats.values()) == {0}
    assert (await reader.get(f"/api/users/{UNKNOWN_WALLET}/stats")).json()["totalTrades"] == 0
    assert (await reader.get(f"/api/markets/{market_id(99)}/related")).json()["related"] == []
    assert (await reader.get(f"/positions/{UNKNOWN_WALLET}")).status_code == 404


def conforms(value: Any, shape: Any, place: str) -> None:
    """Fail if a value does not have the shape; a list must have at least one element to check."""
    if isinstance(shape, dict):
        for name, inner in shape.items():
            assert name in value, f"{place} has no {name}"
            conforms(value[name], inner, f"{place}.{name}")
    elif isinstance(shape, list):
        assert value, f"{place} is empty"
        for element in value:
            conforms(element, shape[0], f"{place}[]")
    else:
        assert isinstance(value, shape), f"{place} is {value!r}"
        kinds = shape if isinstance(shape, tuple) else (shape,)
        assert bool in kinds or not isinstance(value, bool), f"{place} is {value!r}"


async def test_a_deprecated_path_names_its_successor(
    reader: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its headers, with the day of its removal once that is decided; the newer path has none of them."""
    old, new = await reader.get("/markets"), await reader.get("/api/markets")
    assert old.headers["deprecation"] == f"@{deprecation.DEPRECATED_SINCE.timestamp():.0f}"
    assert old.headers["link"] == '</api/markets>; rel="successor-version"'
    assert "sunset" not in old.headers
    assert {"deprecation", "link", "sunset"} & set(new.headers) == set()
    day = datetime.datetime(2027, 7, 1, tzinfo=datetime.UTC)
    monkeypatch.setattr(deprecation, "SUNSETS", {"/trades": day})
    assert (await reader.get("/trades")).headers["sunset"] == "Thu, 01 Jul 2027 00:00:00 GMT"
