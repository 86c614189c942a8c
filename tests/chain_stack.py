"""A development chain with actors, and an ingest whose walks of the chain the test starts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from devchain import delivery
from devchain import testing as devchain
from devchain.blocks import LandedTransaction
from devchain.cluster import TOWER
from devchain.market_plans import Tempo
from devchain.service import DirectSender, Options
from ingest.decode.decoder import Decoder
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync.database import SyncDatabase
from ingest.sync.task import SyncTask
from zmart import testing
from zmart.chain import cluster_facts
from zmart.chain.rpc import RpcClient
from zmart.settings import Cluster

PROGRAM_ID = devchain.PROGRAM_ID
#: Many events in little time, and markets reach their ends.
TEMPO = Tempo(
    markets=4, wallets=12, trades_per_second=1.0, proposal_seconds=10, trading_seconds=60, dispute_period_seconds=20
)
#: Slots from confirmed to finalized, with a margin.
BLOCKS_TO_FINALITY = 40


@dataclass
class ChainStack:
    """Chain, log and the sync task between them."""

    node: devchain.DevchainNode
    database: testing.PostgresDatabase
    sync_task: SyncTask
    pipeline: Pipeline
    client: RpcClient
    sync_database: SyncDatabase

    async def play(self, blocks: int) -> None:
        """Let the actors act for some blocks, without any other activity."""
        chain = self.node.chain
        assert chain.traders is not None
        for _ in range(blocks):
            for move in chain.traders.step(chain.now):
                await DirectSender(chain.ledger).send(move)
            chain.warp(4)
            chain.close_block(int(chain.now))

    async def pass_blocks(self, blocks: int) -> None:
        """Close empty blocks."""
        await self.node.call("devchain_advance", blocks, 0)

    def landed_transactions(self) -> list[LandedTransaction]:
        """Return every transaction of the program on the chain, in order."""
        store = self.node.chain.store
        places = store.undelivered_places(10**9, 10**6)
        return [found for place in places if (found := store.transaction_at(place)) is not None]

    async def deliver(self, landed: Sequence[LandedTransaction], *, index: bool = True) -> None:
        """Deliver transactions as a webhook would."""
        items = [delivery.webhook_item(one) for one in landed]
        for item in items:
            if not index:
                del item["indexWithinBlock"]
        decoded = Decoder(devchain.PROGRAM_ID).decode_items(msgspec.json.encode(item) for item in items)
        await self.pipeline.submit(decoded.transactions, decoded.dead_letters, wanted=decoded.wanted)

    def fetch_all(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with self.database.connect() as connection:
            return connection.execute(query, parameters or None).fetchall()

    def stored_signatures(self) -> set[str]:
        """Return the signatures in the log that are not retracted."""
        return {s for (s,) in self.fetch_all("select signature from raw.transactions where retracted_at is null")}

    def successful_signatures(self) -> set[str]:
        """Return the signatures of the chain's successes."""
        return {str(one.signature) for one in self.landed_transactions() if one.err is None}


@contextlib.asynccontextmanager
async def open_chain_stack(
    folder: Path, database: testing.PostgresDatabase, **options: Any
) -> AsyncIterator[ChainStack]:
    """A chain with a history of some minutes; it stops unless the test advances it."""
    # Every chain of one seed has the same genesis hash, so another test's chain would count as this one.
    cluster_facts.moved_clusters.clear()
    grpc = {name: options.pop(name) for name in ("serves_grpc", "grpc_token") if name in options}
    chain_options = Options(**{"tempo": TEMPO, "past_hours": 0.05, "cluster": TOWER, **options})
    async with devchain.serve(folder, chain_options, **grpc) as node, RpcClient([node.url]) as client:
        await node.chain.freeze_and_wait()

        async def connect() -> Writer:
            return await Writer.connect(database.dsn("zmart_ingest"))

        sync_database = SyncDatabase(database.dsn("zmart_ingest"))
        async with Pipeline(connect) as pipeline:
            sync_task = SyncTask(
                client, sync_database, pipeline, cluster=Cluster.LOCALNET, program_id=devchain.PROGRAM_ID
            )
            try:
                yield ChainStack(node, database, sync_task, pipeline, client, sync_database)
            finally:
                await sync_database.close()
        await asyncio.sleep(0)


def hide_slots(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch, slots: frozenset[int], *, block: Callable[[int], Any]
) -> None:
    """Let the node lose some slots: it lists nothing of them, knows none of their transactions and serves no block."""
    rpc = stack.node.server.rpc
    real = dict(rpc.methods)
    hidden = {str(one.signature) for one in stack.landed_transactions() if one.slot in slots}

    def signatures(params: Any) -> Any:
        return [one for one in real["getSignaturesForAddress"](params) if one["slot"] not in slots]

    def statuses(params: Any) -> Any:
        answer = real["getSignatureStatuses"](params)
        known = zip(params[0], answer["value"], strict=True)
        return answer | {"value": [None if signature in hidden else status for signature, status in known]}

    def transaction(params: Any) -> Any:
        return None if params[0] in hidden else real["getTransaction"](params)

    def served(params: Any) -> Any:
        return block(params[0]) if params[0] in slots else real["getBlock"](params)

    for method, answer in (
        ("getSignaturesForAddress", signatures),
        ("getSignatureStatuses", statuses),
        ("getTransaction", transaction),
        ("getBlock", served),
    ):
        monkeypatch.setitem(rpc.methods, method, answer)
