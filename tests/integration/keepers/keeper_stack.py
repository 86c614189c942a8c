"""A development chain, an ingest that walks on request, and keepers between them.

Users' actions on chain are real transactions. The log receives them by walking the chain, as ingest does, and no test
writes to the database.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from solders.keypair import Keypair

from devchain import builtins, store
from devchain import testing as devchain
from devchain.accounts import MarketRecord
from devchain.service import Options
from devchain.testing import PROGRAM_ID
from devchain.wire import SigningKey as ChainSigner
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync.database import SyncDatabase
from ingest.sync.task import SyncTask
from orchestration.keepers import actions, runner
from orchestration.keepers.plans import PlanRow
from orchestration.keepers.reasons import PlanVerdict, Reason
from orchestration.keepers.round_report import RoundReport
from orchestration.keepers.submit import Checkpoint, Timing, no_checkpoint
from zmart import settings, testing
from zmart.chain import addresses, transactions
from zmart.chain.rpc import RpcClient
from zmart.chain.signer import Signer
from zmart.domain.ids import Address
from zmart.domain.market import MarketState
from zmart.settings import Cluster, Settings

SOL = 1_000_000_000
CID = b"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG"
DISPUTE_PERIOD = 3_600
WINDOW = 259_200
#: Slots from confirmed to finalized, with a margin.
BLOCKS_TO_FINALITY = 40
OPTIONS = Options(traders=False, pace=20.0)
#: The keepers' timing, but faster.
QUICK = Timing(poll_seconds=0.02, resend_seconds=0.2, wait_seconds=5.0, lease_seconds=30.0, unconfirmed_seconds=600.0)


class KeeperStack:
    """The chain, its users, the log, and settings for keepers."""

    def __init__(
        self,
        folder: Path,
        node: devchain.DevchainNode,
        database: testing.PostgresDatabase,
        sync_task: SyncTask,
        pipeline: Pipeline,
        configured: Settings,
    ) -> None:
        self.folder, self.node, self.database, self.sync_task = folder, node, database, sync_task
        self.pipeline = pipeline
        self.configured = configured
        self._numbers = itertools.count(1)
        self.people = {name: _signer(node, name) for name in ("admin", "backend", "creator", "resolver", "fees")}
        self.voters = [_signer(node, f"voter {number}") for number in range(12)]

    # The chain

    def act(
        self, name: str, who: ChainSigner, role: str, args: Mapping[str, Any] | None = None, **accounts: str
    ) -> None:
        """Send an instruction as a user; it must succeed."""
        given = {role: who.address, **{key: Address(value) for key, value in accounts.items()}}
        built = transactions.instruction(name, PROGRAM_ID, given, dict(args or {}))
        # Equal votes and purchases would otherwise be one transaction.
        landed = self.node.ledger.send([builtins.unit_limit_instruction(200_000 + next(self._numbers)), built], [who])
        assert landed.err is None, (name, landed.err, landed.logs[-3:])

    def initialize_program(self) -> None:
        """Fund all wallets and create the program's configuration."""
        for person in [*self.people.values(), *self.voters]:
            self.node.ledger.airdrop(person.address, 2_000 * SOL)
        admin = self.people["admin"]
        authority = {"backend_authority": self.people["backend"].address}
        fee_wallet = self.people["fees"].address
        self.act("initialize_global_config", admin, "admin", authority, protocol_fee_wallet=fee_wallet)
        self.configure()
        self.pass_blocks(3)

    def configure(self, **changes: Any) -> None:
        """Change the configuration from here on."""
        usual = {
            "protocol_fee_bps": 300,
            "resolver_reward_bps": 200,
            "liquidity_provider_fee_bps": 500,
            "proposal_approval_threshold": 7_000,
            "dispute_success_threshold": 6_000,
            "min_resolution_delay": None,
            "dispute_period": DISPUTE_PERIOD,
        }
        self.act("update_global_config", self.people["admin"], "admin", {**usual, **changes})

    def propose(self, number: int, *, likes: int = 9, dislikes: int = 1) -> Address:
        """Create a market with votes on chain; return its address."""
        market_id = bytes([number]) * 32
        terms = {"market_id": market_id, "b_parameter": 100 * SOL, "initial_liquidity": SOL, "ipfs_question_hash": CID}
        self.act("create_market", self.people["creator"], "creator", terms)
        address = addresses.market_address(PROGRAM_ID, market_id)
        self.vote("submit_proposal_vote", address, likes, dislikes)
        return address

    def vote(self, name: str, market: str, agree: int, disagree: int) -> None:
        """Add this number of votes of either kind, by wallets that have not voted."""
        for index, voter in enumerate(self.voters[: agree + disagree]):
            self.act(name, voter, "user", {"vote": index < agree}, market=market)

    def open(self, number: int) -> Address:
        """Create a market that is traded, without any keeper."""
        market = self.propose(number)
        counts = {"final_likes": 9, "final_dislikes": 1}
        self.act("aggregate_proposal_votes", self.people["backend"], "backend_authority", counts, market=market)
        self.act("approve_proposal", self.people["admin"], "admin", market=market)
        self.act("activate_market", self.people["creator"], "authority", market=market)
        self.pass_blocks(1, seconds=2)
        return market

    def buy(self, market: str, voter: int, *, yes: bool = True) -> None:
        """Buy for one SOL."""
        args = {"outcome": yes, "target_cost": SOL}
        self.act("buy_shares", self.voters[voter], "user", args, market=market, protocol_fee_wallet=self.fees)

    @property
    def fees(self) -> Address:
        """Return the address that receives the protocol's part of trades."""
        return self.people["fees"].address

    def resolve(self, market: str, *, outcome: bool = True) -> None:
        """Propose an outcome."""
        args = {"proposed_outcome": outcome, "ipfs_evidence_hash": CID}
        self.act("resolve_market", self.people["resolver"], "resolver", args, market=market)
        self.pass_blocks(1, seconds=2)

    def dispute(self, market: str, *, agree: int = 0, disagree: int = 0) -> None:
        """Dispute it, and add votes."""
        self.act("initiate_dispute", self.voters[0], "initiator", market=market)
        self.vote("submit_dispute_vote", market, agree, disagree)

    def pass_blocks(self, blocks: int, seconds: int = 0) -> None:
        """Close blocks, each with the clock advanced by this much."""
        chain = self.node.chain
        for _ in range(blocks):
            chain.warp(seconds)
            chain.close_block(int(chain.now))
        if seconds:
            # Programs read the time of the parent block.
            chain.close_block(int(chain.now))

    def pass_time(self, seconds: int) -> None:
        """Advance the clock at once."""
        self.pass_blocks(1, seconds=seconds)

    def market(self, address: str) -> MarketRecord:
        """Return a market's current account."""
        account = self.node.ledger.account(Address(address))
        assert account is not None
        assert isinstance(account.record, MarketRecord)
        return account.record

    def state(self, address: str) -> str:
        """Return a market's current state."""
        return MarketState(self.market(address).state).name

    def landed_signatures(self, market: str, instruction: str) -> list[str]:
        """Return the signatures of every transaction in a block with an instruction for a market, failed ones too."""
        wanted = hashlib.sha256(f"global:{instruction}".encode()).digest()[:8]
        mentioned = self.node.chain.store.mentions(
            Address(market), before=(1 << 40, 0), until=store.FIRST_PLACE, limit=1_000
        )
        found = [self.node.chain.store.transaction(one.signature) for one in mentioned]
        return [
            one.signature
            for one in [*(one for one in found if one is not None), *self.node.ledger.open.transactions]
            for call in one.transaction.resolve()
            if market in one.transaction.keys and call.program_id == PROGRAM_ID and call.data[:8] == wanted
        ]

    # The log

    async def sync_log(self) -> None:
        """Let the chain finalize its blocks, and ingest walk it."""
        self.pass_blocks(BLOCKS_TO_FINALITY)
        await self.sync_task.verify()

    def fetch_all(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with self.database.connect() as connection:
            return connection.execute(query, parameters or None).fetchall()

    def cast(self, market: str, kind: str, ballots: Mapping[str, bool]) -> None:
        """Cast ballots by wallet with the API's own function, as its own role."""
        with psycopg.connect(self.database.dsn("zmart_api")) as api:
            for wallet, vote in ballots.items():
                api.execute("select set_config('zmart.wallet', %s, true)", [wallet])
                api.execute("select app.cast_ballot(%s, %s, %s, 'message', 'signature')", [market, kind, vote])
                api.commit()

    def alerts(self) -> set[tuple[str, str]]:
        """Open alerts."""
        return {
            (str(k), str(s))
            for k, s in self.fetch_all("select kind, subject from ops.alerts where resolved_at is null")
        }

    def intents(self) -> list[tuple[str, str, int]]:
        """Every intent: task, state, attempts."""
        return self.fetch_all("select plan ->> 'task', state, attempts from ops.intents order by intent_no")

    # Keepers

    async def run_keepers(
        self,
        *names: str,
        is_dry: bool = False,
        configured: Settings | None = None,
        timing: Timing = QUICK,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> RoundReport:
        """Run each keeper; return the last report. Blocks are produced in the meantime."""
        async with self.producing_blocks():
            reports = await runner.run_rounds(
                configured or self.configured,
                actions.select_tasks(names),
                is_dry=is_dry,
                timing=timing,
                checkpoint=checkpoint,
                dsn=self.database.dsn("zmart_keeper"),
            )
        return reports[-1]

    async def sweep(self, configured: Settings | None = None, timing: Timing = QUICK) -> Any:
        """Sweep the signed transactions."""
        dsn = self.database.dsn("zmart_keeper")
        async with runner.open_runner(configured or self.configured, timing=timing, dsn=dsn) as keepers:
            return await keepers.sweep()

    @contextlib.asynccontextmanager
    async def producing_blocks(self) -> AsyncIterator[None]:
        """The chain produces blocks by itself inside the block."""
        self.node.chain.is_frozen = False
        try:
            yield
        finally:
            await self.node.chain.freeze_and_wait()

    def environment(self) -> dict[str, str]:
        """Return the variables of a keeper's process."""
        return environment(self.folder, self.node.url, self.database.dsn("zmart_keeper"))

    def with_settings(self, **changes: Any) -> Settings:
        """The settings with other values, by group: `with_settings(voting={"min_proposal_votes": 3})`."""
        groups = {name: replace(getattr(self.configured, name), **values) for name, values in changes.items()}
        return replace(self.configured, **groups)


def reasons(report: RoundReport) -> dict[str, Reason]:
    """Return the reason of each market's row, by address."""
    return {row.market.address: row.reason for row in report.rows}


def row_of(report: RoundReport, market: str) -> PlanRow:
    """A market's row."""
    return next(row for row in report.rows if row.market.address == market)


def due(report: RoundReport) -> Sequence[str]:
    """Return the markets that were sent, or would be."""
    return [row.market.address for row in report.rows if row.verdict is PlanVerdict.DUE]


@contextlib.asynccontextmanager
async def open_keeper_stack(
    folder: Path, database: testing.PostgresDatabase, options: Options = OPTIONS
) -> AsyncIterator[KeeperStack]:
    """A stack with a configured program and a log that contains it; its chain stops unless the test advances it."""
    async with (
        devchain.serve(folder / "chain", options) as node,
        RpcClient([node.url]) as chain,
    ):
        await node.chain.freeze_and_wait()

        async def connect() -> Writer:
            return await Writer.connect(database.dsn("zmart_ingest"))

        sync_database = SyncDatabase(database.dsn("zmart_ingest"))
        async with Pipeline(connect) as pipeline:
            sync_task = SyncTask(chain, sync_database, pipeline, cluster=Cluster.LOCALNET, program_id=PROGRAM_ID)
            stack = KeeperStack(folder, node, database, sync_task, pipeline, _settings(folder, node, database))
            try:
                stack.initialize_program()
                await sync_task.tick()
                yield stack
            finally:
                await sync_database.close()


def environment(folder: Path, url: str, dsn: str) -> dict[str, str]:
    """The variables of a keeper's process; its keys are files in `folder`."""
    return {
        "ZMART_STATE_DIR": str(folder),
        "DATABASE_URL_KEEPER": dsn,
        "SOLANA_RPC_URL": url,
        "SOLANA_CLUSTER": "localnet",
        "BACKEND_KEYPAIR_PATH": str(folder / "backend.json"),
        "ADMIN_KEYPAIR_PATH": str(folder / "admin.json"),
    }


def _settings(folder: Path, node: devchain.DevchainNode, database: testing.PostgresDatabase) -> Settings:
    for name in ("backend", "admin"):
        Signer(_keypair(node, name)).save(folder / f"{name}.json")
    return settings.load(environment(folder, node.url, database.dsn("zmart_keeper")))


def _keypair(node: devchain.DevchainNode, name: str) -> Keypair:
    return node.ledger.genesis.signer(name).key


def _signer(node: devchain.DevchainNode, name: str) -> ChainSigner:
    return node.ledger.genesis.signer(name)
