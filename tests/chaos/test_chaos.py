"""All faults between a chain and its log at once; the log is correct at the end.

The webhooks are duplicated, delayed, shuffled, dropped and lack their index all the time. On top of that each round
takes the steps of `STEPS`, and in the middle of each either ingest or Postgres is killed: in the first round one, in
the second the other, so that every step is tested with both. Postgres is killed by SIGKILL to the backend of the
writer, after which the server closes all connections, recovers from its log and restarts; ingest by SIGKILL to the
process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from devchain import accounts
from devchain import testing as devchain
from devchain.accounts import MarketRecord, PositionRecord
from devchain.delivery import Destination
from devchain.faults import RpcFault, WebhookFaults
from devchain.market_plans import Tempo
from devchain.service import Options
from ingest import testing as deliveries
from zmart import testing
from zmart.domain import events
from zmart.run import ports
from zmart.run.deploy import rebuild
from zmart.settings import Secret

pytestmark = [pytest.mark.drill, pytest.mark.slow, pytest.mark.timeout(300)]

AUTH_HEADER = "a-proof-for-the-chaos"
TIMEOUT_SECONDS = 60.0
FAULTS = WebhookFaults(
    duplicates=0.2, delays=0.3, delay_seconds=3.0, shuffles=0.7, drops=0.15, missing_index=0.4, seed=4
)
TEMPO = Tempo(
    markets=5, wallets=15, trades_per_second=0.6, proposal_seconds=15, trading_seconds=90, dispute_period_seconds=20
)
SHARED = (
    "b_parameter", "initial_liquidity", "current_liquidity", "shares_yes", "shares_no", "total_volume",
    "accumulated_resolver_fees", "accumulated_lp_fees", "proposal_likes", "proposal_dislikes", "dispute_agree",
    "dispute_disagree", "proposed_outcome", "final_outcome",
)  # fmt: skip
HOLDING = ("shares_yes", "shares_no", "total_invested", "trades_count", "has_claimed", "claimed_amount")


class ChaosStack:
    """A chain, an ingest process that can be killed, and the log between them."""

    def __init__(
        self, node: devchain.DevchainNode, database: testing.PostgresDatabase, folder: Path, port: int
    ) -> None:
        self.node, self.database, self.folder, self.port = node, database, folder, port
        self.process: subprocess.Popen[bytes] | None = None
        #: Number of kills of Postgres.
        self.crashes = 0
        self.forged: list[str] = []

    def start(self) -> None:
        """Start ingest."""
        environ = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DATABASE_URL": self.database.dsn(),
            "DATABASE_URL_INGEST": self.database.dsn("zmart_ingest"),
            "HELIUS_AUTH_HEADER": AUTH_HEADER,
            "INGEST_PORT": str(self.port),
            "DEVCHAIN_PORT": self.node.url.rpartition(":")[2],
            "ZMART_STATE_DIR": str(self.folder),
        }
        with (self.folder / "ingest.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ingest"], cwd=self.folder, env=environ, stdout=log, stderr=log
            )

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Stop ingest, by SIGKILL unless another signal is given."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=20)

    def crash(self) -> bool:
        """Kill the writer's backend, so that the whole server stops and recovers; return whether there was one."""
        writers = self.fetch_all(
            "select pid from pg_stat_activity where application_name = 'zmart ingest writer'"
            " and datname = current_database()"
        )
        with contextlib.suppress(ProcessLookupError):
            for writer in writers:
                os.kill(writer["pid"], signal.SIGKILL)
                return True
        return False

    async def disturb(self, *, is_postgres: bool) -> None:
        """Kill one of the two, and wait until it runs again."""
        if is_postgres:
            await self.wait_until(self.crash, "there is a writer to kill")
            self.crashes += 1
            await self.wait_until(self.is_serving, "Postgres is back")
            return
        self.kill()
        await self.slots(4)
        self.start()
        await self.wait_until(self.is_listening, "ingest is back")

    def is_serving(self) -> bool:
        """Return whether Postgres answers; it does not while it recovers."""
        with contextlib.suppress(psycopg.OperationalError):
            return self.fetch_all("select not pg_is_in_recovery() as is_well") == [{"is_well": True}]
        return False

    def fetch_all(self, query: str) -> list[dict[str, Any]]:
        """Rows of the database."""
        with self.database.connect("postgres") as connection, connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query).fetchall()

    async def wait_until(self, check: Callable[[], bool], description: str) -> None:
        """Wait for a condition; fail with its name and the state of ingest."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not await asyncio.to_thread(check):
            if time.monotonic() > deadline:
                stood = self.fetch_all("select value from ops.cursors where name = 'completeness'")
                pytest.fail(f"{description}: {stood}\n{(self.folder / 'ingest.log').read_text()[-3000:]}")
            await asyncio.sleep(0.2)

    async def slots(self, count: int) -> None:
        """Let this number of slots of the running chain pass."""
        until = self.node.ledger.slot + count
        await self.wait_until(lambda: self.node.ledger.slot >= until, f"{count} slots")

    async def forge(self) -> None:
        """Deliver a forged transaction with a valid proof until it is acknowledged."""
        number = 1_000 + len(self.forged)
        bought = events.SharesBought(b"\7" * 32, deliveries.address(1), True, 10**9, 10**9, 5 * 10**8, 1_762_600_000)
        item = deliveries.item(devchain.PROGRAM_ID, [bought], number=number, slot=self.node.ledger.slot, index=3)
        async with httpx.AsyncClient(trust_env=False) as client:
            while deliveries.signature(number) not in self.forged:
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.post(
                        f"http://127.0.0.1:{self.port}/helius/webhook",
                        content=msgspec.json.encode([item]),
                        headers={"Authorization": AUTH_HEADER},
                    )
                    if answer.status_code == 200:
                        self.forged.append(deliveries.signature(number))
                await self.slots(1)

    def is_listening(self) -> bool:
        """Return whether ingest answers."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/health", trust_env=False).status_code == 200
        return False


@pytest.fixture
async def stack(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[ChaosStack]:
    """A busy chain with the worst webhooks, and a started ingest."""
    port = ports.find_free_port()
    destination = Destination(url=f"http://127.0.0.1:{port}/helius/webhook", authorization=Secret(AUTH_HEADER))
    options = Options(pace=8.0, past_hours=0.01, tempo=TEMPO, faults=FAULTS, seed=4)
    async with devchain.serve(tmp_path / "chain", options, destination=destination) as node:
        stack = ChaosStack(node, marts_database, tmp_path, port)
        stack.start()
        try:
            await stack.wait_until(stack.is_listening, "ingest_listening")
            yield stack
        finally:
            if stack.process is not None and stack.process.poll() is None:
                stack.kill(signal.SIGTERM)


async def busy(stack: ChaosStack) -> None:
    """Only the faults that the webhooks have anyway."""
    await stack.slots(20)


async def forged(stack: ChaosStack) -> None:
    """A forged transaction, delivered with a valid proof."""
    await stack.forge()


async def forked(stack: ChaosStack) -> None:
    """Other blocks replace confirmed ones: their transactions land at another place, or not at all."""
    await stack.node.call("devchain_fork", 2 + 3 * stack.crashes)
    await stack.slots(8)


async def lagging(stack: ChaosStack) -> None:
    """The node answers with errors, then with its state of twenty slots ago."""
    stack.node.server.rpc.faults.add(RpcFault(method="*", count=15, status=503))
    await stack.node.call("devchain_behind", 20)
    await stack.slots(10)
    await stack.node.call("devchain_clear")


async def lying(stack: ChaosStack) -> None:
    """The node lists no transaction and knows none, without an error."""
    stack.node.server.rpc.faults.add(RpcFault(method="getSignaturesForAddress", replaces_result=True, result=[]))
    stack.node.server.rpc.faults.add(RpcFault(method="getTransaction", count=5, replaces_result=True, result=None))
    await stack.slots(8)


STEPS: tuple[Callable[[ChaosStack], Awaitable[None]], ...] = (busy, forged, forked, lagging, lying)


async def test_the_marts_equal_the_chain_after_all_faults(stack: ChaosStack) -> None:
    """Duplicates, shuffles, drops, missing indexes, forgeries, forks, a lagging, wrong and failing node, and kills of
    ingest and Postgres end in marts equal to the accounts, coverage without a gap and no wrong retraction."""
    node = stack.node
    for round_ in range(2):
        for number, step in enumerate(STEPS):
            # Together, so that the kill happens during the step.
            await asyncio.gather(step(stack), stack.disturb(is_postgres=(number + round_) % 2 == 0))
    assert stack.crashes == len(STEPS)
    await stack.slots(10)

    await node.chain.freeze_and_wait()
    await node.call("devchain_clear")
    await node.call("devchain_advance", 40, 0)
    await stack.wait_until(lambda: missed(stack), "everything is fetched, and what is not on the chain is suspected")
    await node.call("devchain_advance", 160, 0)
    await stack.wait_until(lambda: final(stack), "everything is final")
    await stack.wait_until(lambda: settled(stack), "the place of every transaction is known")

    on_chain = {str(one.signature) for one in landed(node) if one.err is None}
    held = {r["signature"] for r in stack.fetch_all(
        "select signature from raw.transactions where retracted_at is null and err is null"
    )}  # fmt: skip
    retracted = {r["signature"] for r in stack.fetch_all(
        "select signature from raw.transactions where retracted_at is not null"
    )}  # fmt: skip
    assert held == on_chain
    assert retracted & on_chain == set()
    assert retracted >= set(stack.forged) != set()
    same(stack)
    assert stack.fetch_all("select max(seq) - count(*) as gaps from raw.feed") == [{"gaps": 0}]
    assert stack.fetch_all(
        "select count(*) as gaps from (select from_slot, lag(to_slot) over (partition by source order by from_slot)"
        " as b from raw.coverage) as c where from_slot <> coalesce(b, -1) + 1"
    ) == [{"gaps": 0}]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


def landed(node: devchain.DevchainNode) -> list[Any]:
    """The program's transactions on the chain as it is now."""
    mentions = node.chain.store.mentions(devchain.PROGRAM_ID, limit=1_000_000)
    return list(mentions)


def missed(stack: ChaosStack) -> bool:
    """Return whether the log contains every success of the chain, and the rest of it are retraction candidates."""
    on_chain = {str(one.signature) for one in landed(stack.node) if one.err is None}
    held = {r["signature"] for r in stack.fetch_all(
        "select signature from raw.transactions where retracted_at is null and err is null"
    )}  # fmt: skip
    suspects = {r["signature"] for r in stack.fetch_all("select signature from raw.retraction_candidates")}
    return held - on_chain == suspects and on_chain <= held


def settled(stack: ChaosStack) -> bool:
    """Return whether no place in a block is provisional any more; it is looked up after the watermark has advanced."""
    (row,) = stack.fetch_all(
        "select count(*) as n from raw.transactions where not order_settled and retracted_at is null"
    )
    return bool(row["n"] == 0)


def final(stack: ChaosStack) -> bool:
    """Return whether the watermark is at the chain's finalized slot."""
    (row,) = stack.fetch_all("select coalesce(raw.finalized_through(), -1) as slot")
    return bool(row["slot"] >= stack.node.ledger.finalized_slot)


def same(stack: ChaosStack) -> None:
    """Compare markets and positions with the program's accounts, field by field."""
    ledger = stack.node.ledger
    records = {a: account.record for a, account in ledger.owned_by(ledger.program_id)}
    held = {a: accounts.record_fields(r) for a, r in records.items() if isinstance(r, MarketRecord)}
    rows = {r["on_chain_address"]: r for r in stack.fetch_all("select * from marts.markets where is_known")}
    assert set(rows) == set(held)
    for address, account in held.items():
        row = rows[address]
        assert {name: row[name] for name in SHARED} == {name: account[name] for name in SHARED}, address
        assert row["state_code"] == int(account["state"])
    positions = [accounts.record_fields(r) for r in records.values() if isinstance(r, PositionRecord)]
    ours = {(r["on_chain_address"], r["user_wallet"]): r for r in stack.fetch_all("select * from marts.positions")}
    assert len(ours) == len(positions)
    for account in positions:
        row = ours[account["market"], account["user"]]
        assert {name: row[name] for name in HOLDING} == {name: account[name] for name in HOLDING}
