"""A fork drops what a keeper sent while the log still shows it: the same bytes are sent again, nothing is signed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from keeper_stack import OPTIONS, KeeperStack, open_keeper_stack
from test_keeper_refusals import A_LONG_TIME, due_market, sent

from devchain.cluster import TOWER
from devchain.testing import PROGRAM_ID
from ingest.decode.decoder import Decoder
from zmart import testing
from zmart.chain import cluster_facts

STORED = "select t.retracted_at is null from raw.transactions as t join ops.submissions as s using (signature)"


@pytest.fixture
async def forkable(
    tmp_path: Path, marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KeeperStack]:
    """A stack under Tower, where a confirmed block is not final for 32 slots."""
    monkeypatch.setattr(cluster_facts, "moved_clusters", set())
    async with open_keeper_stack(tmp_path, marts_database, replace(OPTIONS, cluster=TOWER)) as stack:
        yield stack


async def _finalize_and_fork(stack: KeeperStack) -> tuple[str, str]:
    """Let a keeper's transaction land, deliver it, then drop it; return the market and the signature."""
    market = await due_market(stack)
    await stack.run_keepers("market_finalizations")
    (signature,) = stack.landed_signatures(market, "finalize_market")
    options = {"commitment": "confirmed", "maxSupportedTransactionVersion": 1}
    item = (await stack.node.call("getTransaction", signature, options))["result"]
    await stack.pipeline.submit(Decoder(PROGRAM_ID).decode_items([msgspec.json.encode(item)]).transactions)
    # The block of its blockhash stays, so the same bytes may land again.
    depth = sum(slot >= item["slot"] for slot in stack.node.ledger.blocks)
    assert signature in (await stack.node.call("devchain_fork", depth))["result"]
    assert stack.landed_signatures(market, "finalize_market") == []
    assert stack.fetch_all(STORED) == [(True,)]
    return market, signature


async def test_what_a_fork_dropped_is_sent_again_although_the_log_shows_it(forkable: KeeperStack) -> None:
    """The node does not know it and the log does not show it as final, so the next sweep sends the same bytes."""
    market, signature = await _finalize_and_fork(forkable)

    async with forkable.producing_blocks():
        swept = await forkable.sweep()

    assert swept.open == 1
    assert forkable.landed_signatures(market, "finalize_market") == [signature]
    await forkable.sync_log()
    await forkable.sweep()
    assert forkable.intents() == [("market_finalizations", "done", 0)]
    assert forkable.state(market) == "FINALIZED"
    assert sent(forkable) == 1


async def test_nothing_is_signed_again_while_the_log_shows_it(forkable: KeeperStack) -> None:
    """Also after its blockhash expired, only ingest's proof that it is gone lets a keeper sign again."""
    market, signature = await _finalize_and_fork(forkable)
    forkable.pass_blocks(A_LONG_TIME)

    await forkable.sweep()
    await forkable.run_keepers("market_finalizations")
    assert (sent(forkable), forkable.intents()) == (1, [("market_finalizations", "landed", 0)])

    async with forkable.pipeline.exclusive_writer() as writer:
        await writer.retract([signature])
    await forkable.sync_log()
    await forkable.run_keepers("market_finalizations")
    assert len(forkable.landed_signatures(market, "finalize_market")) == 1
    assert (sent(forkable), forkable.intents()) == (2, [("market_finalizations", "landed", 1)])
