"""Every endpoint returns the documented schema, with the position that its rows reflect."""

from __future__ import annotations

import asyncio
import json

import httpx
import msgspec
import pytest
from api_fixtures import CREATOR, SOL, Log, market_address, market_id
from assertions import body

from api import schemas
from api.reads import statements
from ingest.testing import address

Client = httpx.AsyncClient

ONE, TWO, HIDDEN, NONE = market_id(1), market_id(2), market_id(3), market_id(4)
HOLDER, UNKNOWN_WALLET = address(2), address(77)


async def test_health(reader: Client) -> None:
    """Liveness has the members that monitors of the older backend read."""
    health = await body(reader, "/health", schemas.Health)
    assert (health["status"], health["service"], health["environment"]) == ("healthy", "api-gateway", "localnet")
    assert health["uptime"] >= 0


async def test_every_answer_states_its_position(client: Client, markets: Log) -> None:
    """The headers and `as_of` name the log, its newest entry, the newest slot and the commitment."""
    epoch, seq = markets.head()
    for path in (
        "/api/markets",
        f"/api/markets/{ONE}",
        f"/api/markets/{ONE}/trades",
        f"/api/markets/{TWO}/votes",
        f"/api/markets/{ONE}/stats",
        f"/api/users/{HOLDER}/positions/{ONE}",
        f"/api/markets/{ONE}/price-history",
        f"/api/markets/{ONE}/candles",
        f"/api/markets/{ONE}/activity",
        f"/api/markets/{ONE}/holders",
        "/api/markets/activity",
        f"/api/users/{HOLDER}/activity",
        f"/api/users/{HOLDER}/portfolio",
        "/trades",
        "/api/status",
    ):
        response = await client.get(path)
        assert response.json()["as_of"] == {
            "epoch": epoch,
            "seq": seq,
            "position": markets.position(),
            "slot": 1003,
            "commitment": "confirmed",
        }
        assert response.headers["zmart-seq"] == markets.position()
        assert response.headers["zmart-slot"] == "1003"
        assert response.headers["zmart-commitment"] == "confirmed"
    array = await client.get(f"/api/users/{HOLDER}/positions")
    assert array.headers["zmart-seq"] == markets.position()


async def test_the_list_hides_markets_whose_creation_is_unknown(reader: Client) -> None:
    """A market known from a trade alone is neither listed, counted nor shown, and its trades are not listed."""
    page = await body(reader, "/api/markets", schemas.MarketPage)
    assert [market["id"] for market in page["markets"]] == [TWO, ONE]
    assert (page["count"], page["limit"], page["offset"], page["next_cursor"]) == (2, 20, 0, None)
    assert (await reader.get(f"/api/markets/{HIDDEN}")).status_code == 404
    trades = await body(reader, "/trades", schemas.TradePage)
    assert {trade["market_id"] for trade in trades["trades"]} == {ONE}


async def test_a_market_is_one_row_without_a_wrapper(reader: Client) -> None:
    """By id in any case or by address: the row, with older names, newer names and exact amounts."""
    market = await body(reader, f"/api/markets/{ONE}", schemas.Market)
    for name in (ONE.upper(), market_address(1)):
        assert (await reader.get(f"/api/markets/{name}")).json() == market
    assert market["question"] == "Will it rain in Lisbon tomorrow?"
    assert market["category"] == "crypto"
    assert (market["state"], market["status"], market["state_code"]) == ("ACTIVE", "ACTIVE", 2)
    assert market["creator"] == market["creator_wallet"] == address(CREATOR)
    assert market["b_parameter"] == market["liquidityParameter"] == 100 * SOL
    assert market["b_parameter_exact"] == str(100 * SOL)
    assert market["priceYes"] == market["current_price_yes"] == 0.59
    assert market["price_yes"] == 590_000_000
    assert market["totalShares"] == market["shares_yes"] + market["shares_no"] == 7_200_000_000
    assert market["createdAt"] == market["created_at"]


async def test_a_market_without_metadata_has_a_placeholder(reader: Client) -> None:
    """A market without metadata has a placeholder with its id, of legal length."""
    market = await body(reader, f"/api/markets/{TWO}", schemas.Market)
    assert market["question"] == "Market 00000000…"
    assert 10 <= len(market["question"]) <= 200
    assert (market["category"], market["description"], market["tags"]) == ("other", None, [])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=ACTIVE", [ONE]),
        ("state=active", [ONE]),
        ("state=2", [ONE]),
        ("state=0", [TWO]),
        ("state=FINALIZED", []),
        ("category=crypto", [ONE]),
        ("category=other", [TWO]),
        (f"creator={address(CREATOR)}", [TWO, ONE]),
        (f"creator={UNKNOWN_WALLET}", []),
        ("q=rain in", [ONE]),
        ("q=LISBON", [ONE]),
        ("q=%25", []),
        ("q=_", []),
        ("sort=oldest", [ONE, TWO]),
        ("sort=volume", [ONE, TWO]),
        ("sort=price_low", [TWO, ONE]),
        ("state=ACTIVE&category=crypto&q=rain&sort=trades", [ONE]),
    ],
)
async def test_lists_are_filtered_and_sorted(reader: Client, query: str, expected: list[str]) -> None:
    """Filters restrict both rows and count; sorts order them."""
    page = await body(reader, f"/api/markets?{query}", schemas.MarketPage)
    assert [market["id"] for market in page["markets"]] == expected
    assert page["count"] == len(expected)


@pytest.mark.parametrize(
    "sort",
    [
        "newest",
        "oldest",
        "volume",
        "liquidity",
        "trades",
        "price_high",
        "price_low",
        "contested",
        "last_trade",
        "activity",
    ],
)
async def test_pages_by_cursor_cover_the_list_once(client: Client, markets: Log, sort: str) -> None:
    """In every order, consecutive pages are the whole list, also while markets arrive."""
    for market in range(10, 16):
        markets.create(market, b=1 if market == 12 else 100 * SOL)
        if market % 2:
            markets.buy(market, market, price=500_000_000 + market)
    await markets.deliver()
    whole = (await client.get(f"/api/markets?sort={sort}&limit=100")).json()["markets"]
    assert len(whole) == 8
    found: list[str] = []
    path: str | None = f"/api/markets?sort={sort}&limit=3"
    while path:
        page = await body(client, path, schemas.MarketPage)
        found += [market["id"] for market in page["markets"]]
        path = f"/api/markets?sort={sort}&limit=3&cursor={page['next_cursor']}" if page["next_cursor"] else None
    assert found == [market["id"] for market in whole]
    by_offset = (await client.get(f"/api/markets?sort={sort}&limit=3&offset=3")).json()["markets"]
    assert [market["id"] for market in by_offset] == found[3:6]


async def test_trades_are_newest_first_with_the_words_the_browser_compares(reader: Client) -> None:
    """outcome is YES or NO, outcome_bool its boolean, price that of the traded side."""
    page = await body(reader, f"/api/markets/{ONE}/trades", schemas.MarketTradePage)
    no, yes = page["trades"]
    assert (page["count"], page["market_id"]) == (2, ONE)
    assert (no["outcome"], no["outcome_bool"], no["trade_type"]) == ("NO", False, "buy")
    assert (yes["outcome"], yes["outcome_bool"], yes["shares"]) == ("YES", True, 5 * SOL)
    assert (yes["price_after"], yes["price"]) == (0.612345678, 0.612345678)
    assert (no["price_after"], no["price"]) == (0.59, 0.41)
    assert yes["trader"] == yes["user_wallet"] == HOLDER
    parts = ("gross_lamports", "protocol_fee_lamports", "resolver_fee_lamports", "lp_fee_lamports")
    assert sum(int(yes[part]) for part in parts) == yes["cost"]
    assert yes["id"] == f"{yes['tx_signature']}:0"


async def test_trades_can_be_paged_and_filtered(reader: Client) -> None:
    """Cursors page through a market's trades; the list of all trades takes a market and a wallet."""
    first = await body(reader, f"/api/markets/{ONE}/trades?limit=1", schemas.MarketTradePage)
    second = await body(
        reader, f"/api/markets/{ONE}/trades?limit=1&cursor={first['next_cursor']}", schemas.MarketTradePage
    )
    assert first["trades"][0]["seq"] > second["trades"][0]["seq"]
    assert second["next_cursor"] is None
    mine = await body(reader, f"/api/users/{HOLDER}/trades", schemas.WalletTradePage)
    assert (mine["count"], mine["wallet"]) == (1, HOLDER)
    both = (await reader.get(f"/trades?market_id={ONE}&wallet={HOLDER}")).json()
    assert both["trades"] == mine["trades"]
    nobody = await body(reader, f"/api/users/{UNKNOWN_WALLET}/trades", schemas.WalletTradePage)
    assert (nobody["trades"], nobody["count"]) == ([], 0)


async def test_votes_have_the_older_shape(reader: Client) -> None:
    """Rows, a tally with a percentage as text, the market and the kind."""
    answer = await body(reader, f"/api/markets/{TWO}/votes", schemas.MarketVotes)
    assert (answer["market_id"], answer["type"]) == (TWO, "proposal")
    stats = answer["stats"]
    assert (stats["likes"], stats["dislikes"], stats["total"], stats["approval_rate"]) == (3, 1, 4, "75.00")
    assert stats["on_chain"] == {"likes": 3, "dislikes": 1}
    assert sorted(vote["vote"] for vote in answer["votes"]) == [False, True, True, True]
    empty = await body(reader, f"/api/markets/{TWO}/votes?type=dispute", schemas.MarketVotes)
    assert (empty["votes"], empty["stats"]["total"], empty["stats"]["approval_rate"]) == ([], 0, "0.00")


async def test_stats_add_trades_up(reader: Client) -> None:
    """Volumes in lamports, numbers of trades and traders."""
    answer = await body(reader, f"/api/markets/{ONE}/stats", schemas.MarketStats)
    assert answer["stats"]["total_trades"] == answer["stats"]["unique_traders"] == 2
    assert answer["stats"]["buy_volume"] == 22 * SOL // 10
    assert answer["stats"]["sell_volume_exact"] == "0"


async def test_positions_are_an_array_with_market_and_value(reader: Client) -> None:
    """A wallet's shares, their current value, and the market's columns for a list."""
    (position,) = await body(reader, f"/api/users/{HOLDER}/positions", list[schemas.UserPosition])
    assert (position["market_id"], position["userId"]) == (ONE, HOLDER)
    assert position["sharesYes"] == position["shares_yes"] == 5 * SOL
    assert position["current_value"] == 5 * SOL * 590_000_000 // 10**9
    assert position["question"] == "Will it rain in Lisbon tomorrow?"
    one = await body(reader, f"/api/users/{HOLDER}/positions/{market_address(1)}", schemas.OnePosition)
    assert {name: value for name, value in one.items() if name != "as_of"} == position


async def test_a_wallet_without_positions(reader: Client) -> None:
    """The newer address returns an empty array, the two older ones 404."""
    assert await body(reader, f"/api/users/{UNKNOWN_WALLET}/positions", list[schemas.UserPosition]) == []
    for path in (
        f"/positions/{UNKNOWN_WALLET}",
        f"/api/positions/{UNKNOWN_WALLET}",
        f"/api/users/{UNKNOWN_WALLET}/positions/{ONE}",
        f"/api/users/{HOLDER}/positions/{TWO}",
    ):
        assert (await reader.get(path)).status_code == 404
    for path in (f"/positions/{HOLDER}", f"/api/positions/{HOLDER}"):
        assert len(await body(reader, path, list[schemas.UserPosition])) == 1


async def test_a_final_position_is_worth_what_can_be_claimed(client: Client, markets: Log) -> None:
    """Winning shares get their part of the pool, losing ones nothing, and a claimed position is closed."""
    happen = markets.story.append
    happen(("MarketResolved", 1, CREATOR, {"outcome": True, "evidence_hash": "E" * 46}, None))
    happen(("MarketFinalized", 1, None, {"final_outcome": True, "was_disputed": False}, None))
    await markets.deliver()
    market = (await client.get(f"/api/markets/{ONE}")).json()
    assert (market["state"], market["outcome"]) == ("FINALIZED", "YES")
    winner = (await client.get(f"/api/users/{HOLDER}/positions/{ONE}")).json()
    due = 5 * SOL * market["current_liquidity"] // market["shares_yes"]
    assert winner["claimable_amount"] == winner["current_value"] == due
    loser = (await client.get(f"/api/users/{address(3)}/positions/{ONE}")).json()
    assert loser["current_value"] == 0
    happen(("WinningsClaimed", 1, 2, {"outcome": True, "amount": str(due)}, None))
    await markets.deliver()
    claimed = (await client.get(f"/api/users/{HOLDER}/positions/{ONE}")).json()
    assert (claimed["has_claimed"], claimed["claimed_amount"], claimed["claimable_amount"]) == (True, due, 0)


async def test_amounts_beyond_a_double_are_exact_as_text(client: Client, markets: Log) -> None:
    """The largest u64 is returned exactly beside the number that a browser would round."""
    markets.create(20, b=2**64 - 1)
    await markets.deliver()
    market = (await client.get(f"/api/markets/{market_id(20)}")).json()
    assert market["b_parameter_exact"] == "18446744073709551615"
    assert isinstance(market["b_parameter"], int)


async def test_the_unprefixed_addresses_answer_the_same(reader: Client) -> None:
    """The paths of the deployment note without /api return the same bodies."""
    for path in ("/markets", f"/markets/{ONE}", "/trades"):
        assert (await reader.get(path)).json() == (await reader.get(f"/api{path}")).json()


async def test_status_is_honest_about_completeness(client: Client, markets: Log) -> None:
    """Before a walk the state is `unverified`; a proven range is reported with its slot."""
    status = await body(client, "/api/status", schemas.Status)
    assert (status["completeness"]["state"], status["verified_through"]) == ("unverified", None)
    assert {model["name"] for model in status["models"]} >= {"markets", "priced_trades", "positions", "ballots"}
    assert (status["dead_letters"], status["finalized_through"]) == (0, None)
    markets.owner.execute("insert into raw.coverage values ('walk', 0, 5000, 11, '')")
    markets.owner.execute(
        "insert into ops.cursors (name, value) values ('completeness', %s)",
        ['{"state": "verified", "reason": "Proven complete through slot 5000."}'],
    )
    status = await body(client, "/status", schemas.Status)
    assert (status["completeness"]["state"], status["verified_through"]) == ("verified", 5000)


async def test_answers_are_finalized_once_the_watermark_passes(client: Client, markets: Log) -> None:
    """Once the watermark passes the newest slot, responses are finalized."""
    markets.owner.execute("insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', 1002)")
    assert (await client.get(f"/api/markets/{ONE}")).json()["as_of"]["commitment"] == "confirmed"
    markets.owner.execute("insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', 1003)")
    assert (await client.get(f"/api/markets/{ONE}")).headers["zmart-commitment"] == "finalized"


async def test_transactions_of_an_accepted_gap_stay_confirmed(client: Client, markets: Log) -> None:
    """Status names the gap, and its reason to operators alone; the transaction is final when the gap is filled."""
    markets.owner.execute("insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', 5000)")
    rows = markets.owner.execute("select signature, slot from raw.transactions order by slot limit 2").fetchall()
    (unproven, slot), (proven, _) = rows
    gap = json.dumps([{"signature": unproven, "slot": slot, "kind": "unlisted"}])
    accept = "select ops.accept_gap(%s, %s, 'operator', 'The ledger is lost.', '{}', %s)"
    assert markets.owner.execute(accept, [slot, slot, gap]).fetchone() == (1,)

    async def follow(signature: str) -> str:
        answer = await client.get(f"/api/transactions/{signature}")
        return str(answer.json()["status"])

    (shown,) = (await body(client, "/api/status", schemas.Status))["gaps"]
    accepted_at = shown.pop("accepted_at")
    assert accepted_at
    assert shown == {
        **{"gap_no": 1, "from_slot": slot, "to_slot": slot},
        **{"reason": None, "missing": 0, "unproven": 1},
    }
    assert (await follow(unproven), await follow(proven)) == ("confirmed", "finalized")
    markets.owner.execute("select ops.close_gaps(%s)", [[unproven]])
    assert (await body(client, "/api/status", schemas.Status))["gaps"] == []
    assert await follow(unproven) == "finalized"


async def test_a_stale_mart_answers_for_where_it_stopped(client: Client, markets: Log) -> None:
    """A response from a mart that stopped reports it; responses from others are not delayed."""
    markets.owner.execute(
        "update ops.models set stale_since = now(), applied_seq = 4, reason = 'staged' where name = 'ballots'"
    )
    epoch, seq = markets.head()
    votes = (await client.get(f"/api/markets/{TWO}/votes")).json()["as_of"]
    assert (votes["epoch"], votes["seq"], votes["slot"]) == (epoch, 4, 1001)
    assert votes["position"] == markets.position(4)
    assert (await client.get(f"/api/markets/{ONE}")).json()["as_of"]["seq"] == seq
    status = (await client.get("/api/status")).json()
    (stale,) = [model for model in status["models"] if model["is_stale"]]
    assert (stale["name"], stale["reason"], stale["behind"]) == ("ballots", None, seq - 4)
    ready = (await client.get("/ready")).json()
    assert any("ballots" in warning for warning in ready["warnings"])


async def test_a_mart_that_is_behind_answers_for_where_it_stands(client: Client, markets: Log) -> None:
    """Its responses, the status and readiness report that it is behind and retried; it is not stale."""
    markets.owner.execute("select folds.mark_behind('ballots', 4, null, '55P03', 'staged', 0)")
    assert (await client.get(f"/api/markets/{TWO}/votes")).json()["as_of"]["seq"] == 4
    status = (await client.get("/api/status")).json()
    (behind,) = [model for model in status["models"] if model["is_behind"]]
    assert (behind["name"], behind["reason"], behind["is_stale"]) == ("ballots", None, False)
    assert behind["behind_since"] < behind["next_attempt_at"]
    ready = (await client.get("/ready")).json()
    assert "The mart ballots is behind the log and is retried; see /api/status." in ready["warnings"]


async def test_rows_and_position_are_of_one_moment(client: Client, markets: Log) -> None:
    """While the writer appends, a market never shows more or fewer trades than its as_of."""
    first = markets.head()[1]

    async def write() -> None:
        for number in range(60):
            markets.buy(1, 2 + number % 3)
            await markets.deliver()

    async def read() -> list[tuple[int, int]]:
        seen = []
        while not writing.done():
            market = (await client.get(f"/api/markets/{ONE}")).json()
            seen.append((market["as_of"]["seq"], market["trades_count"]))
        return seen

    writing = asyncio.create_task(write())
    seen = await read()
    await writing
    assert len({seq for seq, _ in seen}) > 3
    assert [count - 2 for _, count in seen] == [seq - first for seq, _ in seen]


async def test_ready_when_everything_answers(client: Client, markets: Log) -> None:
    """Once the feed is read, the process is ready and names its log."""
    async with asyncio.timeout(10):
        while (response := await client.get("/ready")).status_code != 200:  # noqa: ASYNC110 - only the server knows
            await asyncio.sleep(0.05)
    assert msgspec.json.decode(response.content, type=schemas.Readiness).reasons == []
    epoch, seq = markets.head()
    ready = response.json()
    assert (ready["epoch"], ready["seq"], ready["position"]) == (epoch, seq, markets.position())
    status = (await client.get("/api/status")).json()
    assert (status["epoch"], status["seq"], status["position"]) == (epoch, seq, markets.position())


async def test_the_api_document_is_complete_and_offline(reader: Client) -> None:
    """OpenAPI describes every route with a real response."""
    response = await reader.get("/schema/openapi.json")
    document = response.json()
    assert document["openapi"].startswith("3.1")
    assert {"/api/markets", "/api/markets/{market}", "/api/stream", "/positions/{wallet}"} <= set(document["paths"])
    of_market = {"price-history", "candles", "activity", "holders", "lifecycle"}
    assert {f"/api/markets/{{market}}/{name}" for name in of_market} <= set(document["paths"])
    others = {"/api/markets/activity", "/api/protocol"} | {
        f"/api/users/{{wallet}}/{n}" for n in ("activity", "portfolio")
    }
    assert others <= set(document["paths"])
    market = document["components"]["schemas"]["Market"]
    assert {"b_parameter_exact", "priceYes", "as_of"} <= set(market["properties"])
    for path, operations in document["paths"].items():
        for operation in operations.values():
            (answer,) = [described for status, described in operation["responses"].items() if status.startswith("2")]
            content = answer["content"]
            assert all(kind.get("schema") or "event-stream" in name for name, kind in content.items()), path


async def test_a_trade_is_json_whatever_is_in_it(markets: Log) -> None:
    """The text is concatenated, so each kind of value is tried: both outcomes, and no market id yet."""
    numbers = [str(seq) for (seq,) in markets.owner.execute("select seq from marts.priced_trades")]
    markets.owner.execute("update raw.markets_seen set market_id = null")
    for outcome in ("YES", "NO"):
        markets.owner.execute("update marts.priced_trades set is_yes = %s", [outcome == "YES"])
        rows = markets.owner.execute(statements.compose("trade_rows"), {"numbers": numbers}).fetchall()
        trades = [json.loads(text) for _, text in rows]
        assert len(trades) == len(numbers) > 0
        for trade in trades:
            assert list(trade) == [field.encode_name for field in msgspec.structs.fields(schemas.Trade)]
            assert (trade["market_id"], trade["marketId"]) == (None, None)
            assert (trade["outcome"], trade["outcome_bool"]) == (outcome, outcome == "YES")
            assert str(trade["shares"]) == trade["shares_exact"]
            assert trade["price"] == pytest.approx(
                trade["price_after"] if outcome == "YES" else 1 - trade["price_after"]
            )
            assert trade["timestamp"] == trade["block_time"]
