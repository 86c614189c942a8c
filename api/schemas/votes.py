"""Defines the schemas of ballots and their tallies."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from .answer import AsOf, BallotKind, Instant


class Vote(Struct, kw_only=True):
    """One ballot."""

    id: str
    market_id: str
    user_wallet: str
    vote_type: BallotKind
    vote: Annotated[bool, Meta(description="proposal: like; dispute: agree with the dispute.")]
    voted_at: Instant
    created_at: Instant
    source: Literal["chain", "api"]
    tx_signature: str | None
    last_seq: int


class SideCount(Struct, kw_only=True):
    """Ballots of one source."""

    likes: int
    dislikes: int


class VoteStats(Struct, kw_only=True):
    """The tally: each wallet once, in total and by the source of the ballot."""

    likes: int
    dislikes: int
    total: int
    approval_rate: Annotated[str, Meta(description='Percent with two digits, such as "75.00".')]
    on_chain: SideCount
    off_chain_known: SideCount
    off_chain_unseen: SideCount
    voting_closes_at: Instant | None


class MarketVotes(Struct, kw_only=True):
    """A market's ballots of one kind."""

    votes: list[Vote]
    stats: VoteStats
    limit: int
    offset: int
    market_id: str
    type: BallotKind
    as_of: AsOf


class VoteTally(Struct, kw_only=True):
    """A tally: each wallet once."""

    agree: Annotated[int, Meta(description="Likes of a proposal, or ballots for a dispute.")]
    disagree: int
    total: int


class VoteTallies(Struct, kw_only=True):
    """Tallies by kind."""

    proposal: VoteTally
    dispute: VoteTally


class ProposalVotes(Struct, kw_only=True):
    """A proposal's tally, by the names that earlier tests read."""

    likes: int
    dislikes: int


class DisputeVotes(Struct, kw_only=True):
    """A dispute's tally, by the names that earlier tests read."""

    agrees: Annotated[int, Meta(description="Agrees with the dispute, and so disagrees with the proposed outcome.")]
    disagrees: int


class VoteCounts(Struct, kw_only=True):
    """A market's tallies."""

    market_id: str
    counts: VoteTallies
    proposal_votes: ProposalVotes
    dispute_votes: DisputeVotes
    as_of: AsOf


class ProposalTally(Struct, kw_only=True):
    """A proposal's tally."""

    likes: int
    dislikes: int
    total: int


class DisputeTally(Struct, kw_only=True):
    """A dispute's tally."""

    agrees: Annotated[int, Meta(description="Agrees with the dispute, and so disagrees with the proposed outcome.")]
    disagrees: int
    total: int


class ProposalCounts(Struct, kw_only=True):
    """A proposal's tally, in the format of the earlier vote aggregator (protocol.md 4.2)."""

    success: Literal[True]
    market_id: str = msgspec.field(name="marketId")
    counts: ProposalTally
    as_of: AsOf


class DisputeCounts(Struct, kw_only=True):
    """A dispute's tally, in the format of the earlier vote aggregator (protocol.md 4.2)."""

    success: Literal[True]
    market_id: str = msgspec.field(name="marketId")
    counts: DisputeTally
    as_of: AsOf
