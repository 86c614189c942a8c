"""Walks over a development chain: gaps filled, slots proven final, order settled, nothing retracted without proof."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import chain_stack
import msgspec
import pytest
from chain_stack import BLOCKS_TO_FINALITY, ChainStack
from scripted_node import ScriptedNode, ScriptedReply, error, result

from devchain import delivery
from devchain.blocks import LandedTransaction
from devchain.cluster import ClusterProfile
from devchain.faults import RpcFault
from devchain.rpc_errors import BLOCK_CLEANED_UP, BLOCK_NOT_AVAILABLE, SLOT_SKIPPED, UNSUPPORTED_VERSION, RpcError
from ingest import testing as deliveries
from ingest.decode.decoder import Decoder
from ingest.metrics import Metrics
from ingest.records import TransactionRow
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync.block_order import UNSERVED_SECONDS
from ingest.sync.database import sql
from ingest.sync.reconcile import Reconciler
from ingest.sync.slow_answers import RESOLVE_AFTER_SECONDS, SlowAnswerCheck
from ingest.sync.sources import Backoff, Intake, run_with_retries
from ingest.sync.task import STUCK_SECONDS, SilenceDetector, SyncTask, identify, verify_cluster_at_startup
from zmart import errors, settings, testing
from zmart.chain import cluster_facts, rpc_errors
from zmart.chain.cluster_facts import slots_in
from zmart.chain.rpc import RpcClient
from zmart.run.deploy import rebuild
from zmart.settings import Cluster

#: More than 40 s in all: each test plays and walks a chain of its own.
pytestmark = pytest.mark.drill


@pytest.fixture
async def stack(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[ChainStack]:
    """A chain of some minutes, and an empty log."""
    async with chain_stack.open_chain_stack(tmp_path, marts_database) as stack:
        await stack.pass_blocks(BLOCKS_TO_FINALITY)
        yield stack


async def test_an_empty_log_is_completed_by_a_walk(stack: ChainStack) -> None:
    """Without any delivery the walk fetches every success, oldest first, and proves verified and finalized."""
    standing = await stack.sync_task.verify()

    assert standing.state == "verified"
    assert stack.stored_signatures() >= stack.successful_signatures() != set()
    slots = [slot for (slot,) in stack.fetch_all("select slot from raw.transactions order by transaction_no")]
    assert slots == sorted(slots)
    assert (standing.verified_through, standing.finalized_through) == (standing.confirmed_slot, standing.finalized_slot)
    assert stack.fetch_all("select count(*) from raw.pending_signatures") == [(0,)]
    assert stack.fetch_all("select count(*) from raw.transactions where not order_settled") == [(0,)]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_deliveries_without_an_index_are_settled(stack: ChainStack) -> None:
    """A provisional order is the block's after the walk, recorded as moved, and the marts equal their rebuild."""
    await stack.deliver(stack.landed_transactions(), index=False)

    await stack.sync_task.verify()

    assert stack.fetch_all("select count(*) from raw.transactions where not order_settled") == [(0,)]
    places = {str(one.signature): (one.slot, one.index) for one in stack.landed_transactions() if one.err is None}
    stored = stack.fetch_all("select signature, slot, index_in_block from raw.transactions where err is null")
    assert {signature: (slot, index) for signature, slot, index in stored} == places
    wrong = stack.fetch_all(
        "select count(*) from raw.events e join raw.transactions t using (transaction_no)"
        " where e.order_key <> (t.slot << 24) | (t.index_in_block::bigint << 9) | e.ordinal"
    )
    assert wrong == [(0,)]
    assert stack.fetch_all("select count(*) > 0 from raw.feed where kind = 'moved'") == [(True,)]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_walks_do_not_make_the_list_grow(stack: ChainStack) -> None:
    """The table of what the chain lists is read and emptied by each walk; its file stays as large as one list."""
    used = stack.sync_database
    reconciler = stack.sync_task.reconciler

    async def size() -> int:
        (found,) = await used.fetch_one("select pg_total_relation_size('seen')")
        return int(found)

    await reconciler.list_transactions("finalized")
    first = await size()
    for _ in range(20):
        await reconciler.list_transactions("finalized")

    assert await size() <= 2 * first


#: The highest slot that an order key has room for.
LAST_SLOT = (1 << 39) - 1


def moved_to(landed: LandedTransaction, slot: int) -> TransactionRow:
    """A transaction as a webhook that names another slot delivers it."""
    item = {**delivery.webhook_item(landed), "slot": slot}
    (row,) = Decoder(chain_stack.PROGRAM_ID).decode_items([msgspec.json.encode(item)]).transactions
    return row


def slot_of_answers(stack: ChainStack) -> int:
    """The slot that an answer of the API names."""
    ((slot,),) = stack.fetch_all("select slot from ops.as_of(array['markets'])")
    return int(slot)


async def test_a_delivery_for_a_slot_that_the_chain_cannot_have_reached_is_fetched(stack: ChainStack) -> None:
    """It is requested from the chain instead of believed, and answers name the slot that the chain has for it."""
    await stack.sync_task.verify()
    before = set(stack.stored_signatures())
    await stack.play(2)
    news = [one for one in stack.landed_transactions() if one.err is None and str(one.signature) not in before]

    await stack.pipeline.submit([moved_to(one, LAST_SLOT) for one in news], [], wanted=[])
    assert stack.stored_signatures() == before
    assert stack.fetch_all("select count(*) from raw.pending_signatures") == [(len(news),)]
    assert news

    await stack.sync_task.verify()
    assert stack.fetch_all("select max(slot) from raw.transactions") == [(max(one.slot for one in news),)]
    assert slot_of_answers(stack) == max(one.slot for one in news)
    assert stack.fetch_all("select count(*) from raw.events where retracted_at is not null") == [(0,)]


async def test_a_node_that_is_away_for_long_stops_no_delivery(stack: ChainStack) -> None:
    """What the chain can have reached since the node named its slot is believed, and an error is no answer."""
    await stack.sync_task.verify()
    ((top,),) = stack.fetch_all("select value::bigint from ops.cursors where name = 'node_slot'")
    earlier = "update ops.cursors set moved_at = moved_at - interval '1 hour' where name = 'node_slot' returning 1"
    stack.fetch_all(earlier)
    await stack.sync_task.on_error(rpc_errors.Unreachable("away"))
    known = stack.stored_signatures()
    await stack.play(2)
    near, far = [one for one in stack.landed_transactions() if str(one.signature) not in known and one.err is None][:2]

    # Slots of 0.2 s for an hour, which the bound of 0.05 s a slot contains; and beyond what any cluster can reach.
    await stack.pipeline.submit([moved_to(near, top + 18_000), moved_to(far, top + 80_000)], [], wanted=[])

    assert str(near.signature) in stack.stored_signatures()
    assert str(far.signature) not in stack.stored_signatures()


async def test_a_node_that_lags_does_not_lower_the_bound(stack: ChainStack) -> None:
    """An older slot of a second node changes neither the stored slot nor the time of its answer."""
    await stack.sync_task.verify()
    stored = "select value, moved_at from ops.cursors where name = 'node_slot'"
    before = stack.fetch_all(stored)

    await stack.sync_database.execute(sql.save_node_slot, slot=1)

    assert stack.fetch_all(stored) == before


def report_once(stack: ChainStack, monkeypatch: pytest.MonkeyPatch, slot: int) -> None:
    """Let the node report this slot to the next walk, and its own slot afterwards."""
    methods = stack.node.server.rpc.methods
    real, left = methods["getSlot"], [1]

    def answer(params: Any) -> Any:
        if params[0]["commitment"] == "confirmed" and left:
            left.clear()
            return slot
        return real(params)

    monkeypatch.setitem(methods, "getSlot", answer)


@pytest.mark.parametrize("is_first", [True, False], ids=["the first answer", "a later answer"])
async def test_one_huge_slot_of_a_node_loosens_no_bound_and_makes_nothing_final(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch, is_first: bool
) -> None:
    """The walk ends without a conclusion; the next one goes on, and the bound is that of the chain's own slot."""
    stack.sync_task.reconciler.may_jump = False
    if not is_first:
        await stack.sync_task.verify()
    report_once(stack, monkeypatch, LAST_SLOT)
    with pytest.raises(rpc_errors.InvalidResponse, match=f"reports slot {LAST_SLOT}"):
        await stack.sync_task.verify()
    assert stack.fetch_all("select count(*) from raw.coverage where to_slot > 1000") == [(0,)]

    standing = await stack.sync_task.verify()

    top = standing.confirmed_slot or 0
    assert standing.finalized_through == standing.finalized_slot
    assert stack.fetch_all("select raw.newest_possible_slot() < %s + 10_000", top) == [(True,)]
    assert (standing.verified_through, top < 10_000) == (top, True)


async def test_one_node_of_several_does_not_loosen_the_bound(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowest slot of all nodes that answer is stored, whichever node reports too much."""
    await stack.sync_task.verify()
    rpc = stack.node.server.rpc
    own = rpc.methods["getSlot"]([{"commitment": "confirmed"}])
    stack.fetch_all(
        "update ops.cursors set moved_at = moved_at - interval '1 day' where name = 'node_slot' returning 1"
    )
    ahead = ScriptedNode()
    ahead.answers.update(
        {name: functools.partial(_scripted, method) for name, method in rpc.methods.items() if name != "getSlot"}
    )
    ahead.will("getSlot", result(own + 100_000))
    await stack.pass_blocks(3)
    # Three blocks may be more than three slots: the chain skips some.
    confirmed = rpc.methods["getSlot"]([{"commitment": "confirmed"}])
    for nodes in ([ahead, None], [None, ahead]):
        async with ahead.serving(), RpcClient([one.url if one else stack.node.url for one in nodes]) as client:
            reconciler = Reconciler(client, chain_stack.PROGRAM_ID, stack.pipeline, stack.sync_database)
            with contextlib.suppress(rpc_errors.NodeError):
                await reconciler.list_transactions("confirmed")
        assert stack.fetch_all("select value::bigint from ops.cursors where name = 'node_slot'") == [(confirmed,)]


def _scripted(method: Callable[[Any], Any], params: Any) -> ScriptedReply:
    try:
        return result(method(params))
    except RpcError as refusal:
        return error(refusal.code, refusal.message, refusal.data)


async def test_what_was_believed_before_the_node_named_its_slot_is_retracted(stack: ChainStack) -> None:
    """The first walk retracts what no chain can hold, requests what the chain has elsewhere, and alerts; answers name a
    slot of the chain."""
    invented, elsewhere = [one for one in stack.landed_transactions() if one.err is None][-2:]
    phantom = moved_to(invented, LAST_SLOT)._replace(signature=deliveries.signature(1))
    await stack.pipeline.submit([phantom, moved_to(elsewhere, LAST_SLOT - 1)], [], wanted=[])
    assert slot_of_answers(stack) == LAST_SLOT

    await stack.sync_task.verify()

    landed = {str(one.signature) for one in stack.landed_transactions() if one.err is None}
    assert phantom.signature not in stack.stored_signatures() >= landed
    assert slot_of_answers(stack) == max(one.slot for one in stack.landed_transactions() if one.err is None)
    alerts = stack.fetch_all("select message from ops.alerts where kind = 'retracted'")
    assert len(alerts) == 1
    assert phantom.signature in alerts[0][0]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


class CountedCalls:
    """Counts the node's calls, and lets it answer `getAgGenesisCert`."""

    def __init__(self, stack: ChainStack, monkeypatch: pytest.MonkeyPatch, *, certificate: Any) -> None:
        monkeypatch.setattr(cluster_facts, "moved_clusters", set())
        methods = stack.node.server.rpc.methods
        monkeypatch.setitem(methods, "getAgGenesisCert", lambda _: certificate)
        self.calls: list[tuple[str, str]] = []
        for method in ("getSignaturesForAddress", "getSlot"):
            monkeypatch.setitem(methods, method, self._counted(method, methods[method]))

    def _counted(self, method: str, real: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def answer(params: Any) -> Any:
            self.calls.append((method, params[-1]["commitment"]))
            return real(params)

        return answer

    def take(self, method: str) -> list[str]:
        """The commitments of the calls since the last time."""
        found = [commitment for one, commitment in self.calls if one == method]
        self.calls.clear()
        return found


CERTIFICATE = {"block": {"slot": 3, "blockId": [7] * 32}, "signature": {"signature": [1] * 192, "bitmap": [1]}}


@pytest.mark.parametrize(
    ("certificate", "consensus", "commitments"),
    [(None, "tower", ["confirmed", "finalized"]), (CERTIFICATE, "alpenglow", ["finalized"])],
    ids=["tower", "alpenglow"],
)
async def test_one_walk_proves_both_once_the_cluster_has_moved(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch, certificate: Any, consensus: str, commitments: list[str]
) -> None:
    """Before Alpenglow two lists, after it one with half the requests; the log and what is proven of it are equal."""
    calls = CountedCalls(stack, monkeypatch, certificate=certificate)

    standing = await stack.sync_task.verify()

    # A list that begins with the chain has one page, and an empty one that ends it.
    assert calls.take("getSignaturesForAddress") == [one for one in commitments for _ in range(2)]
    assert (standing.state, standing.consensus) == ("verified", consensus)
    assert (standing.verified_through, standing.finalized_through) == (standing.confirmed_slot, standing.finalized_slot)
    finalized = {
        str(one.signature)
        for one in stack.landed_transactions()
        if one.err is None and one.slot <= (standing.finalized_slot or 0)
    }
    assert stack.stored_signatures() >= finalized != set()
    assert stack.fetch_all("select distinct source from raw.coverage order by 1") == [("finalized",), ("walk",)]
    metrics = stack.pipeline.metrics.render().decode()
    assert f"zmart_ingest_alpenglow {float(consensus == 'alpenglow')}" in metrics
    assert stack.fetch_all("select value ->> 'consensus' from ops.cursors where name = 'completeness'") == [
        (consensus,)
    ]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_a_moved_chain_stays_moved_after_a_restart(stack: ChainStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log remembers it for this genesis hash, although the node's provider no longer serves the method."""
    CountedCalls(stack, monkeypatch, certificate=CERTIFICATE)
    await stack.sync_task.tick()
    calls = CountedCalls(stack, monkeypatch, certificate="neither object nor null")

    async def connect() -> Writer:
        return await Writer.connect(stack.database.dsn("zmart_ingest"))

    async with RpcClient([stack.node.url]) as client, Pipeline(connect) as pipeline:
        later = SyncTask(
            client, stack.sync_database, pipeline, cluster=Cluster.LOCALNET, program_id=chain_stack.PROGRAM_ID
        )
        await later.tick()

    assert later.completeness.consensus == "alpenglow"
    assert set(calls.take("getSignaturesForAddress")) == {"finalized"}


async def test_finality_is_polled_only_while_something_is_not_final(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quiet log costs no request between the regular walks. A delivery makes each tick read the finalized slot, and
    the walk begins when that slot has passed the delivery."""
    calls = CountedCalls(stack, monkeypatch, certificate=None)
    stack.sync_task.intervals = replace(
        stack.sync_task.intervals, walk_seconds=1_000.0, tower_finality_seconds=0.0, probe_seconds=1_000.0
    )
    await stack.sync_task.tick()
    calls.take("getSlot")
    await stack.sync_task.tick()
    assert calls.take("getSlot") == []

    await stack.play(4)
    await stack.deliver(stack.landed_transactions())
    before = stack.fetch_all("select raw.finalized_through()")
    for _ in range(2):
        await stack.sync_task.tick()
        assert calls.take("getSlot") == ["finalized"]
    assert stack.fetch_all("select raw.finalized_through()") == before

    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    await stack.sync_task.tick()
    assert "finalized" in calls.take("getSignaturesForAddress")
    assert stack.fetch_all("select raw.finalized_through()") > before
    await stack.sync_task.tick()
    assert calls.calls == []


async def test_a_delivery_wakes_the_task(tmp_path: Path, marts_database: testing.PostgresDatabase) -> None:
    """After a quiet time finality does not wait for the next tick, which these intervals put off for a long time."""
    async with chain_stack.open_chain_stack(tmp_path, marts_database, cluster=ClusterProfile()) as stack:
        task = stack.sync_task
        task.intervals = replace(task.intervals, walk_seconds=1e6, probe_seconds=1e6, idle_seconds=1e6)
        task.start()
        try:
            async with asyncio.timeout(60):
                while task.completeness.state != "verified":  # noqa: ASYNC110 - the task reports nothing else
                    await asyncio.sleep(0.01)
                await stack.play(4)
                landed = stack.landed_transactions()
                await stack.pass_blocks(2)
                await stack.deliver(landed)
                while (task.completeness.finalized_through or 0) < landed[-1].slot:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            await task.stop()


def give_indexes(stack: ChainStack, monkeypatch: pytest.MonkeyPatch, *methods: str) -> list[int]:
    """Let the node give `transactionIndex` in these methods; return the slots whose block is requested."""
    rpc = stack.node.server.rpc
    real = dict(rpc.methods)
    indexes = {str(one.signature): one.index for one in stack.landed_transactions()}
    blocks: list[int] = []

    def transaction(params: Any) -> Any:
        found = real["getTransaction"](params)
        return found and found | {"transactionIndex": indexes[params[0]]}

    def signatures(params: Any) -> Any:
        listed = real["getSignaturesForAddress"](params)
        return [one | {"transactionIndex": indexes[one["signature"]]} for one in listed]

    def block(params: Any) -> Any:
        blocks.append(params[0])
        return real["getBlock"](params)

    monkeypatch.setitem(rpc.methods, "getBlock", block)
    for method, answer in (("getTransaction", transaction), ("getSignaturesForAddress", signatures)):
        if method in methods:
            monkeypatch.setitem(rpc.methods, method, answer)
    return blocks


async def test_a_list_with_indexes_settles_order_without_blocks(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes since Agave 4.0 list each transaction's index in its block; what was delivered without one needs no more
    requests, and getBlock is not called."""
    await stack.deliver(stack.landed_transactions(), index=False)
    blocks = give_indexes(stack, monkeypatch, "getSignaturesForAddress")

    standing = await stack.sync_task.verify()

    assert blocks == []
    places = {str(one.signature): (one.slot, one.index) for one in stack.landed_transactions()}
    stored = stack.fetch_all("select signature, slot, index_in_block from raw.transactions where order_settled")
    assert {signature: (slot, index) for signature, slot, index in stored} == places
    assert standing.finalized_through == standing.finalized_slot


async def test_a_fetched_transaction_has_its_index_from_the_node(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk from nothing requests no block at all where getTransaction gives the index."""
    blocks = give_indexes(stack, monkeypatch, "getTransaction")

    await stack.sync_task.verify()

    assert blocks == []
    assert stack.stored_signatures() >= stack.successful_signatures() != set()
    assert stack.fetch_all("select count(*) from raw.transactions where not order_settled") == [(0,)]


NO_BLOCK = {
    "null": None,
    "skipped": RpcError(SLOT_SKIPPED, "Slot was skipped"),
    "not available": RpcError(BLOCK_NOT_AVAILABLE, "Block not available"),
    "method filtered": RpcError(-32_601, "Method not found"),
    "bad request": RpcError(-32_602, "Invalid params"),
    "internal error": RpcError(-32_603, "Internal error"),
    "version": RpcError(UNSUPPORTED_VERSION, "Transaction version (2) is not supported"),
}


@pytest.mark.parametrize("why", NO_BLOCK)
async def test_a_block_that_is_not_served_leaves_only_its_order_provisional(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    """Whatever the node answers for one slot's block, the other slots are settled at once; finality waits two minutes
    for the block and then moves on."""
    await stack.deliver(stack.landed_transactions(), index=False)
    slots = sorted({one.slot for one in stack.landed_transactions() if one.err is None})
    missing, now = slots[len(slots) // 2], [1_000.0]
    rpc = stack.node.server.rpc
    real = rpc.methods["getBlock"]

    def block(params: Any) -> Any:
        if params[0] != missing:
            return real(params)
        if (answer := NO_BLOCK[why]) is None:
            return None
        raise answer

    def listed_by_an_older_node(params: Any) -> Any:
        return [{key: one[key] for key in one if key != "transactionIndex"} for one in listed(params)]

    listed = rpc.methods["getSignaturesForAddress"]
    monkeypatch.setitem(rpc.methods, "getSignaturesForAddress", listed_by_an_older_node)
    monkeypatch.setitem(rpc.methods, "getBlock", block)
    monkeypatch.setattr(stack.sync_task.block_order, "clock", lambda: now[0])
    standing = await stack.sync_task.verify()

    unsettled = "select distinct slot from raw.transactions where not order_settled"
    assert stack.fetch_all(unsettled) == [(missing,)]
    assert standing.finalized_through == missing - 1

    now[0] += UNSERVED_SECONDS
    standing = await stack.sync_task.verify()
    assert standing.finalized_through == standing.finalized_slot
    assert stack.fetch_all(unsettled) == [(missing,)]


async def test_signatures_without_logs_are_fetched(stack: ChainStack) -> None:
    """An enhanced delivery has a signature; its transaction is fetched, decoded and written with source fetch."""
    one = next(found for found in stack.landed_transactions() if found.err is None)
    await stack.pipeline.submit([], wanted=[str(one.signature), "5" * 88])

    assert await stack.sync_task.fetcher.fetch_due() == 1

    assert stack.fetch_all("select signature, sightings from raw.transactions") == [(str(one.signature), {"fetch": 1})]
    assert stack.fetch_all("select signature, attempts, last_error is null from raw.pending_signatures") == [
        ("5" * 88, 1, False)
    ]


async def test_a_signature_nobody_knows_is_given_up(stack: ChainStack) -> None:
    """After many attempts a signature that only a delivery named becomes a dead letter."""
    await stack.pipeline.submit([], wanted=["5" * 88])
    with stack.database.connect() as connection:
        connection.execute("update raw.pending_signatures set attempts = 11")

    await stack.sync_task.fetcher.fetch_due()

    assert stack.fetch_all("select count(*) from raw.pending_signatures") == [(0,)]
    assert stack.fetch_all("select signature, reason_code from raw.dead_letters") == [("5" * 88, "unknown")]


async def test_a_silent_node_gives_up_nothing(stack: ChainStack) -> None:
    """Errors of the node are not attempts, and a walk through them proves nothing."""
    await stack.pipeline.submit([], wanted=[str(stack.landed_transactions()[0].signature)])
    await stack.node.call("devchain_fault", {"method": "*", "count": 1_000, "status": 503})

    assert await stack.sync_task.fetcher.fetch_due() == 0
    with pytest.raises(rpc_errors.NodeError):
        await stack.sync_task.verify()

    assert stack.fetch_all("select attempts, last_error like '%%503%%' from raw.pending_signatures") == [(0, True)]
    assert stack.fetch_all("select count(*) from raw.coverage") == [(0,)]


async def test_a_lagging_node_proves_nothing_and_takes_nothing_back(stack: ChainStack) -> None:
    """A node behind slots that were seen is not trusted; proven slots stay proven."""
    before = await stack.sync_task.verify()
    await stack.play(3)
    await stack.node.call("devchain_behind", 30)

    with pytest.raises(rpc_errors.NodeError):
        await stack.sync_task.verify()

    assert stack.fetch_all("select raw.verified_through(), raw.finalized_through()") == [
        (before.verified_through, before.finalized_through)
    ]
    assert stack.fetch_all("select count(*) from raw.retraction_candidates") == [(0,)]


async def test_a_lying_node_does_not_make_us_retract(stack: ChainStack) -> None:
    """A list without one of our transactions creates a candidate, stops finality there, and retracts nothing."""
    await stack.sync_task.verify()
    await stack.play(4)
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    before = await stack.sync_task.verify()
    await stack.play(10)
    await stack.deliver(stack.landed_transactions())
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    answer = (await stack.node.call("getSignaturesForAddress", chain_stack.PROGRAM_ID, {"commitment": "finalized"}))[
        "result"
    ]
    open_still = [one for one in answer if one["err"] is None and one["slot"] > (before.finalized_through or 0)]
    hidden = open_still[len(open_still) // 2]
    lie = [one for one in answer if one["signature"] != hidden["signature"]]

    for _ in range(3):
        finalized = stack.sync_task.reconciler
        stack.node.server.rpc.faults.add(RpcFault(method="getSignaturesForAddress", replaces_result=True, result=lie))
        listed = await finalized.list_transactions("finalized")
        assert await finalized.finalize(listed) < hidden["slot"]
        assert await finalized.retract_absent(listed) == 0
        await stack.pass_blocks(160)

    assert stack.fetch_all("select signature from raw.retraction_candidates") == [(hidden["signature"],)]
    assert hidden["signature"] in stack.stored_signatures()
    standing = await stack.sync_task.verify()
    assert standing.finalized_through == standing.finalized_slot
    assert stack.fetch_all("select count(*) from raw.retraction_candidates") == [(0,)]


async def test_a_forked_transaction_is_retracted_on_proof_alone(stack: ChainStack) -> None:
    """A transaction dropped by a fork stays until its blockhash has expired and the finalized walk has missed it twice;
    then the marts are those of the chain."""
    await stack.sync_task.verify()
    await stack.play(6)
    await stack.deliver(stack.landed_transactions())
    gone = {str(s) for s in (await stack.node.call("devchain_fork", 4))["result"]}
    gone &= stack.stored_signatures()
    await stack.play(3)
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    gone -= {str(one.signature) for one in stack.landed_transactions()}
    assert gone

    standing = await stack.sync_task.verify()
    assert gone <= stack.stored_signatures()
    assert (standing.finalized_through or 0) < (standing.finalized_slot or 0)

    await stack.pass_blocks(160)
    standing = await stack.sync_task.verify()

    succeeded = {s for (s,) in stack.fetch_all("select signature from raw.transactions where err is null")}
    assert stack.stored_signatures() & gone & succeeded == set()
    ((severity, message),) = stack.fetch_all("select severity, message from ops.alerts where kind = 'retracted'")
    assert severity == "critical"
    assert any(signature in message for signature in gone)
    assert standing.finalized_through == standing.finalized_slot
    assert stack.fetch_all("select count(*) > 0 from raw.feed where kind = 'retracted'") == [(True,)]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_a_node_that_lacks_slots_proves_nothing(stack: ChainStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists without some slots, null for their transactions and any "not here" for their blocks retract nothing;
    finality waits before them and a critical alert names them, until a node serves them."""
    monkeypatch.setattr("ingest.sync.reconcile.UNLISTED_SECONDS", 0.0)
    await stack.sync_task.verify()
    await stack.play(10)
    await stack.deliver(stack.landed_transactions())
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    slots = sorted({one.slot for one in stack.landed_transactions() if one.err is None})[-6:-2]
    lacking = frozenset(range(slots[0], slots[-1] + 1))
    genuine = {str(one.signature) for one in stack.landed_transactions() if one.slot in lacking and one.err is None}
    refusal = [SLOT_SKIPPED]

    def block(slot: int) -> Any:
        if refusal[0] == 0:
            return None
        raise RpcError(refusal[0], f"Slot {slot} was skipped, or missing in long-term storage")

    with monkeypatch.context() as lost:
        chain_stack.hide_slots(stack, lost, lacking, block=block)
        await stack.sync_task.verify()
        assert stack.fetch_all("select count(*) > 0 from raw.retraction_candidates") == [(True,)]
        await stack.pass_blocks(160)
        for refusal[0] in (SLOT_SKIPPED, -32_009, BLOCK_NOT_AVAILABLE, BLOCK_CLEANED_UP, 0):
            standing = await stack.sync_task.verify()
            assert genuine <= stack.stored_signatures()
            assert (standing.finalized_through or 0) < slots[0] < (standing.finalized_slot or 0)
    alert = "select severity, message from ops.alerts where kind = 'unlisted' and resolved_at is null"
    ((severity, message),) = stack.fetch_all(alert)
    assert severity == "critical"
    first = min((one.slot, str(one.signature)) for one in stack.landed_transactions() if str(one.signature) in genuine)
    assert f"{first[1]} (slot {first[0]})" in message

    standing = await stack.sync_task.verify()
    assert standing.finalized_through == standing.finalized_slot
    assert stack.fetch_all(alert) == []
    assert stack.fetch_all("select count(*) from raw.transactions where retracted_at is not null") == [(0,)]


async def test_what_one_node_lost_another_proves(stack: ChainStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """The preferred node lists nothing of some slots and knows none of their transactions. The second reports them as
    finalized and serves one that was never delivered: finality goes on, and nothing is retracted."""
    await stack.sync_task.verify()
    await stack.play(10)
    landed = [one for one in stack.landed_transactions() if one.err is None]
    slots = sorted({one.slot for one in landed})[-6:-2]
    lost = [one for one in landed if one.slot in slots]
    undelivered = lost[-1]
    await stack.deliver([one for one in stack.landed_transactions() if one.signature != undelivered.signature])
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    rpc = stack.node.server.rpc
    real = dict(rpc.methods)
    second = ScriptedNode()

    def serve(method: str, params: Any) -> ScriptedReply:
        return result(real[method](params))

    second.answers.update({method: functools.partial(serve, method) for method in real})
    chain_stack.hide_slots(stack, monkeypatch, frozenset(slots), block=lambda _: None)
    # It lists the one that was never delivered, and does not serve it.
    hiding = rpc.methods["getSignaturesForAddress"]

    def listing(params: Any) -> Any:
        ours = {one["signature"] for one in hiding(params)} | {str(undelivered.signature)}
        return [one for one in real["getSignaturesForAddress"](params) if one["signature"] in ours]

    monkeypatch.setitem(rpc.methods, "getSignaturesForAddress", listing)

    async def connect() -> Writer:
        return await Writer.connect(stack.database.dsn("zmart_ingest"))

    alone = await stack.sync_task.verify()
    assert (alone.finalized_through or 0) < slots[0]
    assert str(undelivered.signature) not in stack.stored_signatures()
    await stack.pass_blocks(160)
    stack.fetch_all("update raw.pending_signatures set next_attempt_at = clock_timestamp() returning 1")
    async with (
        second.serving(),
        RpcClient([stack.node.url, second.url]) as client,
        Pipeline(connect) as pipeline,
    ):
        both = SyncTask(
            client, stack.sync_database, pipeline, cluster=Cluster.LOCALNET, program_id=chain_stack.PROGRAM_ID
        )
        standing = await both.verify()

    assert standing.finalized_through == standing.finalized_slot
    assert str(undelivered.signature) in stack.stored_signatures()
    assert stack.fetch_all("select count(*) from raw.transactions where retracted_at is not null") == [(0,)]
    assert stack.fetch_all("select count(*) from raw.retraction_candidates") == [(0,)]


async def test_a_version_above_the_ceiling_is_an_alert_and_never_skipped(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """-32015 for one transaction: all others are fetched, verification stops before it, an alert names it, it never
    becomes a dead letter, and the pause grows; a release that decodes it ends all of that."""
    successes = [one for one in stack.landed_transactions() if one.err is None]
    newer = successes[len(successes) // 2]
    rpc = stack.node.server.rpc
    real = rpc.methods["getTransaction"]

    def refused(params: Any) -> Any:
        if params[0] == str(newer.signature):
            raise RpcError(UNSUPPORTED_VERSION, "Transaction version (2) is not supported by the requesting client.")
        return real(params)

    opened = "select kind, severity, message like %s from ops.alerts where resolved_at is null"
    named = f"%{newer.signature} (slot {newer.slot})%"
    with monkeypatch.context() as ahead:
        ahead.setitem(rpc.methods, "getTransaction", refused)
        standing = await stack.sync_task.verify()
        assert stack.stored_signatures() >= stack.successful_signatures() - {str(newer.signature)}
        assert (standing.verified_through, standing.finalized_through) == (newer.slot - 1, newer.slot - 1)
        assert stack.fetch_all(opened, named) == [("unsupported_version", "critical", True)]
        with stack.database.connect() as connection:
            connection.execute(
                "update raw.pending_signatures set next_attempt_at = now(), attempts = 99, reason = 'webhook',"
                " failing_since = now() - interval '200 s'"
            )
        await stack.sync_task.fetcher.fetch_due()
    wanted = "select signature, attempts, next_attempt_at > now() + interval '150 s' from raw.pending_signatures"
    assert stack.fetch_all(wanted) == [(str(newer.signature), 99, True)]
    assert stack.fetch_all("select count(*) from raw.dead_letters") == [(0,)]

    with stack.database.connect() as connection:
        connection.execute("update raw.pending_signatures set next_attempt_at = now()")
    standing = await stack.sync_task.verify()
    await stack.sync_task.fetcher.report()
    assert standing.verified_through == standing.confirmed_slot
    assert stack.fetch_all(opened, named) == []


async def test_a_signature_that_cannot_be_fetched_is_named_after_four_minutes(stack: ChainStack) -> None:
    """Not sooner, and also while no node answers at all; the alert is resolved when every signature is fetched."""
    # Each tick reports and probes.
    stack.sync_task.intervals = replace(stack.sync_task.intervals, probe_seconds=0.0)
    await stack.sync_task.tick()
    await stack.pipeline.submit([], wanted=["5" * 88])
    await stack.sync_task.fetcher.fetch_due()
    opened = "select severity, message like %s from ops.alerts where kind = 'unfetched' and resolved_at is null"
    await stack.sync_task.fetcher.report()
    assert stack.fetch_all(opened, f"%{'5' * 88}%") == []

    with stack.database.connect() as connection:
        connection.execute(
            "update raw.pending_signatures set failing_since = failing_since - interval '241 s',"
            " next_attempt_at = now()"
        )
    await stack.node.call("devchain_fault", {"method": "*", "count": 1_000, "status": 503})
    with pytest.raises(rpc_errors.NodeError):
        await stack.sync_task.tick()
    assert stack.fetch_all(opened, f"%{'5' * 88}%") == [("warning", True)]

    with stack.database.connect() as connection:
        connection.execute("delete from raw.pending_signatures")
    await stack.sync_task.fetcher.report()
    assert stack.fetch_all(opened, "%") == []


async def test_the_finalized_chain_decides_between_two_versions(stack: ChainStack) -> None:
    """A forged first delivery loses to the chain's version, a forged second one to ours; both stay as dead letters."""
    early, late = [one for one in stack.landed_transactions() if one.err is None][5:7]
    forged = [replace(one, slot=one.slot + 1) for one in (early, late)]
    await stack.deliver([forged[0], late])
    await stack.deliver([early, forged[1]])
    assert stack.fetch_all("select count(*) from raw.pending_signatures where reason = 'differs'") == [(2,)]

    await stack.sync_task.fetcher.fetch_due()

    slots = dict(stack.fetch_all("select signature, slot from raw.transactions where retracted_at is null"))
    assert slots == {str(early.signature): early.slot, str(late.signature): late.slot}
    assert stack.fetch_all("select count(*) from raw.pending_signatures") == [(0,)]
    dead_letters = stack.fetch_all("select signature, reason_code from raw.dead_letters where resolved_at is null")
    assert dead_letters == [(str(early.signature), "superseded")]
    assert stack.fetch_all("select count(*) from ops.alerts where resolved_at is null") == [(0,)]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_a_delivery_for_final_slots_must_come_from_the_chain(stack: ChainStack) -> None:
    """A webhook for slots that are final already is not trusted; its signature is fetched instead."""
    await stack.sync_task.verify()
    before = stack.stored_signatures()
    forged = deliveries.item(chain_stack.PROGRAM_ID, [], number=7, slot=5)
    decoded = Decoder(chain_stack.PROGRAM_ID).decode_items([msgspec.json.encode(forged)])
    await stack.pipeline.submit(decoded.transactions)

    assert stack.stored_signatures() == before
    assert stack.fetch_all("select signature from raw.pending_signatures") == [(deliveries.signature(7),)]


async def test_the_watermark_never_moves_back_and_coverage_has_no_gap(stack: ChainStack) -> None:
    """With any number and timing of walks, finalized_through grows and coverage rows join."""
    for _ in range(4):
        await stack.sync_task.verify()
        await stack.play(2)
        await stack.pass_blocks(10)
    watermarks = [
        ref for (ref,) in stack.fetch_all("select ref from raw.feed where kind = 'finalized_through' order by seq")
    ]
    assert watermarks == sorted(set(watermarks))
    gaps = stack.fetch_all(
        "select count(*) from (select from_slot, lag(to_slot) over (partition by source order by from_slot) as before"
        " from raw.coverage) as c where before is not null and from_slot <> before + 1"
    )
    assert gaps == [(0,)]
    assert stack.fetch_all("select distinct source from raw.coverage order by 1") == [("finalized",), ("walk",)]


async def test_a_log_of_another_chain_is_refused(stack: ChainStack) -> None:
    """The first node decides the chain of a log for ever."""
    await stack.sync_task.tick()
    with stack.database.connect() as connection:
        connection.execute("update raw.identity set genesis_hash = 'EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG'")
    with pytest.raises(errors.ConfigurationError, match="genesis hash"):
        await identify(stack.client, stack.sync_database, cluster=Cluster.LOCALNET, program_id=chain_stack.PROGRAM_ID)


async def test_ingest_does_not_start_on_another_chain(stack: ChainStack) -> None:
    """At the start: the node's chain becomes the log's, another one is refused, an unreachable node is accepted."""
    environ = {
        "DATABASE_URL_INGEST": stack.database.dsn("zmart_ingest"),
        "DATABASE_URL": stack.database.dsn(),
        "DEVCHAIN_PORT": stack.node.url.rpartition(":")[2],
        "HELIUS_AUTH_HEADER": "x" * 32,
    }
    await verify_cluster_at_startup(settings.load(environ))
    assert stack.fetch_all("select genesis_hash from raw.identity") == [(stack.node.ledger.genesis.hash,)]

    with stack.database.connect() as connection:
        connection.execute("update raw.identity set genesis_hash = 'another'")
    with pytest.raises(errors.ConfigurationError, match="another"):
        await verify_cluster_at_startup(settings.load(environ))
    await verify_cluster_at_startup(settings.load(environ | {"DEVCHAIN_PORT": "1"}))


async def test_what_is_proven_shows_in_metrics_and_the_database(stack: ChainStack) -> None:
    """Gauges and ops.cursors have the result of the last walk."""
    standing = await stack.sync_task.verify()

    metrics = stack.pipeline.metrics.render().decode()
    assert f"zmart_ingest_finalized_through_slot {float(standing.finalized_through or 0)}" in metrics
    assert "zmart_ingest_unverified 0.0" in metrics
    assert stack.fetch_all("select value ->> 'state' from ops.cursors where name = 'completeness'") == [("verified",)]


async def test_silence_while_the_program_is_used_is_an_alert(stack: ChainStack) -> None:
    """Activity without a delivery raises an alert within the limit, which is resolved by a delivery."""
    stack.sync_task.silence = SilenceDetector(0.0)
    await stack.sync_task.probe()
    await stack.play(4)
    await stack.pass_blocks(3)
    await stack.sync_task.probe()
    assert stack.fetch_all("select kind from ops.alerts where resolved_at is null") == [("webhook_silent",)]

    await stack.deliver(stack.landed_transactions()[-3:])
    await stack.sync_task.probe()
    assert stack.fetch_all("select kind from ops.alerts where resolved_at is null") == []


async def test_slow_answers_are_an_alert_until_they_end(stack: ChainStack) -> None:
    """Raised with the count and the slowest, resolved after ten minutes without one; also one of an earlier process."""
    now = [1_000.0]
    opened = "select message like %s from ops.alerts where kind = 'webhook_slow' and resolved_at is null"
    metrics = stack.pipeline.metrics
    check = SlowAnswerCheck(metrics, clock=lambda: now[0])
    metrics.count_answer(0.7)
    await check.update_alert(stack.sync_database)
    assert stack.fetch_all(opened, "%") == []

    metrics.count_answer(0.9)
    metrics.count_answer(2.5)
    await check.update_alert(stack.sync_database)
    await check.update_alert(stack.sync_database)
    assert stack.fetch_all(opened, "2 deliveries %, the slowest after 2.5 s.%") == [(True,)]

    restarted = SlowAnswerCheck(Metrics(), clock=lambda: now[0])
    now[0] += RESOLVE_AFTER_SECONDS - 1
    await restarted.update_alert(stack.sync_database)
    assert stack.fetch_all(opened, "%") == [(True,)]
    now[0] += 1
    await restarted.update_alert(stack.sync_database)
    assert stack.fetch_all(opened, "%") == []


async def test_chain_out_of_reach_for_too_long_raises_an_alert(stack: ChainStack) -> None:
    """An unreachable chain is an alert and a state; both end with the next walk that proves something."""
    stack.sync_task.intervals = replace(stack.sync_task.intervals, unverified_alert_seconds=0.0)
    await stack.sync_task.on_error(rpc_errors.Unreachable("No node can be reached."))
    assert stack.sync_task.completeness.state == "unverified"
    assert stack.fetch_all("select kind from ops.alerts where resolved_at is null") == [("unverified",)]

    standing = await stack.sync_task.verify()
    assert standing.state == "verified"
    assert stack.fetch_all("select kind from ops.alerts where resolved_at is null") == []


async def test_finality_that_stands_while_the_chain_moves_is_an_alert(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one slot beyond the limit on, once for any number of walks, also while signatures are still to be fetched;
    it is resolved when the watermark has caught up."""
    await stack.sync_task.verify()
    await stack.play(6)
    await stack.deliver(stack.landed_transactions())
    await stack.node.call("devchain_fork", 4)
    await stack.play(3)
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    standing = await stack.sync_task.verify()
    behind = (standing.finalized_slot or 0) - (standing.finalized_through or 0)
    stuck = (
        "select subject, severity, occurrences from ops.alerts where kind = 'finality_stuck' and resolved_at is null"
    )
    assert 0 < behind < slots_in(STUCK_SECONDS, standing.slot_seconds)
    assert stack.fetch_all(stuck) == []

    monkeypatch.setattr("ingest.sync.task.STUCK_SECONDS", behind * standing.slot_seconds)
    await stack.sync_task.verify()
    assert stack.fetch_all(stuck) == []

    monkeypatch.setattr("ingest.sync.task.STUCK_SECONDS", (behind - 1) * standing.slot_seconds)
    await stack.sync_task.verify()
    await stack.sync_task.verify()
    assert stack.fetch_all(stuck) == [("", "warning", 2)]

    await stack.pipeline.submit([], wanted=["5" * 88])
    await stack.sync_task.verify()
    assert stack.fetch_all(stuck) == [("", "warning", 3)]

    await stack.pass_blocks(160)
    standing = await stack.sync_task.verify()
    assert standing.finalized_through == standing.finalized_slot
    assert stack.fetch_all(stuck) == []


async def test_a_source_that_brings_nothing_is_one_alert_until_it_does(stack: ChainStack) -> None:
    """One alert for any number of failures; another source has its own."""

    class Lost:
        def __init__(self, name: str, failures: int) -> None:
            self.name = name
            self.failures = failures

        async def run(self, intake: Intake) -> None:
            self.failures -= 1
            if self.failures >= 0:
                raise rpc_errors.Unreachable(f"gone {self.failures}")

    intake = Intake(Decoder(chain_stack.PROGRAM_ID), stack.pipeline)
    backoff = Backoff(first_seconds=0.0, max_seconds=0.0, alert_after_seconds=0.0)
    seen = (
        "select subject, occurrences, message, resolved_at is null from ops.alerts where kind = 'source_stopped'"
        " order by subject"
    )
    await run_with_retries(Lost("left", 3), intake, stack.sync_database, backoff=backoff)
    left = ("left", 3, "The source left fails: gone 0", False)
    assert stack.fetch_all(seen) == [left]

    class Refused(Lost):
        async def run(self, intake: Intake) -> None:
            raise rpc_errors.ApiKeyRejected("not you")

    for _ in range(2):
        await run_with_retries(Refused("right", 0), intake, stack.sync_database, backoff=backoff)
    assert stack.fetch_all(seen) == [left, ("right", 2, "The source right has stopped: not you", True)]
