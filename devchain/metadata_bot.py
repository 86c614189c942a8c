"""Publishes what demo markets and wallets show on their pages to the API, as a frontend's users would.

Each creator signs in with its wallet and sends the document that it anchored when it created the market, a picture, and
the wallet's profile. Markets of one creator become an event. The chain needs none of this. If the API is unavailable,
or does not know a market yet, the bot tries again.
"""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import structlog

from . import demo_profiles
from .market_plans import MarketPlan
from .traders import Traders

log = structlog.get_logger()

PAUSE_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0
#: The most markets that an event of the API has.
MOST_IN_EVENT = 100


class MetadataBot:
    """Publishes each market that the traders create to one API, once."""

    def __init__(self, api: str, traders: Traders, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._api = httpx.AsyncClient(base_url=api, timeout=TIMEOUT_SECONDS, transport=transport, trust_env=False)
        self._traders = traders
        self._tokens: dict[int, str] = {}
        self._published: set[int] = set()
        self._has_profile: set[int] = set()
        #: By creator: the ids of its markets, how many of them its event has, and the event's slug.
        self._markets: dict[int, list[str]] = {}
        self._grouped: dict[int, int] = {}
        self._events: dict[int, str] = {}

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
            for creator, markets in self._markets.items():
                if len(markets) > max(1, self._grouped.get(creator, 0)):
                    await self._group(creator, markets[-MOST_IN_EVENT:])
                    self._grouped[creator] = len(markets)
        except httpx.TransportError:
            return
        except httpx.HTTPStatusError as error:
            # The API may limit requests or be starting; the next round tries again.
            log.debug("metadata_not_published", status=error.response.status_code)

    async def _publish(self, plan: MarketPlan) -> bool:
        """Publish one market and its creator's profile; return whether the API has all of it now."""
        market = plan.market_id.hex()
        path = f"/api/markets/{market}"
        found = await self._api.get(path)
        if found.status_code == httpx.codes.NOT_FOUND:
            return False
        shown = _as_json(found)
        if shown.get("question") != plan.question_text.question:
            await self._send(plan.creator, "POST", f"{path}/metadata", vars(plan.question_text))
        if shown.get("image_url") is None:
            content = base64.b64encode(demo_profiles.picture(plan.question_text.question)).decode()
            await self._send(plan.creator, "PUT", f"{path}/image", {"content": content})
        await self._introduce(plan.creator)
        markets = self._markets.setdefault(plan.creator, [])
        if market not in markets:
            markets.append(market)
        if (slug := shown.get("event_slug")) is not None:
            self._events[plan.creator] = slug
        return True

    async def _introduce(self, creator: int) -> None:
        """Set the profile of a creator."""
        if creator in self._has_profile:
            return
        wallet = self._traders.actors.wallets[creator].address
        profile = {"display_name": demo_profiles.display_name(wallet), "bio": demo_profiles.bio(wallet)}
        if _as_json(await self._api.get(f"/api/users/{wallet}/profile")).get("display_name") is None:
            await self._send(creator, "PATCH", "/api/users/me", profile)
        self._has_profile.add(creator)

    async def _group(self, creator: int, markets: list[str]) -> None:
        """Put the markets of a creator into its event, the newest last."""
        name = demo_profiles.display_name(self._traders.actors.wallets[creator].address)
        event = {"title": f"Questions of {name}", "description": "Markets of one creator.", "markets": markets}
        slug = self._events.get(creator)
        answer = await self._send(
            creator, "POST" if slug is None else "PUT", "/api/events" if slug is None else f"/api/events/{slug}", event
        )
        self._events[creator] = str(answer["slug"])

    async def _send(self, creator: int, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request as a creator, who signs in first if needed; raise HTTPStatusError for a refusal."""
        token = await self._token(creator)
        answer = await self._api.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            del self._tokens[creator]
        return _as_json(answer)

    async def _token(self, creator: int) -> str:
        if creator not in self._tokens:
            wallet = self._traders.actors.wallets[creator]
            nonce = _as_json(await self._api.get("/api/auth/nonce", params={"wallet": wallet.address}))
            message = str(nonce["message"])
            signed = {
                "wallet": wallet.address,
                "message": message,
                "signature": str(wallet.key.sign_message(message.encode())),
            }
            session = _as_json(await self._api.post("/api/auth/verify", json=signed))
            self._tokens[creator] = str(session["access_token"])
        return self._tokens[creator]


def _as_json(answer: httpx.Response) -> dict[str, Any]:
    answer.raise_for_status()
    body: dict[str, Any] = answer.json()
    return body
