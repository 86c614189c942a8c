"""The holders of a market's shares, and the profit of a wallet's positions."""

from __future__ import annotations

import httpx
from api_fixtures import CREATOR, SOL, Log, market_address, market_id
from assertions import body

from api import schemas
from ingest.testing import address

Client = httpx.AsyncClient
ONE, TWO = market_id(1), market_id(2)


async def test_holders_come_by_what_they_hold(reader: Client) -> None:
    """The largest first; a side restricts the list to its holders; amounts are text."""
    both = await body(reader, f"/api/markets/{ONE}/holders", schemas.Holders)
    assert [holder["user_wallet"] for holder in both["holders"]] == [address(2), address(3)]
    largest = both["holders"][0]
    assert (largest["shares_yes"], largest["shares_no"], largest["total_invested"]) == (
        str(5 * SOL),
        "0",
        str(11 * SOL // 10),
    )
    assert (largest["share_of_yes_bps"], largest["share_of_no_bps"]) == (10_000, 0)
    for outcome, holder in (("YES", address(2)), ("NO", address(3))):
        page = await body(reader, f"/api/markets/{ONE}/holders?outcome={outcome}", schemas.Holders)
        # The name of the filter before.
        assert page == await body(reader, f"/api/markets/{ONE}/holders?side={outcome}", schemas.Holders)
        assert [found["user_wallet"] for found in page["holders"]] == [holder]


async def test_a_market_nobody_holds(reader: Client) -> None:
    """An empty page."""
    page = await body(reader, f"/api/markets/{TWO}/holders", schemas.Holders)
    assert (page["holders"], page["count"], page["next_cursor"], page["market_id"]) == ([], 0, None, TWO)


async def test_pages_of_holders_cover_them_once(client: Client, markets: Log) -> None:
    """By cursor, also if many wallets hold the same."""
    for wallet in range(10, 17):
        markets.buy(1, wallet, yes=wallet % 2 == 0)
    await markets.deliver()
    for side in ("", "&outcome=YES", "&outcome=NO"):
        whole = (await client.get(f"/api/markets/{ONE}/holders?limit=100{side}")).json()["holders"]
        found: list[str] = []
        cursor = ""
        while True:
            page = await body(client, f"/api/markets/{ONE}/holders?limit=2{side}{cursor}", schemas.Holders)
            found += [holder["user_wallet"] for holder in page["holders"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert found == [holder["user_wallet"] for holder in whole]
        assert len(found) == len(set(found)) == {"": 9, "&outcome=YES": 5, "&outcome=NO": 4}[side]


async def test_a_portfolio_adds_up(client: Client, markets: Log) -> None:
    """Each position's profit by the mart, and the sums over all of them, for any page."""
    markets.buy(2, 2, yes=False, price=400_000_000)
    await markets.deliver()
    path = f"/api/users/{address(2)}/portfolio"
    answer = await body(client, path, schemas.Portfolio)
    assert (answer["wallet"], answer["count"]) == (address(2), 2)
    first, other = sorted(answer["positions"], key=lambda position: str(position["market_id"]))
    traded = [position["last_trade_at"] for position in answer["positions"]]
    assert traded == sorted(traded, reverse=True)
    assert (other["market_id"], other["shares_no"], other["current_value"]) == (TWO, str(SOL), str(6 * SOL // 10))
    assert (first["market_id"], first["market_address"]) == (ONE, market_address(1))
    assert (first["question"], first["cost_yes"]) == ("Will it rain in Lisbon tomorrow?", str(11 * SOL // 10))
    assert int(first["profit"]) == 5 * SOL * 590_000_000 // 10**9 - 11 * SOL // 10
    assert int(first["profit"]) == int(first["realized_pnl"]) + int(first["unrealized_pnl"])
    for name, total in answer["totals"].items():
        assert int(total) == sum(int(position[name]) for position in answer["positions"])
    page = await body(client, f"{path}?limit=1&offset=1", schemas.Portfolio)
    assert (page["positions"], page["totals"], page["count"]) == (answer["positions"][1:], answer["totals"], 2)


async def test_a_portfolio_realizes_at_the_end(client: Client, markets: Log) -> None:
    """Once final, the losing side's cost is lost and the winning side is worth its claim."""
    happen = markets.story.append
    happen(("MarketResolved", 1, CREATOR, {"outcome": True, "evidence_hash": "E" * 46}, None))
    happen(("MarketFinalized", 1, None, {"final_outcome": True, "was_disputed": False}, None))
    await markets.deliver()
    (loser,) = (await client.get(f"/api/users/{address(3)}/portfolio")).json()["positions"]
    assert (loser["outcome"], loser["realized_pnl"], loser["claimable"]) == ("YES", str(-11 * SOL // 10), "0")
    (winner,) = (await client.get(f"/api/users/{address(2)}/portfolio")).json()["positions"]
    assert winner["claimable"] == winner["current_value"] != "0"


async def test_a_wallet_without_a_portfolio(reader: Client) -> None:
    """No positions, and every sum zero; a hidden market does not count."""
    answer = await body(reader, f"/api/users/{address(77)}/portfolio", schemas.Portfolio)
    assert (answer["positions"], answer["count"], set(answer["totals"].values())) == ([], 0, {"0"})
    known = await body(reader, f"/api/users/{address(2)}/portfolio", schemas.Portfolio)
    assert [position["market_id"] for position in known["positions"]] == [ONE]
