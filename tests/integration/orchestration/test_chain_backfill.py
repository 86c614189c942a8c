"""`chain_backfill`: ranges of slots, each fetched by a run that reports its progress."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import chain_stack
import dagster as dg
import pytest
from chain_stack import BLOCKS_TO_FINALITY, ChainStack

from orchestration.assets import backfill
from orchestration.resources import DatabaseResource
from zmart import testing
from zmart.run.deploy import rebuild


@pytest.fixture
async def stack(
    tmp_path: Path, marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ChainStack]:
    """A chain of some minutes, an empty log, and an environment with both."""
    async with chain_stack.open_chain_stack(tmp_path, marts_database) as stack:
        await stack.pass_blocks(BLOCKS_TO_FINALITY)
        monkeypatch.setenv("DATABASE_URL", marts_database.dsn())
        monkeypatch.setenv("DEVCHAIN_PORT", stack.node.url.rpartition(":")[2])
        monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path / "state"))
        yield stack


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


async def materialized(
    stack: ChainStack, instance: dg.DagsterInstance, key: str, **budget: Any
) -> dg.ExecuteInProcessResult:
    """Materialize one range, while the chain produces blocks."""
    instance.add_dynamic_partitions("slot_ranges", [key])
    return await asyncio.to_thread(
        dg.materialize,
        backfill.assets(),
        instance=instance,
        partition_key=key,
        resources={"database": DatabaseResource(dsn_of=stack.database.dsn)},
        run_config={"ops": {"chain_backfill": {"config": {"per_second": 500.0, **budget}}}},
        raise_on_error=False,
    )


async def test_a_spent_budget_fails_the_run_and_the_next_goes_on(
    stack: ChainStack, instance: dg.DagsterInstance
) -> None:
    """Run, run out of budget, run again: the range is complete, its coverage written, and nothing was fetched twice.
    Slots that do not exist yet are refused, and no coverage is written for them."""
    refused = await materialized(stack, instance, "0-999999999")
    (failure,) = refused.get_step_failure_events()
    assert "later slots do not exist yet" in str(failure.step_failure_data.error)
    assert stack.fetch_all("select count(*) from raw.coverage") == [(0,)]

    top = stack.node.ledger.confirmed_slot
    key = f"0-{top}"

    spent = await materialized(stack, instance, key, requests=60)
    assert not spent.success
    (failure,) = spent.get_step_failure_events()
    assert "is spent" in str(failure.step_failure_data.error)
    begun = stack.stored_signatures()
    assert set() < begun < stack.successful_signatures()

    done = await materialized(stack, instance, key)
    assert done.success
    (event,) = done.asset_materializations_for_node("chain_backfill")
    assert event.partition == key
    fetched = event.metadata["fetched"].value
    assert isinstance(fetched, int)
    assert 0 < fetched <= len(stack.successful_signatures()) - len(begun)
    assert stack.stored_signatures() == stack.successful_signatures()
    assert stack.fetch_all("select source, from_slot, to_slot from raw.coverage") == [("backfill", 0, top)]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


def test_the_sensor_adds_what_the_chain_has_left_behind(
    database: testing.PostgresDatabase, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole ranges from the log's first slot up to the watermark, each once."""
    monkeypatch.setenv("DATABASE_URL", database.dsn())
    monkeypatch.setitem(backfill.SLOTS, chain_stack.Cluster.LOCALNET, 50)

    def tick() -> list[str]:
        with dg.build_sensor_context(instance=instance) as context:
            result = backfill.slot_ranges(context, database=DatabaseResource(dsn_of=database.dsn))
        assert isinstance(result, dg.SensorResult)
        return [key for request in result.dynamic_partitions_requests or () for key in request.partition_keys]

    assert tick() == []
    with database.connect() as connection:
        connection.execute(
            "insert into raw.transactions (transaction_no, signature, slot, order_settled, digest)"
            " values (1, 'one', 130, true, '\\x00')"
        )
        connection.execute("insert into raw.feed (seq, kind, ref) values (1, 'finalized_through', 260)")
    assert tick() == ["100-149", "150-199", "200-249"]
    instance.add_dynamic_partitions("slot_ranges", ["100-149", "150-199", "200-249"])
    assert tick() == []


@pytest.mark.parametrize("key", ["", "12", "12-", "20-10", "a-b", "1-2-3", "-1-2"])
def test_invalid_range_names_the_expected_format(key: str) -> None:
    """The dialogue accepts any text."""
    with pytest.raises(dg.Failure, match="FIRST-LAST"):
        backfill.parse_range(key)


def test_ranges_begin_where_the_log_does() -> None:
    """Aligned, whole, and none that reaches beyond the watermark."""
    assert backfill.ranges(1_250, 3_999, 1_000) == ["1000-1999", "2000-2999", "3000-3999"]
    assert backfill.ranges(1_250, 3_998, 1_000) == ["1000-1999", "2000-2999"]
    assert backfill.ranges(None, 5, 1_000) == backfill.ranges(5, None, 1_000) == backfill.ranges(5, 6, 1_000) == []
