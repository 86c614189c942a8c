"""Gaps that no node fills: an operator accepts them, finality goes on, and they close when something fills them."""

from __future__ import annotations

import asyncio
import functools
import getpass
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chain_stack
import msgspec
import pytest
from chain_stack import BLOCKS_TO_FINALITY, ChainStack
from scripted_node import ScriptedNode, ScriptedReply, result

from devchain import delivery
from devchain.blocks import LandedTransaction
from devchain.rpc_errors import RpcError
from ingest.commands import gaps as command
from ingest.decode.decoder import Decoder
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync import gaps
from ingest.sync.fetch import Fetcher
from ingest.sync.reconcile import Reconciler
from ingest.sync.task import SyncTask
from zmart import errors, settings, testing
from zmart.chain.rpc import RpcClient
from zmart.run.deploy import rebuild
from zmart.settings import Cluster

#: More than 40 s in all: each test plays and walks a chain of its own.
pytestmark = pytest.mark.drill

WHO, WHY = "operator", "The provider lost its ledger, and no archive has these slots."
#: Slots with transactions that the node loses.
LOST_SLOTS = 3


@dataclass(kw_only=True)
class GapStack:
    """A log whose node has lost the transactions of some slots: delivered ones, or one that was never delivered."""

    stack: ChainStack
    #: The node's genuine methods.
    genuine: dict[str, Callable[[Any], Any]]
    lost: Sequence[LandedTransaction]

    @property
    def signatures(self) -> set[str]:
        """Their signatures."""
        return {str(one.signature) for one in self.lost}

    @property
    def slots(self) -> tuple[int, int]:
        """The first and the last of their slots."""
        return min(one.slot for one in self.lost), max(one.slot for one in self.lost)

    def finder(self, client: RpcClient | None = None) -> gaps.GapFinder:
        """Return a finder, as the command uses one."""
        stack = self.stack
        used = client or stack.client
        return gaps.GapFinder(
            used,
            Reconciler(used, chain_stack.PROGRAM_ID, stack.pipeline, stack.sync_database),
            Fetcher(used, Decoder(chain_stack.PROGRAM_ID), stack.pipeline, stack.sync_database),
            stack.sync_database,
        )

    async def accept(self, *, from_slot: int | None = None, to_slot: int | None = None) -> gaps.AcceptedGap:
        """Accept the gap."""
        first, last = self.slots
        return await self.finder().accept(
            first if from_slot is None else from_slot, last if to_slot is None else to_slot, who=WHO, reason=WHY
        )

    def statuses(self) -> dict[str, bool]:
        """Whether each lost transaction of the log is final."""
        rows = self.stack.fetch_all("select signature, raw.is_final(signature, slot) from raw.transactions")
        return {signature: is_final for signature, is_final in rows if signature in self.signatures}

    def open_alerts(self) -> set[str]:
        """The kinds of open alerts."""
        return {kind for (kind,) in self.stack.fetch_all("select kind from ops.alerts where resolved_at is null")}

    def outcomes(self) -> list[str | None]:
        """The outcomes of the transactions of gaps."""
        return [outcome for (outcome,) in self.stack.fetch_all("select distinct outcome from ops.gap_transactions")]


@pytest.fixture
async def stack(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[ChainStack]:
    """A chain of some minutes, a log that is final up to its head, and no waiting before a gap may be accepted."""
    async with chain_stack.open_chain_stack(tmp_path, marts_database) as stack:
        await stack.pass_blocks(BLOCKS_TO_FINALITY)
        stack.sync_task.gap_watch.probe_seconds = 0.0
        await stack.sync_task.verify()
        yield stack


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap may be accepted at once, and alerts are raised at once."""
    monkeypatch.setattr("ingest.sync.gaps.LEAST_SECONDS", 0.0)
    monkeypatch.setattr("ingest.sync.reconcile.UNLISTED_SECONDS", 0.0)
    monkeypatch.setattr("ingest.sync.fetch.UNFETCHED_SECONDS", 0.0)


def not_available(slot: int) -> Any:
    """A node's answer about a block of a slot that exists."""
    raise RpcError(-32_009, f"Slot {slot} was skipped, or missing in long-term storage")


async def lose_delivered(stack: ChainStack, monkeypatch: pytest.MonkeyPatch) -> GapStack:
    """Deliver transactions whose slots the node then loses."""
    genuine = dict(stack.node.server.rpc.methods)
    await stack.play(10)
    await stack.deliver(stack.landed_transactions())
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    successes = [one for one in stack.landed_transactions() if one.err is None]
    slots = sorted({one.slot for one in successes})[-LOST_SLOTS - 2 : -2]
    lost = [one for one in successes if one.slot in slots]
    chain_stack.hide_slots(stack, monkeypatch, frozenset(range(slots[0], slots[-1] + 1)), block=not_available)
    await stack.sync_task.verify()
    return GapStack(stack=stack, genuine=genuine, lost=lost)


async def lose_undelivered(stack: ChainStack, monkeypatch: pytest.MonkeyPatch) -> GapStack:
    """Let the node list two transactions that were never delivered, and answer null for them."""
    genuine = dict(stack.node.server.rpc.methods)
    await stack.play(10)
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    lost = [one for one in stack.landed_transactions() if one.err is None and names_one_market(one)][-4::2][:2]
    hidden = {str(one.signature) for one in lost}

    def transaction(params: Any) -> Any:
        return None if params[0] in hidden else genuine["getTransaction"](params)

    monkeypatch.setitem(stack.node.server.rpc.methods, "getTransaction", transaction)
    await stack.sync_task.verify()
    return GapStack(stack=stack, genuine=genuine, lost=lost)


def names_one_market(landed: LandedTransaction) -> bool:
    """Whether its event is one of a market that existed before."""
    rows = Decoder(chain_stack.PROGRAM_ID).decode_items([msgspec.json.encode(delivery.webhook_item(landed))])
    names = {event.name for row in rows.transactions for event in row.events}
    return bool(names) and not names & {"MarketCreated", "GlobalConfigUpdated"}


def heal(gap: GapStack) -> None:
    """Let the node serve everything again."""
    gap.stack.node.server.rpc.methods.update(gap.genuine)


def open_second_task(stack: ChainStack, client: RpcClient, pipeline: Pipeline) -> SyncTask:
    """A sync task on other nodes, as after a restart with another SOLANA_RPC_URL."""
    return SyncTask(client, stack.sync_database, pipeline, cluster=Cluster.LOCALNET, program_id=chain_stack.PROGRAM_ID)


async def test_finality_passes_an_accepted_gap_and_nothing_else(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is accepted finality waits and alerts name the command; a part is passed alone. Then finality goes on
    to the head, the alerts close, answers say what is unproven, and the gap's transactions stay confirmed. When the
    node lists them again, the gap is closed and they are final."""
    gap = await lose_delivered(stack, monkeypatch)
    first, last = gap.slots
    standing = stack.sync_task.completeness
    assert (standing.finalized_through or 0) < first
    ((message,),) = stack.fetch_all("select message from ops.alerts where kind = 'unlisted' and resolved_at is null")
    assert "zmart gap list" in message
    (found,) = (await gap.finder().find()).gaps
    assert (found.from_slot, found.to_slot) == (first, last)

    await gap.accept(to_slot=first)
    standing = await stack.sync_task.verify()
    later = min(one.slot for one in gap.lost if one.slot > first)
    assert standing.finalized_through == later - 1
    assert "unlisted" in gap.open_alerts()
    assert stack.sync_task.reconciler.waits_for.startswith(f"slot {later}: a delivered transaction")

    accepted = await gap.accept(from_slot=later)
    standing = await stack.sync_task.verify()

    assert standing.finalized_through == standing.finalized_slot
    assert gap.statuses() == dict.fromkeys(gap.signatures, False)
    others = "select bool_and(raw.is_final(signature, slot)) from raw.transactions where slot < %s"
    assert stack.fetch_all(others, first) == [(True,)]
    assert "unlisted" not in gap.open_alerts()
    assert (standing.unproven_transactions, standing.missing_transactions) == (len(gap.lost), 0)
    assert "2 accepted gaps" in standing.reason
    assert stack.fetch_all("select distinct who, action, reason from ops.audit") == [(WHO, "gap accept", WHY)]
    after_first = len([one for one in gap.lost if one.slot > first])
    assert (accepted.unlisted, accepted.unfetched, accepted.total) == (after_first, 0, after_first)
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []
    with pytest.raises(errors.Conflict, match=f"{WHO} accepted gap 2 .* it is open"):
        await gap.accept(from_slot=later)

    assert (await stack.sync_task.verify()).unproven_transactions == len(gap.lost)
    heal(gap)
    standing = await stack.sync_task.verify()

    assert (standing.unproven_transactions, gap.outcomes()) == (0, ["listed"])
    assert gap.statuses() == dict.fromkeys(gap.signatures, True)
    assert await gaps.accepted_gaps(stack.sync_database) == []
    assert all(one.closed_at for one in await gaps.accepted_gaps(stack.sync_database, shows_all=True))
    with pytest.raises(errors.Conflict, match="was filled on"):
        await gap.accept()


async def test_listed_transactions_that_no_node_serves_are_passed_and_filled_later(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verified_through and finalized_through go on without them. The webhook delivers one, and it is stored although
    its slot is final; a node serves the other. Then the gap is closed and both are final."""
    gap = await lose_undelivered(stack, monkeypatch)
    standing = stack.sync_task.completeness
    assert (standing.verified_through, standing.finalized_through) == (gap.slots[0] - 1, gap.slots[0] - 1)
    await stack.sync_task.fetcher.report()
    assert "unfetched" in gap.open_alerts()

    for found in (await gap.finder().find()).gaps:
        await gap.accept(from_slot=found.from_slot, to_slot=found.to_slot)
    standing = await stack.sync_task.verify()

    await stack.sync_task.fetcher.report()
    assert "unfetched" not in gap.open_alerts()
    assert (standing.verified_through, standing.finalized_through) == (standing.confirmed_slot, standing.finalized_slot)
    assert (standing.unproven_transactions, standing.missing_transactions) == (0, 2)
    named = stack.fetch_all("select distinct cardinality(market_nos) from ops.gap_transactions")
    assert named == [(1,)]

    delivered, served = gap.lost
    await stack.deliver([delivered])
    assert str(delivered.signature) in stack.stored_signatures()
    assert (await stack.sync_task.verify()).missing_transactions == 1
    heal(gap)
    stack.fetch_all("update raw.pending_signatures set next_attempt_at = clock_timestamp() returning 1")
    await stack.sync_task.fetcher.fetch_due()
    standing = await stack.sync_task.verify()
    assert str(served.signature) in stack.stored_signatures()
    assert (standing.missing_transactions, gap.outcomes()) == (0, ["fetched"])
    assert gap.statuses() == dict.fromkeys(gap.signatures, True)
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_what_contradicts_an_accepted_gap_keeps_it_open_until_the_nodes_agree(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node serves blocks that contain the transactions, another one blocks without them: an alert, and nothing is
    proven or retracted. When only blocks without them are left, they are retracted and the gap is closed."""
    gap = await lose_delivered(stack, monkeypatch)
    await gap.accept()
    await stack.sync_task.verify()
    await stack.pass_blocks(160)
    rpc = stack.node.server.rpc

    def block(params: Any) -> Any:
        answer = gap.genuine["getBlock"](params)
        return answer and answer | {"signatures": [one for one in answer["signatures"] if one not in gap.signatures]}

    monkeypatch.setitem(rpc.methods, "getBlock", block)
    second = SecondNode(gap, getSignatureStatuses=rpc.methods["getSignatureStatuses"])

    async def connect() -> Writer:
        return await Writer.connect(stack.database.dsn("zmart_ingest"))

    async with (
        second.node.serving(),
        RpcClient([stack.node.url, second.node.url]) as client,
        Pipeline(connect) as pipeline,
    ):
        standing = await open_second_task(stack, client, pipeline).verify()
    assert standing.unproven_transactions == len(gap.lost)
    assert gap.signatures <= stack.stored_signatures()
    assert gap.open_alerts() >= {"gap_contradicted"}
    assert gap.statuses() == dict.fromkeys(gap.signatures, False)

    await stack.sync_task.verify()
    standing = await stack.sync_task.verify()

    assert not gap.signatures & stack.stored_signatures()
    assert (standing.unproven_transactions, gap.outcomes()) == (0, ["retracted"])
    assert "gap_contradicted" not in gap.open_alerts()
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


class SecondNode:
    """A second node of SOLANA_RPC_URL, which answers as the first one did before it lost anything, or differently."""

    def __init__(self, gap: GapStack, **other: Callable[[Any], Any]) -> None:
        self.node = ScriptedNode()
        methods = gap.genuine | other | {"getRecentPerformanceSamples": lambda _: []}
        self.node.answers.update({name: functools.partial(self._answer, methods[name]) for name in methods})

    @staticmethod
    def _answer(method: Callable[[Any], Any], params: Any) -> ScriptedReply:
        return result(method(params))


def status_of(gap: GapStack, **differing: Any) -> Callable[[Any], Any]:
    """getSignatureStatuses that reports the lost transactions differently."""

    def statuses(params: Any) -> Any:
        answer = gap.genuine["getSignatureStatuses"](params)
        known = zip(params[0], answer["value"], strict=True)
        return answer | {"value": [one and (one | differing if name in gap.signatures else one) for name, one in known]}

    return statuses


FAILED = {"err": {"InstructionError": [0, "Custom"]}}


async def test_a_gap_that_may_be_filled_or_is_contradicted_is_not_accepted(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every refusal is a sentence with the next step, and none of them stores anything."""
    gap = await lose_delivered(stack, monkeypatch)
    first, last = gap.slots
    lost_statuses = stack.node.server.rpc.methods["getSignatureStatuses"]

    def blocks(params: Any) -> Any:
        answer = gap.genuine["getBlock"](params)
        return answer and answer | {"signatures": []}

    not_final = status_of(gap, confirmationStatus="confirmed", confirmations=1)
    for second, sentence in (
        (SecondNode(gap, getSignatureStatuses=status_of(gap, slot=7)), "contradicted. A node has it .* in slot 7"),
        (SecondNode(gap, getSignatureStatuses=status_of(gap, **FAILED)), "contradicted. A node has it .* as failed"),
        (SecondNode(gap, getSignatureStatuses=not_final, getBlock=blocks), "contradicted. One node knows it"),
        (SecondNode(gap, getSignatureStatuses=not_final, getBlock=lambda _: None), "A node knows .* zmart gap list"),
        (SecondNode(gap, getSignatureStatuses=lost_statuses, getBlock=blocks), "prove that .* is not on the chain"),
    ):
        async with second.node.serving(), RpcClient([stack.node.url, second.node.url]) as client:
            with pytest.raises(errors.Conflict, match=sentence):
                await gap.finder(client).accept(first, last, who=WHO, reason=WHY)
    async with RpcClient([stack.node.url, second.node.url]) as client:
        with pytest.raises(errors.Unavailable, match="does not answer, and it might fill the gap"):
            await gap.finder(client).accept(first, last, who=WHO, reason=WHY)
    with monkeypatch.context() as young:
        young.setattr("ingest.sync.gaps.LEAST_SECONDS", 240.0)
        with pytest.raises(errors.Conflict, match=r"for .* s only\. .* Try again in"):
            await gap.accept()

    monkeypatch.setenv(settings.RUN_VARIABLE, "test")
    monkeypatch.setenv("SOLANA_CLUSTER", "localnet")
    monkeypatch.setenv("SOLANA_RPC_URL", stack.node.url)
    monkeypatch.setenv("SOLANA_PROGRAM_ID_CORE", chain_stack.PROGRAM_ID)
    monkeypatch.setenv("DATABASE_URL_INGEST", stack.database.dsn("zmart_ingest"))
    for arguments, status, sentence in (
        ((str(first), str(last), "--reason", "  "), 2, "The reason is empty. Say why"),
        (
            (str(last), str(first), "--reason", WHY),
            2,
            f"Slot {first} is before slot {last}. Run: zmart gap accept {first}",
        ),
        (
            (str(first - 1), str(last), "--reason", WHY),
            2,
            f"beyond the gap, which is slots {first} to {last}. Run:",
        ),
        ((str(last + 1), str(last + 1), "--reason", WHY), 2, "Nothing is missing in slots"),
        (("1", "2", "--reason", WHY), 2, "they are final. See: zmart gap list"),
    ):
        assert await asyncio.to_thread(command.main, ["accept", *arguments]) == status
        assert sentence in capsys.readouterr().err
    assert await asyncio.to_thread(command.main, ["list"]) == 0
    assert f"zmart gap accept {first} {last} --reason TEXT" in capsys.readouterr().out
    monkeypatch.setenv("DATABASE_URL_INGEST", stack.database.dsn("zmart_keeper"))
    assert await asyncio.to_thread(command.main, ["accept", str(first), str(last), "--reason", WHY]) == 2
    assert "may not accept gaps. Run the command as an operator" in capsys.readouterr().err
    assert stack.fetch_all("select count(*) from ops.accepted_gaps, ops.audit") == [(0,)]

    monkeypatch.setenv("DATABASE_URL_INGEST", stack.database.dsn("zmart_ingest"))
    assert await asyncio.to_thread(command.main, ["accept", str(first), str(last), "--reason", WHY]) == 0
    assert f"gap 1, accepted: slots {first} to {last}" in capsys.readouterr().out
    assert stack.fetch_all("select who, subject from ops.audit") == [(getpass.getuser(), f"slots {first} to {last}")]
