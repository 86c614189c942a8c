"""Gaps that no node fills: an operator accepts them, finality goes on, and they close when something fills them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chain_stack
import pytest
from chain_stack import BLOCKS_TO_FINALITY, ChainStack
from scripted_node import ScriptedNode, ScriptedReply, result

from devchain.blocks import LandedTransaction
from devchain.rpc_errors import RpcError
from ingest.decode.decoder import Decoder
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync import gaps
from ingest.sync.fetch import Fetcher
from ingest.sync.reconcile import Reconciler
from ingest.sync.task import SyncTask
from zmart import errors, testing
from zmart.chain.rpc import RpcClient
from zmart.run.deploy import rebuild
from zmart.settings import Cluster

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
    """Let the node list one transaction that was never delivered, and answer null for it."""
    genuine = dict(stack.node.server.rpc.methods)
    await stack.play(10)
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    lost = [one for one in stack.landed_transactions() if one.err is None][-3]

    def transaction(params: Any) -> Any:
        return None if params[0] == str(lost.signature) else genuine["getTransaction"](params)

    monkeypatch.setitem(stack.node.server.rpc.methods, "getTransaction", transaction)
    await stack.sync_task.verify()
    return GapStack(stack=stack, genuine=genuine, lost=[lost])


def heal(gap: GapStack) -> None:
    """Let the node serve everything again."""
    gap.stack.node.server.rpc.methods.update(gap.genuine)


async def test_finality_passes_an_accepted_gap_and_nothing_else(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it is accepted finality waits and alerts name the command. Then it goes on to the head, the alerts close,
    answers say what is unproven, and the gap's own transactions stay confirmed while all others are final."""
    gap = await lose_delivered(stack, monkeypatch)
    first, last = gap.slots
    standing = stack.sync_task.completeness
    assert (standing.finalized_through or 0) < first
    ((message,),) = stack.fetch_all("select message from ops.alerts where kind = 'unlisted' and resolved_at is null")
    assert "zmart gap list" in message
    (found,) = (await gap.finder().find()).gaps
    assert (found.from_slot, found.to_slot) == (first, last)

    accepted = await gap.accept()
    standing = await stack.sync_task.verify()

    assert standing.finalized_through == standing.finalized_slot
    assert gap.statuses() == dict.fromkeys(gap.signatures, False)
    assert stack.fetch_all(
        "select bool_and(raw.is_final(signature, slot)) from raw.transactions where slot < %s", first
    )
    assert "unlisted" not in gap.open_alerts()
    assert (standing.unproven_transactions, standing.missing_transactions) == (len(gap.lost), 0)
    assert "accepted gap" in standing.reason
    assert stack.fetch_all("select who, action, reason, audit_no from ops.audit") == [(WHO, "gap accept", WHY, 1)]
    assert (accepted.unlisted, accepted.unfetched, accepted.total) == (len(gap.lost), 0, len(gap.lost))
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_a_later_delivery_in_the_same_slots_is_not_covered(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What arrives in the slots of an accepted gap before finality passes it still holds finality."""
    gap = await lose_delivered(stack, monkeypatch)
    await gap.accept(to_slot=gap.slots[0])

    standing = await stack.sync_task.verify()

    later = min(one.slot for one in gap.lost if one.slot > gap.slots[0])
    assert standing.finalized_through == later - 1
    assert "unlisted" in gap.open_alerts()
    assert stack.sync_task.reconciler.waits_for.startswith(f"slot {later}: a delivered transaction")


async def test_a_node_that_lists_the_transactions_again_closes_the_gap(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statuses of any node prove them although the list begins above them; then they are final."""
    gap = await lose_delivered(stack, monkeypatch)
    await gap.accept()
    await stack.sync_task.verify()
    assert (await stack.sync_task.verify()).unproven_transactions == len(gap.lost)
    heal(gap)

    standing = await stack.sync_task.verify()

    assert (standing.unproven_transactions, gap.outcomes()) == (0, ["listed"])
    assert gap.statuses() == dict.fromkeys(gap.signatures, True)
    assert await gaps.accepted_gaps(stack.sync_database) == []
    (closed,) = await gaps.accepted_gaps(stack.sync_database, shows_all=True)
    assert closed.closed_at is not None
    with pytest.raises(errors.Conflict, match="was filled on"):
        await gap.accept()


async def test_a_listed_transaction_that_no_node_serves_is_passed_and_fetched_later(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """verified_through and finalized_through go on without it; a node that serves it closes the gap."""
    gap = await lose_undelivered(stack, monkeypatch)
    standing = stack.sync_task.completeness
    assert (standing.verified_through, standing.finalized_through) == (gap.slots[0] - 1, gap.slots[0] - 1)
    await stack.sync_task.fetcher.report()
    assert "unfetched" in gap.open_alerts()

    await gap.accept()
    standing = await stack.sync_task.verify()

    await stack.sync_task.fetcher.report()
    assert "unfetched" not in gap.open_alerts()
    assert (standing.verified_through, standing.finalized_through) == (standing.confirmed_slot, standing.finalized_slot)
    assert (standing.unproven_transactions, standing.missing_transactions) == (0, 1)

    heal(gap)
    stack.fetch_all("update raw.pending_signatures set next_attempt_at = clock_timestamp() returning 1")
    await stack.sync_task.fetcher.fetch_due()
    standing = await stack.sync_task.verify()
    assert (standing.missing_transactions, gap.outcomes()) == (0, ["fetched"])
    assert gap.statuses() == dict.fromkeys(gap.signatures, True)
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_a_delivery_fills_a_gap_in_slots_that_are_final(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The webhook delivers what no node serves: it is stored, although its slot is final; another one is not."""
    gap = await lose_undelivered(stack, monkeypatch)
    await gap.accept()
    await stack.sync_task.verify()

    await stack.deliver(gap.lost)

    assert gap.signatures <= stack.stored_signatures()
    standing = await stack.sync_task.verify()
    assert (standing.missing_transactions, gap.outcomes()) == (0, ["fetched"])


async def test_a_gap_of_transactions_that_never_were_is_retracted(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that serves the blocks without them proves them absent after the gap was accepted."""
    gap = await lose_delivered(stack, monkeypatch)
    await gap.accept()
    await stack.sync_task.verify()
    await stack.pass_blocks(160)
    rpc = stack.node.server.rpc

    def block(params: Any) -> Any:
        answer = gap.genuine["getBlock"](params)
        return answer and answer | {"signatures": [one for one in answer["signatures"] if one not in gap.signatures]}

    monkeypatch.setitem(rpc.methods, "getBlock", block)
    await stack.sync_task.verify()
    standing = await stack.sync_task.verify()

    assert not gap.signatures & stack.stored_signatures()
    assert (standing.unproven_transactions, gap.outcomes()) == (0, ["retracted"])
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


class SecondNode:
    """A second node of SOLANA_RPC_URL, which answers as the first one did before it lost anything, or differently."""

    def __init__(self, gap: GapStack, **other: Callable[[Any], Any]) -> None:
        self.node = ScriptedNode()
        methods = gap.genuine | other
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


@pytest.mark.parametrize("kind", ["unlisted", "unfetched"])
@pytest.mark.parametrize(
    ("differing", "sentence"),
    [({"slot": 7}, "in slot 7"), ({"err": {"InstructionError": [0, "Custom"]}}, "as failed")],
    ids=["another slot", "failed"],
)
async def test_a_contradiction_is_not_accepted(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch, kind: str, differing: dict[str, Any], sentence: str
) -> None:
    """A second node that reports the transactions differently makes the gap a contradiction, before and after."""
    lose = lose_delivered if kind == "unlisted" else lose_undelivered
    gap = await lose(stack, monkeypatch)
    second = SecondNode(gap, getSignatureStatuses=status_of(gap, **differing), getTransaction=lambda _: None)
    async with second.node.serving(), RpcClient([stack.node.url, second.node.url]) as client:
        with pytest.raises(errors.Conflict, match=sentence):
            await gap.finder(client).accept(*gap.slots, who=WHO, reason=WHY)
    assert stack.fetch_all("select count(*) from ops.accepted_gaps") == [(0,)]


async def test_a_contradiction_keeps_an_accepted_gap_open_and_is_reported(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One node serves blocks that contain the transactions, another one blocks without them: neither counts."""
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
        both = SyncTask(
            client, stack.sync_database, pipeline, cluster=Cluster.LOCALNET, program_id=chain_stack.PROGRAM_ID
        )
        standing = await both.verify()

        assert standing.unproven_transactions == len(gap.lost)
        assert gap.signatures <= stack.stored_signatures()
        assert gap.open_alerts() >= {"gap_contradicted"}
        assert gap.statuses() == dict.fromkeys(gap.signatures, False)

        heal(gap)
        both.gap_watch = gaps.GapWatch(client, both.reconciler, stack.sync_database)
        standing = await both.verify()
        assert (standing.unproven_transactions, gap.outcomes()) == (0, ["listed"])
        assert "gap_contradicted" not in gap.open_alerts()
