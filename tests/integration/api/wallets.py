"""Wallets for the API's tests: sign in, sign texts and transactions."""

from __future__ import annotations

import base64
import dataclasses
import time
from typing import Any
from urllib.parse import quote

import httpx
from solders.keypair import Keypair
from solders.transaction import VersionedTransaction

JWT_SECRET = "a secret of at least thirty-two bytes for tests"
#: The settings for signing in; tests send more requests than a user does.
SIGNING_IN = {"JWT_SECRET": JWT_SECRET, "RATE_LIMIT_PER_MINUTE": "0"}


@dataclasses.dataclass
class Wallet:
    """A wallet's key pair."""

    key: Keypair = dataclasses.field(default_factory=Keypair)

    @property
    def address(self) -> str:
        """Its address."""
        return str(self.key.pubkey())

    def sign(self, text: str | bytes) -> str:
        """The signature of a text, in base58."""
        return str(self.key.sign_message(text.encode() if isinstance(text, str) else text))

    def sign_transaction(self, unsigned: str) -> str:
        """A transaction from the API, signed; both in base64."""
        message = VersionedTransaction.from_bytes(base64.b64decode(unsigned)).message
        return base64.b64encode(bytes(VersionedTransaction(message, [self.key]))).decode()

    async def nonce(self, client: httpx.AsyncClient) -> dict[str, Any]:
        """A fresh nonce with its text."""
        answer = await client.get("/api/auth/nonce", params={"wallet": self.address})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def session(self, client: httpx.AsyncClient) -> dict[str, Any]:
        """Create a new session."""
        text = (await self.nonce(client))["message"]
        proof = {"wallet": self.address, "message": text, "signature": self.sign(text)}
        answer = await client.post("/api/auth/verify", json=proof)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def signed_in(self, client: httpx.AsyncClient) -> dict[str, str]:
        """The headers of a wallet that is signed in."""
        return bearer((await self.session(client))["access_token"])

    def in_body(self, *, age_seconds: float = 0) -> dict[str, str]:
        """Return the older proof for a body (protocol.md 6.1)."""
        text = f"Sign this message to authenticate with ZMART: {round((time.time() - age_seconds) * 1000)}"
        return {"message": text, "signature": self.sign(text), "wallet": self.address}

    def in_header(self, *, age_seconds: float = 0) -> dict[str, str]:
        """Return the older proof for a header (protocol.md 6.3)."""
        text = f"Sign in to ZMART\nTimestamp: {round((time.time() - age_seconds) * 1000)}"
        words = f"message={quote(text, safe='')}&signature={self.sign(text)}&wallet={self.address}"
        return {"Authorization": f"Signature {words}"}


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
