"""The examples of the OpenAPI document are real requests and responses, and match their schemas.

ZMART_WRITE_EXAMPLES=1 records them again, from an API over a generated history.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from recorded_chain import SOL, RecordedChain
from wallets import Wallet, bearer

from api.contract import __main__ as contract
from api.contract import examples
from zmart.run.export import exporter
from zmart.run.export.store import FolderStore

WRITES = "ZMART_WRITE_EXAMPLES"
EVIDENCE = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
#: Reading operations whose answers are no JSON.
NOT_JSON = {"stream", "showDocument", "getExportedFile", "getStatement", "showImage"}
#: A PNG of one pixel in base64.
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
Recorded = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The OpenAPI document."""
    return contract.openapi_document()


def test_every_body_has_an_example_that_fits(document: dict[str, Any]) -> None:
    """No request or response of an earlier version is shown."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for content in _contents(operation):
                assert content["example"] is not None, (method, path)
                jsonschema.validate(content["example"], content["schema"] | {"components": document["components"]})


@pytest.mark.skipif(not os.environ.get(WRITES), reason=f"records examples; {WRITES}=1")
def test_record_examples(document: dict[str, Any], played: RecordedChain, tmp_path: Path) -> None:
    """One request and one response for each operation that has bodies."""
    exporter.export(played.stack.database.dsn(), FolderStore(tmp_path), exports_marts=False)
    recorded = asyncio.run(_Recorder(document, played).all())
    examples.FILE.write_text(json.dumps(recorded, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def _contents(operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from operation.get("requestBody", {}).get("content", {}).values()
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            yield from response["content"].values()


class _Recorder:
    """Acts as a wallet would, and stores requests and responses."""

    def __init__(self, document: dict[str, Any], played: RecordedChain) -> None:
        self.played = played
        self.recorded: Recorded = {}
        self.operations = {
            operation["operationId"]: (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
            if not operation["deprecated"]
        }
        self.client = httpx.AsyncClient(base_url=played.url, trust_env=False)

    async def all(self) -> Recorded:
        """Return all examples; missing ones are copied from an operation with the same schema."""
        async with self.client:
            await self.sign_in()
            await self.manage_keys()
            await self.act()
            await self.discuss()
            await self.read()
        for name, (_, _, operation) in self.operations.items():
            found = self.recorded.setdefault(name, {})
            if "response" not in found and (like := self.same_shape(operation)) is not None:
                found["response"] = like
        return self.recorded

    def same_shape(self, operation: dict[str, Any]) -> Any:
        """Return the response of another operation that refers to the same schema."""
        wanted = _shape(operation)
        return next(
            (
                found["response"]
                for name, found in self.recorded.items()
                if "response" in found and wanted is not None and _shape(self.operations[name][2]) == wanted
            ),
            None,
        )

    async def call(self, operation: str, body: Any = None, *, query: dict[str, Any] | None = None, **path: str) -> Any:
        """Call an operation and store both sides; return the response."""
        method, template, _ = self.operations[operation]
        answer = await self.client.request(method, template.format(**path), json=body, params=query)
        assert answer.is_success, (operation, answer.status_code, answer.text)
        example = self.recorded.setdefault(operation, {})
        if body is not None:
            example["request"] = body
        example["response"] = _short(answer.json())
        return answer.json()

    async def sign_in(self) -> None:
        wallet = self.played.wallet
        text = (await self.call("showNonce", query={"wallet": wallet.address}))["message"]
        proof = {"wallet": wallet.address, "message": text, "signature": wallet.sign(text)}
        session = await self.call("signIn", proof)
        session = await self.call("refreshSession", {"refresh_token": session["refresh_token"]})
        self.client.headers.update(bearer(session["access_token"]))
        await self.call("issueTicket")
        other = await wallet.session(self.client)
        await self.call("signOut", {"refresh_token": other["refresh_token"]})

    async def manage_keys(self) -> None:
        created = await self.call("createApiKey", {"name": "market maker", "scopes": ["read", "trade"]})
        example = self.recorded["createApiKey"]["response"]
        example["key"] = example["key"].partition("_")[0] + "_..."
        await self.call("listApiKeys")
        await self.call("revokeApiKey", key_id=created["api_key"]["id"])

    async def act(self) -> None:
        """Trade, propose, vote; steps that the chain is not ready for are left out."""
        active, proposed = self.played.market("ACTIVE"), self.played.market("PROPOSED")
        assert active is not None
        bought = await self.call(
            "buyShares", {"market_id": active, "outcome": "YES", "shares": str(5 * SOL), "max_cost": str(50 * SOL)}
        )
        signed = self.played.wallet.sign_transaction(bought["unsigned_transaction"])
        relayed = await self.call("relayTransaction", {"transaction": signed})
        await self.land()
        await self.call("followTransaction", signature=relayed["signature"])
        sale = {"market_id": active, "outcome": "YES", "shares": str(SOL), "min_proceeds": "0"}
        await self.call("sellShares", sale)
        creation = {
            "question": "Will it rain in Lisbon tomorrow?",
            "category": "science",
            "end_date": "2100-01-01T00:00:00Z",
            "liquidity": str(SOL),
            "description": "By the airport's own station.",
            "tags": ["weather"],
        }
        created = await self.call("createMarket", creation)
        await self.client.post(
            "/api/transactions",
            json={"transaction": self.played.wallet.sign_transaction(created["unsigned_transaction"])},
        )
        await self.land()
        words = {name: creation[name] for name in ("question", "category", "description", "tags", "end_date")}
        with contextlib.suppress(AssertionError):
            await self.call("setMarketMetadata", words, market=created["market"]["id"])
        self.recorded.setdefault("setMarketMetadata", {})["request"] = words
        await self.illustrate(created["market"]["id"])
        await self.vote(created["market"]["id"] if proposed is None else proposed)
        self.recorded["resolveMarket"] = {"request": {"outcome": "YES", "ipfs_evidence_hash": EVIDENCE}}
        with contextlib.suppress(AssertionError):
            await self.call("resolveMarket", self.recorded["resolveMarket"]["request"], market=active)

    async def illustrate(self, market: str) -> None:
        """Show a picture of one pixel, and read the market by its slug."""
        slug = (await self.client.get(f"/api/markets/{market}")).json()["slug"]
        await self.call("showMarketBySlug", slug=slug)
        await self.call("setMarketImage", {"content": PIXEL}, market=market)
        digest = self.recorded["setMarketImage"]["response"]["image_url"].rpartition("/")[2]
        reason = {"reason": "Shows somebody's face."}
        await self.call("moderateImage", {"action": "hide", **reason}, digest=digest)
        await self.call("removeMarketImage", market=market)
        event = {"title": "Weather in Lisbon", "description": "What the sky does next.", "markets": [market]}
        slug = (await self.call("createEvent", event))["slug"]
        await self.call("replaceEvent", {**event, "title": "Weather in Lisbon, May"}, slug=slug)
        await self.call("listEvents")
        await self.call("showEvent", slug=slug)
        await self.call("moderateEvent", {"action": "hide", **reason}, slug=slug)
        await self.call("moderateEvent", {"action": "restore", **reason}, slug=slug)
        await self.call("deleteEvent", slug=slug)

    async def vote(self, market: str) -> None:
        wallet = self.played.wallet
        await self.call("voteOnProposal", {"approve": True}, market=market)
        self.recorded["voteOnDispute"] = {"request": {"supportDispute": True}}
        for name, kind in (("castProposalBallot", "proposal"), ("castDisputeBallot", "dispute")):
            asked = {"market_id": market, "kind": kind, "vote": True, "wallet": wallet.address}
            text = (await self.call("showBallotText", query=asked))["message"]
            ballot = {
                "market_id": market,
                "vote": True,
                "message": text,
                "signature": wallet.sign(text),
                "wallet": wallet.address,
            }
            self.recorded[name] = {"request": ballot}
            with contextlib.suppress(AssertionError):
                await self.call(name, ballot)
        await self.vote_in_older_words(market)

    async def vote_in_older_words(self, market: str) -> None:
        """Vote like clients of the earlier vote aggregator, with another wallet, because this one has cast already."""
        voter = Wallet()
        for name, kind, word in (
            ("castNamedProposalBallot", "proposal", "like"),
            ("castNamedDisputeBallot", "dispute", "agree"),
        ):
            asked = {"market_id": market, "kind": kind, "vote": True, "wallet": voter.address}
            text = (await self.call("showBallotText", query=asked))["message"]
            ballot = {"vote": word, "publicKey": voter.address, "message": text, "signature": voter.sign(text)}
            self.recorded[name] = {"request": ballot}
            with contextlib.suppress(AssertionError):
                await self.call(name, ballot, market=market)

    async def discuss(self) -> None:
        market = self.played.market("ACTIVE") or ""
        created = await self.call("postDiscussion", {"market_id": market, "content": "The forecast says 80 %."})
        await self.call("postUnderMarket", {"content": "Which station?", "parentId": None}, market=market)
        name = str(created["discussion"]["id"])
        await self.call("editDiscussion", {"content": "The forecast says 85 %."}, name=name)
        await self.call("voteOnDiscussion", {"vote": "up"}, name=name)
        await self.call("flagDiscussion", {"reason": "Repeats itself."}, name=name)
        await self.call("listDiscussions", name=market)
        await self.call("listReplies", name=name)
        await self.call("listEdits", name=name)
        await self.call("deleteDiscussion", name=name)
        await self.call("setProfile", {"display_name": "Ann", "bio": "I watch the weather."})
        reason = {"reason": "Repeats an advertisement."}
        await self.call("showModerationQueue")
        await self.call("moderatePost", {"action": "hide", **reason}, name=name)
        await self.call("moderateWallet", {"action": "ban", **reason}, wallet=Wallet().address)
        await self.call("listModerationLog")

    async def read(self) -> None:
        """Call every operation that only reads."""
        await self.call("runSql", {"query": "select state, count(*) as markets from markets group by state"})
        ((trader, market),) = self.played.fetch_all(
            "select user_wallet, market_id from marts.positions order by trades_count desc limit 1"
        )
        await self.call("batchMarkets", {"markets": [market], "points": 10})
        await self.call("batchCandles", {"markets": [market], "interval": "1h", "limit": 10})
        await self.call("batchPositions", {"wallets": [trader], "limit": 10})
        active = self.played.market("ACTIVE") or market
        await self.call("batchQuotes", {"quotes": [{"outcome": "YES", "target_cost": "1000000000"}]}, market=active)
        queries = {"showQuote": {"outcome": "YES", "target_cost": "1000000000"}}
        for name, (method, _, _) in self.operations.items():
            if method == "get" and name not in self.recorded and name not in NOT_JSON:
                chosen = self.played.market("ACTIVE") if name == "showQuote" else market
                await self.call(name, query=queries.get(name), wallet=trader, market=chosen or market)

    async def land(self) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.confirmed(), self.played.loop))

    async def confirmed(self) -> None:
        await self.played.stack.pass_blocks(3)
        await self.played.catch_up()


def _shape(operation: dict[str, Any]) -> str | None:
    for status, response in operation["responses"].items():
        if status.startswith("2"):
            return json.dumps(response["content"].get("application/json", {}).get("schema"))
    return None


def _short(value: Any) -> Any:
    """The same with one element of each list: an example, not a page."""
    if isinstance(value, dict):
        return {name: _short(inner) for name, inner in value.items()}
    return [_short(inner) for inner in value[:1]] if isinstance(value, list) else value
