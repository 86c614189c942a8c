"""The eighteen events of the program: the facts the log is made of. Protocol.md 1.7.

A field is what the program emits, in its order: addresses in base58, `[u8; 32]` and `[u8; 46]` as
bytes, amounts in lamports, shares and prices with nine decimals, instants in seconds since 1970 by
the chain's clock. A missing Option is None; an outcome is True for YES, False for NO, None for
INVALID or undecided.

Tuples, because a process reads hundreds of thousands of them a second. `name` belongs to the class:
`event.name` is the program's word for what happened.
"""

# A NamedTuple's class attribute is neither a field nor known to mypy, which reports it as misc.
# mypy: disable-error-code="misc"

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from zmart.domain.ids import Address


class ConfigUpdated(NamedTuple):
    """The admin wrote the configuration; every value is the one in force afterwards."""

    name = "ConfigUpdated"
    protocol_fee_bps: int
    resolver_reward_bps: int
    liquidity_provider_fee_bps: int
    proposal_approval_threshold: int
    dispute_success_threshold: int
    min_resolution_delay: int
    dispute_period: int
    timestamp: int


class DisputeAggregated(NamedTuple):
    """The backend closed a dispute by counts; below the threshold no outcome remains."""

    name = "DisputeAggregated"
    market_id: bytes
    agrees: int
    disagrees: int
    agreement_percentage: int
    dispute_succeeded: bool
    timestamp: int


class DisputeInitiated(NamedTuple):
    """Somebody contested a proposed outcome."""

    name = "DisputeInitiated"
    market_id: bytes
    initiator: Address
    disputed_outcome: bool | None
    timestamp: int


class DisputeVoteSubmitted(NamedTuple):
    """A wallet voted on a dispute on chain; True agrees with the dispute."""

    name = "DisputeVoteSubmitted"
    market_id: bytes
    user: Address
    vote: bool
    timestamp: int


class GlobalConfigInitialized(NamedTuple):
    """The protocol exists, with its default configuration."""

    name = "GlobalConfigInitialized"
    admin: Address
    backend_authority: Address
    protocol_fee_bps: int
    timestamp: int


class LiquidityWithdrawn(NamedTuple):
    """The creator emptied a finished market's account."""

    name = "LiquidityWithdrawn"
    market_id: bytes
    creator: Address
    amount: int
    timestamp: int


class MarketActivated(NamedTuple):
    """Trading is open."""

    name = "MarketActivated"
    market_id: bytes
    creator: Address
    initial_liquidity: int
    timestamp: int


class MarketCancelled(NamedTuple):
    """The admin dropped a market before trading."""

    name = "MarketCancelled"
    market_id: bytes
    cancelled_by: Address
    cancelled_at: int


class MarketCreated(NamedTuple):
    """A market was proposed; question, liquidity and address are not in the event."""

    name = "MarketCreated"
    market_id: bytes
    creator: Address
    b_parameter: int
    state: int
    timestamp: int


class MarketFinalized(NamedTuple):
    """The outcome is settled; `was_disputed` forgets an earlier bounced dispute."""

    name = "MarketFinalized"
    market_id: bytes
    final_outcome: bool | None
    was_disputed: bool
    timestamp: int


class MarketResolved(NamedTuple):
    """Somebody proposed an outcome."""

    name = "MarketResolved"
    market_id: bytes
    resolver: Address
    outcome: bool
    evidence_hash: bytes
    timestamp: int


class ProposalAggregated(NamedTuple):
    """The backend wrote the counts of a proposal's votes; approving is another step."""

    name = "ProposalAggregated"
    market_id: bytes
    likes: int
    dislikes: int
    approval_percentage: int
    approved: bool
    timestamp: int


class ProposalApproved(NamedTuple):
    """The admin approved a proposal."""

    name = "ProposalApproved"
    market_id: bytes
    approved_by: Address
    timestamp: int


class ProposalVoteSubmitted(NamedTuple):
    """A wallet voted on a proposal on chain; True likes it."""

    name = "ProposalVoteSubmitted"
    market_id: bytes
    user: Address
    vote: bool
    timestamp: int


class ProtocolPauseStatusChanged(NamedTuple):
    """Creating and trading were stopped or allowed again."""

    name = "ProtocolPauseStatusChanged"
    is_paused: bool
    paused_by: Address
    timestamp: int


class SharesBought(NamedTuple):
    """A buy; `cost` is everything the buyer paid, fees included."""

    name = "SharesBought"
    market_id: bytes
    user: Address
    outcome: bool
    shares: int
    cost: int
    new_price_yes: int
    timestamp: int


class SharesSold(NamedTuple):
    """A sell; `proceeds` is what the seller received, fees taken."""

    name = "SharesSold"
    market_id: bytes
    user: Address
    outcome: bool
    shares: int
    proceeds: int
    new_price_yes: int
    timestamp: int


class WinningsClaimed(NamedTuple):
    """A holder was paid; the first field is the market's account, not its id."""

    name = "WinningsClaimed"
    market: Address
    user: Address
    outcome: bool | None
    amount: int
    timestamp: int


class WinningsClaimedV0(NamedTuple):
    """A claim as an earlier build emitted it: same name and discriminator, 96 bytes long."""

    name = "WinningsClaimed"
    market_id: bytes
    user: Address
    amount: int
    resolver_fee: int
    timestamp: int


Event: TypeAlias = (
    ConfigUpdated
    | DisputeAggregated
    | DisputeInitiated
    | DisputeVoteSubmitted
    | GlobalConfigInitialized
    | LiquidityWithdrawn
    | MarketActivated
    | MarketCancelled
    | MarketCreated
    | MarketFinalized
    | MarketResolved
    | ProposalAggregated
    | ProposalApproved
    | ProposalVoteSubmitted
    | ProtocolPauseStatusChanged
    | SharesBought
    | SharesSold
    | WinningsClaimed
    | WinningsClaimedV0
)

#: The event classes by the program's names; the earlier WinningsClaimed is found by its length.
EVENTS: dict[str, type[Event]] = {
    event.name: event
    for event in (
        ConfigUpdated,
        DisputeAggregated,
        DisputeInitiated,
        DisputeVoteSubmitted,
        GlobalConfigInitialized,
        LiquidityWithdrawn,
        MarketActivated,
        MarketCancelled,
        MarketCreated,
        MarketFinalized,
        MarketResolved,
        ProposalAggregated,
        ProposalApproved,
        ProposalVoteSubmitted,
        ProtocolPauseStatusChanged,
        SharesBought,
        SharesSold,
        WinningsClaimed,
    )
}
