"""Delivers webhooks in Helius's form: raw transactions in JSON arrays, at least once, in no guaranteed order.

Pending deliveries are in the ledger's file. Planning a body and moving the cursor past its transactions is one
database transaction, and a body is deleted when it was answered with success. So a restart on either side loses
nothing. Helius itself drops a delivery after three retries about a second apart (protocol.md 8.3); `helius_retries`
does the same, and the default never drops one.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import time
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson
import structlog

from zmart.settings import Secret

from . import views
from .blocks import LandedTransaction
from .faults import WebhookFaults
from .store import LedgerStore, PendingDelivery, Place

log = structlog.get_logger()

#: Transactions in one body.
BATCH: Final = 25
#: Retries of Helius, and the seconds between them (protocol.md 8.3).
HELIUS_RETRIES: Final = 3
HELIUS_RETRY_SECONDS: Final = 1.0
#: The one status that Helius does not retry.
FORBIDDEN: Final = 403
#: Seconds between attempts for a body that was rejected: the first wait, doubled up to the last.
BACKOFF_SECONDS: Final = (0.25, 30.0)
#: Seconds to wait when the server cannot be reached: the first wait, doubled up to the last.
UNREACHABLE_BACKOFF_SECONDS: Final = (0.1, 2.0)
ANSWER_TIMEOUT_SECONDS: Final = 10.0


#: The fields that name a transaction's place in its block, by the setting.
INDEX_FIELDS: Final = {
    "within-block": ("indexWithinBlock",),
    "transaction": ("transactionIndex",),
    "both": ("indexWithinBlock", "transactionIndex"),
    "none": (),
}
DEFAULT_INDEX: Final = "within-block"


def webhook_item(landed: LandedTransaction, index: str = DEFAULT_INDEX) -> dict[str, Any]:
    """Return a transaction as one element of a raw webhook's array (protocol.md 8.3); `index` is of INDEX_FIELDS."""
    return {
        "blockTime": landed.block_time,
        **dict.fromkeys(INDEX_FIELDS[index], landed.index),
        "meta": views.meta_json(landed),
        "slot": landed.slot,
        "transaction": views.message_json(landed.transaction),
        "version": views.version_json(landed.transaction),
    }


@dataclass(frozen=True, kw_only=True)
class Destination:
    """The URL that receives the bodies, and the secrets that prove their origin."""

    url: str
    #: The value of the `Authorization` header, as Helius sends it.
    authorization: Secret | None = None
    #: Key of HMAC-SHA256 over the body, in `x-helius-signature`.
    signing_key: Secret | None = None

    def headers(self, body: bytes) -> dict[str, str]:
        """Return the headers of a body."""
        headers = {"Content-Type": "application/json"}
        if self.authorization is not None:
            headers["Authorization"] = self.authorization.reveal()
        if self.signing_key is not None:
            key = self.signing_key.reveal().encode()
            headers["x-helius-signature"] = hmac.new(key, body, hashlib.sha256).hexdigest()
        return headers


class WebhookDelivery:
    """Plans bodies for new blocks and posts them until they are answered."""

    def __init__(
        self,
        store: LedgerStore,
        destination: Destination,
        *,
        faults: WebhookFaults | None = None,
        helius_retries: bool = False,
        batch: int = BATCH,
        index: str = DEFAULT_INDEX,
    ) -> None:
        self._store = store
        self._destination = destination
        self._faults = faults or WebhookFaults()
        self._gives_up = helius_retries
        self._batch = batch
        self._index = index
        self._wake = asyncio.Event()
        self._unreachable_backoff = 0.0
        #: Numbers of bodies answered with success, rejected, and dropped, since the start.
        self.delivered = self.refused = self.lost = 0
        #: The newest slot whose transactions may be delivered.
        self.confirmed_slot = -1

    def notify(self, confirmed_slot: int) -> None:
        """Record that blocks up to a slot are confirmed, and wake the delivery."""
        self.confirmed_slot = confirmed_slot
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:
                self._wake.clear()
                self._plan()
                await self._post_due(client)
                await self._wait()

    async def drain(self) -> None:
        """Deliver the due bodies once; for tests and for the end of a warm-up."""
        async with httpx.AsyncClient(timeout=ANSWER_TIMEOUT_SECONDS, trust_env=False) as client:
            self._plan()
            await self._post_due(client)

    def _plan(self) -> None:
        while places := self._store.undelivered_places(self.confirmed_slot, 2_000):
            now = time.time()
            bodies = self._faults.plan_bodies(places, now=now, batch=self._batch)
            self._store.plan_deliveries(bodies, places[-1])

    async def _wait(self) -> None:
        """Wait until a block is confirmed or a body is due; after a connection failure, wait for the backoff."""
        due_at = self._store.next_due_at()
        seconds = None if due_at is None else max(0.0, due_at - time.time())
        if seconds is not None:
            seconds = max(seconds, self._unreachable_backoff)
        if self._unreachable_backoff:
            await asyncio.sleep(self._unreachable_backoff)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)

    async def _post_due(self, client: httpx.AsyncClient) -> None:
        while deliveries := self._store.due_deliveries(time.time(), 20):
            for delivery in deliveries:
                if not await self._post(client, delivery):
                    return

    async def _post(self, client: httpx.AsyncClient, delivery: PendingDelivery) -> bool:
        """Post one body; return False where the server cannot be reached, so that the others are not tried."""
        body = self._body(delivery.places)
        if body is None:
            self._store.finish_delivery(delivery)
            return True
        try:
            answer = await client.post(self._destination.url, content=body, headers=self._destination.headers(body))
        except httpx.HTTPError as error:
            self._on_unreachable(delivery, error)
            return False
        self._unreachable_backoff = 0.0
        self._on_answer(delivery, answer.status_code)
        return True

    def _body(self, places: list[Place]) -> bytes | None:
        """Return the JSON array, or None where a fork has since dropped all of its transactions."""
        found = ((place, self._store.transaction_at(place)) for place in places)
        items = [self._item(place, landed) for place, landed in found if landed is not None]
        return orjson.dumps(items) if items else None

    def _item(self, place: Place, landed: LandedTransaction) -> dict[str, Any]:
        is_missing = self._faults.has_fault("missing_index", place)
        return webhook_item(landed, "none" if is_missing else self._index)

    def _on_answer(self, delivery: PendingDelivery, status: int) -> None:
        if 200 <= status < 300:
            self.delivered += 1
            self._store.finish_delivery(delivery)
            return
        self.refused += 1
        log.warning("webhook_delivery_refused", status=status, attempts=delivery.attempts + 1)
        self._retry(delivery, is_final=status == FORBIDDEN)

    def _on_unreachable(self, delivery: PendingDelivery, error: httpx.HTTPError) -> None:
        shortest, longest = UNREACHABLE_BACKOFF_SECONDS
        if not self._unreachable_backoff:
            log.info("webhook_unreachable", url=self._destination.url, error=repr(error))
        self._unreachable_backoff = min(max(2 * self._unreachable_backoff, shortest), longest)
        if self._gives_up:
            self._retry(delivery, is_final=False)

    def _retry(self, delivery: PendingDelivery, *, is_final: bool) -> None:
        if self._gives_up and (is_final or delivery.attempts >= HELIUS_RETRIES):
            self.lost += 1
            log.warning("webhook_delivery_dropped", slot=delivery.places[0].slot)
            self._store.finish_delivery(delivery)
            return
        shortest, longest = BACKOFF_SECONDS
        seconds = min(shortest * 2.0**delivery.attempts, longest)
        if self._gives_up:
            seconds = HELIUS_RETRY_SECONDS
        self._store.postpone_delivery(delivery, time.time() + seconds)
