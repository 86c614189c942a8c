"""Measures `zmart backfill`, from a node that lists transactions with their bodies and from one that does not."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from bench.environment import BenchEnvironment
from devchain import testing as devchain
from devchain.cluster import ClusterProfile
from devchain.market_plans import Tempo
from devchain.service import DirectSender, Options
from ingest.commands.backfill import Backfill, SlotRange
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync.database import SyncDatabase
from zmart import testing
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient

from .figure import Effort, Figure, Sample, Target
from .not_measured import NotMeasured

TEMPO = Tempo(markets=6, trades_per_second=4.0, trading_seconds=3_600)
#: Seconds of the chain between two blocks of the history.
BLOCK_SECONDS = 4
#: The requests of a public node for each second.
PER_SECOND = 8.0
WITH_BODIES = "a node that lists with bodies"
WITHOUT = "a node that does not"


class BackfillFigure(Figure):
    """Measures how fast a missing history arrives."""

    name = "backfill"
    title = "transactions a minute of a backfill"
    unit = "tx/min"
    targets = (Target(label=WITH_BODIES, bound="at least", value=20_000.0),)
    method = (
        "A development chain with a history of demo trades stands still, and the work of `zmart backfill` fills an "
        "empty log with all marts from it: list, bodies, order, commits with fsync, coverage. The node serves "
        f"getTransactionsForAddress, or does not. Requests are paced as for a public node, {PER_SECOND:g} a second. "
        "The chain runs in the same process, so its answers are part of the time. Nothing may be missing."
    )
    limit_seconds = 900.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Fill one log for each round and node; the slow node gets a shorter history."""
        rounds = effort.choose(1, 3)
        sizes = {WITH_BODIES: effort.choose(200, 6_000), WITHOUT: effort.choose(50, 200)}
        samples = []
        for name, size in sizes.items():
            values = tuple(
                asyncio.run(_fill(env, env.folder / f"backfill-{len(samples)}-{number}", size, name == WITH_BODIES))
                for number in range(rounds)
            )
            samples.append(Sample(label=name, unit="tx/min", values=values))
        return samples


async def _fill(env: BenchEnvironment, folder: Path, transactions: int, lists_bodies: bool) -> float:
    """Return the transactions a minute of one backfill."""
    cluster = replace(ClusterProfile(), lists_bodies=lists_bodies)
    options = Options(past_hours=0.0, tempo=TEMPO, cluster=cluster)
    with env.database() as database:
        async with devchain.serve(folder, options) as node:
            await node.chain.freeze_and_wait()
            await _play(node, transactions)
            return await _backfill(node, database)


async def _play(node: devchain.DevchainNode, transactions: int) -> None:
    chain = node.chain
    assert chain.traders is not None
    while chain.store.count() < transactions:
        for move in chain.traders.step(chain.now):
            await DirectSender(chain.ledger).send(move)
        chain.warp(BLOCK_SECONDS)
        chain.close_block(int(chain.now))
    for _ in range(2):
        chain.close_block(int(chain.now))


async def _backfill(node: devchain.DevchainNode, database: testing.PostgresDatabase) -> float:
    async def connect() -> Writer:
        return await Writer.connect(database.dsn("zmart_ingest"))

    sync_database = SyncDatabase(database.dsn("zmart_ingest"))
    pacer = RequestPacer(per_second=PER_SECOND, burst=20)
    try:
        async with RpcClient([node.url], pacer=pacer) as client, Pipeline(connect) as pipeline:
            work = Backfill(client, devchain.PROGRAM_ID, pipeline, sync_database, Progress(disable=True))
            began = time.perf_counter()
            done = await work.fill(SlotRange(from_slot=0, to_slot=node.ledger.confirmed_slot))
            seconds = time.perf_counter() - began
    finally:
        await sync_database.close()
    if done.pending or not done.fetched:
        raise NotMeasured(f"{done.pending} transactions are missing after the backfill.")
    return done.fetched / seconds * 60


FIGURE = BackfillFigure()
