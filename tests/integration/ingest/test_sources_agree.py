"""Logs that learned from different sources of one chain end with equal events and equal marts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from chain_stack import BLOCKS_TO_FINALITY, PROGRAM_ID, TEMPO, ChainStack, open_chain_stack
from rich.progress import Progress

from devchain.cluster import TOWER
from devchain.faults import PageFaults
from devchain.grpc_server import StreamFaults
from ingest.commands.backfill import Backfill, SlotRange
from ingest.decode.decoder import Decoder
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync import body_pages
from ingest.sync.database import SyncDatabase
from ingest.sync.grpc_stream import GrpcStream
from ingest.sync.sources import Intake
from ingest.sync.task import SyncTask
from zmart import testing
from zmart.settings import Cluster
from zmart.tasks import cancel_until_done

#: The columns of a row that depend on the order of arrival.
COMPARED = {
    "markets": "market_no, last_seq",
    "trades": "seq, market_no, wallet_no, last_seq",
    "positions": "market_no, wallet_no, last_seq",
    "ballots": "market_no, wallet_no, last_seq",
    "market_lifecycle": "seq, market_no, last_seq",
    "protocol_config": "seq, last_seq",
    "candles_1m": "market_no, last_seq",
    "position_costs": "market_no, wallet_no, last_seq",
}
EVENTS = (
    "select e.order_key, e.name, e.clock, e.payload::text, e.context::text from raw.events as e"
    " where e.retracted_at is null order by e.order_key"
)


@dataclass
class Instance:
    """An ingest with a log of its own."""

    database: testing.PostgresDatabase
    pipeline: Pipeline
    sync_database: SyncDatabase
    stack: ChainStack

    async def follow_stream(self) -> None:
        """Learn the whole chain from a stream with repeats and in wrong order."""
        node = self.stack.node
        node.server.geyser.faults = StreamFaults(window=10**9, repeats=0.3, shuffles=0.5)

        async def nothing() -> int | None:
            return -1

        async def is_ours(slot: int, blockhash: str) -> bool | None:
            return True

        source = GrpcStream(node.grpc_url, None, PROGRAM_ID, proven_slot=nothing, check_block=is_ours)
        last = node.ledger.confirmed_slot
        running = asyncio.create_task(source.run(Intake(Decoder(PROGRAM_ID), self.pipeline)))
        try:
            async with asyncio.timeout(120):
                while (source.newest_slot or 0) < last:
                    node.chain.close_block(int(node.chain.now))
                    await asyncio.wait({running}, timeout=0.02)
                    assert not running.done() or running.result()
        finally:
            await cancel_until_done(running)

    async def backfill(self) -> None:
        """Learn the whole chain from pages with every fault, and the list."""
        node = self.stack.node
        node.server.rpc.node.page_faults = PageFaults(shuffles=0.5, repeats=0.3, drops=0.1, truncations=0.2)
        work = Backfill(self.stack.client, PROGRAM_ID, self.pipeline, self.sync_database, Progress(disable=True))
        done = await work.fill(SlotRange(from_slot=0, to_slot=node.ledger.confirmed_slot))
        assert done.pending == 0

    async def deliver(self) -> None:
        """Learn every second transaction from a webhook, without its place in the block."""
        await replace(self.stack, pipeline=self.pipeline).deliver(self.stack.landed_transactions()[::2], index=False)

    async def walk(self) -> None:
        """Learn from the walk."""
        task = SyncTask(
            self.stack.client, self.sync_database, self.pipeline, cluster=Cluster.LOCALNET, program_id=PROGRAM_ID
        )
        for _ in range(2):
            await task.verify()

    async def everything_at_once(self) -> None:
        """Learn from all of them at the same time."""
        await asyncio.gather(self.follow_stream(), self.backfill(), self.deliver())
        await self.walk()


@pytest.fixture
async def stack(
    tmp_path: Path, marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ChainStack]:
    """A chain of some minutes whose node offers everything."""
    monkeypatch.setattr(body_pages, "MIN_SIGNATURES", 5)
    tempo = replace(TEMPO, v1_percent=30, vault_percent=10)
    async with open_chain_stack(
        tmp_path, marts_database, tempo=tempo, cluster=replace(TOWER, lists_bodies=True), serves_grpc=True
    ) as stack:
        await stack.pass_blocks(BLOCKS_TO_FINALITY)
        yield stack


async def learn(
    stack: ChainStack, database: testing.PostgresDatabase, how: Callable[[Instance], Awaitable[None]]
) -> dict[str, list[Any]]:
    """Fill a log in one way; return its events and the rows of each mart."""

    async def connect() -> Writer:
        return await Writer.connect(database.dsn("zmart_ingest"))

    sync_database = SyncDatabase(database.dsn("zmart_ingest"))
    try:
        async with Pipeline(connect) as pipeline:
            await how(Instance(database, pipeline, sync_database, stack))
    finally:
        await sync_database.close()
    with database.connect() as connection:
        found: dict[str, list[Any]] = {"events": connection.execute(EVENTS).fetchall()}
        for mart, without in COMPARED.items():
            columns = "{" + without.replace(" ", "") + "}"
            found[mart] = connection.execute(
                f"select (to_jsonb(m) - %s::text[])::text from marts.{mart} as m order by 1", (columns,)
            ).fetchall()
    return found


@pytest.mark.drill
async def test_the_stream_alone_a_backfill_alone_and_all_at_once_end_with_equal_marts(
    stack: ChainStack, postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> None:
    """Whatever a log learned from, and with every fault of its sources, it is the same log."""
    results = {}
    for how in (Instance.backfill, Instance.follow_stream, Instance.everything_at_once):
        with postgres_server.clone(marts_template) as database:
            results[how.__name__] = await learn(stack, database, how)

    reference = results["backfill"]
    assert len(reference["events"]) > 50
    assert len(reference["trades"]) > 10
    for name, result in results.items():
        assert {mart for mart, rows in result.items() if rows != reference[mart]} == set(), name
