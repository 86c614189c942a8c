"""Runs a development chain: the slot clock closes blocks, the actors send transactions, and webhooks are delivered.

The chain's time is the machine's time, multiplied by `pace`. A chain whose time was ahead of the machine's when it
stopped continues from its own time; the time never goes back.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import httpx
import structlog
from solders.hash import Hash

from zmart.domain.ids import Address

from . import vm
from .actors import PlannedTransaction
from .admission import TransactionRejected
from .blocks import Block, Genesis, LandedTransaction
from .cluster import ClusterProfile
from .delivery import DEFAULT_INDEX, Destination, WebhookDelivery
from .faults import WebhookFaults
from .ledger import Ledger
from .market_plans import Tempo
from .metadata_bot import MetadataBot
from .program import Program
from .store import LedgerStore
from .traders import Traders

log = structlog.get_logger()

#: The shortest length of a slot, in seconds, at any pace.
SHORTEST_SLOT_SECONDS: Final = 0.02
#: Seconds of the chain's clock between two rounds of the actors.
ACTOR_SECONDS: Final = 0.4
#: One slot in this many has no block, as when a leader misses its turn.
SKIPPED_ONE_IN: Final = 60
#: The share of a skipped block's transactions that lands again.
RELANDING: Final = 0.5
#: Seconds of the past that one block represents while a new chain catches up with the present.
PAST_SECONDS_PER_BLOCK: Final = 8.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options of a development chain."""

    #: Whether the demo actors run.
    traders: bool = True
    #: The speed of the chain's clock, as a multiple of the machine's.
    pace: float = 1.0
    seed: int = 1
    #: Hours of history that a new chain starts with.
    past_hours: float = 1.0
    tempo: Tempo = field(default_factory=Tempo)
    #: The cluster that the chain plays.
    cluster: ClusterProfile = field(default_factory=ClusterProfile)
    faulty_sells: bool = False
    #: A compiled program to run instead of the model.
    program_file: Path | None = None
    faults: WebhookFaults = field(default_factory=WebhookFaults)
    #: The fields of webhook items that name the place in the block, of `delivery.INDEX_FIELDS`.
    webhook_index: str = DEFAULT_INDEX
    #: Percent of the blocks with transactions that are skipped after they were processed.
    skipped_percent: float = 0.0
    #: Whether a delivery is dropped after failed retries, as Helius does.
    helius_retries: bool = False


class TransactionSender(Protocol):
    """Sends the actors' transactions to the chain."""

    async def send(self, move: PlannedTransaction) -> None:
        """Sign and send; a transaction that the program rejects is not an error."""
        ...


class DirectSender:
    """Submits to the ledger directly, without a network connection."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def send(self, move: PlannedTransaction) -> None:
        """Submit; a transaction that could not land is logged and dropped."""
        try:
            self._ledger.submit(move.sign(self._ledger.blockhash))
        except TransactionRejected as rejected:
            log.info("actor_transaction_rejected", move=move.name, error=rejected.error)


class RpcSender:
    """Signs and sends over JSON-RPC, as any client would."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: httpx.AsyncClient | None = None

    async def send(self, move: PlannedTransaction) -> None:
        """Fetch a blockhash, sign and send; a failure is logged and not retried."""
        try:
            answer = await self._call("getLatestBlockhash", [{"commitment": "processed"}])
            blockhash = Hash.from_string(answer["value"]["blockhash"])
            encoded = base64.b64encode(move.sign(blockhash).raw).decode()
            options = {"encoding": "base64", "skipPreflight": True}
            await self._call("sendTransaction", [encoded, options])
        except (httpx.HTTPError, KeyError, TypeError, ValueError) as error:
            log.warning("actor_send_failed", move=move.name, error=repr(error))

    async def _call(self, method: str, params: list[Any]) -> Any:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=5.0, trust_env=False)
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = await self._client.post(self._url, json=request)
        return answer.json()["result"]


class DevelopmentChain:
    """One running chain."""

    def __init__(
        self,
        directory: Path,
        destination: Destination | None,
        options: Options,
        *,
        program_id: Address,
    ) -> None:
        self.options = options
        self.directory = directory
        self.store = LedgerStore(directory / "ledger.sqlite", program_id=program_id)
        past_seconds = int(options.past_hours * 3600) if options.traders else 0
        genesis = self.store.genesis(int(time.time()) - past_seconds)
        self.ledger = _make_ledger(genesis, options, program_id, self.store)
        self.traders = self._make_traders(program_id) if options.traders else None
        self.sender: TransactionSender = DirectSender(self.ledger)
        self.webhooks = self._make_webhook_delivery(destination)
        #: Publishes the metadata of the markets to an API; None where that is off.
        self.metadata_bot: MetadataBot | None = None
        #: Functions to call with every closed block.
        self.listeners: list[Callable[[Block], None]] = []
        #: Functions to call with every block that was processed and then skipped.
        self.skip_listeners: list[Callable[[Block], None]] = []
        #: Number of markets whose questions are in the file of questions.
        self._questions_written = 0
        self.is_ready = False
        #: While this is true, no slot passes; for tests, and for observing other services meanwhile.
        self.is_frozen = False
        self._acting = asyncio.Lock()
        self._draw = random.Random()  # noqa: S311 - chooses skipped slots, not a secret
        self._began = self._chain_began = 0.0

    def _make_traders(self, program_id: Address) -> Traders:
        return Traders(
            self.ledger,
            self.ledger.genesis,
            program_id=program_id,
            seed=self.options.seed,
            tempo=self.options.tempo,
        )

    def _make_webhook_delivery(self, destination: Destination | None) -> WebhookDelivery | None:
        if destination is None:
            return None
        return WebhookDelivery(
            self.store,
            destination,
            faults=self.options.faults,
            helius_retries=self.options.helius_retries,
            index=self.options.webhook_index,
        )

    @property
    def now(self) -> float:
        """Return the chain's time, in seconds since 1970."""
        return self._chain_began + (time.monotonic() - self._began) * self.options.pace

    def warp(self, seconds: float) -> None:
        """Move the chain's clock forward."""
        self._chain_began += max(0.0, seconds)

    async def run(self) -> None:
        """Run until cancelled; the open block is closed at the end."""
        write_keys(self.directory / "keys", self.traders)
        await self._catch_up()
        self._began, self._chain_began = time.monotonic(), self._current_time()
        self.is_ready = True
        tasks = [asyncio.create_task(self._run_slot_clock())]
        if self.traders is not None:
            tasks.append(asyncio.create_task(self._run_actors(self.traders)))
        tasks += [asyncio.create_task(other.run()) for other in (self.webhooks, self.metadata_bot) if other is not None]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.close_block(int(self.now))
            self.store.close()

    def _current_time(self) -> float:
        return max(time.time(), float(self.ledger.clock.unix_timestamp))

    async def _catch_up(self) -> None:
        """Run the actors of a new chain through its past until the present."""
        now = float(self.ledger.clock.unix_timestamp)
        if self.traders is None or self.traders.config is not None:
            return
        while now < time.time():
            for move in self.traders.step(now):
                await DirectSender(self.ledger).send(move)
            now += PAST_SECONDS_PER_BLOCK * self._draw.uniform(0.5, 1.5)
            self.close_block(int(min(now, time.time())))
            await asyncio.sleep(0)

    async def _run_slot_clock(self) -> None:
        """Close a block every slot, regardless of how busy the actors or the callers are."""
        next_at = time.monotonic()
        while True:
            next_at = max(next_at + self.slot_seconds, time.monotonic())
            await asyncio.sleep(next_at - time.monotonic())
            if not self.is_frozen:
                self.end_slot(int(self.now))

    async def _run_actors(self, traders: Traders) -> None:
        """Run the actors' due transactions at a rate that does not depend on the slots."""
        while True:
            await asyncio.sleep(self.actor_seconds)
            if not self.is_frozen:
                async with self._acting:
                    await self._send_moves(traders)

    async def freeze_and_wait(self) -> None:
        """Stop the slot clock and the actors; actions in progress are complete when this returns."""
        self.is_frozen = True
        async with self._acting:
            pass

    @property
    def slot_seconds(self) -> float:
        """Return the machine's seconds of a slot."""
        return max(self.options.cluster.slot_seconds / self.options.pace, SHORTEST_SLOT_SECONDS)

    @property
    def actor_seconds(self) -> float:
        """Return the machine's seconds between two rounds of the actors."""
        return max(ACTOR_SECONDS / self.options.pace, SHORTEST_SLOT_SECONDS)

    async def _send_moves(self, traders: Traders) -> None:
        for move in traders.step(self.now):
            await self.sender.send(move)
        if traders.markets != self._questions_written:
            self._questions_written = traders.markets
            write_questions(self.directory / "markets.jsonl", traders)

    def end_slot(self, unix_timestamp: int) -> None:
        """Close the open block, or skip it where the options ask for that."""
        if self.ledger.open.transactions and 100 * self._draw.random() < self.options.skipped_percent:
            self.skip_block(relanding=RELANDING)
        else:
            self.close_block(unix_timestamp)

    def skip_block(self, *, relanding: float) -> list[LandedTransaction]:
        """Skip the open block after it was processed, and return its transactions.

        `relanding` is the share of them that lands again in the next block, as when their senders repeat them.
        """
        skipped = self.ledger.skip()
        for listener in self.skip_listeners:
            listener(skipped)
        for landed in skipped.transactions:
            if self._draw.random() < relanding:
                with contextlib.suppress(TransactionRejected):
                    self.ledger.submit(landed.transaction)
        return skipped.transactions

    def close_block(self, unix_timestamp: int) -> Block:
        """Close the open block and notify the listeners and the webhook delivery."""
        skipped = int(self._draw.randrange(SKIPPED_ONE_IN) == 0)
        block = self.ledger.advance(unix_timestamp, skipped_slots=skipped)
        for listener in self.listeners:
            listener(block)
        # An empty block has nothing to deliver; waking the delivery for it would cost two queries a slot.
        if self.webhooks is not None and (block.transactions or self.webhooks.confirmed_slot < 0):
            self.webhooks.notify(self.ledger.confirmed_slot)
        return block


def _make_ledger(genesis: Genesis, options: Options, program_id: Address, store: LedgerStore) -> Ledger:
    if options.program_file is not None:
        file = options.program_file
        return vm.VmLedger(genesis, program_id=program_id, program_file=file, store=store, cluster=options.cluster)
    program = Program(faulty_sells=options.faulty_sells)
    return Ledger(genesis, program_id=program_id, program=program, store=store, cluster=options.cluster)


def write_keys(directory: Path, traders: Traders | None) -> None:
    """Write the actors' keys in the format of the Solana tools, readable only by the owner."""
    if traders is None:
        return
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    cast = traders.actors
    named = {"admin": cast.admin, "backend": cast.backend, "fee-wallet": cast.fee_wallet}
    named |= {f"wallet-{index:02}": wallet for index, wallet in enumerate(cast.wallets)}
    for name, signer in named.items():
        path = directory / f"{name}.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(list(bytes(signer.key))))


def write_questions(path: Path, traders: Traders) -> None:
    """Write the questions of the demo markets, one JSON object per line, with the market id."""
    with path.open("w") as file:
        for number in range(traders.markets):
            plan = traders.plan(number)
            fields = {"market_id": plan.market_id.hex(), **vars(plan.question_text)}
            file.write(json.dumps(fields, ensure_ascii=False) + "\n")
