"""Creators publish their metadata, once, and with any delay of the API."""

from __future__ import annotations

import json

import httpx
from solders.pubkey import Pubkey
from solders.signature import Signature

from devchain.history import History
from devchain.metadata_bot import MetadataBot


class FakeApi:
    """The part of the API that creators use; it can be unavailable, behind, and reject a token."""

    def __init__(self) -> None:
        self.is_away = True
        self.known: dict[str, str | None] = {}
        self.published: list[tuple[str, str]] = []
        self.refusals = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if self.is_away:
            raise httpx.ConnectError("nobody listens", request=request)
        path = request.url.path
        if path == "/api/auth/nonce":
            return httpx.Response(200, json={"message": f"I am {request.url.params['wallet']}"})
        body = json.loads(request.content or b"null")
        if path == "/api/auth/verify":
            signed = Signature.from_string(body["signature"])
            assert signed.verify(Pubkey.from_string(body["wallet"]), body["message"].encode())
            return httpx.Response(200, json={"access_token": body["wallet"]})
        market = path.split("/")[3]
        if request.method == "GET":
            return httpx.Response(200, json={"question": self.known[market]}) if market in self.known else NOT_FOUND
        if self.refusals:
            self.refusals -= 1
            return httpx.Response(401)
        self.known[market] = body["question"]
        self.published.append((market, request.headers["Authorization"].removeprefix("Bearer ")))
        return httpx.Response(201, json={})


NOT_FOUND = httpx.Response(404, json={})


async def test_each_creator_publishes_its_metadata_once() -> None:
    """Not while the API is unavailable, not before it knows the market, again with a new token, and never twice."""
    history = History(seed=3)
    list(history.play(200))
    api = FakeApi()
    bot = MetadataBot("http://api", history.traders, transport=httpx.MockTransport(api))
    await bot.publish_pending()
    api.is_away = False
    await bot.publish_pending()
    assert api.published == []

    plans = [history.traders.plan(number) for number in range(history.traders.markets)]
    api.known = {plan.market_id.hex(): None for plan in plans}
    api.refusals = 1
    await bot.publish_pending()
    assert api.published == []
    await bot.publish_pending()
    await bot.publish_pending()

    wallets = [history.traders.actors.wallets[plan.creator].address for plan in plans]
    assert plans
    assert api.published == [(plan.market_id.hex(), wallet) for plan, wallet in zip(plans, wallets, strict=True)]
    assert set(api.known.values()) == {plan.question_text.question for plan in plans}


def test_published_metadata_matches_the_anchored_cid() -> None:
    """Until a resolution replaces it, the account has the content id of the published metadata (protocol.md 1.4.7)."""
    history = History(seed=3)
    list(history.play(200))
    on_chain = history.accounts()["markets"].values()
    anchored = {market["market_id"]: market for market in on_chain if market["resolution_proposed_at"] == 0}
    plans = [history.traders.plan(number) for number in range(history.traders.markets)]

    for plan in [plan for plan in plans if plan.market_id in anchored]:
        market = anchored.pop(plan.market_id)
        assert (
            market["ipfs_evidence_hash"].decode()
            == plan.question_text.for_market(plan.market_id, market["creator"]).cid
        )

    assert plans
    assert not anchored
