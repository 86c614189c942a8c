"""Backfill over a development chain: complete, oldest first, interrupted and resumed, within its budget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import chain_stack
import pytest
from chain_stack import BLOCKS_TO_FINALITY, ChainStack
from rich.progress import Progress

from ingest.commands.backfill import Backfill, SlotRange
from zmart import errors, testing
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient
from zmart.run.deploy import rebuild


@pytest.fixture
async def stack(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[ChainStack]:
    """A chain of some minutes, and an empty log."""
    async with chain_stack.open_chain_stack(tmp_path, marts_database) as stack:
        await stack.pass_blocks(BLOCKS_TO_FINALITY)
        yield stack


def backfill(stack: ChainStack, client: RpcClient) -> Backfill:
    """A backfill of small pages through `client`."""
    return Backfill(
        client, chain_stack.PROGRAM_ID, stack.pipeline, stack.sync_database, Progress(disable=True), page=25
    )


async def test_a_range_is_filled_and_nothing_else(stack: ChainStack) -> None:
    """Every success between the two slots is in the log with its settled order; none of the others."""
    slots = sorted({one.slot for one in stack.landed_transactions()})
    range_ = SlotRange(from_slot=slots[5], to_slot=slots[-10])

    done = await backfill(stack, stack.client).fill(range_)

    inside = {
        str(one.signature)
        for one in stack.landed_transactions()
        if one.err is None and range_.from_slot <= one.slot <= range_.to_slot
    }
    assert stack.stored_signatures() == inside != set()
    assert (done.pending, done.fetched) == (0, len(inside))
    assert stack.fetch_all("select count(*) from raw.transactions where not order_settled") == [(0,)]
    assert stack.fetch_all("select source, from_slot, to_slot, successful_transactions from raw.coverage") == [
        ("backfill", range_.from_slot, range_.to_slot, len(inside))
    ]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_a_spent_budget_stops_and_the_next_run_goes_on(stack: ChainStack) -> None:
    """Runs of a few requests each end with Overloaded until the range is complete; none repeats the whole list."""
    range_ = SlotRange(from_slot=0, to_slot=stack.node.ledger.confirmed_slot)
    runs = 0
    while True:
        runs += 1
        async with RpcClient([stack.node.url], pacer=RequestPacer(per_second=10_000, burst=50, total=60)) as client:
            try:
                done = await backfill(stack, client).fill(range_)
            except errors.Overloaded:
                continue
        break

    assert runs > 1
    assert done.pending == 0
    assert stack.stored_signatures() == stack.successful_signatures()


async def test_a_node_that_wants_fewer_requests_is_obeyed(stack: ChainStack) -> None:
    """429 with Retry-After causes a wait and does not count as a response."""
    fault = {"method": "getTransaction", "count": 3, "status": 429, "retry_after_seconds": 0}
    await stack.node.call("devchain_fault", fault)
    slots = sorted({one.slot for one in stack.landed_transactions()})

    done = await backfill(stack, stack.client).fill(SlotRange(from_slot=slots[0], to_slot=slots[2]))

    assert done.pending == 0
    assert stack.fetch_all("select count(*) > 0 from raw.transactions") == [(True,)]
