"""Reads of many things at once: their values, their order, one snapshot, limits."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from api_fixtures import SOL, Log, market_address, market_id, served
from assertions import names_of
from wallets import Wallet

from api import schemas
from ingest.testing import address

Client = httpx.AsyncClient
ONE, TWO, THREE = market_id(1), market_id(2), market_id(3)
UNKNOWN = market_id(99)


async def sent(client: Client, path: str, shape: Any, body: dict[str, Any], **headers: str) -> Any:
    """Return the answer to a request with this body, which has exactly the fields of `shape`."""
    answer = await client.post(path, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    decoded = msgspec.json.decode(answer.content, type=shape)
    assert names_of(msgspec.to_builtins(decoded)) == names_of(answer.json())
    assert answer.headers["zmart-seq"] == answer.json()["as_of"]["position"]
    return answer.json()


async def test_a_page_of_markets(reader: Client) -> None:
    """In the order of the request, each once, with the same rows as the list and the prices of its trades."""
    listed = {row["id"]: row for row in (await reader.get("/api/markets")).json()["markets"]}

    page = await sent(
        reader, "/api/markets/batch", schemas.MarketBatch, {"markets": [TWO, UNKNOWN, market_address(1), TWO, THREE]}
    )

    assert [row["id"] for row in page["markets"]] == [TWO, ONE]
    assert page["missing"] == [UNKNOWN, THREE]
    assert page["positions"] == []
    assert page["markets"][0].pop("sparkline") == []
    assert page["markets"][1].pop("sparkline") == [0.6123, 0.59]
    assert page["markets"] == [listed[TWO], listed[ONE]]


async def test_no_prices_and_no_stale_ones(markets: Log, client: Client) -> None:
    """The number of prices is that of the request; a trade is in the next answer."""
    for points, prices in ((0, []), (10, [0.6123, 0.59])):
        page = await sent(client, "/api/markets/batch", schemas.MarketBatch, {"markets": [ONE], "points": points})
        assert page["markets"][0]["sparkline"] == prices
    markets.buy(1, 2, price=700_000_000)
    await markets.deliver()

    page = await sent(client, "/api/markets/batch", schemas.MarketBatch, {"markets": [ONE], "points": 10})
    assert page["markets"][0]["sparkline"] == [0.6123, 0.59, 0.7]
    assert page["markets"][0]["trades_count"] == 3


async def test_own_positions_of_a_page(log: Log) -> None:
    """They are those of the token's wallet; an invalid token is refused, not taken for none."""
    wallet = Wallet()

    await log.three_markets()
    log.owner.execute("update raw.wallets_seen set wallet = %s where wallet = %s", [wallet.address, address(2)])
    async with served(log.settings(JWT_SECRET="s" * 40)) as client:
        signed_in = await wallet.signed_in(client)
        mine = await sent(client, "/api/markets/batch", schemas.MarketBatch, {"markets": [TWO, ONE]}, **signed_in)
        refused = await client.post(
            "/api/markets/batch", json={"markets": [ONE]}, headers={"Authorization": "Bearer wrong"}
        )
        nobody = await sent(client, "/api/markets/batch", schemas.MarketBatch, {"markets": [TWO, ONE]})

    assert [(held["market_id"], held["shares_yes"]) for held in mine["positions"]] == [(ONE, str(5 * SOL))]
    assert nobody["positions"] == []
    assert (refused.status_code, refused.json()["code"]) == (401, "not_signed_in")


async def test_candles_of_several_markets(reader: Client) -> None:
    """The same candles as those of each market alone."""
    alone = (await reader.get(f"/api/markets/{ONE}/candles", params={"interval": "1m", "limit": 50})).json()

    batch = await sent(
        reader,
        "/api/candles/batch",
        schemas.CandleBatch,
        {"markets": [UNKNOWN, ONE, TWO], "interval": "1m", "limit": 50},
    )

    assert alone["candles"]
    assert [one["market_id"] for one in batch["series"]] == [ONE, TWO]
    assert [one["candles"] for one in batch["series"]] == [alone["candles"], []]
    assert batch["missing"] == [UNKNOWN]


async def test_positions_of_several_wallets(reader: Client) -> None:
    """The same values as those of each wallet alone, in the order of the request; empty for an unknown wallet."""
    alone = (await reader.get(f"/api/users/{address(2)}/portfolio")).json()
    wallets = [address(9_999), address(3), address(2)]

    batch = await sent(reader, "/api/positions/batch", schemas.PositionBatch, {"wallets": wallets})
    in_two = await sent(reader, "/api/positions/batch", schemas.PositionBatch, {"wallets": wallets, "market": TWO})

    assert [one["wallet"] for one in batch["wallets"]] == wallets
    assert [len(one["positions"]) for one in batch["wallets"]] == [0, 1, 1]
    assert batch["wallets"][2]["positions"] == alone["positions"]
    assert [one["positions"] for one in in_two["wallets"]] == [[], [], []]


async def test_quotes_of_several_sizes(reader: Client) -> None:
    """The same numbers as one at a time; a refusal of one leaves the others."""
    asked = [
        {"outcome": "YES", "target_cost": str(SOL)},
        {"outcome": "NO", "target_cost": "1"},
        {"outcome": "YES", "shares": str(SOL)},
    ]
    batch = await sent(reader, f"/api/markets/{ONE}/quotes", schemas.QuoteBatch, {"quotes": asked})

    for one, quote in zip(asked, batch["quotes"], strict=True):
        side = "sell" if "shares" in one else "buy"
        assert quote == (await reader.get(f"/api/markets/{ONE}/quote", params={**one, "side": side})).json()
    assert [quote["is_possible"] for quote in batch["quotes"]] == [True, False, True]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/api/markets/batch", {"markets": []}, "markets"),
        ("/api/markets/batch", {"markets": [ONE] * 101}, "markets"),
        ("/api/markets/batch", {"markets": ["a b"]}, "markets"),
        ("/api/markets/batch", {"markets": [ONE], "points": 7}, "points"),
        ("/api/candles/batch", {"markets": [market_id(n) for n in range(1, 12)], "limit": 1_000}, "limit"),
        ("/api/positions/batch", {"wallets": ["nobody"]}, "wallets"),
        ("/api/positions/batch", {"wallets": [address(2)], "market": "?"}, "market"),
        (f"/api/markets/{ONE}/quotes", {"quotes": [{"outcome": "YES"}]}, "quotes"),
        (f"/api/markets/{ONE}/quotes", {"quotes": [{"outcome": "NO", "shares": "1", "target_cost": "1"}]}, "quotes"),
    ],
)
async def test_invalid_requests_name_the_field(reader: Client, path: str, body: dict[str, Any], field: str) -> None:
    """400, with the field."""
    answer = await reader.post(path, json=body)

    assert answer.status_code == 400, answer.text
    assert field in answer.json()["details"][0]["field"]


async def test_a_read_by_post_is_never_304(reader: Client) -> None:
    """RFC 9110 has 304 for GET and HEAD alone."""
    answer = await reader.post("/api/markets/batch", json={"markets": [ONE]}, headers={"If-None-Match": "*"})
    assert answer.status_code == 200
    assert (await reader.get(f"/api/markets/{ONE}", headers={"If-None-Match": "*"})).status_code == 304
