"""Demo creators tell the API what their markets are about, as a frontend's users would.

Each signs in with its wallet, and tells the very document it anchored when it created the market.
Nothing here is needed by the chain: an API that is away, or slow to learn of a market, is asked again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from .traders import Plan, Traders

log = structlog.get_logger()

PAUSE_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0


class Creators:
    """Tells one API of every market that the traders create, once."""

    def __init__(self, api: str, traders: Traders, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._api = httpx.AsyncClient(base_url=api, timeout=TIMEOUT_SECONDS, transport=transport, trust_env=False)
        self._traders = traders
        self._tokens: dict[int, str] = {}
        self._told: set[int] = set()

    async def run(self) -> None:
        """Go on until cancelled."""
        async with self._api:
            while True:
                await self.round()
                await asyncio.sleep(PAUSE_SECONDS)

    async def round(self) -> None:
        """Tell what is not told yet, as far as the API is there and knows the markets."""
        try:
            for number in range(self._traders.markets):
                if number not in self._told and await self._tell(self._traders.plan(number)):
                    self._told.add(number)
        except httpx.TransportError:
            return
        except httpx.HTTPStatusError as error:
            # A limit, a start, a restart: the next round will do.
            log.debug("not_told", status=error.response.status_code)

    async def _tell(self, fate: Plan) -> bool:
        """Whether the API has it now."""
        path = f"/api/markets/{fate.market_id.hex()}"
        known = await self._api.get(path)
        if known.status_code == httpx.codes.NOT_FOUND:
            return False
        if _as_json(known).get("question") == fate.words.question:
            return True
        told = await self._api.post(f"{path}/metadata", json=vars(fate.words), headers=await self._signed_in(fate))
        if told.status_code == httpx.codes.UNAUTHORIZED:
            del self._tokens[fate.creator]
        told.raise_for_status()
        return True

    async def _signed_in(self, fate: Plan) -> Mapping[str, str]:
        if fate.creator not in self._tokens:
            wallet = self._traders.cast.wallets[fate.creator]
            asked = _as_json(await self._api.get("/api/auth/nonce", params={"wallet": wallet.address}))
            message = str(asked["message"])
            signed = {
                "wallet": wallet.address,
                "message": message,
                "signature": str(wallet.key.sign_message(message.encode())),
            }
            session = _as_json(await self._api.post("/api/auth/verify", json=signed))
            self._tokens[fate.creator] = str(session["access_token"])
        return {"Authorization": f"Bearer {self._tokens[fate.creator]}"}


def _as_json(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    said: dict[str, Any] = answer.json()
    return said
