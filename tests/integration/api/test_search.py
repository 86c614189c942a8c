"""Search finds markets by words and by parts, shows only metadata of creators, and never reads all markets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from api_fixtures import Log, market_id, served
from assertions import body

from api import schemas
from api.reads import pagination, response_cache
from ingest.testing import address

Client = httpx.AsyncClient
QUESTIONS = {
    1: "Will it rain in Lisbon tomorrow?",
    2: "Will bitcoin trade above 100,000 dollars?",
    4: "Who wins the trading contest in Lisbon?",
}


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[Client]:
    """The application over described markets."""
    markets.create(4)
    await markets.deliver()
    for market in (2, 4):
        markets.describe(market, QUESTIONS[market])
    async with served(markets.settings()) as found:
        yield found


async def found(client: Client, query: str) -> list[int]:
    """Return the markets of a list, as the story's numbers."""
    page = await body(client, f"/api/markets?{query}", schemas.MarketPage)
    assert page["count"] == len(page["markets"])
    assert page["count_is_exact"] is True
    return sorted(int(market["id"], 16) for market in page["markets"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lisbon", [1, 4]),
        ("lisbon rain", [1]),
        ("raining", [1]),
        ("trades", [2, 4]),
        ("isbo", [1, 4]),
        ("100,000", [2]),
        ('"rain in lisbon"', [1]),
        ("lisbon -rain", [4]),
        ("bi", [2]),
        ("lisbon ra", [1]),
        ("ra lisbon", []),
        ("' or true --", []),
        ("%' or 1=1 --", []),
        ("\\", []),
        ("&|!()<->:*", []),
        ("a:* & b", []),
        ("'", []),
        ("🦀🦀🦀", []),
        ("x" * 200, []),
    ],
)
async def test_words_and_parts_are_found(client: Client, text: str, expected: list[int]) -> None:
    """In any form and order, as a phrase, or as any part; operators of Postgres are text."""
    assert await found(client, str(httpx.QueryParams({"q": text}))) == expected


async def test_search_combines_with_filters_sorts_and_cursors(client: Client) -> None:
    """A page of matches continues like any other."""
    assert await found(client, "q=lisbon&state=PROPOSED") == [4]
    assert await found(client, "q=lisbon&category=sports") == []
    for sort in pagination.MARKET_SORTS:
        first = (await client.get(f"/api/markets?q=lisbon&limit=1&sort={sort}")).json()
        second = (await client.get(f"/api/markets?q=lisbon&limit=1&sort={sort}&cursor={first['next_cursor']}")).json()
        whole = (await client.get(f"/api/markets?q=lisbon&sort={sort}")).json()["markets"]
        assert [*first["markets"], *second["markets"]] == whole
        assert (first["count"], second["next_cursor"]) == (2, None)


async def test_a_common_word_walks_the_list(client: Client, markets: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the sorted matches, the same markets come in the same order, and the count reports that it stopped."""
    exact = (await client.get("/api/markets?q=lisbon&sort=volume")).json()
    monkeypatch.setattr(pagination, "MOST_FOUND", 1)
    walked = (await client.get("/api/markets?q=lisbon&sort=volume")).json()
    assert walked["markets"] == exact["markets"]
    assert (walked["count"], walked["count_is_exact"]) == (1, False)


async def test_metadata_of_another_wallet_is_neither_shown_nor_found(
    client: Client, markets: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only metadata of the creator that matches the create instruction is found."""
    # Rows are changed without a log entry, which a response may show a second later.
    monkeypatch.setattr(response_cache, "MAX_AGE_SECONDS", 0.0)
    markets.owner.execute(
        "insert into app.market_metadata (market_id, wallet_no, question)"
        " select %s, wallet_no, 'Is this a swindle of somebody else?' from raw.wallets_seen where wallet = %s",
        [market_id(1), address(2)],
    )
    assert await found(client, "q=swindle") == []
    assert (await client.get(f"/api/markets/{market_id(1)}")).json()["question"] == QUESTIONS[1]
    markets.owner.execute("update app.market_metadata set question_cid = %s where question like 'Who wins%%'", ["Qx"])
    assert await found(client, "q=contest") == [4]
    markets.owner.execute("update marts.markets set ipfs_question_hash = 'QmAnother' where id = %s", [market_id(4)])
    assert await found(client, "q=contest") == []
    assert (await client.get(f"/api/markets/{market_id(4)}")).json()["question"].startswith("Market 0000")
