"""Only its creator sets a market's metadata; only referenced documents are fetched."""

from __future__ import annotations

import http.server
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import httpx
import pytest
from api_fixtures import CREATOR, Log, market_id, served

from api.auth.service import AuthService
from api.routes import ipfs
from ingest.testing import address
from zmart.domain import cids, questions
from zmart.domain.ids import Address, MarketId

Client = httpx.AsyncClient
SECRET = "a secret of at least thirty-two characters"
TWO = market_id(2)
METADATA = {"question": "Will it snow in Oslo in May?", "category": "science", "tags": ["weather"]}


SMALL = b'{"a": 1}'
#: More than one block, so its CID is that of a tree.
TREE = b"x" * (cids.CHUNK_BYTES + 1)


class Gateway(http.server.BaseHTTPRequestHandler):
    """A gateway with two documents; on request it sends a large file, a redirect, or wrong bytes."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        """Respond with the document of the path."""
        cid = self.path.removeprefix("/ipfs/")
        body = b"x" * (ipfs.MOST_BYTES + 1) if "Large" in cid else self.files.get(cid, SMALL)
        self.send_response(302 if "Moved" in self.path else 200)
        self.send_header("content-length", str(len(body)))
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    """Its address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
async def client(markets: Log, gateway: str) -> AsyncIterator[Client]:
    """The application with signing in and a gateway."""
    configuration = markets.settings(JWT_SECRET=SECRET, RATE_LIMIT_PER_MINUTE="0", IPFS_GATEWAY_URL=gateway)
    async with served(configuration) as found:
        yield found


def of(markets: Log, wallet: str) -> dict[str, str]:
    """Headers of a wallet that is signed in."""
    auth = AuthService(markets.settings(JWT_SECRET=SECRET), None, None)  # type: ignore[arg-type]
    return {"Authorization": f"Bearer {auth.tokens.issue(wallet)}"}


async def test_creator_sets_market_metadata(client: Client, markets: Log) -> None:
    """It is shown and found at once, and the feed has an entry."""
    before = markets.head()[1]
    path = f"/api/markets/{TWO}/metadata"
    response = await client.post(path, json=METADATA, headers=of(markets, address(CREATOR)))
    assert (response.status_code, response.json()["seq"]) == (201, before + 1), response.text
    shown = (await client.get(f"/api/markets/{TWO}")).json()
    assert (shown["question"], shown["category"], shown["tags"]) == (METADATA["question"], "science", ["weather"])
    assert [one["id"] for one in (await client.get("/api/markets?q=snowing")).json()["markets"]] == [TWO]
    kind = markets.owner.execute("select kind from raw.feed where seq = %s", [before + 1]).fetchone()
    assert kind == ("metadata",)


async def test_only_the_creator_sets_market_metadata(client: Client, markets: Log) -> None:
    """403 for another wallet, 401 without a token, and nothing changed."""
    path = f"/api/markets/{TWO}/metadata"
    assert (await client.post(path, json=METADATA, headers=of(markets, address(2)))).status_code == 403
    assert (await client.post(path, json=METADATA)).status_code == 401
    assert (await client.get(f"/api/markets/{TWO}")).json()["question"].startswith("Market ")


async def test_metadata_must_match_the_anchored_document(client: Client, markets: Log) -> None:
    """If the create instruction has a content id, only its document is accepted."""
    creator = Address(address(CREATOR))
    asked = questions.MarketQuestion(market_id=MarketId(TWO), creator=creator, question=str(METADATA["question"]))
    markets.owner.execute("update marts.markets set ipfs_question_hash = %s where id = %s", [asked.cid, TWO])
    path, headers = f"/api/markets/{TWO}/metadata", of(markets, creator)
    assert (await client.post(path, json=METADATA, headers=headers)).status_code == 409
    response = await client.post(path, json={"question": METADATA["question"]}, headers=headers)
    assert (response.status_code, response.json()["question_cid"]) == (201, asked.cid)
    assert (await client.get(f"/api/markets/{TWO}")).json()["question"] == METADATA["question"]


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"question": "short"},
        {"question": "x" * 201},
        {**METADATA, "category": "weather"},
        {**METADATA, "tags": ["a"] * 11},
    ],
)
async def test_unfit_metadata_is_refused(client: Client, markets: Log, sent: dict[str, Any]) -> None:
    """400, with the name of the field."""
    response = await client.post(f"/api/markets/{TWO}/metadata", json=sent, headers=of(markets, address(CREATOR)))
    assert (response.status_code, response.json()["code"]) == (400, "validation_failed")


async def test_only_referenced_documents_are_fetched(client: Client, markets: Log) -> None:
    """A market's evidence is served, any other file is not. A file that is too large or redirects is rejected."""
    good = cids.compute_cid(SMALL)
    large, moved = (f"Qm{word.ljust(44, 'a')}" for word in ("Large", "Moved"))
    assert (await client.get(f"/api/ipfs/{good}")).status_code == 404
    for cid, expected in ((good, 200), (large, 404), (moved, 503)):
        markets.owner.execute("update marts.markets set ipfs_evidence_hash = %s where id = %s", [cid, TWO])
        response = await client.get(f"/api/ipfs/{cid}")
        assert response.status_code == expected, cid
    markets.owner.execute("update marts.markets set ipfs_evidence_hash = %s where id = %s", [good, TWO])
    found = await client.get(f"/api/discussions/ipfs/{good}")
    assert found.content == SMALL
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in found.headers["content-security-policy"]
    for name in ("..%2F..%2Fetc", "Qm", "x" * 46, "QmO" + "0" * 43):
        assert (await client.get(f"/api/ipfs/{name}")).status_code == 404


async def test_a_gateway_that_lies_is_not_passed_on(
    client: Client, markets: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its CID is computed again: a byte more, a byte less, another file, each ends in 503 without the bytes."""
    for true in (SMALL, TREE):
        cid = cids.compute_cid(true)
        markets.owner.execute("update marts.markets set ipfs_evidence_hash = %s where id = %s", [cid, TWO])
        for content, expected in (
            (true, 200),
            (true + b"!", 503),
            (true[:-1], 503),
            (b"", 503),
            (b"<h1>Hello</h1>", 503),
        ):
            monkeypatch.setitem(Gateway.files, cid, content)
            response = await client.get(f"/api/ipfs/{cid}")
            assert response.status_code == expected, (cid, content[:20])
            assert (response.content == content) == (expected == 200)
        assert response.json()["code"] == "unavailable"
        assert "immutable" not in response.headers.get("cache-control", "")


async def test_a_snapshot_is_verified_under_both_of_its_names(
    client: Client, markets: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CIDv1 in base32 is the same as its CIDv0, and is verified as well."""
    cid = cids.to_v1(cids.compute_cid(TREE))
    markets.owner.execute("update marts.markets set ipfs_evidence_hash = %s where id = %s", [cid, TWO])
    for content, expected in ((TREE, 200), (SMALL, 503)):
        monkeypatch.setitem(Gateway.files, cid, content)
        assert (await client.get(f"/api/ipfs/{cid}")).status_code == expected
