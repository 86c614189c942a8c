"""What a plan is made from: markets, the proven part of the log, the program's configuration, and our rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from zmart.domain.ids import Address
from zmart.domain.market import MarketState


class ProtocolConfig(NamedTuple):
    """The program's configuration, as read from its account; it must not change between plan and send."""

    admin: Address
    backend_authority: Address
    proposal_approval_threshold: int
    dispute_success_threshold: int
    #: Seconds.
    dispute_period: int
    is_paused: bool


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of our settings, in addition to those of the program."""

    min_proposal_votes: int
    approval_threshold_bps: int
    dispute_threshold_bps: int
    voting_window_seconds: int
    #: Whether the admin's key is configured.
    has_admin: bool
    #: Whether keepers may send approvals; otherwise an operator does.
    approves: bool
    activates: bool
    #: Maximum number of rows that one round sends.
    batch_size: int
    #: Whether this machine's clock must agree with the chain's; false where the chain's clock can be set by hand.
    clocks_agree: bool = True


@dataclass(frozen=True, kw_only=True)
class ProvenState:
    """The proven part of the log and its age; instants are seconds since 1970."""

    #: Slots through which no confirmed transaction is missing, and through which log and finalized chain are equal;
    #: None before that.
    verified_through: int | None
    finalized_through: int | None
    #: The chain's time at `finalized_through`.
    proven_at: int | None
    #: The chain's finalized time now, and its slot.
    chain_at: int
    slot: int
    #: This machine's time, as Postgres reports it.
    our_at: float
    #: Models that stopped following the log, of those that plans read.
    stale: tuple[str, ...] = ()
    #: The finalized slot at which keepers first met this log after a restore; None for a log that was not restored.
    restored_at_slot: int | None = None


class Tally(NamedTuple):
    """Counted ballots of one market, by class; agree means a like of a proposal, or agreement with a dispute."""

    on_chain_agree: int = 0
    on_chain_disagree: int = 0
    known_agree: int = 0
    known_disagree: int = 0
    unseen_agree: int = 0
    unseen_disagree: int = 0

    def with_unseen(self) -> tuple[int, int]:
        """Return the agreeing and disagreeing ballots of all wallets."""
        agree, disagree = self.without_unseen()
        return agree + self.unseen_agree, disagree + self.unseen_disagree

    def without_unseen(self) -> tuple[int, int]:
        """Return the agreeing and disagreeing ballots on chain, and of wallets seen there before the vote opened."""
        return self.on_chain_agree + self.known_agree, self.on_chain_disagree + self.known_disagree


NO_BALLOTS: Final = Tally()


class OpenIntent(NamedTuple):
    """The open intent that blocks another one for the same market."""

    intent_no: int
    state: str


@dataclass(frozen=True, kw_only=True)
class MarketFacts:
    """A market as read from the marts; instants are seconds since 1970, or 0 if they have not happened."""

    market_no: int
    market_id: str
    address: Address
    state: MarketState
    proposed_outcome: bool | None
    was_disputed: bool
    #: The slot of the last event that a decision depends on.
    decisive_slot: int
    created_at: int
    resolution_proposed_at: int = 0
    dispute_initiated_at: int = 0
    #: The tally that is written on chain.
    likes: int = 0
    dislikes: int = 0
    tally: Tally = NO_BALLOTS
    open_intent: OpenIntent | None = None
    #: The time at which an intent for the same action was last sent, by our clock.
    last_sent_at: float | None = None
    #: The accepted gap with an unproven or missing transaction that concerns the market, or may concern it.
    gap_no: int | None = None
