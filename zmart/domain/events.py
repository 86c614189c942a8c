"""Defines the eighteen events of the program, which are the facts of the log (protocol.md 1.7).

The fields are those that the program emits, in its order: addresses in base58, `[u8; 32]` and `[u8; 46]` as bytes,
amounts in lamports, shares and prices with nine decimals, instants in seconds since 1970 by the chain's clock. A
missing Option is None; an outcome is True for YES, False for NO, None for INVALID or undecided.

Events are tuples, because a process reads hundreds of thousands of them a second. `name` belongs to the class:
`event.name` is the program's name of the event.
"""

# `name` means the same in every class and is documented above.
# ruff: noqa: D102

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from zmart.domain.ids import Address


def _class_attribute(method: Callable[[Any], str]) -> str:
    """Return the method's result as a plain attribute of the class.

    mypy, unlike Python, treats every assignment in the body of a NamedTuple as a field; a decorated method is the only
    other member that it allows.
    """
    return method(None)


class ConfigUpdated(NamedTuple):
    """The admin wrote the configuration; every value is the one in force afterwards."""

    protocol_fee_bps: int
    resolver_reward_bps: int
    liquidity_provider_fee_bps: int
    proposal_approval_threshold: int
    dispute_success_threshold: int
    min_resolution_delay: int
    dispute_period: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "ConfigUpdated"


class DisputeAggregated(NamedTuple):
    """The backend closed a dispute by its vote counts; below the threshold no outcome remains."""

    market_id: bytes
    agrees: int
    disagrees: int
    agreement_percentage: int
    dispute_succeeded: bool
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "DisputeAggregated"


class DisputeInitiated(NamedTuple):
    """A wallet contested a proposed outcome."""

    market_id: bytes
    initiator: Address
    disputed_outcome: bool | None
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "DisputeInitiated"


class DisputeVoteSubmitted(NamedTuple):
    """A wallet voted on a dispute on chain; True agrees with the dispute."""

    market_id: bytes
    user: Address
    vote: bool
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "DisputeVoteSubmitted"


class GlobalConfigInitialized(NamedTuple):
    """The protocol was initialized with its default configuration."""

    admin: Address
    backend_authority: Address
    protocol_fee_bps: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "GlobalConfigInitialized"


class LiquidityWithdrawn(NamedTuple):
    """The creator withdrew the lamports of a finished market's account."""

    market_id: bytes
    creator: Address
    amount: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "LiquidityWithdrawn"


class MarketActivated(NamedTuple):
    """Trading is open."""

    market_id: bytes
    creator: Address
    initial_liquidity: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "MarketActivated"


class MarketCancelled(NamedTuple):
    """The admin cancelled a market before trading."""

    market_id: bytes
    cancelled_by: Address
    cancelled_at: int

    @_class_attribute
    def name(self) -> str:
        return "MarketCancelled"


class MarketCreated(NamedTuple):
    """A market was proposed; question, liquidity and address are not in the event."""

    market_id: bytes
    creator: Address
    b_parameter: int
    state: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "MarketCreated"


class MarketFinalized(NamedTuple):
    """The outcome is settled; `was_disputed` does not include an earlier dispute that returned to RESOLVING."""

    market_id: bytes
    final_outcome: bool | None
    was_disputed: bool
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "MarketFinalized"


class MarketResolved(NamedTuple):
    """A wallet proposed an outcome."""

    market_id: bytes
    resolver: Address
    outcome: bool
    evidence_hash: bytes
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "MarketResolved"


class ProposalAggregated(NamedTuple):
    """The backend wrote the vote counts of a proposal; approving is a separate step."""

    market_id: bytes
    likes: int
    dislikes: int
    approval_percentage: int
    approved: bool
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "ProposalAggregated"


class ProposalApproved(NamedTuple):
    """The admin approved a proposal."""

    market_id: bytes
    approved_by: Address
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "ProposalApproved"


class ProposalVoteSubmitted(NamedTuple):
    """A wallet voted on a proposal on chain; True likes it."""

    market_id: bytes
    user: Address
    vote: bool
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "ProposalVoteSubmitted"


class ProtocolPauseStatusChanged(NamedTuple):
    """Creating and trading were stopped or allowed again."""

    is_paused: bool
    paused_by: Address
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "ProtocolPauseStatusChanged"


class SharesBought(NamedTuple):
    """A buy; `cost` is everything the buyer paid, fees included."""

    market_id: bytes
    user: Address
    outcome: bool
    shares: int
    cost: int
    new_price_yes: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "SharesBought"


class SharesSold(NamedTuple):
    """A sell; `proceeds` is what the seller received, after fees."""

    market_id: bytes
    user: Address
    outcome: bool
    shares: int
    proceeds: int
    new_price_yes: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "SharesSold"


class WinningsClaimed(NamedTuple):
    """A holder was paid; the first field is the market's account, not its id."""

    market: Address
    user: Address
    outcome: bool | None
    amount: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "WinningsClaimed"


class WinningsClaimedV0(NamedTuple):
    """A claim in the form of an earlier build: same name and discriminator, 96 bytes long."""

    market_id: bytes
    user: Address
    amount: int
    resolver_fee: int
    timestamp: int

    @_class_attribute
    def name(self) -> str:
        return "WinningsClaimed"


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

#: The event classes by the program's names; the earlier WinningsClaimed is recognised by its length.
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
