"""Events as text: the mixture of the home page, a market's whole history, a wallet's events."""

from __future__ import annotations

import httpx
import pytest
from api_fixtures import CREATOR, SOL, Log, market_id, served
from assertions import body

from api import schemas
from ingest.testing import address

Client = httpx.AsyncClient
ONE, TWO = market_id(1), market_id(2)


async def pages(client: Client, path: str, shape: type) -> list[str]:
    """Return the ids of a list, read two at a time by cursor."""
    found: list[str] = []
    following: str | None = f"{path}?limit=2"
    while following:
        page = await body(client, following, shape)
        assert page["count"] == len(page["activity"]) <= 2
        found += [happened["id"] for happened in page["activity"]]
        following = f"{path}?limit=2&cursor={page['next_cursor']}" if page["next_cursor"] else None
    return found


async def test_the_newest_activity_has_the_older_shape(reader: Client) -> None:
    """Short wallets, the market's question, SOL with two digits; `activity` is not a market's id."""
    answer = await body(reader, "/api/markets/activity", schemas.NewestActivities)
    assert answer["count"] == len(answer["activities"]) == 4
    trade = next(happened for happened in answer["activities"] if "NO" in happened["action"])
    wallet = address(3)
    assert trade["user"] == f"{wallet[:6]}...{wallet[-4:]}"
    assert (trade["type"], trade["action"], trade["amount"]) == ("trade", "bought 2.000 NO shares", "1.10 SOL")
    assert (trade["market"], trade["marketId"]) == ("Will it rain in Lisbon tomorrow?", ONE)
    creation = next(happened for happened in answer["activities"] if happened["marketId"] == TWO)
    assert (creation["type"], creation["market"]) == ("creation", "Market 00000000…")
    assert "amount" not in creation
    times = [happened["time"] for happened in answer["activities"]]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("type=trade", {"trade": 6}),
        ("type=creation", {"creation": 2}),
        ("type=resolution", {"resolution": 2}),
        ("type=trade&limit=3", {"trade": 3}),
        ("limit=8", {"trade": 4, "resolution": 2, "creation": 2}),
        ("limit=4", {"trade": 2, "resolution": 1, "creation": 1}),
        ("limit=1", {"resolution": 1}),
    ],
)
async def test_half_are_trades_and_a_quarter_each_other(
    client: Client, markets: Log, query: str, expected: dict[str, int]
) -> None:
    """With a type, only that; an event without a wallet belongs to the protocol."""
    for _ in range(4):
        markets.buy(1, 2)
    markets.story.append(("MarketResolved", 1, CREATOR, {"outcome": True, "evidence_hash": "E" * 46}, None))
    markets.story.append(("MarketFinalized", 1, None, {"final_outcome": True, "was_disputed": False}, None))
    last = markets.story.transactions[-1]
    late = last.events[0]._replace(clock=last.events[0].clock + 10_000)
    markets.story.transactions[-1] = last._replace(events=(late,))
    await markets.deliver()
    answer = await body(client, f"/api/markets/activity?{query}", schemas.NewestActivities)
    types = [happened["type"] for happened in answer["activities"]]
    assert {name: types.count(name) for name in set(types)} == expected
    users = {h["user"] for h in answer["activities"] if h["action"] == "finalized the outcome YES"}
    assert users == ({"protocol"} if "resolution" in expected else set())


async def test_an_empty_log_has_no_activity(log: Log) -> None:
    """Without events the list is empty."""
    async with served(log.settings()) as client:
        answer = await body(client, "/api/markets/activity", schemas.NewestActivities)
        assert (answer["activities"], answer["count"]) == ([], 0)


async def test_market_activity_lists_every_event_once(reader: Client) -> None:
    """All events, the latest on chain first, page by page each once."""
    path = f"/api/markets/{ONE}/activity"
    page = await body(reader, path, schemas.MarketActivity)
    assert [happened["type"] for happened in page["activity"]] == ["trade", "trade", "approval", "approval", "creation"]
    assert (page["market_id"], page["count"], page["next_cursor"]) == (ONE, 5, None)
    trade = page["activity"][0]
    assert (trade["event"], trade["amount"], trade["market_id"]) == ("SharesBought", str(11 * SOL // 10), ONE)
    assert trade["user_wallet"] == address(3)
    assert await pages(reader, path, schemas.MarketActivity) == [happened["id"] for happened in page["activity"]]


async def test_wallet_activity_lists_every_event_once(client: Client, markets: Log) -> None:
    """In all markets that are shown and for the protocol, the latest on chain first, page by page each once."""
    for market in (1, 2, 1, 1, 3):
        markets.buy(market, 2)
    rates = {"protocol_fee_bps": 1, "resolver_reward_bps": 1, "liquidity_provider_fee_bps": 1}
    markets.story.append(("ConfigUpdated", None, 2, rates, None))
    markets.buy(2, 2)
    await markets.deliver()
    path = f"/api/users/{address(2)}/activity"
    page = await body(client, path, schemas.WalletActivity)
    assert page["wallet"] == address(2)
    listed = [(happened["type"], happened["market_id"]) for happened in page["activity"]]
    assert listed == [
        ("trade", TWO),
        ("protocol", None),
        ("trade", ONE),
        ("trade", ONE),
        ("trade", TWO),
        ("trade", ONE),
        ("vote", TWO),
        ("trade", ONE),
    ]
    assert await pages(client, path, schemas.WalletActivity) == [happened["id"] for happened in page["activity"]]


async def test_a_wallet_nobody_met_did_nothing(reader: Client) -> None:
    """An empty page, not a 404: any address can be a wallet."""
    page = await body(reader, f"/api/users/{address(77)}/activity", schemas.WalletActivity)
    assert (page["activity"], page["count"], page["next_cursor"]) == ([], 0, None)
