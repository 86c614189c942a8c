"""The shapes of answers, as clients and the OpenAPI document see them.

Postgres builds the bodies; these classes describe them, and the tests decode every endpoint's answer
with them, no field more and no field less. Amounts are lamports (or shares in billionths) as JSON
numbers, as older clients expect them; beyond 2**53 only the `_exact` string beside each is right.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, UnsetType, field

State = Literal["PROPOSED", "APPROVED", "ACTIVE", "RESOLVING", "DISPUTED", "FINALIZED", "CANCELLED"]
Outcome = Literal["YES", "NO", "INVALID"]
Side = Literal["YES", "NO"]
Category = Literal["politics", "sports", "crypto", "science", "entertainment", "other"]
Commitment = Literal["confirmed", "finalized"]
BallotKind = Literal["proposal", "dispute"]
ActivityType = Literal["trade", "creation", "resolution", "dispute", "vote", "approval", "payout", "protocol"]
Interval = Literal["1m", "5m", "1h", "1d"]
Instant = datetime.datetime

Exact = Annotated[str, Meta(pattern="^-?[0-9]+$", description="The integer beside it, exactly.")]
Integer = Annotated[str, Meta(pattern="^-?[0-9]+$", description="An integer; text, for it may be beyond 2**53.")]
Price = Annotated[float, Meta(description="0 to 1.")]


class AsOf(Struct, kw_only=True):
    """What the rows of an answer are true of: this log up to this entry."""

    epoch: Annotated[str, Meta(description="Which log; another one after a restore.")]
    seq: Annotated[int, Meta(description="The newest entry of the log that the rows reflect.")]
    slot: Annotated[int | None, Meta(description="The newest slot with an event; null before any.")]
    commitment: Commitment


class FieldProblem(Struct, kw_only=True):
    """What is wrong with one parameter."""

    field: str
    message: str


class Problem(Struct, kw_only=True):
    """RFC 9457 problem details, with the members that older clients read."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: Annotated[str, Meta(description="Stable; what a program should compare.")]
    error: str
    message: str
    timestamp: str
    path: str
    details: list[FieldProblem] | UnsetType = msgspec.UNSET


class Health(Struct, kw_only=True):
    """The process is there."""

    status: Literal["healthy"]
    service: str
    timestamp: str
    uptime: Annotated[float, Meta(description="Seconds since the process began to serve.")]
    environment: str


class Readiness(Struct, kw_only=True):
    """Whether requests can be answered, and why not."""

    status: Literal["ready", "unready"]
    service: str
    reasons: Annotated[list[str], Meta(description="What stands in the way.")]
    warnings: Annotated[list[str], Meta(description="What does not, but should be looked at.")]
    epoch: str | None
    seq: int | None
    streams: Annotated[int, Meta(description="Open streams of this process.")]


class MarketBrief(Struct, kw_only=True):
    """A market in a list."""

    id: Annotated[str, Meta(description="The market id: 64 hexadecimal digits.")]
    on_chain_address: str
    question: Annotated[str, Meta(description="A placeholder naming the id until its creator has told us one.")]
    description: str | None
    category: Category
    tags: list[str]
    end_date: Instant | None
    state: State
    status: Annotated[State, Meta(description="The same as state.")]
    state_code: Annotated[int, Meta(ge=0, le=6, description="state as the program numbers it.")]
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
    final_outcome: Annotated[bool | None, Meta(description="Null before the end and for INVALID; outcome tells.")]
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
    created_at_camel: Instant = field(name="createdAt")
    activated_at_camel: Instant | None = field(name="activatedAt")
    resolution_time: Instant | None = field(name="resolutionTime")
    finalized_at_camel: Instant | None = field(name="finalizedAt")
    last_seq: Annotated[int, Meta(description="The newest entry that changed this row.")]


class Market(MarketBrief, kw_only=True):
    """A market, the whole row."""

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
    market_lamports: Annotated[int | None, Meta(description="The account's balance when last told.")]
    market_lamports_exact: Exact | None
    liquidity_withdrawn_at: Instant | None
    as_of: AsOf


class MarketPage(Struct, kw_only=True):
    """Some of the markets."""

    markets: list[MarketBrief]
    count: Annotated[int, Meta(description="How many there are in all with these filters.")]
    limit: int
    offset: int
    next_cursor: Annotated[str | None, Meta(description="Give it as `cursor`; null at the end.")]
    as_of: AsOf


class Trade(Struct, kw_only=True):
    """One purchase or sale of shares."""

    id: Annotated[str, Meta(description="tx_signature:ordinal.")]
    market_id: str
    market_id_camel: str = field(name="marketId")
    user_wallet: str
    trader: str
    trade_type: Literal["buy", "sell"]
    outcome: Side
    outcome_bool: Annotated[bool, Meta(description="True for YES.")]
    shares: int
    shares_exact: Exact
    cost: Annotated[int, Meta(description="Lamports: paid with fees, or received after fees.")]
    cost_exact: Exact
    gross_lamports: Annotated[str, Meta(description="The cost before fees.")]
    protocol_fee_lamports: str
    resolver_fee_lamports: str
    lp_fee_lamports: str
    are_fees_exact: Annotated[
        bool, Meta(description="False for a sale whose fees the chain does not tell apart by one.")
    ]
    price_after: Annotated[float, Meta(description="Price of YES after the trade.")]
    price: Annotated[float, Meta(description="Price of the traded outcome after the trade.")]
    new_price_yes: Annotated[int, Meta(description="price_after in billionths.")]
    tx_signature: str
    ordinal: int
    slot: int
    seq: int
    block_time: Instant
    created_at: Instant
    timestamp: Instant


class TradePage(Struct, kw_only=True):
    """Trades, the latest on chain first."""

    trades: list[Trade]
    count: Annotated[int, Meta(description="How many are on this page.")]
    limit: int
    offset: int
    next_cursor: str | None
    as_of: AsOf


class MarketTradePage(TradePage, kw_only=True):
    """Trades of one market."""

    market_id: str


class WalletTradePage(TradePage, kw_only=True):
    """Trades of one wallet."""

    wallet: str


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
    """Ballots of one class."""

    likes: int
    dislikes: int


class VoteStats(Struct, kw_only=True):
    """The tally: each wallet once, in all and by where the ballot comes from."""

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


class TradingStats(Struct, kw_only=True):
    """What trades add up to, in lamports."""

    total_volume: int
    total_volume_exact: Exact
    total_trades: int
    unique_traders: int
    buy_volume: Annotated[int, Meta(description="Paid by buyers, fees included.")]
    buy_volume_exact: Exact
    sell_volume: Annotated[int, Meta(description="Paid out for sales, before fees.")]
    sell_volume_exact: Exact


class MarketStats(Struct, kw_only=True):
    """A market's trading in sums."""

    market_id: str
    stats: TradingStats
    as_of: AsOf


class Position(Struct, kw_only=True):
    """What a wallet holds in a market."""

    market_id: str
    market_id_camel: str = field(name="marketId")
    market_address: str
    user_wallet: str
    user_id: str = field(name="userId")
    shares_yes: int
    shares_yes_exact: Exact
    shares_yes_camel: int = field(name="sharesYes")
    shares_no: int
    shares_no_exact: Exact
    shares_no_camel: int = field(name="sharesNo")
    total_invested: Annotated[int, Meta(description="Lamports paid, fees included.")]
    total_invested_exact: Exact
    total_cost: int = field(name="totalCost")
    total_proceeds: int
    total_proceeds_exact: Exact
    current_value: Annotated[
        int, Meta(description="Lamports: shares at the current price; once final, what is claimable.")
    ]
    current_value_exact: Exact
    claimable_amount: int
    claimable_amount_exact: Exact
    unrealized_pnl: Annotated[int | None, Meta(description="Null while not computed.")] = field(name="unrealizedPnL")
    realized_pnl: Annotated[int | None, Meta(description="Null while not computed.")] = field(name="realizedPnL")
    trades_count: int
    has_claimed: bool
    claimed_amount: int
    claimed_amount_exact: Exact
    first_trade_at: Instant | None
    last_trade_at: Instant | None
    claimed_at: Instant | None
    question: str
    category: Category
    state: State
    state_code: int
    outcome: Outcome | None
    current_price_yes: Price | None
    current_price_no: Price | None
    last_seq: int


class OnePosition(Position, kw_only=True):
    """A wallet's position in the market that was asked for."""

    as_of: AsOf


class Completeness(Struct, kw_only=True):
    """What is proven: nothing at all, up to somewhere, or everything so far."""

    state: Literal["unverified", "behind", "verified", "refused"]
    reason: str


class Lag(Struct, kw_only=True):
    """How old the newest things are."""

    last_entry_at: Instant | None
    last_entry_age_seconds: float | None
    last_event_at: Annotated[Instant | None, Meta(description="By the chain's clock.")]
    last_event_age_seconds: float | None


class ModelStatus(Struct, kw_only=True):
    """A mart, and the entry it answers for."""

    name: str
    kind: str
    is_stale: bool
    applied_seq: int
    behind: int
    stale_since: Instant | None
    failed_event: int | None
    reason: str | None
    built_at: Instant


class Alert(Struct, kw_only=True):
    """Something a person should look at."""

    kind: str
    subject: str
    severity: Literal["info", "warning", "critical"]
    message: str
    occurrences: int
    raised_at: Instant
    last_at: Instant


class Status(Struct, kw_only=True):
    """How the log and its marts are doing."""

    epoch: str
    seq: int
    slot: int | None
    commitment: Commitment
    verified_through: Annotated[int | None, Meta(description="Slot; null when nothing is proven.")]
    finalized_through: int | None
    completeness: Completeness
    lag: Lag
    models: list[ModelStatus]
    dead_letters: Annotated[int, Meta(description="Deliveries kept because they were unusable.")]
    wanted: Annotated[int, Meta(description="Transactions known of but not fetched yet.")]
    alerts: list[Alert]
    as_of: AsOf


class PricePoint(Struct, kw_only=True):
    """A market's price at an instant, for a chart."""

    timestamp: Instant
    yes: Annotated[float, Meta(ge=1, le=99, description="Percent, kept between 1 and 99.")]
    no: Annotated[float, Meta(ge=1, le=99, description="100 less yes.")]


class PriceHistory(Struct, kw_only=True):
    """Even odds when the market was created, then its newest trades, the latest last."""

    market_id: str
    price_history: list[PricePoint]
    count: Annotated[int, Meta(description="How many points there are: the first one and up to `limit` trades.")]
    as_of: AsOf


class Candle(Struct, kw_only=True):
    """The price of YES in a span of time, and what was traded."""

    bucket_at: Annotated[Instant, Meta(description="Where the span begins, by the chain's clock.")]
    open: Annotated[Integer, Meta(description="Billionths, after the first trade.")]
    high: Integer
    low: Integer
    close: Annotated[Integer, Meta(description="Billionths, after the last trade.")]
    open_price: Annotated[float, Meta(description="For eyes; 0 to 1.")]
    high_price: float
    low_price: float
    close_price: float
    volume: Annotated[Integer, Meta(description="Lamports: buys with fees, sells before fees.")]
    buy_volume: Annotated[Integer, Meta(description="Lamports of buys with fees.")]
    shares_volume: Annotated[Integer, Meta(description="Shares that changed hands, in billionths.")]
    trades_count: int
    is_carried: Annotated[bool, Meta(description="Nothing was traded; all prices are the close before.")]


class Candles(Struct, kw_only=True):
    """A market's candles, the newest last."""

    market_id: str
    interval: Interval
    candles: list[Candle]
    from_at: Instant | None = field(name="from")
    to_at: Instant | None = field(name="to")
    limit: int
    as_of: AsOf


class NewestActivity(Struct, kw_only=True):
    """Something that happened lately, as the browser's home page shows it."""

    id: str
    type: Literal["trade", "resolution", "creation"]
    user: Annotated[str, Meta(description='A wallet as "ABCDEF...WXYZ"; "protocol" where no wallet acted.')]
    action: str
    market: Annotated[str, Meta(description="The question.")]
    market_id: str = field(name="marketId")
    time: Instant
    amount: Annotated[str, Meta(description='"1.10 SOL"; left out where nothing was paid.')] | UnsetType = msgspec.UNSET


class NewestActivities(Struct, kw_only=True):
    """What happened lately anywhere, the latest first."""

    activities: list[NewestActivity]
    count: int
    as_of: AsOf


class Activity(Struct, kw_only=True):
    """One event of the program, in words."""

    id: Annotated[str, Meta(description="tx_signature:ordinal.")]
    type: ActivityType
    event: Annotated[str, Meta(description="The program's name of it.")]
    action: Annotated[str, Meta(description="Words that follow the wallet's name.")]
    market_id: Annotated[str | None, Meta(description="Null for what concerns the whole protocol.")]
    user_wallet: Annotated[str | None, Meta(description="Who acted, where the event says so.")]
    amount: Annotated[Integer | None, Meta(description="Lamports that changed hands, where any did.")]
    tx_signature: str
    ordinal: int
    slot: int
    seq: int
    block_time: Instant


class ActivityPage(Struct, kw_only=True):
    """What happened, the latest on chain first."""

    activity: list[Activity]
    count: Annotated[int, Meta(description="How many are on this page.")]
    limit: int
    next_cursor: str | None
    as_of: AsOf


class MarketActivity(ActivityPage, kw_only=True):
    """What happened in one market."""

    market_id: str


class WalletActivity(ActivityPage, kw_only=True):
    """What one wallet did."""

    wallet: str


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
    count: Annotated[int, Meta(description="How many are on this page.")]
    limit: int
    next_cursor: str | None
    as_of: AsOf


class LifecycleEvent(Struct, kw_only=True):
    """A step in a market's life."""

    event: str
    to_state: Annotated[State | None, Meta(description="Null when it changes none.")]
    user_wallet: str | None
    tx_signature: str
    slot: int
    seq: int
    block_time: Instant


class Deadline(Struct, kw_only=True):
    """What ends next, and when by the chain's clock. It may lie in the past: somebody has to act on it."""

    name: Literal["dispute_closes_at", "voting_closes_at"]
    at: Instant


class Lifecycle(Struct, kw_only=True):
    """How a market came to where it stands, the oldest first."""

    market_id: str
    state: State
    outcome: Outcome | None
    timeline: list[LifecycleEvent]
    dispute_period_seconds: Annotated[Integer, Meta(description="By the configuration in force now.")]
    voting_window_seconds: Annotated[Integer, Meta(description="How long ballots on a dispute are taken.")]
    dispute_closes_at: Annotated[Instant | None, Meta(description="While the outcome is open to dispute or disputed.")]
    voting_closes_at: Annotated[Instant | None, Meta(description="While disputed.")]
    next_deadline: Deadline | None
    as_of: AsOf


class Saying(Struct, kw_only=True):
    """The event that said something."""

    event: str
    tx_signature: str
    slot: int
    seq: int
    block_time: Instant


class SaidBy(Struct, kw_only=True):
    """Who said each field; null where no event did and the value is what initialize sets."""

    protocol_fee_bps: Saying | None
    resolver_reward_bps: Saying | None
    liquidity_provider_fee_bps: Saying | None
    proposal_approval_threshold: Saying | None
    dispute_success_threshold: Saying | None
    min_resolution_delay: Saying | None
    dispute_period: Saying | None
    is_paused: Saying | None
    admin: Saying | None
    backend_authority: Saying | None


class Protocol(Struct, kw_only=True):
    """The program's configuration as of now."""

    protocol_fee_bps: int
    resolver_reward_bps: int
    liquidity_provider_fee_bps: int
    proposal_approval_threshold: Annotated[int, Meta(description="Basis points of likes that approve a proposal.")]
    dispute_success_threshold: Annotated[int, Meta(description="Basis points of agrees that uphold a dispute.")]
    min_resolution_delay: Annotated[Integer, Meta(description="Seconds; the program stores it and never enforces it.")]
    dispute_period: Annotated[Integer, Meta(description="Seconds in which a proposed outcome can be disputed.")]
    is_paused: bool
    admin: str | None
    backend_authority: str | None
    said_by: SaidBy
    as_of: AsOf


class PortfolioPosition(Struct, kw_only=True):
    """A position, what it is worth and what it has made, in lamports."""

    market_id: str
    market_address: str
    question: str
    state: State
    outcome: Outcome | None
    shares_yes: Integer
    shares_no: Integer
    cost_yes: Annotated[Integer, Meta(description="Paid for the YES shares still held, at their average cost.")]
    cost_no: Integer
    total_invested: Integer
    total_proceeds: Integer
    trades_count: int
    has_claimed: bool
    claimed_amount: Integer
    claimable: Annotated[Integer, Meta(description="What a claim would pay now.")]
    is_pool_withdrawn: Annotated[bool, Meta(description="The creator emptied the pool; winning claims pay nothing.")]
    current_value: Annotated[Integer, Meta(description="Shares at the current price; once final, claimable.")]
    realized_pnl: Integer
    unrealized_pnl: Integer
    profit: Annotated[Integer, Meta(description="realized_pnl and unrealized_pnl together.")]
    first_trade_at: Instant | None
    last_trade_at: Instant | None
    last_seq: int


class PortfolioTotals(Struct, kw_only=True):
    """Sums over all positions of the wallet, in lamports."""

    total_invested: Integer
    total_proceeds: Integer
    claimed_amount: Integer
    claimable: Integer
    current_value: Integer
    realized_pnl: Integer
    unrealized_pnl: Integer
    profit: Integer


class Portfolio(Struct, kw_only=True):
    """What a wallet's positions are worth and have made, the latest traded first."""

    wallet: str
    totals: PortfolioTotals
    positions: list[PortfolioPosition]
    count: Annotated[int, Meta(description="How many positions there are in all.")]
    limit: int
    offset: int
    as_of: AsOf
