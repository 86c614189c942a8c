"""Implements the instructions of the outcome: resolution, dispute, finalization."""

from __future__ import annotations

from zmart.domain import events, market, votes
from zmart.domain.market import MarketState

from ..anchor import InstructionFrame
from .checks import require_state


def resolve_market(frame: InstructionFrame) -> None:
    """Propose an outcome (protocol.md 1.4.7); anybody may do so, and the evidence overwrites the question's id."""
    it, outcome = frame.market, frame.args["proposed_outcome"]
    require_state(frame)
    market.require_undecided(it.proposed_outcome)
    market.require_lifetime(frame.now, created_at=it.created_at)
    market.require_after(frame.now, it.activated_at)
    it.state, it.proposed_outcome = MarketState.RESOLVING, outcome
    it.resolver, it.resolution_proposed_at = frame.address("resolver"), frame.now
    it.ipfs_evidence_hash = frame.args["ipfs_evidence_hash"]
    it.resolution_agree = it.resolution_disagree = it.resolution_total_votes = 0
    frame.emit(events.MarketResolved(it.market_id, it.resolver, outcome, it.ipfs_evidence_hash, frame.now))


def initiate_dispute(frame: InstructionFrame) -> None:
    """Open a dispute (protocol.md 1.4.8); it is free of charge and open to anybody."""
    it = frame.market
    require_state(frame)
    market.require_dispute_open(
        frame.now,
        resolution_proposed_at=it.resolution_proposed_at,
        dispute_period_seconds=frame.config.dispute_period,
    )
    it.state, it.dispute_initiated_at = MarketState.DISPUTED, frame.now
    it.dispute_initiator = frame.address("initiator")
    it.dispute_agree = it.dispute_disagree = it.dispute_total_votes = 0
    frame.emit(events.DisputeInitiated(it.market_id, it.dispute_initiator, it.proposed_outcome, frame.now))


def aggregate_dispute_votes(frame: InstructionFrame) -> None:
    """Write the counts of the dispute votes (protocol.md 1.4.15).

    A successful dispute sends the market back to RESOLVING; a failed one finalizes it without an outcome.
    """
    it, agrees, disagrees = frame.market, frame.args["final_agrees"], frame.args["final_disagrees"]
    it.dispute_total_votes = votes.total(agrees, disagrees)
    it.dispute_agree, it.dispute_disagree = agrees, disagrees
    succeeded = votes.is_threshold_reached(agrees, disagrees, frame.config.dispute_success_threshold)
    it.was_disputed = True
    if succeeded:
        it.state = MarketState.RESOLVING
    else:
        it.state, it.resolved_at = MarketState.FINALIZED, frame.now
    percentage = votes.percentage(agrees, disagrees)
    frame.emit(events.DisputeAggregated(it.market_id, agrees, disagrees, percentage, succeeded, frame.now))


def finalize_market(frame: InstructionFrame) -> None:
    """Finalize a market (protocol.md 1.4.9).

    `was_disputed` is set from the present state, whatever its earlier value.
    """
    it = frame.market
    require_state(frame)
    market.require_lifetime(frame.now, created_at=it.created_at)
    market.require_after(frame.now, it.resolution_proposed_at)
    market.require_bounded_loss(
        initial_liquidity=it.initial_liquidity,
        current_liquidity=it.current_liquidity,
        b_parameter=it.b_parameter,
    )
    it.was_disputed = it.state == MarketState.DISPUTED
    it.final_outcome = _settle_dispute(frame) if it.was_disputed else _undisputed_outcome(frame)
    it.state, it.finalized_at = MarketState.FINALIZED, frame.now
    frame.emit(events.MarketFinalized(it.market_id, it.final_outcome, it.was_disputed, frame.now))


def _undisputed_outcome(frame: InstructionFrame) -> bool | None:
    market.require_dispute_closed(
        frame.now,
        resolution_proposed_at=frame.market.resolution_proposed_at,
        dispute_period_seconds=frame.config.dispute_period,
    )
    return frame.market.proposed_outcome


def _settle_dispute(frame: InstructionFrame) -> bool | None:
    it, agree, disagree = frame.market, frame.args["dispute_agree"], frame.args["dispute_disagree"]
    outcome = market.disputed_outcome(
        it.proposed_outcome,
        agree=agree,
        disagree=disagree,
        threshold_bps=frame.config.dispute_success_threshold,
    )
    it.dispute_agree, it.dispute_disagree = agree, disagree
    it.dispute_total_votes = agree + disagree
    return outcome
