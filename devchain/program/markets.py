"""Implements the instructions of a market before trading: creation, votes, approval, activation, cancellation."""

from __future__ import annotations

from collections.abc import Callable

from zmart.domain import events, market, votes
from zmart.domain.market import MarketState
from zmart.domain.votes import VoteKind

from ..anchor import InstructionFrame
from .checks import require_running, require_state


def create_market(frame: InstructionFrame) -> None:
    """Create a market (protocol.md 1.4.2); only rent is paid, the liquidity is just a number."""
    require_running(frame)
    args = frame.args
    b, liquidity = args["b_parameter"], args["initial_liquidity"]
    market.require_creation(b, liquidity)
    fresh = frame.market
    fresh.market_id, fresh.creator = args["market_id"], frame.address("creator")
    fresh.state, fresh.created_at = MarketState.PROPOSED, frame.now
    fresh.b_parameter = b
    fresh.initial_liquidity = fresh.current_liquidity = liquidity
    fresh.shares_yes = fresh.shares_no = market.initial_shares(b)
    fresh.ipfs_evidence_hash = args["ipfs_question_hash"]
    frame.emit(events.MarketCreated(fresh.market_id, fresh.creator, b, fresh.state, frame.now))


_VoteEvent = type[events.ProposalVoteSubmitted] | type[events.DisputeVoteSubmitted]


def submit_vote(kind: VoteKind, event: _VoteEvent) -> Callable[[InstructionFrame], None]:
    """Return the handler that records a ballot (protocol.md 1.4.12 and 1.4.14); it changes no counter of the market."""

    def run(frame: InstructionFrame) -> None:
        record, user = frame.vote, frame.address("user")
        record.market, record.user = frame.address("market"), user
        record.vote_type, record.vote = kind, frame.args["vote"]
        record.voted_at = frame.now
        frame.emit(event(frame.market.market_id, user, record.vote, frame.now))

    return run


def aggregate_proposal_votes(frame: InstructionFrame) -> None:
    """Write the counts of the proposal votes (protocol.md 1.4.13); the state does not change."""
    it, likes, dislikes = frame.market, frame.args["final_likes"], frame.args["final_dislikes"]
    it.proposal_total_votes = votes.total(likes, dislikes)
    it.proposal_likes, it.proposal_dislikes = likes, dislikes
    approved = votes.is_threshold_reached(likes, dislikes, frame.config.proposal_approval_threshold)
    percentage = votes.percentage(likes, dislikes)
    frame.emit(events.ProposalAggregated(it.market_id, likes, dislikes, percentage, approved, frame.now))


def approve_proposal(frame: InstructionFrame) -> None:
    """Approve a proposal (protocol.md 1.4.3)."""
    it = frame.market
    require_state(frame)
    threshold = frame.config.proposal_approval_threshold
    market.require_approval(it.proposal_likes, it.proposal_dislikes, threshold)
    it.state, it.approved_at = MarketState.APPROVED, frame.now
    frame.emit(events.ProposalApproved(it.market_id, frame.address("admin"), frame.now))


def activate_market(frame: InstructionFrame) -> None:
    """Activate a market (protocol.md 1.4.4)."""
    it = frame.market
    require_state(frame)
    market.require_activation(it.initial_liquidity, it.current_liquidity)
    it.state, it.activated_at = MarketState.ACTIVE, frame.now
    frame.emit(events.MarketActivated(it.market_id, it.creator, it.initial_liquidity, frame.now))


def cancel_market(frame: InstructionFrame) -> None:
    """Cancel a market (protocol.md 1.4.18); the `is_cancelled` flag stays false."""
    it = frame.market
    require_state(frame)
    it.state, it.cancelled_at = MarketState.CANCELLED, frame.now
    frame.emit(events.MarketCancelled(it.market_id, frame.address("admin"), frame.now))
