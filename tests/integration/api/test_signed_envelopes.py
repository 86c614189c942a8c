"""Wallets that sign the off-chain envelope sign in, vote and post; what they signed is compared as any other text."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import api_fixtures
import httpx
import pytest
from api_fixtures import Log, market_id
from wallets import SIGNING_IN, Wallet

MARKET = market_id(2)
_DOMAIN = b"\xffsolana offchain"


def short(wallet: Wallet, text: bytes) -> bytes:
    """As Ledger's app signs it."""
    return _DOMAIN + b"\0\0" + len(text).to_bytes(2, "little") + text


def full(wallet: Wallet, text: bytes) -> bytes:
    """As the specification of version 0 has it."""
    signers = b"\1" + bytes(wallet.key.pubkey())
    return _DOMAIN + b"\0" + b"d" * 32 + b"\0" + signers + len(text).to_bytes(2, "little") + text


def version_1(wallet: Wallet, text: bytes) -> bytes:
    """As version 1 has it."""
    return _DOMAIN + b"\1\1" + bytes(wallet.key.pubkey()) + text


FORMS = [short, full, version_1]
Form = Callable[[Wallet, bytes], bytes]


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application over the three markets, with the older proofs."""
    async with api_fixtures.served(markets.settings(**SIGNING_IN, LEGACY_AUTH="true")) as found:
        yield found


def proof(wallet: Wallet, signed: bytes) -> dict[str, str]:
    """What a wallet returns: the bytes that it signed, and the signature."""
    return {"signed_message": base64.b64encode(signed).decode(), "signature": wallet.sign(signed)}


async def ballot_text(client: httpx.AsyncClient, wallet: Wallet) -> str:
    """The text of a ballot."""
    asked = {"market_id": MARKET, "kind": "proposal", "vote": "true", "wallet": wallet.address}
    found: str = (await client.get("/api/votes/message", params=asked)).json()["message"]
    return found


@pytest.mark.parametrize("form", FORMS)
async def test_an_envelope_signs_in(client: httpx.AsyncClient, form: Form) -> None:
    """The text inside is the nonce's; its nonce works once."""
    wallet = Wallet()
    body = {
        "wallet": wallet.address,
        **proof(wallet, form(wallet, (await wallet.nonce(client))["message"].encode())),
    }
    assert (await client.post("/api/auth/verify", json=body)).status_code == 200
    again = await client.post("/api/auth/verify", json=body)
    assert (again.status_code, "was used before" in again.json()["message"]) == (401, True)


async def test_a_signature_over_an_envelope_signs_in(client: httpx.AsyncClient) -> None:
    """An adapter that returns the signature alone: the text is sent beside it."""
    wallet = Wallet()
    text = (await wallet.nonce(client))["message"]
    body = {"wallet": wallet.address, "message": text, "signature": wallet.sign(short(wallet, text.encode()))}
    assert (await client.post("/api/auth/verify", json=body)).status_code == 200


async def test_the_text_in_an_envelope_is_compared(client: httpx.AsyncClient) -> None:
    """A site that is not ours is refused inside an envelope, too."""
    wallet = Wallet()
    text = (await wallet.nonce(client))["message"].replace("localhost:3000", "evil.example")
    body = {"wallet": wallet.address, **proof(wallet, short(wallet, text.encode()))}
    answer = await client.post("/api/auth/verify", json=body)
    assert (answer.status_code, "Domain" in answer.json()["message"]) == (401, True)


async def test_a_malformed_envelope_is_refused(client: httpx.AsyncClient) -> None:
    """With a sentence that names what is wrong."""
    wallet = Wallet()
    signed = short(wallet, (await wallet.nonce(client))["message"].encode()) + b"!"
    answer = await client.post("/api/auth/verify", json={"wallet": wallet.address, **proof(wallet, signed)})
    assert answer.status_code == 401
    assert "bytes follow" in answer.json()["message"]


@pytest.mark.parametrize("form", FORMS)
async def test_an_envelope_votes(client: httpx.AsyncClient, markets: Log, form: Form) -> None:
    """The ballot's text is stored, with the signed bytes beside it, so that the count can be repeated."""
    wallet = Wallet()
    text = await ballot_text(client, wallet)
    signed = form(wallet, text.encode())
    body: dict[str, Any] = {"market_id": MARKET, "vote": True, "wallet": wallet.address, **proof(wallet, signed)}

    other = await client.post("/api/votes/proposal", json=body | {"vote": False})
    answer = await client.post("/api/votes/proposal", json=body)

    assert (other.status_code, answer.status_code) == (401, 201), answer.text
    stored = markets.owner.execute("select message, signature, envelope from app.ballots").fetchone()
    assert stored == (text, body["signature"], signed)


async def test_an_envelope_votes_in_the_earlier_aggregators_words(client: httpx.AsyncClient) -> None:
    """The same for POST /api/votes/proposal/{market}."""
    wallet = Wallet()
    signed = short(wallet, (await ballot_text(client, wallet)).encode())
    body = {"vote": "like", "publicKey": wallet.address, **proof(wallet, signed)}
    assert (await client.post(f"/api/votes/proposal/{MARKET}", json=body)).status_code == 200


@pytest.mark.parametrize("form", FORMS)
async def test_an_envelope_posts(client: httpx.AsyncClient, form: Form) -> None:
    """The older proof in a body, signed in an envelope, posts a comment; so does one with the signature alone."""
    wallet = Wallet()
    older = wallet.in_body()
    signed = form(wallet, older["message"].encode())
    body = {"content": "Envelopes work.", "wallet": wallet.address, **proof(wallet, signed)}
    answer = await client.post(f"/api/markets/{MARKET}/discussions", json=body)
    assert answer.status_code == 201, answer.text
    cut = body | proof(wallet, signed[:-1] if form is not version_1 else signed[:30])
    assert (await client.post(f"/api/markets/{MARKET}/discussions", json=cut)).status_code == 401


async def test_a_header_carries_an_envelope(client: httpx.AsyncClient) -> None:
    """The older proof in a header, with its bytes in base64."""
    wallet = Wallet()
    text = httpx.QueryParams(wallet.in_header()["Authorization"].partition(" ")[2])["message"]
    words = httpx.QueryParams({"wallet": wallet.address, **proof(wallet, short(wallet, text.encode()))})
    headers = {"Authorization": f"Signature {words}"}
    answer = await client.post(f"/api/markets/{MARKET}/discussions", json={"content": "A header."}, headers=headers)
    assert answer.status_code == 201, answer.text
