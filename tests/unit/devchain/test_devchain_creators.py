"""Creators publish metadata, pictures, profiles and events, once, and with any delay of the API."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
from solders.pubkey import Pubkey
from solders.signature import Signature

from devchain import demo_profiles
from devchain.history import History
from devchain.metadata_bot import MetadataBot
from zmart.domain import images


class FakeApi:
    """The part of the API that creators use; it can be unavailable, behind, and reject a token."""

    def __init__(self) -> None:
        self.is_away = True
        self.known: dict[str, dict[str, Any]] = {}
        self.profiles: dict[str, str] = {}
        self.events: dict[str, list[str]] = {}
        #: Method, path and wallet of each accepted write.
        self.writes: list[tuple[str, str, str]] = []
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
        if request.method == "GET":
            return self._read(path)
        if self.refusals:
            self.refusals -= 1
            return httpx.Response(401)
        wallet = request.headers["Authorization"].removeprefix("Bearer ")
        self.writes.append((request.method, path, wallet))
        return httpx.Response(200, json=self._write(path, wallet, body))

    def _read(self, path: str) -> httpx.Response:
        if path.endswith("/profile"):
            return httpx.Response(200, json={"display_name": self.profiles.get(path.split("/")[3])})
        market = path.split("/")[3]
        return httpx.Response(200, json=self.known[market]) if market in self.known else httpx.Response(404, json={})

    def _write(self, path: str, wallet: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/api/users/me":
            self.profiles[wallet] = body["display_name"]
        elif path.startswith("/api/events"):
            self.events[wallet] = body["markets"]
            for market in body["markets"]:
                self.known[market]["event_slug"] = f"of-{wallet}"
            return {"slug": f"of-{wallet}"}
        elif path.endswith("/image"):
            assert images.check(base64.b64decode(body["content"])).media_type == "image/png"
            self.known[path.split("/")[3]]["image_url"] = "/api/images/0"
        else:
            self.known[path.split("/")[3]]["question"] = body["question"]
        return {}

    def count(self, method: str, end: str) -> int:
        """Return how many writes a path had."""
        return sum(path.endswith(end) for kind, path, _ in self.writes if kind == method)


async def test_each_creator_publishes_its_metadata_once() -> None:
    """Not while the API is unavailable, not before it knows the market, again with a new token, and never twice."""
    history = History(seed=3)
    list(history.play(200))
    api = FakeApi()
    bot = MetadataBot("http://api", history.traders, transport=httpx.MockTransport(api))
    await bot.publish_pending()
    api.is_away = False
    await bot.publish_pending()
    assert api.writes == []

    plans = [history.traders.plan(number) for number in range(history.traders.markets)]
    api.known = {plan.market_id.hex(): {} for plan in plans}
    api.refusals = 1
    await bot.publish_pending()
    assert api.writes == []
    await bot.publish_pending()
    await bot.publish_pending()

    wallets = [history.traders.actors.wallets[plan.creator].address for plan in plans]
    assert plans
    published = [(path.split("/")[3], wallet) for _, path, wallet in api.writes if path.endswith("/metadata")]
    assert published == [(plan.market_id.hex(), wallet) for plan, wallet in zip(plans, wallets, strict=True)]
    assert {one["question"] for one in api.known.values()} == {plan.question_text.question for plan in plans}
    assert api.count("PUT", "/image") == len(plans)
    assert set(api.profiles) == set(wallets)
    assert api.count("PATCH", "/me") == len(api.profiles)

    # A bot that starts later finds all of it there.
    before = len(api.writes)
    again = MetadataBot("http://api", history.traders, transport=httpx.MockTransport(api))
    await again.publish_pending()
    assert {path for _, path, _ in api.writes[before:]} <= {f"/api/events/of-{wallet}" for wallet in wallets}


async def test_markets_of_one_creator_become_an_event() -> None:
    """In one event that grows; a creator of one market has none."""
    history = History(seed=3)
    list(history.play(200))
    api = FakeApi()
    api.is_away = False
    plans = [history.traders.plan(number) for number in range(history.traders.markets)]
    # All of them by the first two creators.
    made = [plans[0].creator] * (len(plans) - 1) + [next(p.creator for p in plans if p.creator != plans[0].creator)]
    by_number = {plan.number: plan for plan in plans}
    for plan, creator in zip(plans, made, strict=True):
        object.__setattr__(plan, "creator", creator)
    history.traders.plan = by_number.__getitem__  # type: ignore[method-assign]
    bot = MetadataBot("http://api", history.traders, transport=httpx.MockTransport(api))
    api.known = {plan.market_id.hex(): {} for plan in plans[:2]}
    await bot.publish_pending()
    wallet = history.traders.actors.wallets[made[0]].address
    assert api.events == {wallet: [plan.market_id.hex() for plan in plans[:2]]}

    api.known |= {plan.market_id.hex(): {} for plan in plans[2:]}
    await bot.publish_pending()
    await bot.publish_pending()
    assert api.events == {wallet: [plan.market_id.hex() for plan in plans[:-1]]}
    assert (api.count("POST", "/api/events"), api.count("PUT", f"/of-{wallet}")) == (1, 1)


def test_pictures_and_names_are_functions_of_their_text() -> None:
    """Different ones differ, and every picture is one that the API accepts."""
    texts = [f"market {number}" for number in range(50)]
    pictures = [demo_profiles.picture(text) for text in texts]
    facts = images.check(pictures[0])

    assert (facts.width, facts.height) == (demo_profiles.SIDE, demo_profiles.SIDE)
    assert len(set(pictures)) == len(texts)
    assert pictures == [demo_profiles.picture(text) for text in texts]
    assert len({demo_profiles.display_name(text) for text in texts}) > 40


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
