"""Defines the schemas of markets, and of the data of one market."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from zmart.domain import images

from .answer import AsOf, Category, Exact, Instant, Integer, Outcome, Price, State


class MarketBrief(Struct, kw_only=True):
    """A market in a list."""

    id: Annotated[str, Meta(description="The market id: 64 hexadecimal digits.")]
    on_chain_address: str
    slug: Annotated[
        str,
        Meta(
            description=(
                "Its name in addresses: a-z, 0-9 and hyphens, made from the question; `market-` and the id until there "
                "is one. It changes with the question, and earlier ones keep leading to the market."
            )
        ),
    ]
    question: Annotated[str, Meta(description="A placeholder with the id until the creator has set one.")]
    description: str | None
    category: Category
    tags: list[str]
    end_date: Instant | None
    image_url: Annotated[str | None, Meta(description="The path of its image on this server; null without one.")]
    event_slug: Annotated[str | None, Meta(description="The slug of the event that it is in; see /api/events.")]
    state: State
    status: Annotated[State, Meta(description="The same as state.")]
    state_code: Annotated[int, Meta(ge=0, le=6, description="The program's number of the state.")]
    outcome: Annotated[Outcome | None, Meta(description="Null until finalized.")]
    creator_wallet: str
    creator: str
    b_parameter: int
    b_parameter_exact: Exact
    liquidity_parameter: int = field(name="liquidityParameter")
    initial_liquidity: int | None
    initial_liquidity_exact: Exact | None
    current_liquidity: int | None
    current_liquidity_exact: Exact | None
    shares_yes: int
    shares_yes_exact: Exact
    shares_no: int
    shares_no_exact: Exact
    total_shares: int = field(name="totalShares")
    total_volume: int
    total_volume_exact: Exact
    trades_count: int
    price_yes: Annotated[int | None, Meta(description="Billionths; null below the smallest tradable liquidity.")]
    current_price_yes: Price | None
    current_price_no: Price | None
    price_yes_camel: Price | None = field(name="priceYes")
    price_no_camel: Price | None = field(name="priceNo")
    proposed_outcome: bool | None
    final_outcome: Annotated[bool | None, Meta(description="Null before the end and for INVALID; see outcome.")]
    was_disputed: bool
    is_cancelled: bool
    created_at: Instant
    approved_at: Instant | None
    activated_at: Instant | None
    resolution_proposed_at: Instant | None
    dispute_initiated_at: Instant | None
    resolved_at: Instant | None
    finalized_at: Instant | None
    cancelled_at: Instant | None
    last_trade_at: Instant | None
    updated_at: Annotated[Instant, Meta(description="When the log received the newest entry that changed this row.")]
    created_at_camel: Instant = field(name="createdAt")
    activated_at_camel: Instant | None = field(name="activatedAt")
    resolution_time: Instant | None = field(name="resolutionTime")
    finalized_at_camel: Instant | None = field(name="finalizedAt")
    last_seq: Annotated[int, Meta(description="The newest log entry that changed this row.")]


class Market(MarketBrief, kw_only=True):
    """A market with all its fields."""

    resolver_wallet: str | None
    dispute_initiator: str | None
    ipfs_question_hash: str | None
    ipfs_evidence_hash: str | None
    proposal_likes: Annotated[int, Meta(description="As last aggregated on chain.")]
    proposal_dislikes: int
    proposal_total_votes: int
    dispute_agree: int
    dispute_disagree: int
    dispute_total_votes: int
    accumulated_resolver_fees: int
    accumulated_resolver_fees_exact: Exact
    accumulated_lp_fees: int
    accumulated_lp_fees_exact: Exact
    protocol_fees_paid: int
    protocol_fees_paid_exact: Exact
    market_lamports: Annotated[int | None, Meta(description="The account's balance in the newest event that has one.")]
    market_lamports_exact: Exact | None
    liquidity_withdrawn_at: Instant | None
    as_of: AsOf


class NewImage(Struct, kw_only=True):
    """An image for a market: PNG, JPEG or WebP, not animated, at most 4096 pixels a side and 4,194,304 together."""

    content: Annotated[
        bytes, Meta(min_length=1, max_length=images.MOST_BYTES, description="The file in base64, at most 512 KiB.")
    ]


class MarketImage(Struct, kw_only=True):
    """The image of a market as it is now."""

    market_id: str
    image_url: Annotated[str | None, Meta(description="Its path on this server; null after it was removed.")]
    seq: Annotated[int, Meta(description="Its log entry.")]


class MarketPage(Struct, kw_only=True):
    """A page of markets."""

    markets: list[MarketBrief]
    count: Annotated[int, Meta(description="Number of all markets that match the filters.")]
    count_is_exact: Annotated[bool, Meta(description="False when `q` matches more than were counted.")]
    limit: int
    offset: int
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor`; null on the last page.")]
    as_of: AsOf


class TradingStats(Struct, kw_only=True):
    """The sums of trades, in lamports."""

    total_volume: int
    total_volume_exact: Exact
    total_trades: int
    unique_traders: int
    buy_volume: Annotated[int, Meta(description="Paid by buyers, fees included.")]
    buy_volume_exact: Exact
    sell_volume: Annotated[int, Meta(description="Paid out for sales, before fees.")]
    sell_volume_exact: Exact


class MarketStats(Struct, kw_only=True):
    """The sums of a market's trades."""

    market_id: str
    stats: TradingStats
    as_of: AsOf


class Holder(Struct, kw_only=True):
    """A wallet that holds shares of a market."""

    user_wallet: str
    shares_yes: Integer
    shares_no: Integer
    total_invested: Annotated[Integer, Meta(description="Lamports paid for buys, fees included.")]
    share_of_yes_bps: Annotated[int, Meta(description="Of all YES shares that wallets hold.")]
    share_of_no_bps: int
    last_seq: int


class Holders(Struct, kw_only=True):
    """A market's holders, the largest first."""

    market_id: str
    holders: list[Holder]
    count: Annotated[int, Meta(description="Number of rows on this page.")]
    limit: int
    next_cursor: str | None
    as_of: AsOf


class LifecycleEvent(Struct, kw_only=True):
    """A step in a market's life."""

    event: str
    to_state: Annotated[State | None, Meta(description="Null if the step changes no state.")]
    user_wallet: str | None
    tx_signature: str
    slot: int
    seq: int
    block_time: Instant


class Deadline(Struct, kw_only=True):
    """The next deadline by the chain's clock. It may be in the past: a transaction is needed to act on it."""

    name: Literal["dispute_closes_at", "voting_closes_at"]
    at: Instant


class Lifecycle(Struct, kw_only=True):
    """The steps of a market's life, the oldest first."""

    market_id: str
    state: State
    outcome: Outcome | None
    timeline: list[LifecycleEvent]
    dispute_period_seconds: Annotated[Integer, Meta(description="By the current configuration.")]
    voting_window_seconds: Annotated[Integer, Meta(description="Period in which dispute ballots are accepted.")]
    dispute_closes_at: Annotated[Instant | None, Meta(description="While the outcome is open to dispute or disputed.")]
    voting_closes_at: Annotated[Instant | None, Meta(description="While disputed.")]
    next_deadline: Deadline | None
    as_of: AsOf
