"""Measures keepers: a million ballots to a plan, a thousand finalized markets, and a round with nothing due."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.environment import BenchEnvironment
from devchain import builtins, delivery
from devchain import testing as devchain
from devchain.service import Options
from devchain.testing import PROGRAM_ID
from devchain.wire import SigningKey as ChainSigner
from ingest.decode.decoder import Decoder
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync.database import SyncDatabase
from ingest.sync.task import SyncTask
from orchestration.keepers import actions, plans, runner
from orchestration.keepers.intent_store import IntentStore
from orchestration.keepers.plan_inputs import ProtocolConfig, ProvenState, Rules
from orchestration.keepers.reasons import PlanVerdict, Reason
from orchestration.keepers.round_report import RoundReport
from zmart import settings, testing
from zmart.chain import addresses, transactions
from zmart.chain.rpc import RpcClient
from zmart.chain.signer import Signer
from zmart.db import queries
from zmart.domain.ids import Address
from zmart.settings import Cluster, Settings

from .figure import Effort, Figure, Sample, Target
from .not_measured import NotMeasured

sql = queries.load("bench", "keepers.sql")

BALLOTS_PER_MARKET = 100
WALLETS = 50_000
SOL = 1_000_000_000
CID = b"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG"
DISPUTE_PERIOD_SECONDS = 3_600
#: Seconds between verifications, as in ingest on a development chain.
SYNC_SECONDS = 2.0
DELIVERIES_PER_SYNC = 8
#: Transactions in a delivery.
BODY = 100
NOW = 1_761_000_000


class KeepersFigure(Figure):
    """Measures planning, sending and idle rounds."""

    name = "keepers"
    title = "ballots to a plan, due markets to final ones"
    unit = "s"
    targets = (
        Target(label="a million ballots to a plan", bound="at most", value=5.0),
        Target(label="a thousand finalizations, closed", bound="at most", value=120.0),
        Target(label="a round with nothing due", bound="at most", value=1.0),
    )
    method = (
        "`a million ballots` over 10,000 proposals (7 of 10 on chain, the others by 50,000 wallets of which half "
        "were seen) are counted by class and decided row by row, with the digest of the batch's ballots; the chain "
        "is not read. `a thousand finalizations` runs development chain (slots of 0.2 s, Alpenglow), "
        "ingest and keepers in one process on one core: verified, simulated, signed, stored, sent, landed, and "
        "closed when the log contains all events, finalized. `a round with "
        "nothing due` then runs preflight, sweep and plan."
    )
    limit_seconds = 600.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure all three, on separate databases."""
        markets, due = effort.choose(200, 10_000), effort.choose(20, 1_000)
        with env.database() as database:
            _fill(database, markets)
            planned = [asyncio.run(_plan(database, markets)) for _ in range(effort.choose(1, 5) + 1)][1:]
        with env.database() as database:
            closed, idle = asyncio.run(_finalize(env.folder / "keepers", database, due, effort.choose(2, 5)))
        return [
            Sample(label="a million ballots to a plan", unit="s", values=tuple(planned)),
            Sample(label="a thousand finalizations, closed", unit="s", values=(closed,)),
            Sample(label="a round with nothing due", unit="s", values=tuple(idle)),
        ]


# Ballots


def _fill(database: testing.PostgresDatabase, markets: int) -> None:
    sizes = {"markets": markets, "wallets": WALLETS, "each": BALLOTS_PER_MARKET}
    with database.connect() as owner:
        for name in sql:
            statement = getattr(sql, name)
            owner.execute(statement, sizes if "%(" in statement else None)
    with database.connect("postgres") as superuser:
        superuser.execute("vacuum analyze")


async def _plan(database: testing.PostgresDatabase, markets: int) -> float:
    """Return the seconds from the database to a complete plan."""
    task = actions.TASKS["proposal_tallies"]
    progress = ProvenState(
        verified_through=1 << 30, finalized_through=1 << 30, proven_at=NOW, chain_at=NOW, slot=1 << 30, our_at=NOW
    )
    zero_address = Address("1" * 32)
    config = ProtocolConfig(zero_address, zero_address, 7_000, 6_000, 259_200, False)
    async with IntentStore(database.dsn("zmart_keeper")) as store:
        began = time.perf_counter()
        found = await store.markets(task, before=NOW, window_seconds=259_200)
        rows = plans.plan(task, found, proven_state=progress, config=config, rules=_RULES)
        for row in rows[: _RULES.batch_size]:
            assert task.ballots is not None
            await store.ballots(row.market, task.ballots, before=NOW, closing=NOW)
        seconds = time.perf_counter() - began
    due = sum(row.verdict is PlanVerdict.DUE or row.reason is Reason.NEXT_ROUND for row in rows)
    counted = sum(sum(row.market.tally) for row in rows)
    if len(rows) != markets or due != markets // 2 or counted != markets * BALLOTS_PER_MARKET:
        raise NotMeasured(f"The plan has {len(rows)} rows, {due} due, {counted} ballots.")
    return seconds


_RULES = Rules(
    min_proposal_votes=10,
    approval_threshold_bps=7_000,
    dispute_threshold_bps=6_000,
    voting_window_seconds=259_200,
    has_admin=True,
    approves=True,
    activates=True,
    batch_size=10,
)


# Finalizations


async def _finalize(folder: Path, database: testing.PostgresDatabase, due: int, idle: int) -> tuple[float, list[float]]:
    """Return the seconds to finalize `due` markets, and the seconds of each following round with nothing due."""
    async with (
        devchain.serve(folder, Options(traders=False)) as node,
        RpcClient([node.url]) as chain,
        _ingest(database, chain) as (watch, pipeline),
    ):
        stage = _MarketSetup(node)
        stage.create_markets(due)
        deliverer = _Deliverer(node, pipeline)
        await deliverer.deliver()
        await watch.tick()
        final = node.ledger.finalized_slot
        while (watch.completeness.finalized_through or 0) < final:
            await watch.verify()
        configured = _settings(folder, node)
        began = time.perf_counter()
        sync = asyncio.create_task(_sync_loop(watch, deliverer))
        try:
            seconds = await _seconds_to_close(configured, database, due, began)
            return seconds, [await _idle_round_seconds(configured, database) for _ in range(idle)]
        finally:
            sync.cancel()
            await asyncio.wait([sync])


async def _seconds_to_close(configured: Settings, database: testing.PostgresDatabase, due: int, began: float) -> float:
    report = await _run_round(configured, database)
    if len(report.sent) != due:
        raise NotMeasured(f"{len(report.sent)} of {due} were sent; {len(report.rows)} were found.")
    while True:
        async with runner.open_runner(configured, dsn=database.dsn("zmart_keeper")) as keepers:
            await keepers.sweep()
        with database.connect() as connection:
            row = connection.execute("select count(*) from ops.intents where state = 'done'").fetchone()
        if row == (due,):
            break
        if time.perf_counter() - began > 300:
            raise NotMeasured(f"After five minutes {row} of {due} are closed.")
        await asyncio.sleep(0.5)
    seconds = time.perf_counter() - began
    with database.connect() as connection:
        row = connection.execute(
            "select count(*), count(*) filter (where ending = 'landed') from ops.submissions"
        ).fetchone()
    if row != (due, due):
        raise NotMeasured(f"{row} submissions were stored and landed for {due} markets.")
    return seconds


async def _idle_round_seconds(configured: Settings, database: testing.PostgresDatabase) -> float:
    began = time.perf_counter()
    report = await _run_round(configured, database)
    if report.sent or report.skipped:
        raise NotMeasured(f"The round was not idle: {report}")
    return time.perf_counter() - began


async def _run_round(configured: Settings, database: testing.PostgresDatabase) -> RoundReport:
    chosen = [actions.TASKS["market_finalizations"]]
    (report,) = await runner.run_rounds(configured, chosen, is_dry=False, dsn=database.dsn("zmart_keeper"))
    return report


async def _sync_loop(watch: SyncTask, deliverer: _Deliverer) -> None:
    """Do the work of ingest: deliver webhooks as they come, and verify against the chain."""
    while True:
        for _ in range(DELIVERIES_PER_SYNC):
            await deliverer.deliver()
            await asyncio.sleep(SYNC_SECONDS / DELIVERIES_PER_SYNC)
        await watch.verify()


class _Deliverer:
    """Delivers confirmed transactions as webhooks do, but without HTTP."""

    def __init__(self, node: devchain.DevchainNode, pipeline: Pipeline) -> None:
        self._chain, self._pipeline = node.chain, pipeline
        self._decoder = Decoder(PROGRAM_ID)

    async def deliver(self) -> None:
        """Deliver everything that is new."""
        while places := self._chain.store.undelivered_places(self._chain.ledger.confirmed_slot, BODY):
            found = [self._chain.store.transaction_at(place) for place in places]
            items = [msgspec.json.encode(delivery.webhook_item(landed)) for landed in found if landed is not None]
            decoded = self._decoder.decode_items(items)
            await self._pipeline.submit(decoded.transactions, decoded.dead_letters, wanted=decoded.wanted)
            self._chain.store.plan_deliveries([], places[-1])


@contextlib.asynccontextmanager
async def _ingest(database: testing.PostgresDatabase, chain: RpcClient) -> AsyncIterator[tuple[SyncTask, Pipeline]]:
    async def connect() -> Writer:
        return await Writer.connect(database.dsn("zmart_ingest"))

    sync_database = SyncDatabase(database.dsn("zmart_ingest"))
    async with Pipeline(connect) as pipeline:
        yield SyncTask(chain, sync_database, pipeline, cluster=Cluster.LOCALNET, program_id=PROGRAM_ID), pipeline
        await sync_database.close()


def _settings(folder: Path, node: devchain.DevchainNode) -> Settings:
    for name in ("backend", "admin"):
        Signer(node.ledger.genesis.signer(name).key).save(folder / f"{name}.json")
    loaded = settings.load(
        {
            "ZMART_STATE_DIR": str(folder),
            "DATABASE_URL": "postgresql://unused",
            "SOLANA_RPC_URL": node.url,
            "SOLANA_CLUSTER": "localnet",
            "BACKEND_KEYPAIR_PATH": str(folder / "backend.json"),
            "ADMIN_KEYPAIR_PATH": str(folder / "admin.json"),
        }
    )
    return dataclasses.replace(loaded, monitor=dataclasses.replace(loaded.monitor, batch_size=10_000))


class _MarketSetup:
    """Creates, without keepers, markets that are due to be finalized."""

    def __init__(self, node: devchain.DevchainNode) -> None:
        self._ledger, self._chain = node.ledger, node.chain
        self._signer = node.ledger.genesis.signer
        self._count = 0

    def create_markets(self, markets: int) -> None:
        """Create markets and advance them from creation to the end of their dispute period."""
        self._chain.is_frozen = True
        admin, backend, creator = (self._signer(name) for name in ("admin", "backend", "creator"))
        for signer in (admin, backend, creator):
            self._ledger.airdrop(signer.address, 1_000 * SOL)
        authority = {"backend_authority": backend.address}
        self._act(
            "initialize_global_config",
            admin,
            {"admin": admin.address, "protocol_fee_wallet": creator.address},
            authority,
        )
        self._act("update_global_config", admin, {"admin": admin.address}, _CONFIGURATION)
        accounts = [self._open(number, admin, backend, creator) for number in range(markets)]
        self._close(2)
        # Programs read the time of the parent block, so one more block has to close.
        self._close(0)
        for account in accounts:
            args = {"proposed_outcome": True, "ipfs_evidence_hash": CID}
            self._act("resolve_market", creator, {"resolver": creator.address, "market": account}, args)
        self._close(DISPUTE_PERIOD_SECONDS)
        for _ in range(40):
            self._close(0)
        self._chain.is_frozen = False

    def _open(self, number: int, admin: ChainSigner, backend: ChainSigner, creator: ChainSigner) -> Address:
        market_id = number.to_bytes(32, "big")
        account = addresses.market_address(PROGRAM_ID, market_id)
        terms = {"market_id": market_id, "b_parameter": 100 * SOL, "initial_liquidity": SOL, "ipfs_question_hash": CID}
        counts = {"final_likes": 9, "final_dislikes": 1}
        self._act("create_market", creator, {"creator": creator.address}, terms)
        self._act(
            "aggregate_proposal_votes", backend, {"backend_authority": backend.address, "market": account}, counts
        )
        self._act("approve_proposal", admin, {"admin": admin.address, "market": account})
        self._act("activate_market", creator, {"authority": creator.address, "market": account})
        if number % 50 == 0:
            self._close(0)
        return account

    def _act(
        self, name: str, signer: ChainSigner, accounts: Mapping[str, Address], args: Mapping[str, Any] | None = None
    ) -> None:
        self._count += 1
        built = transactions.instruction(name, PROGRAM_ID, accounts, args)
        landed = self._ledger.send([builtins.unit_limit_instruction(200_000 + self._count % 100_000), built], [signer])
        if landed.err is not None:
            raise NotMeasured(f"{name} failed: {landed.err}")

    def _close(self, seconds: int) -> None:
        self._chain.warp(seconds)
        self._chain.close_block(int(self._chain.now))


_CONFIGURATION: dict[str, Any] = {
    "protocol_fee_bps": 300,
    "resolver_reward_bps": 200,
    "liquidity_provider_fee_bps": 500,
    "proposal_approval_threshold": 7_000,
    "dispute_success_threshold": 6_000,
    "min_resolution_delay": None,
    "dispute_period": DISPUTE_PERIOD_SECONDS,
}

FIGURE = KeepersFigure()
