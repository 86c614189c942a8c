"""Backfill over a development chain: complete, oldest first, stopped and gone on, within its budget."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import chain_stack as towns
import pytest
from chain_stack import TO_FINALITY, Town
from rich.progress import Progress

from ingest.commands.backfill import Backfill, SlotRange
from zmart import errors, testing
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient
from zmart.run.deploy import rebuild


@pytest.fixture
async def town(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[Town]:
    """A chain of some minutes, and an empty log."""
    async with towns.built(tmp_path, marts_database) as town:
        await town.pass_blocks(TO_FINALITY)
        yield town


def backfill(town: Town, client: RpcClient) -> Backfill:
    """A backfill of small pages through `client`."""
    return Backfill(client, towns.PROGRAM_ID, town.pipeline, town.notebook, Progress(disable=True), page=25)


async def test_a_range_is_filled_and_nothing_else(town: Town) -> None:
    """Every success between the two slots is in the log with its settled order; none of the others."""
    slots = sorted({one.slot for one in town.landed()})
    range_ = SlotRange(from_slot=slots[5], to_slot=slots[-10])

    done = await backfill(town, town.client).fill(range_)

    inside = {
        str(one.signature)
        for one in town.landed()
        if one.err is None and range_.from_slot <= one.slot <= range_.to_slot
    }
    assert town.held() == inside != set()
    assert (done.pending, done.fetched) == (0, len(inside))
    assert town.ask("select count(*) from raw.transactions where not order_settled") == [(0,)]
    assert town.ask("select source, from_slot, to_slot, successful_transactions from raw.coverage") == [
        ("backfill", range_.from_slot, range_.to_slot, len(inside))
    ]
    assert [v for v in rebuild.verify(town.database.dsn()) if not v.is_consistent] == []


async def test_a_spent_budget_stops_and_the_next_run_goes_on(town: Town) -> None:
    """Runs of a few requests each end with Overloaded until the range is complete; none repeats the whole list."""
    range_ = SlotRange(from_slot=0, to_slot=town.node.ledger.confirmed_slot)
    runs = 0
    while True:
        runs += 1
        async with RpcClient([town.node.url], pacer=RequestPacer(per_second=10_000, burst=50, total=60)) as client:
            try:
                done = await backfill(town, client).fill(range_)
            except errors.Overloaded:
                continue
        break

    assert runs > 1
    assert done.pending == 0
    assert town.held() == town.successes()


async def test_a_node_that_wants_fewer_requests_is_obeyed(town: Town) -> None:
    """429 with Retry-After is waited for, not counted as an answer."""
    fault = {"method": "getTransaction", "count": 3, "status": 429, "retry_after_seconds": 0}
    await town.node.call("devchain_fault", fault)
    slots = sorted({one.slot for one in town.landed()})

    done = await backfill(town, town.client).fill(SlotRange(from_slot=slots[0], to_slot=slots[2]))

    assert done.pending == 0
    assert town.ask("select count(*) > 0 from raw.transactions") == [(True,)]
