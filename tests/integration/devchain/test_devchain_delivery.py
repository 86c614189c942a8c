"""Webhooks: content, proof, and retries without a response."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from devchain.delivery import Destination, WebhookDelivery
from devchain.faults import WebhookFaults
from devchain.ledger import Ledger
from devchain.market_plans import Tempo
from devchain.store import LedgerStore
from devchain.traders import Traders
from zmart.domain.ids import Address
from zmart.settings import Secret

PROGRAM_ID = Address("6s8bbbCS7oNYNnTUHgrPDHG4jqaSrD6MSxQSPVR1rxw")
NOW = 1_762_600_000


class RecordingReceiver:
    """A server that records webhook deliveries and answers with scripted statuses."""

    def __init__(self) -> None:
        self.bodies: list[list[dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []
        #: Statuses for the next bodies; 200 afterwards.
        self.statuses: list[int] = []
        self.port = 0
        self._arrived = asyncio.Condition()

    async def until(self, count: int) -> None:
        """Wait for this number of items."""
        async with asyncio.timeout(30), self._arrived:
            await self._arrived.wait_for(lambda: len(self.signatures) >= count)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}/helius/webhook"

    @property
    def signatures(self) -> list[str]:
        """Return the accepted deliveries, in order of arrival."""
        return [item["transaction"]["signatures"][0] for body in self.bodies for item in body]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                pairs = (line.split(": ", 1) for line in head[1:] if line)
                headers = {name.lower(): value for name, value in pairs}
                raw = await reader.readexactly(int(headers["content-length"]))
                status = self.statuses.pop(0) if self.statuses else 200
                if status == 200:
                    self.bodies.append(orjson.loads(raw))
                    self.headers.append(headers)
                    self.raw.append(raw)
                async with self._arrived:
                    self._arrived.notify_all()
                writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        writer.close()


@pytest.fixture
async def receiver() -> AsyncIterator[RecordingReceiver]:
    """A listening receiver."""
    listening = RecordingReceiver()
    server = await asyncio.start_server(listening.serve, "127.0.0.1", 0)
    listening.port = server.sockets[0].getsockname()[1]
    yield listening
    server.close()


@pytest.fixture
def chain(tmp_path: Path) -> Ledger:
    """A chain with a generated history and a file."""
    opened = LedgerStore(tmp_path / "ledger.sqlite", program_id=PROGRAM_ID)
    chain = Ledger(opened.genesis(NOW), program_id=PROGRAM_ID, store=opened)
    tempo = Tempo(trades_per_second=2.0)
    actors = Traders(chain, chain.genesis, program_id=PROGRAM_ID, tempo=tempo)
    for second in range(NOW, NOW + 160, 4):
        for move in actors.step(second):
            chain.send(move.instructions, move.signers)
        chain.advance(second)
    return chain


@pytest.fixture
def store(chain: Ledger) -> LedgerStore:
    """The chain's file."""
    assert chain.store is not None
    return chain.store


@pytest.fixture
def make_delivery(store: LedgerStore, receiver: RecordingReceiver) -> Callable[..., WebhookDelivery]:
    """Create deliveries, each over a chain whose slots are all confirmed."""

    def made(**options: Any) -> WebhookDelivery:
        secret = Secret("Bearer token")
        destination = Destination(url=receiver.url, authorization=secret)
        delivery = WebhookDelivery(store, options.pop("to", destination), **options)
        delivery.notify(1 << 40)
        return delivery

    return made


def expected(store: LedgerStore) -> list[str]:
    """The program's signatures in the order of the chain."""
    found = [landed.signature for landed in reversed(store.mentions(PROGRAM_ID))]
    assert len(found) > 100
    return list(found)


async def test_everything_arrives_once_and_in_order(
    make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver, store: LedgerStore
) -> None:
    """Without faults: every transaction, also failed ones, each slot's in one body."""
    await make_delivery().drain()
    assert receiver.signatures == expected(store)
    for body in receiver.bodies:
        assert len({item["slot"] for item in body}) == 1
    assert all(headers["authorization"] == "Bearer token" for headers in receiver.headers)


async def test_an_item_has_the_shape_of_a_raw_webhook(
    make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver
) -> None:
    """Protocol.md 8.3: the members of getTransaction, and the index in the block."""
    await make_delivery().drain()
    item = receiver.bodies[-1][0]
    assert {"blockTime", "indexWithinBlock", "meta", "slot", "transaction"} <= item.keys()
    assert {"err", "fee", "innerInstructions", "logMessages", "preBalances"} <= item["meta"].keys()
    message = item["transaction"]["message"]
    assert len(message["accountKeys"]) == len(item["meta"]["postBalances"])
    assert message["instructions"][0].keys() == {"accounts", "data", "programIdIndex"}
    assert message["header"]["numRequiredSignatures"] == 1


async def test_a_body_can_be_signed(make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver) -> None:
    """HMAC-SHA256 in hexadecimal over the bytes that were sent."""
    key = Secret("a key")
    await make_delivery(to=Destination(url=receiver.url, signing_key=key)).drain()
    wanted = hmac.new(b"a key", receiver.raw[0], hashlib.sha256).hexdigest()
    assert receiver.headers[0]["x-helius-signature"] == wanted
    assert "authorization" not in receiver.headers[0]


async def test_what_was_refused_comes_again(
    make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver, store: LedgerStore
) -> None:
    """A rejected body is retried later while others are sent; none is lost."""
    receiver.statuses = [503, 500, 429, 503]
    delivery = make_delivery()
    task = asyncio.create_task(delivery.run())
    await receiver.until(len(expected(store)))
    task.cancel()
    assert sorted(receiver.signatures) == sorted(expected(store))
    assert delivery.refused == 4


async def test_a_restart_forgets_nothing(
    make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver, store: LedgerStore
) -> None:
    """An unanswered body is delivered later by another process over the same file."""
    nowhere = Destination(url="http://127.0.0.1:1/helius/webhook")
    await make_delivery(to=nowhere).drain()
    assert receiver.signatures == []
    again = LedgerStore(store.path, program_id=PROGRAM_ID)
    delivery = WebhookDelivery(again, Destination(url=receiver.url))
    delivery.notify(1 << 40)
    await delivery.drain()
    assert sorted(receiver.signatures) == sorted(expected(store))


async def test_nothing_unconfirmed_is_delivered(
    make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver
) -> None:
    """Only slots up to the confirmed one."""
    delivery = make_delivery()
    delivery.notify(10)
    await delivery.drain()
    slots = [item["slot"] for body in receiver.bodies for item in body]
    assert slots
    assert max(slots) <= 10


async def test_helius_gives_up_after_three_retries(
    make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver, store: LedgerStore
) -> None:
    """At once if the status is 403."""
    receiver.statuses = [403]
    delivery = make_delivery(helius_retries=True)
    await delivery.drain()
    assert delivery.lost == 1
    assert len(receiver.signatures) < len(expected(store))


async def test_duplicates_and_drops_are_as_many_as_asked(
    make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver, store: LedgerStore
) -> None:
    """A third is sent twice, a tenth never; the same seed picks the same ones."""
    faults = WebhookFaults(duplicates=0.3, drops=0.1, seed=4)
    await make_delivery(faults=faults).drain()
    wanted, got = expected(store), receiver.signatures
    missing = set(wanted) - set(got)
    twice = {signature for signature in got if got.count(signature) == 2}
    assert 0.03 < len(missing) / len(wanted) < 0.2
    assert 0.15 < len(twice) / len(wanted) < 0.45


async def test_shuffled_and_delayed_deliveries_all_arrive(
    make_delivery: Callable[..., WebhookDelivery], receiver: RecordingReceiver, store: LedgerStore
) -> None:
    """In another order, some without an index, and complete."""
    faults = WebhookFaults(shuffles=1.0, delays=0.3, delay_seconds=0.5, missing_index=0.2)
    task = asyncio.create_task(make_delivery(faults=faults).run())
    await receiver.until(len(expected(store)))
    task.cancel()
    assert sorted(receiver.signatures) == sorted(expected(store))
    assert receiver.signatures != expected(store)
    items = [item for body in receiver.bodies for item in body]
    assert any("indexWithinBlock" not in item for item in items)


async def test_what_a_fork_dropped_is_not_delivered(
    chain: Ledger, store: LedgerStore, receiver: RecordingReceiver, make_delivery: Callable[..., WebhookDelivery]
) -> None:
    """A planned body whose slot a fork removed is skipped."""
    before = expected(store)
    await make_delivery(to=Destination(url="http://127.0.0.1:1/")).drain()
    lost = {landed.signature for landed in chain.fork(5)} & set(before)
    assert lost
    await make_delivery().drain()
    assert receiver.signatures == [signature for signature in before if signature not in lost]
