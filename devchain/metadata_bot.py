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

from .market_plans import MarketPlan
from .traders import Traders

log = structlog.get_logger()

PAUSE_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0


class MetadataBot:
    """Tells one API of every market that the traders create, once."""

    def __init__(self, api: str, traders: Traders, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._api = httpx.AsyncClient(base_url=api, timeout=TIMEOUT_SECONDS, transport=transport, trust_env=False)
        self._traders = traders
        self._tokens: dict[int, str] = {}
        self._published: set[int] = set()

    async def run(self) -> None:
        """Go on until cancelled."""
        async with self._api:
            while True:
                await self.publish_pending()
                await asyncio.sleep(PAUSE_SECONDS)

    async def publish_pending(self) -> None:
        """Tell what is not told yet, as far as the API is there and knows the markets."""
        try:
            for number in range(self._traders.markets):
                if number not in self._published and await self._publish(self._traders.plan(number)):
                    self._published.add(number)
        except httpx.TransportError:
            return
        except httpx.HTTPStatusError as error:
            # A limit, a start, a restart: the next round will do.
            log.debug("metadata_not_published", status=error.response.status_code)

    async def _publish(self, plan: MarketPlan) -> bool:
        """Whether the API has it now."""
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
