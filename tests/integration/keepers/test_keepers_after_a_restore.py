"""Keepers on a restored database wait until the log has caught up with the chain, and send nothing twice."""

from __future__ import annotations

from pathlib import Path

from keeper_stack import KeeperStack, due, reasons

from ingest.store.group_commit import Pipeline
from ingest.store.writer import Writer
from ingest.sync.database import SyncDatabase
from ingest.sync.task import SyncTask
from orchestration.keepers import plans
from orchestration.keepers.reasons import Reason
from zmart import testing
from zmart.chain.rpc import RpcClient
from zmart.run.backup import dump, restore
from zmart.settings import Cluster

INSTRUCTION = "aggregate_proposal_votes"


async def test_what_was_sent_after_the_backup_is_not_sent_again(
    stack: KeeperStack, empty_database: testing.PostgresDatabase, tmp_path: Path
) -> None:
    """The backup holds neither the intent nor the event; the chain's own rules would accept a second tally."""
    market = stack.propose(1)
    await stack.sync_log()
    saved, _ = dump.save(stack.database.dsn("zmart_backup"), tmp_path / "backups")
    assert due(await stack.run_keepers("proposal_tallies")) == [market]
    assert len(stack.landed_signatures(market, INSTRUCTION)) == 1

    restored = restore.Target(admin_dsn=empty_database.dsn("postgres"), owner_dsn=empty_database.dsn())
    restore.restore(saved, restored)
    stack.database = empty_database
    assert stack.intents() == []

    # The log ends where the backup ends, a few slots behind the chain: its age alone would not stop a keeper.
    waiting = await stack.run_keepers("proposal_tallies")
    assert reasons(waiting) == {market: Reason.RESTORED}
    assert stack.alerts() == set()

    await _catch_up(stack)
    after = await stack.run_keepers("proposal_tallies")
    assert due(after) == []
    assert Reason.RESTORED not in reasons(after).values()
    assert len(stack.landed_signatures(market, INSTRUCTION)) == 1

    # They work again.
    second = stack.propose(2)
    await _catch_up(stack)
    assert due(await stack.run_keepers("proposal_tallies")) == [second]


async def test_the_first_log_of_keepers_needs_no_restore_to_wait_for(stack: KeeperStack) -> None:
    """On a new database keepers act at once."""
    market = stack.propose(1)
    await stack.sync_log()
    assert due(await stack.run_keepers("proposal_tallies", is_dry=True)) == [market]
    with stack.database.connect() as owner:
        owner.execute("update raw.identity set epoch = gen_random_uuid()")
    assert reasons(await stack.run_keepers("proposal_tallies", is_dry=True)) == {market: Reason.RESTORED}


async def test_another_timeline_of_the_server_is_waited_for(stack: KeeperStack) -> None:
    """A promoted standby with the same epoch may lack intents. A row of a former release has none."""
    market = stack.propose(1)
    await stack.sync_log()
    assert due(await stack.run_keepers("proposal_tallies", is_dry=True)) == [market]
    with stack.database.connect() as owner:
        owner.execute("update ops.cursors set value = value - 'timeline' where name = 'keeper_epoch'")
        assert due(await stack.run_keepers("proposal_tallies", is_dry=True)) == [market]

        owner.execute("update ops.cursors set value = value || '{\"timeline\": 0}' where name = 'keeper_epoch'")
        assert reasons(await stack.run_keepers("proposal_tallies", is_dry=True)) == {market: Reason.RESTORED}
        assert reasons(await stack.run_keepers("proposal_tallies", is_dry=True)) == {market: Reason.RESTORED}


async def _catch_up(stack: KeeperStack) -> None:
    """Walk the chain into the restored database, past the slots for which keepers wait."""

    async def connect() -> Writer:
        return await Writer.connect(stack.database.dsn("zmart_ingest"))

    stack.pass_blocks(plans.RESTORED_SLOTS)
    database = SyncDatabase(stack.database.dsn("zmart_ingest"))
    try:
        async with RpcClient([stack.node.url]) as chain, Pipeline(connect) as pipeline:
            walk = SyncTask(
                chain, database, pipeline, cluster=Cluster.LOCALNET, program_id=stack.configured.chain.program_id
            )
            await walk.verify()
    finally:
        await database.close()
