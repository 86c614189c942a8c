"""Backfill and gap repair from a node that serves transactions in pages with bodies, with each fault of such pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import chain_stack
import pytest
from chain_stack import BLOCKS_TO_FINALITY, ChainStack
from rich.progress import Progress

from devchain.cluster import TOWER
from devchain.rpc_errors import RpcError
from ingest.commands.backfill import Backfill, BackfillResult, SlotRange
from ingest.sync import body_pages
from zmart import errors, testing
from zmart.chain import rpc_errors
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient
from zmart.run.deploy import rebuild

METHOD = "getTransactionsForAddress"
FAULTS: dict[str, dict[str, float]] = {
    "none": {},
    "wrong order": {"shuffles": 1.0},
    "repeats": {"repeats": 0.5},
    "missing rows": {"drops": 0.2},
    "truncated page": {"truncations": 1.0},
    "all together": {"shuffles": 0.5, "repeats": 0.3, "drops": 0.2, "truncations": 0.3, "seed": 3},
}


@pytest.fixture
async def stack(
    tmp_path: Path, marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ChainStack]:
    """A chain of some minutes whose node offers pages, and an empty log; small pages and ranges."""
    monkeypatch.setattr(body_pages, "MIN_SIGNATURES", 5)
    monkeypatch.setattr(body_pages, "RANGE_SIGNATURES", 60)
    monkeypatch.setattr(rpc_errors.NodeFailed, "retry_after_seconds", 0.0)
    cluster = replace(TOWER, lists_bodies=True)
    async with chain_stack.open_chain_stack(tmp_path, marts_database, cluster=cluster) as stack:
        await stack.pass_blocks(BLOCKS_TO_FINALITY)
        yield stack


def count_requests(stack: ChainStack, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return the number of requests by method, from now on."""
    rpc, counts = stack.node.server.rpc, dict.fromkeys((METHOD, "getTransaction"), 0)

    def counted(method: str) -> Any:
        real = rpc.methods[method]

        def answer(params: Any) -> Any:
            counts[method] += 1
            return real(params)

        return answer

    for method in counts:
        monkeypatch.setitem(rpc.methods, method, counted(method))
    return counts


async def fill(stack: ChainStack, client: RpcClient | None = None) -> BackfillResult:
    """Backfill everything up to the confirmed slot, with small pages."""
    work = Backfill(
        client or stack.client,
        chain_stack.PROGRAM_ID,
        stack.pipeline,
        stack.sync_database,
        Progress(disable=True),
        page=25,
    )
    work.body_pages.page = 20
    return await work.fill(SlotRange(from_slot=0, to_slot=stack.node.ledger.confirmed_slot))


def assert_complete(stack: ChainStack) -> None:
    """Every success is in the log exactly once, in settled order, and marts are those of a rebuild."""
    assert stack.successful_signatures() <= stack.stored_signatures()
    chain = {(str(one.signature), one.slot, one.err is None) for one in stack.landed_transactions()}
    stored = set(
        stack.fetch_all("select signature, slot, err is null from raw.transactions where retracted_at is null")
    )
    assert stored <= chain
    assert stack.fetch_all("select count(*) from raw.transactions where not order_settled") == [(0,)]
    assert stack.fetch_all("select count(*) from raw.pending_signatures") == [(0,)]
    assert stack.fetch_all("select count(*) from raw.dead_letters") == [(0,)]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


#: One fault alone takes as long as all of them.
@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=() if name == "all together" else pytest.mark.drill) for name in FAULTS]
)
async def test_a_history_is_complete_whatever_the_pages_lack(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Pages in wrong order, with repeats, without rows, cut in their middle, and all of these: nothing is lost, nothing
    is stored twice, and only what the pages lacked is requested one by one."""
    await stack.node.call("devchain_pages", FAULTS[fault])
    counts = count_requests(stack, monkeypatch)

    done = await fill(stack)

    assert done.pending == 0
    assert_complete(stack)
    assert counts[METHOD] > 1
    singles = counts["getTransaction"]
    # The last few are too few for a page.
    assert (singles < body_pages.MIN_SIGNATURES) == (fault in ("none", "wrong order", "repeats"))
    assert singles < len(stack.successful_signatures())
    assert stack.fetch_all("select from_slot, source from raw.coverage") == [(0, "backfill")]


@pytest.mark.parametrize(
    "failure",
    [
        "method not found",
        *(
            pytest.param(name, marks=pytest.mark.drill)
            for name in ("window exceeded", "failing", "endless", "small pages only")
        ),
    ],
)
async def test_a_node_without_usable_pages_serves_single_transactions(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    """Whatever is wrong with the method, the range is filled; a node that lacks it is asked once."""
    rpc = stack.node.server.rpc
    real, asked = rpc.methods[METHOD], []

    def answer(params: Any) -> Any:
        asked.append(params[1]["limit"])
        match failure:
            case "method not found":
                raise RpcError(-32601, "Method not found")
            case "window exceeded":
                raise RpcError(-32001, "Slot 0 is older than the history of this node")
            case "failing":
                raise RpcError(-32603, "Internal error")
            case "endless":
                return real(params) | {"paginationToken": "0:0"}
        if params[1]["limit"] > body_pages.SMALL_PAGE:
            raise RpcError(-32602, "Invalid limit; max 100")
        return real(params)

    monkeypatch.setitem(rpc.methods, METHOD, answer)
    work = Backfill(
        stack.client, chain_stack.PROGRAM_ID, stack.pipeline, stack.sync_database, Progress(disable=True), page=25
    )

    done = await work.fill(SlotRange(from_slot=0, to_slot=stack.node.ledger.confirmed_slot))

    assert done.pending == 0
    assert_complete(stack)
    if failure == "method not found":
        assert asked == [1_000]
    if failure == "small pages only":
        assert asked[:2] == [1_000, 100]
        assert 1_000 not in asked[1:]


@pytest.mark.drill
async def test_a_spent_budget_stops_the_pages_and_the_next_run_goes_on(stack: ChainStack) -> None:
    """Runs of a few requests each make progress until the history is complete."""
    runs = []
    while not runs or runs[-1] is None:
        async with RpcClient([stack.node.url], pacer=RequestPacer(per_second=10_000, burst=50, total=14)) as client:
            try:
                runs.append(await fill(stack, client))
            except errors.Overloaded:
                runs.append(None)
        assert len(runs) < 50

    assert len(runs) > 1
    assert_complete(stack)


async def test_the_walk_repairs_a_large_gap_in_pages(stack: ChainStack, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a long outage left out arrives in pages, counted as `walk`, and becomes final."""
    await stack.node.call("devchain_pages", FAULTS["all together"])
    counts = count_requests(stack, monkeypatch)
    stack.sync_task.fetcher.pages.page = 20

    for _ in range(3):
        status = await stack.sync_task.verify()

    assert status.finalized_through == status.finalized_slot
    assert counts[METHOD] > 1
    assert counts["getTransaction"] < len(stack.successful_signatures())
    assert_complete(stack)
    assert stack.fetch_all("select distinct sightings ? 'walk' from raw.transactions") == [(True,)]


async def test_few_missing_transactions_in_a_full_log_are_not_read_in_pages(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages would read again what the log has; single requests do not."""
    await fill(stack)
    lost = sorted(stack.successful_signatures())[:6]
    with stack.database.connect() as connection:
        connection.execute(
            "insert into raw.pending_signatures (signature, reason, slot) select signature, 'walk', slot"
            " from raw.transactions where signature = any(%s)",
            (lost,),
        )
    counts = count_requests(stack, monkeypatch)

    while await stack.sync_task.fetcher.fetch_due():
        pass

    assert counts[METHOD] == 0
    assert counts["getTransaction"] == len(lost)
