"""Reads the input of a plan from the chain at one slot: the proven state and the program's configuration."""

from __future__ import annotations

from typing import Final

from zmart.chain import client, rpc_errors
from zmart.settings import Settings

from . import preflight
from .intent_store import LogFacts
from .plan_inputs import ProtocolConfig, ProvenState, Rules
from .preflight import KeeperKeys

#: Slots without a block are usually single; a node without a block time for this many in a row has none at all.
MOST_EMPTY_SLOTS: Final = 64


async def read_proven_state(node: client.ChainClient, facts: LogFacts) -> ProvenState:
    """Return the proven slots and their times. Raises NodeError if the node gives no usable answer."""
    final = facts.finalized_through
    clock = await node.clock(commitment="finalized", min_context_slot=final)
    return ProvenState(
        verified_through=facts.verified_through,
        finalized_through=final,
        proven_at=None if final is None else await _time_of(node, final, clock),
        chain_at=clock.unix_timestamp,
        slot=clock.slot,
        our_at=facts.our_at,
        stale=facts.stale,
    )


async def _time_of(node: client.ChainClient, slot: int, clock: client.ChainClock) -> int:
    """Return the chain's time at a finalized slot, or that of the last block before it, which is not later.

    Since Alpenglow a program sees the time of its block's parent. So every transaction after `slot` sees this time or a
    later one, and every transaction up to `slot` this time or an earlier one: a deadline that this time has reached is
    over for all transactions that the log does not hold.
    """
    if slot == clock.slot:
        return clock.unix_timestamp
    for earlier in range(slot, max(0, slot - MOST_EMPTY_SLOTS), -1):
        at = await node.block_time(earlier)
        if at is not None:
            return at
    raise rpc_errors.NodeBehind(f"The node has no time of slot {slot}, nor of the {MOST_EMPTY_SLOTS} before it.")


async def read_config(node: client.ChainClient, program_id: str, facts: LogFacts) -> ProtocolConfig:
    """Return the program's configuration, from a node that has seen every slot of the log."""
    return await preflight.read_config(node, program_id, min_context_slot=proven_slot(facts))


def proven_slot(facts: LogFacts) -> int | None:
    """Return the newest slot that the log has proven; a node must not answer from an earlier slot."""
    return facts.verified_through


def rules_from_settings(configured: Settings, keys: KeeperKeys) -> Rules:
    """Return the rules of the settings."""
    voting, monitor = configured.voting, configured.monitor
    return Rules(
        min_proposal_votes=voting.min_proposal_votes,
        approval_threshold_bps=voting.proposal_approval_threshold_bps,
        dispute_threshold_bps=voting.dispute_threshold_bps,
        voting_window_seconds=voting.dispute_voting_window_seconds,
        has_admin=keys.admin is not None,
        approves=configured.keepers.approves,
        activates=configured.keepers.activates,
        batch_size=monitor.batch_size,
        clocks_agree=not configured.chain.is_localnet,
    )
