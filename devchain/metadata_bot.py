"""Publishes the metadata of demo markets to the API, as a frontend's users would.

Each creator signs in with its wallet and sends the document that it anchored when it created the market. The chain
needs none of this. If the API is unavailable, or does not know a market yet, the bot tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import structlog

from .market_plans import MarketPlan
from .traders import Traders

log = structlog.get_logger()

PAUSE_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0


class MetadataBot:
    """Publishes each market that the traders create to one API, once."""

    def __init__(self, api: str, traders: Traders, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._api = httpx.AsyncClient(base_url=api, timeout=TIMEOUT_SECONDS, transport=transport, trust_env=False)
        self._traders = traders
        self._tokens: dict[int, str] = {}
        self._published: set[int] = set()

    async def run(self) -> None:
        """Publish until cancelled."""
        async with self._api:
            while True:
                await self.publish_pending()
                await asyncio.sleep(PAUSE_SECONDS)

    async def publish_pending(self) -> None:
        """Publish the markets that are not published yet, if the API is available and knows them."""
        try:
            for number in range(self._traders.markets):
                if number not in self._published and await self._publish(self._traders.plan(number)):
                    self._published.add(number)
        except httpx.TransportError:
            return
        except httpx.HTTPStatusError as error:
            # The API may limit requests or be starting; the next round tries again.
            log.debug("metadata_not_published", status=error.response.status_code)

    async def _publish(self, plan: MarketPlan) -> bool:
        """Publish one market; return whether the API has its metadata now."""
        path = f"/api/markets/{plan.market_id.hex()}"
        found = await self._api.get(path)
        if found.status_code == httpx.codes.NOT_FOUND:
            return False
        if _as_json(found).get("question") == plan.question_text.question:
            return True
        response = await self._api.post(
            f"{path}/metadata", json=vars(plan.question_text), headers=await self._authorization(plan)
        )
        if response.status_code == httpx.codes.UNAUTHORIZED:
            del self._tokens[plan.creator]
        response.raise_for_status()
        return True

    async def _authorization(self, plan: MarketPlan) -> Mapping[str, str]:
        if plan.creator not in self._tokens:
            wallet = self._traders.actors.wallets[plan.creator]
            nonce = _as_json(await self._api.get("/api/auth/nonce", params={"wallet": wallet.address}))
            message = str(nonce["message"])
            signed = {
                "wallet": wallet.address,
                "message": message,
                "signature": str(wallet.key.sign_message(message.encode())),
            }
            session = _as_json(await self._api.post("/api/auth/verify", json=signed))
            self._tokens[plan.creator] = str(session["access_token"])
        return {"Authorization": f"Bearer {self._tokens[plan.creator]}"}


def _as_json(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body
