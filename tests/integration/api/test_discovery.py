"""Finding markets, quotes, and conditional requests."""

from __future__ import annotations

import httpx
import pytest
from api_fixtures import SOL, Log, market_id
from assertions import body

from api import schemas
from ingest.testing import address

Client = httpx.AsyncClient
ONE, TWO, HIDDEN = market_id(1), market_id(2), market_id(3)


async def test_trending_counts_the_last_day(client: Client, markets: Log) -> None:
    """Volume and traders are those of the market's trades; ACTIVE markets without any come last."""
    markets.create(4)
    markets.activate(4)
    await markets.deliver()
    found = await body(client, "/api/markets/trending?limit=10", schemas.TrendingMarkets)
    assert [market["id"] for market in found["trending"]] == [ONE, market_id(4)]
    first = found["trending"][0]
    assert (first["volume_24h_exact"], first["volume24h"], first["uniqueTraders"]) == ("2200000000", 2.2, 2)
    assert (first["yesPrice"], first["change24h"]) == (0.59, 9.0)
    assert first["trendingScore"] == pytest.approx(2.2 * 0.6 + 2 * 0.4)


async def test_categories_are_counted(reader: Client) -> None:
    """Markets without metadata count as other; a hidden market does not count."""
    found = await body(reader, "/api/markets/categories", schemas.Categories)
    assert {one["id"]: one["count"] for one in found["categories"]} == {"crypto": 1, "other": 1}
    assert {one["name"] for one in found["categories"]} == {"Crypto", "Other"}


async def test_related_markets_of_the_same_category_come_first(client: Client, markets: Log) -> None:
    """Only ACTIVE markets are returned, never the market itself."""
    for market in (5, 6, 7):
        markets.create(market)
        markets.activate(market)
    await markets.deliver()
    markets.describe(5, "Will bitcoin be above 100,000?", category="crypto")
    found = await body(client, f"/api/markets/{ONE}/related?limit=3", schemas.RelatedMarkets)
    ids = [one["id"] for one in found["related"]]
    assert (ids[0], set(ids[1:])) == (market_id(5), {market_id(6), market_id(7)})
    assert [one["categoryMatch"] for one in found["related"]] == [True, False, False]


async def test_a_quote_is_exact(client: Client, markets: Log) -> None:
    """On a fresh market of b = 100 SOL, trade 2 of protocol.md 2.7."""
    markets.create(8)
    markets.activate(8)
    await markets.deliver()
    path = f"/api/markets/{market_id(8)}/quote?outcome=YES&target_cost={SOL}"
    found = await body(client, path, schemas.Quote)
    assert (found["shares"], found["total"], found["before_fees"]) == ("1835823062", "999928380", "909025800")
    assert (found["price_before"], found["price_after"], found["impact_bps"]) == ("500000000", "504589428", 91)
    assert (found["is_possible"], found["refusal"], found["warnings"]) == (True, None, [])
    assert found["smallest"] == "1071510"


async def test_refused_quote_names_the_error_and_the_smallest_accepted_amount(client: Client, markets: Log) -> None:
    """The program's name and number, and the smallest amount that would work."""
    markets.create(8)
    markets.activate(8)
    await markets.deliver()
    path = f"/api/markets/{market_id(8)}/quote?outcome=YES&target_cost=10000"
    found = await body(client, path, schemas.Quote)
    assert (found["is_possible"], found["refusal"]["name"]) == (False, "UnderflowError")
    assert found["refusal"]["code"] >= 6000
    assert (found["shares"], found["total"], found["smallest"]) == (None, None, "1071510")
    proposed = await body(client, f"/api/markets/{TWO}/quote?side=sell&outcome=NO&shares=1", schemas.Quote)
    assert (proposed["refusal"]["name"], proposed["smallest"]) == ("InvalidMarketState", None)


@pytest.mark.parametrize(
    "query",
    [
        "outcome=YES",
        "outcome=YES&side=sell&target_cost=5",
        "outcome=MAYBE&target_cost=5",
        "target_cost=5",
        "outcome=YES&target_cost=-1",
        "outcome=YES&target_cost=18446744073709551616",
        "outcome=YES&target_cost=1e9",
        "outcome=YES&target_cost=%D9%A1",
        "outcome=YES&target_cost=" + "9" * 400,
        "outcome=YES&side=hold&target_cost=5",
    ],
)
async def test_quotes_of_nonsense_are_refused(reader: Client, query: str) -> None:
    """400, with the name of the field."""
    response = await reader.get(f"/api/markets/{ONE}/quote?{query}")
    assert (response.status_code, response.json()["code"]) == (400, "validation_failed")
    assert response.json()["details"]


@pytest.mark.parametrize("amount", ["0", "1", "18446744073709551615"])
@pytest.mark.parametrize("side", ["buy", "sell"])
async def test_any_amount_is_answered(reader: Client, side: str, amount: str) -> None:
    """The extremes of 64 bits give quotes or rejections, never a server error."""
    for outcome in ("YES", "NO"):
        path = f"/api/markets/{ONE}/quote?side={side}&outcome={outcome}&target_cost={amount}&shares={amount}"
        found = await body(reader, path, schemas.Quote)
        assert found["is_possible"] == (found["refusal"] is None)


READS = [
    "/api/markets",
    f"/api/markets/{ONE}",
    f"/api/markets/{ONE}/trades",
    f"/api/users/{address(2)}/positions",
    "/api/markets/categories",
]


@pytest.mark.parametrize("path", READS)
async def test_unchanged_rows_return_304_for_a_known_etag(client: Client, markets: Log, path: str) -> None:
    """304 while no row changed, although the log grew with other events; a new response once one did."""
    first = await client.get(path)
    known = {"If-None-Match": f'"other", {first.headers["etag"]}'}
    again = await client.get(path, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    markets.owner.execute("insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', 1)")
    later = await client.get(path, headers=known)
    assert later.status_code == 304
    assert later.headers["zmart-seq"] != first.headers["zmart-seq"]
    markets.create(9)
    markets.buy(1, 2)
    await markets.deliver()
    assert (await client.get(path, headers=known)).status_code == 200


async def test_tags_of_different_answers_differ(reader: Client) -> None:
    """Another market's tag does not match this one."""
    other = (await reader.get(f"/api/markets/{TWO}")).headers["etag"]
    assert (await reader.get(f"/api/markets/{ONE}", headers={"If-None-Match": other})).status_code == 200
    assert (await reader.get(f"/api/markets/{ONE}", headers={"If-None-Match": "*"})).status_code == 304


async def test_positions_and_portfolio_agree(reader: Client) -> None:
    """The older list of positions is valued by marts.portfolio, as the portfolio is."""
    (position,) = (await reader.get(f"/api/users/{address(2)}/positions")).json()
    (held,) = (await reader.get(f"/api/users/{address(2)}/portfolio")).json()["positions"]
    assert position["current_value_exact"] == held["current_value"]
    assert (position["unrealized_pnl_exact"], position["realized_pnl_exact"]) == (
        held["unrealized_pnl"],
        held["realized_pnl"],
    )
    assert position["claimable_amount_exact"] == held["claimable"]
