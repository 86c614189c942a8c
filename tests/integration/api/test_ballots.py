"""Ballots off chain: one per wallet, only for the signed text; rejected ones leave no trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import api_fixtures
import httpx
import pytest
from api_fixtures import Log, market_address, market_id
from wallets import SIGNING_IN, Wallet

PROPOSED = market_id(2)


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application over the three markets: 2 is PROPOSED."""
    async with api_fixtures.served(markets.settings(**SIGNING_IN)) as found:
        yield found


@pytest.fixture
async def older(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The same with LEGACY_AUTH."""
    async with api_fixtures.served(markets.settings(**SIGNING_IN, LEGACY_AUTH="true")) as found:
        yield found


def ballots(log: Log) -> list[tuple[Any, ...]]:
    """Return the ballots cast through the API."""
    return log.owner.execute("select kind, vote from app.ballots order by seq").fetchall()


async def signed(
    client: httpx.AsyncClient, wallet: Wallet, *, market: str = PROPOSED, kind: str = "proposal", vote: bool = True
) -> dict[str, Any]:
    """A body with a freshly signed ballot."""
    asked = {"market_id": market, "kind": kind, "vote": str(vote).lower(), "wallet": wallet.address}
    answer = await client.get("/api/votes/message", params=asked)
    assert answer.status_code == 200, answer.text
    text = answer.json()["message"]
    return {
        "market_id": market,
        "vote": vote,
        "message": text,
        "signature": wallet.sign(text),
        "wallet": wallet.address,
    }


async def test_a_ballot_is_cast_and_counted(client: httpx.AsyncClient, markets: Log) -> None:
    """201 with the row that older clients read; text and signature are stored, and the tally counts it."""
    wallet = Wallet()
    body = await signed(client, wallet)

    answer = await client.post("/api/votes/proposal", json=body)

    assert answer.status_code == 201, answer.text
    result = answer.json()
    assert result["count"] == 1
    assert result["metadata"] == {
        "message": "Your proposal vote has been recorded",
        "market_id": PROPOSED,
        "vote_type": "proposal",
        "user_wallet": wallet.address,
    }
    assert (result["data"][0]["vote"], result["data"][0]["user_wallet"]) == (True, wallet.address)
    stored = markets.owner.execute("select seq, message, signature from app.ballots").fetchone()
    assert stored == (result["data"][0]["seq"], body["message"], body["signature"])
    tally = "select off_chain_unseen_agree from marts.vote_tallies where market_id = %s"
    assert markets.owner.execute(tally, [PROPOSED]).fetchone() == (1,)


@pytest.mark.parametrize("market", [PROPOSED, market_address(2)])
async def test_the_earlier_aggregators_words_cast_a_ballot(
    client: httpx.AsyncClient, markets: Log, market: str
) -> None:
    """protocol.md 4.2: market in the path, like or dislike, publicKey; the ballot is bound and counted, too."""
    wallet = Wallet()
    bound = await signed(client, wallet, market=market, vote=False)
    body = {
        "vote": "dislike",
        "publicKey": wallet.address,
        "message": bound["message"],
        "signature": bound["signature"],
    }
    path = f"/api/votes/proposal/{market}"
    before = (await client.get(path)).json()["counts"]
    for lie in ({"vote": "like"}, {"publicKey": Wallet().address}, {"message": "anything"}):
        assert (await client.post(path, json=body | lie)).status_code == 401
    assert (await client.post(f"/api/votes/proposal/{market_id(1)}", json=body)).status_code == 401
    assert (await client.post(path, json=body | {"vote": "agree"})).status_code == 400

    answer = await client.post(path, json=body)

    assert answer.status_code == 200, answer.text
    result = answer.json()
    assert (result["success"], result["marketId"], result["vote"]) == (True, market, "dislike")
    assert markets.owner.execute("select 'PV-' || seq from app.ballots").fetchone() == (result["voteId"],)
    assert isinstance(result["timestamp"], str)
    counts = (await client.get(path)).json()["counts"]
    assert counts == before | {"dislikes": before["dislikes"] + 1, "total": before["total"] + 1}
    again = await client.post(path, json=body)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")


async def test_the_earlier_aggregators_words_obey_the_same_rules(older: httpx.AsyncClient, markets: Log) -> None:
    """A signature without a bound ballot votes on proposals while LEGACY_AUTH is on, and never on disputes."""
    proof = Wallet().in_body()
    body = {"publicKey": proof["wallet"], "message": proof["message"], "signature": proof["signature"]}
    like = await older.post(f"/api/votes/proposal/{PROPOSED}", json=body | {"vote": "like"})
    agree = await older.post(f"/api/votes/dispute/{PROPOSED}", json=body | {"vote": "agree"})
    assert (like.status_code, agree.status_code) == (200, 403)
    assert ballots(markets) == [("proposal", True)]


async def test_the_second_ballot_is_a_conflict(client: httpx.AsyncClient, markets: Log) -> None:
    """409 for another choice, for the same signed text again, and beside a vote on chain."""
    wallet = Wallet()
    body = await signed(client, wallet)
    assert (await client.post("/api/votes/proposal", json=body)).status_code == 201

    for second in (
        body,
        await signed(client, wallet, vote=False),
        await signed(client, wallet, market=market_address(2)),
    ):
        answer = await client.post("/api/votes/proposal", json=second)
        assert (answer.status_code, answer.json()["code"]) == (409, "conflict"), answer.text

    markets.owner.execute("update raw.wallets_seen set wallet = %s where wallet_no = 2", [Wallet().address])
    on_chain = Wallet()
    markets.owner.execute(
        "update raw.wallets_seen set wallet = %s where wallet_no ="
        " (select min(wallet_no) from marts.ballots where source = 'chain')",
        [on_chain.address],
    )
    answer = await client.post("/api/votes/proposal", json=await signed(client, on_chain))
    assert answer.status_code == 409, answer.text
    assert ballots(markets) == [("proposal", True)]


def changed(body: dict[str, Any], field: str) -> dict[str, Any]:
    """The body with one field that differs from the signed text."""
    other = Wallet()
    match field:
        case "vote":
            return {**body, "vote": not body["vote"]}
        case "market":
            return {**body, "market_id": market_id(1)}
        case "wallet":
            return {**body, "wallet": other.address}
        case "signature":
            return {**body, "signature": other.sign(body["message"])}
        case "text":
            return {**body, "message": body["message"].replace("like", "dislike")}
        case "older text":
            return {**body, **other.in_body()}
    raise AssertionError(field)


@pytest.mark.parametrize("field", ["vote", "market", "wallet", "signature", "text", "older text"])
async def test_a_signature_stands_for_one_ballot(client: httpx.AsyncClient, markets: Log, field: str) -> None:
    """Another choice, market, wallet, signature or text than the signed one: 401, and no ballot is cast."""
    body = await signed(client, Wallet())
    answer = await client.post("/api/votes/proposal", json=changed(body, field))
    assert answer.status_code == 401, answer.text
    assert ballots(markets) == []
    assert markets.owner.execute("select count(*) from app.redeemed_nonces").fetchone() == (0,)


async def test_a_proposals_text_is_no_disputes(client: httpx.AsyncClient, markets: Log) -> None:
    """A ballot is for its kind; one in the wrong state is a conflict, an unknown market is not found."""
    wallet = Wallet()
    assert (await client.post("/api/votes/dispute", json=await signed(client, wallet))).status_code == 401
    dispute = await signed(client, wallet, kind="dispute")
    assert (await client.post("/api/votes/dispute", json=dispute)).status_code == 409
    nowhere = await signed(client, wallet, market="f" * 64)
    assert (await client.post("/api/votes/proposal", json=nowhere)).status_code == 404
    assert ballots(markets) == []


async def test_a_nonce_is_for_one_ballot(client: httpx.AsyncClient, markets: Log) -> None:
    """One nonce casts one ballot, even if another wallet signs it the second time."""
    first, second = Wallet(), Wallet()
    body = await signed(client, first)
    assert (await client.post("/api/votes/proposal", json=body)).status_code == 201
    text = body["message"].replace(first.address, second.address)
    again = {**body, "message": text, "signature": second.sign(text), "wallet": second.address}
    answer = await client.post("/api/votes/proposal", json=again)
    assert (answer.status_code, "nonce" in answer.json()["message"]) == (409, True), answer.text
    assert len(ballots(markets)) == 1


async def test_only_known_wallets_where_that_is_asked(markets: Log) -> None:
    """BALLOT_ELIGIBILITY=known: a wallet without any event is rejected, one with an event is not."""
    creator, unknown_wallet = Wallet(), Wallet()
    markets.owner.execute(
        "update raw.wallets_seen set wallet = %s where wallet_no ="
        " (select min(wallet_no) from raw.events where name = 'MarketCreated' and wallet_no not in"
        " (select wallet_no from marts.ballots))",
        [creator.address],
    )
    configured = markets.settings(**SIGNING_IN, BALLOT_ELIGIBILITY="known")
    async with api_fixtures.served(configured) as client:
        await unknown_wallet.session(client)  # signing in does not make a wallet known
        for wallet, status in ((unknown_wallet, 403), (creator, 201)):
            answer = await client.post("/api/votes/proposal", json=await signed(client, wallet))
            assert answer.status_code == status, answer.text


async def test_older_proofs_cast_proposals_only(older: httpx.AsyncClient, markets: Log) -> None:
    """The triple in the body and the header's signature vote on proposals (5.2, 5.3), never on disputes."""
    in_body, in_header = Wallet(), Wallet()
    body = {"market_id": PROPOSED, "vote": True, **in_body.in_body()}
    assert (await older.post("/api/votes/proposal", json=body)).status_code == 201
    assert (await older.post("/api/votes/proposal", json=body)).status_code == 409
    path = f"/api/markets/{PROPOSED}"
    answer = await older.post(f"{path}/vote", json={"approve": False}, headers=in_header.in_header())
    assert answer.status_code == 200, answer.text
    assert (await older.post("/api/votes/dispute", json=body)).status_code == 403
    disputed = await older.post(f"{path}/dispute/vote", json={"supportDispute": True}, headers=in_header.in_header())
    assert disputed.status_code == 403
    assert ballots(markets) == [("proposal", True), ("proposal", False)]


@pytest.mark.parametrize(
    ("proof", "message"),
    [
        ({}, "Authentication required: message, signature, and wallet must be provided"),
        ({"age_seconds": 301}, "Authentication message expired"),
        ({"age_seconds": -302}, "Authentication message expired"),
        ({"text": "Sign this message to authenticate with ZMART"}, "Invalid timestamp in authentication message"),
        ({"text": "Sign in to ZMART: 1762600000000"}, "Invalid authentication message format"),
    ],
)
async def test_older_proofs_are_refused_with_the_earlier_messages(
    older: httpx.AsyncClient, proof: dict[str, Any], message: str
) -> None:
    """protocol.md 6.1, step by step; a header's proof is too old after an hour."""
    wallet = Wallet()
    triple = wallet.in_body(**{name: value for name, value in proof.items() if name != "text"}) if proof else {}
    if "text" in proof:
        triple |= {"message": proof["text"], "signature": wallet.sign(proof["text"])}
    answer = await older.post("/api/auth/ticket", json=triple)
    assert answer.status_code == 401
    assert answer.json()["message"].startswith(message)

    for age, status in ((3_590, 201), (3_601, 401)):
        headers = wallet.in_header(age_seconds=age)
        assert (await older.post("/api/auth/ticket", headers=headers)).status_code == status


async def test_a_ballot_names_the_site(client: httpx.AsyncClient, markets: Log) -> None:
    """The text has the site that asks; one for a site that is none of ours is refused, and one without a site too."""
    asked = {"market_id": PROPOSED, "kind": "proposal", "vote": "true", "wallet": Wallet().address}
    origin = {"Origin": "http://localhost:3001"}
    text = (await client.get("/api/votes/message", params=asked, headers=origin)).json()["message"]
    assert "\nSite: localhost:3001\n" in text

    for line in ("Site: evil.example\n", ""):
        wallet = Wallet()
        body = await signed(client, wallet)
        forged = body["message"].replace("Site: localhost:3000\n", line)
        assert forged != body["message"]
        answer = await client.post(
            "/api/votes/proposal", json=body | {"message": forged, "signature": wallet.sign(forged)}
        )
        assert answer.status_code == 401
    assert ballots(markets) == []
