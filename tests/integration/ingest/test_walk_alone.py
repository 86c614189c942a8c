"""An instance that no webhook reaches: the walk alone brings the log and the marts of an instance with deliveries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import chain_stack
import pytest
from chain_stack import BLOCKS_TO_FINALITY, TEMPO, ChainStack

from devchain.cluster import TOWER, ClusterProfile
from devchain.testing import PROGRAM_ID
from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync.database import SyncDatabase
from ingest.sync.task import CompletenessStatus, SyncTask
from zmart import testing
from zmart.run.deploy import rebuild
from zmart.settings import Cluster

#: The marts that follow the log, and their columns that depend on the order of arrival.
MARTS = {
    "markets": ["market_no", "last_seq"],
    "trades": ["seq", "market_no", "wallet_no", "last_seq"],
    "positions": ["market_no", "wallet_no", "last_seq"],
    "ballots": ["market_no", "wallet_no", "last_seq"],
    "market_lifecycle": ["seq", "market_no", "last_seq"],
    "protocol_config": ["seq", "last_seq"],
    "candles_1m": ["market_no", "last_seq"],
    "position_costs": ["market_no", "wallet_no", "last_seq"],
}
TODAY = ClusterProfile(relaxes_fee_payer=True)
#: Traffic of every kind: version 1, calls from a vault, and transactions that never ran.
VARIED = replace(TEMPO, v1_percent=30.0, vault_percent=15.0, unexecuted_percent=10.0)


async def walk(stack: ChainStack, database: testing.PostgresDatabase) -> CompletenessStatus:
    """Complete another log by walks of the same chain."""

    async def connect() -> Writer:
        return await Writer.connect(database.dsn("zmart_ingest"))

    sync_database = SyncDatabase(database.dsn("zmart_ingest"))
    async with Pipeline(connect) as pipeline:
        task = SyncTask(stack.client, sync_database, pipeline, cluster=Cluster.LOCALNET, program_id=PROGRAM_ID)
        try:
            return await task.verify()
        finally:
            await sync_database.close()


def read_marts(database: testing.PostgresDatabase) -> dict[str, list[str]]:
    """The rows of every mart as text, sorted."""
    with database.connect() as connection:
        return {
            mart: [
                str(text)
                for (text,) in connection.execute(
                    f"select (to_jsonb(m) - %s::text[])::text from marts.{mart} as m order by 1", (columns,)
                )
            ]
            for mart, columns in MARTS.items()
        }


def read_log(database: testing.PostgresDatabase) -> list[tuple[Any, ...]]:
    """The events that count, at their places on the chain."""
    with database.connect() as connection:
        return connection.execute(
            "select t.signature, t.slot, t.index_in_block, e.ordinal, e.name, e.order_key from raw.events as e"
            " join raw.transactions as t using (transaction_no) where t.retracted_at is null order by e.order_key"
        ).fetchall()


@pytest.mark.parametrize(
    "cluster",
    [TODAY, replace(TODAY, has_transaction_index=False), replace(TOWER, node_version=(3, 0, 0))],
    ids=["alpenglow", "alpenglow without transactionIndex", "tower on an older node"],
)
async def test_the_walk_alone_gives_the_marts_of_the_deliveries(
    tmp_path: Path,
    postgres_server: testing.PostgresServer,
    marts_template: testing.PostgresDatabase,
    marts_database: testing.PostgresDatabase,
    cluster: ClusterProfile,
) -> None:
    """Both logs hold the same events at the same places, and all marts are equal and equal to their rebuild."""
    with postgres_server.clone(marts_template) as walked:
        async with chain_stack.open_chain_stack(tmp_path, marts_database, cluster=cluster, tempo=VARIED) as stack:
            await stack.play(30)
            await stack.pass_blocks(BLOCKS_TO_FINALITY)
            await stack.deliver(stack.landed_transactions())
            delivered = await stack.sync_task.verify()
            status = await walk(stack, walked)

            landed = stack.landed_transactions()
        assert (status.state, status.finalized_through) == ("verified", delivered.finalized_through)
        assert status.finalized_through == status.finalized_slot
        assert 1 in {one.transaction.version for one in landed if one.err is None}
        assert any(not one.was_executed for one in landed) == cluster.relaxes_fee_payer
        assert read_log(walked) == read_log(marts_database) != []
        assert read_marts(walked) == read_marts(marts_database)
        assert [v.name for v in rebuild.verify(walked.dsn()) if not v.is_consistent] == []
