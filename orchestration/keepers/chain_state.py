"""Everything a plan is made from, read at one place of the chain."""

from __future__ import annotations

from typing import Final

from zmart.chain import client, rpc_errors
from zmart.settings import Settings

from . import preflight
from .intent_store import Facts
from .plans import Config, Rules, Standing
from .preflight import Keys

#: Slots without a block come singly; a node that has no time for so many in a row has none at all.
MOST_EMPTY_SLOTS: Final = 64


async def standing(node: client.ChainClient, facts: Facts) -> Standing:
    """What is proven and how old it is. Raises NodeTrouble where the node cannot say."""
    final = facts.finalized_through
    clock = await node.clock(commitment="finalized", min_context_slot=final)
    return Standing(
        verified_through=facts.verified_through,
        finalized_through=final,
        proven_at=None if final is None else await _time_of(node, final, clock),
        chain_at=clock.unix_timestamp,
        slot=clock.slot,
        our_at=facts.our_at,
        stale=facts.stale,
    )


async def _time_of(node: client.ChainClient, slot: int, clock: client.ChainClock) -> int:
    """The chain's time at a finalized slot; at one without a block, that of the block before, which is not later."""
    if slot == clock.slot:
        return clock.unix_timestamp
    for earlier in range(slot, max(0, slot - MOST_EMPTY_SLOTS), -1):
        at = await node.block_time(earlier)
        if at is not None:
            return at
    raise rpc_errors.NodeBehind(f"The node knows no time of slot {slot}, nor of the {MOST_EMPTY_SLOTS} before it.")


async def config(node: client.ChainClient, program_id: str, facts: Facts) -> Config:
    """The program's configuration, from a node that has seen what the log has."""
    return await preflight.configuration(node, program_id, min_context_slot=seen(facts))


def seen(facts: Facts) -> int | None:
    """The newest slot of the log's proofs: no node may answer from before it."""
    return facts.verified_through


def rules(configured: Settings, keys: Keys) -> Rules:
    """What the settings ask for."""
    voting, monitor = configured.voting, configured.monitor
    return Rules(
        min_proposal_votes=voting.min_proposal_votes,
        approval_threshold_bps=voting.proposal_approval_threshold_bps,
        dispute_threshold_bps=voting.dispute_threshold_bps,
        voting_window_seconds=voting.dispute_voting_window_seconds,
        eligibility=voting.ballot_eligibility,
        has_admin=keys.admin is not None,
        activates=configured.keepers.activates,
        batch_size=monitor.batch_size,
        clocks_agree=not configured.chain.is_localnet,
    )
