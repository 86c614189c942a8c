"""The shapes of requests and answers.

Written by clients/generate.py from the specification; change that instead.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class AcceptedGap(TypedDict):
    """Slots with transactions that no node proves; an operator accepted them, so that finality goes on."""

    gap_no: int
    from_slot: int
    to_slot: int
    accepted_at: str
    reason: str | None
    """For METRICS_TOKEN and OPERATOR_WALLETS; null for others."""
    missing: int
    """Transactions that the chain lists and the log lacks."""
    unproven: int
    """Transactions of the log that no node lists; they stay confirmed."""


class AccountLimits(TypedDict):
    """The limits of the caller, and what is left of them."""

    wallet: str | None
    """Null for a caller that is not signed in."""
    tier: Literal["basic", "maker", "pro"]
    """That of an API key; basic for all other callers."""
    scopes: list[Literal["read", "trade", "write"]] | None
    """Those of the API key; null without one."""
    per_minute: int | None
    """The cost of requests a minute; null if it is not limited."""
    remaining: int | None
    """What is left of per_minute."""
    resets_in_seconds: float | None
    """Seconds until the minute ends."""
    per_second: int | None
    """The cost of requests a second with an API key; null without one."""
    streams_per_address: int
    """Streams that may be open from one address."""
    topics_per_stream: int
    body_bytes: int
    """The largest body of a request."""
    api_keys: int
    """Valid API keys that a wallet may have."""


class Ack(TypedDict):
    """The result of the request."""

    message: str


class Activity(TypedDict):
    """One event of the program, with readable text."""

    id: str
    """tx_signature:ordinal."""
    type: Literal["approval", "creation", "dispute", "payout", "protocol", "resolution", "trade", "vote"]
    event: str
    """The program's name of the event."""
    action: str
    """Text that follows the wallet's name."""
    market_id: str | None
    """Null for events of the whole protocol."""
    user_wallet: str | None
    """The wallet that acted, if the event names one."""
    amount: str | None
    """Lamports transferred, if any."""
    tx_signature: str
    ordinal: int
    slot: int
    seq: int
    block_time: str


class AlertDetail(TypedDict):
    """One open alert, for operators."""

    subject: str
    severity: Literal["critical", "info", "warning"]
    message: str
    occurrences: int
    raised_at: str
    last_at: str


class AlertKind(TypedDict):
    """The open alerts of one kind: conditions that an operator should check."""

    kind: str
    severity: Literal["critical", "info", "warning"]
    """The most severe of them."""
    open: int
    """How many are open."""
    last_at: str
    details: list[AlertDetail] | None
    """The newest 20 with their texts, for METRICS_TOKEN and OPERATOR_WALLETS; null for others."""


class ApiKey(TypedDict):
    """An API key of the wallet, without the key itself."""

    id: str
    name: str
    """What the key is for; only you see it."""
    scopes: list[Literal["read", "trade", "write"]]
    created_at: str
    expires_at: str | None
    """Null if it is valid until it is revoked."""
    revoked_at: str | None


class ApiKeys(TypedDict):
    """The API keys of the wallet, newest first."""

    keys: list[ApiKey]


class AsOf(TypedDict):
    """The position of a response: its rows reflect this log up to this entry."""

    epoch: str
    """Id of this history of the log; a restore starts a new one."""
    seq: int
    """The newest log entry that the rows reflect."""
    position: str
    """Opaque; send it unchanged as `since`. Compare order by epoch and seq."""
    slot: int | None
    """The newest slot with an event; null before the first."""
    commitment: Literal["confirmed", "finalized"]


class Authenticate(TypedDict):
    """Authenticate with a token or a ticket."""

    action: Literal["auth"]
    token: NotRequired[str]
    ticket: NotRequired[str]
    wallet: NotRequired[str]


class Authenticated(TypedDict):
    """The wallet of the connection."""

    type: Literal["authenticated"]
    timestamp: str
    data: dict[str, Any]
    market_id: NotRequired[str]


class BallotText(TypedDict):
    """The text to sign for a ballot."""

    message: str
    nonce: str
    expires_at: str


class BuyShares(TypedDict):
    """A purchase: of `shares` for at most `max_cost`, or of the shares that `max_cost` buys."""

    market_id: str
    """A market's 64 hexadecimal digits, or the address of its account."""
    outcome: Literal["NO", "YES"] | bool
    """YES or NO; true and false, which earlier clients send, mean the same."""
    max_cost: int | str
    """The most you pay in lamports, fees included."""
    shares: NotRequired[int | str]
    """Nine decimals; at least 1000000. Default: the shares that max_cost buys."""


class Candle(TypedDict):
    """The price of YES in a span of time, and the volume traded."""

    bucket_at: str
    """Start of the interval, by the chain's clock."""
    open: str
    """Billionths, after the first trade."""
    high: str
    """An integer as text, because it may exceed 2**53."""
    low: str
    """An integer as text, because it may exceed 2**53."""
    close: str
    """Billionths, after the last trade."""
    open_price: float
    """For display; 0 to 1."""
    high_price: float
    low_price: float
    close_price: float
    volume: str
    """Lamports: buys with fees, sells before fees."""
    buy_volume: str
    """Lamports of buys with fees."""
    shares_volume: str
    """Shares traded, in billionths."""
    trades_count: int
    is_carried: bool
    """No trade in this interval; all prices are the previous close."""


CandleBatch = TypedDict(
    "CandleBatch",
    {
        "interval": "Literal['1d', '1h', '1m', '5m']",
        "series": "list[CandleSeries]",
        "missing": "list[str]",
        "from": "str | None",
        "to": "str | None",
        "limit": "int",
        "as_of": "AsOf",
    },
)
"""The candles of several markets in the order of the request, all read at one position of the log."""


CandleBatchRequest = TypedDict(
    "CandleBatchRequest",
    {
        "markets": "list[str]",
        "interval": "NotRequired[Literal['1d', '1h', '1m', '5m']]",
        "from": "NotRequired[str | None]",
        "to": "NotRequired[str | None]",
        "limit": "NotRequired[int]",
        "fill": "NotRequired[bool]",
    },
)
"""A window of candles of several markets; markets times `limit` is at most 10,000."""


class CandleSeries(TypedDict):
    """The candles of one market, the newest last."""

    market_id: str
    candles: list[Candle]


Candles = TypedDict(
    "Candles",
    {
        "market_id": "str",
        "interval": "Literal['1d', '1h', '1m', '5m']",
        "candles": "list[Candle]",
        "from": "str | None",
        "to": "str | None",
        "limit": "int",
        "as_of": "AsOf",
    },
)
"""A market's candles, the newest last."""


class CastBallot(TypedDict):
    """A ballot and its proof: the signed text of GET /api/votes/message."""

    market_id: str
    """A market's 64 hexadecimal digits, or the address of its account."""
    vote: bool
    """proposal: true likes it; dispute: true agrees with the dispute."""
    message: NotRequired[str]
    """The text of GET /api/votes/message; this or signed_message."""
    signed_message: NotRequired[str]
    """The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope."""
    signature: str
    """An ed25519 signature of 64 bytes, in base58 (or base64)."""
    wallet: str
    """A wallet's address in base58."""


class CastMetadata(TypedDict):
    """The message about a ballot, as in the earlier backend."""

    message: str
    market_id: str
    vote_type: Literal["dispute", "proposal"]
    user_wallet: str


class CastVote(TypedDict):
    """A recorded ballot."""

    seq: int
    """The seq of its log entry."""
    market_id: str
    user_wallet: str
    vote: bool
    voted_at: str
    tx_signature: NotRequired[None]


class CastVotes(TypedDict):
    """The ballot that was cast."""

    data: list[CastVote]
    count: int
    metadata: CastMetadata


class Categories(TypedDict):
    """The five largest categories; those without a market are left out."""

    categories: list[CategoryCount]
    count: int
    as_of: AsOf


class CategoryCount(TypedDict):
    """A category with its markets."""

    id: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    name: str
    """The id with a capital letter."""
    count: int
    emoji: str
    trend: str
    """Growth in the last week, such as "+12%"."""


class Caution(TypedDict):
    """A warning to read before sending."""

    code: Literal["becomes_past_turning_point", "no_shares", "past_turning_point", "sales_unproven"]
    message: str


class ChangedPost(TypedDict):
    """The new text of a post."""

    content: str
    """Text, stored unchanged."""


class CloseEvent(TypedDict):
    """The stream ends; reconnect with your last id."""

    reason: Literal["shutdown", "slow", "token_expired", "key_revoked"]


class Completeness(TypedDict):
    """How far completeness is proven: not at all, up to a slot, or for everything so far."""

    state: Literal["behind", "refused", "unverified", "verified"]
    reason: str
    consensus: Literal["alpenglow", "tower", "unknown"]
    """The cluster's consensus, by its nodes' certificate. With alpenglow, confirmed and finalized mean the same.
    unknown: no node can be asked, or none knows the method."""
    slot_seconds: float | None
    """Measured length of a slot; null before the first walk."""


class ConfigSource(TypedDict):
    """The event that set a field."""

    event: str
    tx_signature: str
    slot: int
    seq: int
    block_time: str


class ConfigSources(TypedDict):
    """The event that set each field; null if no event did and the value is the one that initialize sets."""

    protocol_fee_bps: ConfigSource | None
    resolver_reward_bps: ConfigSource | None
    liquidity_provider_fee_bps: ConfigSource | None
    proposal_approval_threshold: ConfigSource | None
    dispute_success_threshold: ConfigSource | None
    min_resolution_delay: ConfigSource | None
    dispute_period: ConfigSource | None
    is_paused: ConfigSource | None
    admin: ConfigSource | None
    backend_authority: ConfigSource | None


class CreateMarket(TypedDict):
    """A new market. The content id of its text is anchored on chain, so the text cannot change."""

    question: str
    category: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    end_date: str
    liquidity: int | str
    """Lamports, at least 1000000000; declared, not paid."""
    b_parameter: NotRequired[int | str]
    """Lamports. Default: the liquidity, and at least the 100 SOL that trading requires."""
    description: NotRequired[str | None]
    tags: NotRequired[list[str]]
    market_id: NotRequired[str]
    """Your own id; random by default."""


class CreatedApiKey(TypedDict):
    """A new API key. It is shown only here."""

    key: str
    """For Authorization: Bearer. Store it now: only its hash is stored here."""
    api_key: ApiKey


class Deadline(TypedDict):
    """The next deadline by the chain's clock. It may be in the past: a transaction is needed to act on it."""

    name: Literal["dispute_closes_at", "voting_closes_at"]
    at: str


class Decided(TypedDict):
    """A decision that was recorded."""

    message: str
    seq: int
    """Its log entry."""


class Discussion(TypedDict):
    """One post. `content` is text, never markup: show it as text."""

    id: str
    market_id: str
    marketId: str
    user_wallet: str
    author: str
    content: str
    """Empty after deletion."""
    parent_id: str | None
    """The post that this one replies to."""
    parentId: str | None
    upvotes: int
    downvotes: int
    flags: int
    """Number of wallets that reported it."""
    isFlagged: bool
    edits: int
    """Number of edits."""
    created_at: str
    createdAt: str
    edited_at: str | None
    deleted_at: str | None
    last_seq: int


class DiscussionEvent(TypedDict):
    """A post under a market was created, changed or rated."""

    action: Literal["created", "deleted", "edited", "reacted"]
    discussion: DiscussionPost
    postId: str
    author: str
    content: str | None
    parentId: str | None
    market_id: str
    seq: int
    """Seq of the log entry of this message."""


class DiscussionMessage(TypedDict):
    """A post under a market was created, changed or rated."""

    type: Literal["discussion"]
    market_id: str | None
    timestamp: str
    data: DiscussionEvent


class DiscussionPost(TypedDict):
    """A post in its current state; a post that was deleted since is sent without its text."""

    id: str
    """The post's id, as in REST."""
    user_wallet: str
    content: str | None
    parent_id: str | None
    upvotes: int
    downvotes: int
    created_at: str
    edited_at: str | None
    deleted_at: str | None


class Discussions(TypedDict):
    """A market's posts, the newest first."""

    discussions: list[Discussion]
    count: int
    """Number of rows on this page."""
    limit: int
    offset: int
    next_cursor: str | None
    market_id: str
    as_of: AsOf


class DisputeBallot(TypedDict):
    """A ballot on a dispute; agree is against the proposed outcome."""

    signature: str
    """An ed25519 signature of 64 bytes, in base58 (or base64)."""
    publicKey: str
    """A wallet's address in base58."""
    message: NotRequired[str]
    """The text of GET /api/votes/message; this or signed_message."""
    signed_message: NotRequired[str]
    """The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope."""
    vote: Literal["agree", "disagree"]


class DisputeCounts(TypedDict):
    """A dispute's tally, in the format of the earlier vote aggregator."""

    success: Literal[True]
    marketId: str
    counts: DisputeTally
    as_of: AsOf


class DisputeTally(TypedDict):
    """A dispute's tally."""

    agrees: int
    """Agrees with the dispute, and so disagrees with the proposed outcome."""
    disagrees: int
    total: int


class DisputeVotes(TypedDict):
    """A dispute's tally, by the names that earlier tests read."""

    agrees: int
    """Agrees with the dispute, and so disagrees with the proposed outcome."""
    disagrees: int


class Edit(TypedDict):
    """The text of a post before an edit."""

    content_before: str
    edited_at: str


class Edits(TypedDict):
    """A post's history, the latest edit first; at most 100."""

    id: str
    content: str
    edits: list[Edit]
    as_of: AsOf


class Error(TypedDict):
    """The reason why your message was rejected; the connection stays open."""

    type: Literal["error"]
    timestamp: str
    data: dict[str, Any]
    market_id: NotRequired[str]


class EventDecision(TypedDict):
    """What becomes of an event. Its markets stay as they are."""

    action: Literal["hide", "restore"]
    reason: str
    """Public."""


class EventGroup(TypedDict):
    """An event in a list."""

    slug: str
    """Its name in addresses; earlier ones keep leading to it."""
    title: str
    description: str | None
    user_wallet: str
    """The wallet that made it."""
    markets_count: int
    created_at: str
    updated_at: str


class EventGroupEvent(TypedDict):
    """An event as it is now: markets under one title. One that a moderator hid is in no message."""

    action: Literal["deleted", "saved"]
    slug: str
    title: str
    description: str | None
    user_wallet: str
    """The wallet that made it."""
    markets: list[str]
    """The ids of its markets in their order; empty once it is deleted."""
    seq: int
    """Seq of the log entry of this message."""


class EventGroupMessage(TypedDict):
    """An event as it is now: markets under one title. One that a moderator hid is in no message."""

    type: Literal["event_group"]
    market_id: str | None
    timestamp: str
    data: EventGroupEvent


class EventGroupPage(TypedDict):
    """Events, the newest first."""

    events: list[EventGroup]
    limit: int
    next_before: int | None
    """Send it as `before` for the next page; null on the last."""
    as_of: AsOf


class EventGroupResult(TypedDict):
    """An event that was made, replaced or deleted."""

    message: str
    slug: str
    """Its name in addresses; earlier ones keep leading to it."""
    seq: int
    """The last of its log entries."""


class EventGroupWithMarkets(TypedDict):
    """An event with its markets in their order, from one snapshot."""

    slug: str
    """Its name in addresses; earlier ones keep leading to it."""
    title: str
    description: str | None
    user_wallet: str
    """The wallet that made it."""
    markets_count: int
    created_at: str
    updated_at: str
    markets: list[MarketBrief]
    as_of: AsOf


class EventRetracted(TypedDict):
    """An event that the chain dropped, or whose place on the chain differs from the one that was sent."""

    ref: int
    """The seq of the entry that reported it."""
    name: str
    market_id: str | None
    tx_signature: str
    ordinal: int
    slot: int
    """The slot of its transaction."""
    seq: int
    """Seq of the log entry of this message."""


class ExportedFile(TypedDict):
    """One Parquet file."""

    table: str
    """entries, commits, or the name of a mart."""
    rows: int
    bytes: int
    sha256: str
    """SHA-256, 64 hexadecimal digits."""
    url: str
    """Path of this server. It returns the file, or redirects to its store."""


class ExportedSegment(TypedDict):
    """Files that were published together, after they had been read back."""

    dataset: Literal["log", "marts"]
    first_seq: int
    """log: its first entry. marts: the same as last_seq."""
    last_seq: int
    """The last entry of the log that its rows hold."""
    rows: int
    bytes: int
    chain_value: str | None
    """The chain of the log at last_seq; null where no append ends there."""
    manifest: str
    """Path of this server: the manifest of the files."""
    manifest_sha256: str
    """SHA-256, 64 hexadecimal digits."""
    exported_at: str
    verified_at: str
    """When the files were last read and had their digests."""
    files: list[ExportedFile]


class Exports(TypedDict):
    """A page of segments."""

    epoch: str
    """The history of the log that the files hold."""
    exported_through: int
    """Every entry up to this one is in verified files; 0 without any."""
    segments: list[ExportedSegment]
    count: int
    next_after: int | None
    """`after` of the next page; null on the last one."""
    as_of: AsOf


class FieldProblem(TypedDict):
    """The problem with one parameter."""

    field: str
    message: str


class Frame(TypedDict):
    """The messages of one log entry for your topics; a frame without messages advances your position."""

    epoch: str
    """Id of this history of the log; a restore starts a new one."""
    seq: int
    """Seq of the log entry."""
    position: str
    """Opaque; send it unchanged as `since`. Compare order by epoch and seq."""
    messages: list[
        TradeMessage
        | TradeExecutedMessage
        | VoteMessage
        | MarketEventMessage
        | RetractedMessage
        | MovedMessage
        | DiscussionMessage
        | ModerationMessage
        | ProfileMessage
        | MarketMetadataMessage
        | MarketPageMessage
        | EventGroupMessage
        | StatusMessage
        | MarketStateMessage
        | MarketUpdateMessage
        | PriceUpdateMessage
        | VoteTallyMessage
        | PositionUpdateMessage
    ]


class Health(TypedDict):
    """The process is running."""

    status: Literal["healthy"]
    service: str
    timestamp: str
    uptime: float
    """Seconds since the process started to serve."""
    environment: str


class HeldPosition(TypedDict):
    """The signed-in wallet's position in a market, in lamports and billionths of a share."""

    market_id: str
    shares_yes: str
    """An integer as text, because it may exceed 2**53."""
    shares_no: str
    """An integer as text, because it may exceed 2**53."""
    total_invested: str
    """An integer as text, because it may exceed 2**53."""
    current_value: str
    """An integer as text, because it may exceed 2**53."""
    claimable: str
    """An integer as text, because it may exceed 2**53."""
    realized_pnl: str
    """An integer as text, because it may exceed 2**53."""
    unrealized_pnl: str
    """An integer as text, because it may exceed 2**53."""
    has_claimed: bool


class Holder(TypedDict):
    """A wallet that holds shares of a market."""

    user_wallet: str
    shares_yes: str
    """An integer as text, because it may exceed 2**53."""
    shares_no: str
    """An integer as text, because it may exceed 2**53."""
    total_invested: str
    """Lamports paid for buys, fees included."""
    share_of_yes_bps: int
    """Of all YES shares that wallets hold."""
    share_of_no_bps: int
    last_seq: int


class Holders(TypedDict):
    """A market's holders, the largest first."""

    market_id: str
    holders: list[Holder]
    count: int
    """Number of rows on this page."""
    limit: int
    next_cursor: str | None
    as_of: AsOf


class ImageDecision(TypedDict):
    """What becomes of an image, wherever it is shown. The bytes of an erased image are refused when they come again."""

    action: Literal["erase", "hide", "restore"]
    reason: str
    """Public."""


class KeeperStatus(TypedDict):
    """A keeper, its last round, and what waits for it."""

    name: str
    waiting: int | None
    """Markets that wait for it, estimated; null before the first estimate."""
    last_round_at: str | None
    """Null when it has never run."""
    last_round_age_seconds: float | None
    is_dry: bool | None
    """Whether that round signed nothing."""
    outcome: Literal["failed", "skipped", "stopped", "worked"] | None
    due: int | None
    """Actions that were due in that round."""
    sent: int | None


class Lag(TypedDict):
    """The age of the newest entry and event."""

    last_entry_at: str | None
    last_entry_age_seconds: float | None
    last_event_at: str | None
    """By the chain's clock."""
    last_event_age_seconds: float | None


class Leaderboard(TypedDict):
    """Wallets by rank; by win rate, only those with at least three decided positions."""

    leaderboard: list[RankedWallet]
    count: int
    period: Literal["24h", "30d", "7d", "all"]
    by: Literal["profit", "trades", "volume", "win_rate"]
    limit: int
    offset: int
    as_of: AsOf


class Lifecycle(TypedDict):
    """The steps of a market's life, the oldest first."""

    market_id: str
    state: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    outcome: Literal["INVALID", "NO", "YES"] | None
    timeline: list[LifecycleEvent]
    dispute_period_seconds: str
    """By the current configuration."""
    voting_window_seconds: str
    """Period in which dispute ballots are accepted."""
    dispute_closes_at: str | None
    """While the outcome is open to dispute or disputed."""
    voting_closes_at: str | None
    """While disputed."""
    next_deadline: Deadline | None
    as_of: AsOf


class LifecycleEvent(TypedDict):
    """A step in a market's life."""

    event: str
    to_state: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"] | None
    """Null if the step changes no state."""
    user_wallet: str | None
    tx_signature: str
    slot: int
    seq: int
    block_time: str


class Market(TypedDict):
    """A market with all its fields."""

    id: str
    """The market id: 64 hexadecimal digits."""
    on_chain_address: str
    slug: str
    """Its name in addresses: a-z, 0-9 and hyphens, made from the question; `market-` and the id until there is one. It
    changes with the question, and earlier ones keep leading to the market."""
    question: str
    """A placeholder with the id until the creator has set one."""
    description: str | None
    category: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    tags: list[str]
    end_date: str | None
    image_url: str | None
    """The path of its image on this server; null without one."""
    event_slug: str | None
    """The slug of the event that it is in; see /api/events."""
    state: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    status: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    """The same as state."""
    state_code: int
    """The program's number of the state."""
    outcome: Literal["INVALID", "NO", "YES"] | None
    """Null until finalized."""
    creator_wallet: str
    creator: str
    b_parameter: int
    b_parameter_exact: str
    """The integer beside it, exactly."""
    liquidityParameter: int
    initial_liquidity: int | None
    initial_liquidity_exact: str | None
    current_liquidity: int | None
    current_liquidity_exact: str | None
    shares_yes: int
    shares_yes_exact: str
    """The integer beside it, exactly."""
    shares_no: int
    shares_no_exact: str
    """The integer beside it, exactly."""
    totalShares: int
    total_volume: int
    total_volume_exact: str
    """The integer beside it, exactly."""
    trades_count: int
    price_yes: int | None
    """Billionths; null below the smallest tradable liquidity."""
    current_price_yes: float | None
    current_price_no: float | None
    priceYes: float | None
    priceNo: float | None
    proposed_outcome: bool | None
    final_outcome: bool | None
    """Null before the end and for INVALID; see outcome."""
    was_disputed: bool
    is_cancelled: bool
    created_at: str
    approved_at: str | None
    activated_at: str | None
    resolution_proposed_at: str | None
    dispute_initiated_at: str | None
    resolved_at: str | None
    finalized_at: str | None
    cancelled_at: str | None
    last_trade_at: str | None
    updated_at: str
    """When the log received the newest entry that changed this row."""
    createdAt: str
    activatedAt: str | None
    resolutionTime: str | None
    finalizedAt: str | None
    last_seq: int
    """The newest log entry that changed this row."""
    resolver_wallet: str | None
    dispute_initiator: str | None
    ipfs_question_hash: str | None
    ipfs_evidence_hash: str | None
    proposal_likes: int
    """As last aggregated on chain."""
    proposal_dislikes: int
    proposal_total_votes: int
    dispute_agree: int
    dispute_disagree: int
    dispute_total_votes: int
    accumulated_resolver_fees: int
    accumulated_resolver_fees_exact: str
    """The integer beside it, exactly."""
    accumulated_lp_fees: int
    accumulated_lp_fees_exact: str
    """The integer beside it, exactly."""
    protocol_fees_paid: int
    protocol_fees_paid_exact: str
    """The integer beside it, exactly."""
    market_lamports: int | None
    """The account's balance in the newest event that has one."""
    market_lamports_exact: str | None
    liquidity_withdrawn_at: str | None
    as_of: AsOf


class MarketActivity(TypedDict):
    """The events of one market."""

    activity: list[Activity]
    count: int
    """Number of rows on this page."""
    limit: int
    next_cursor: str | None
    as_of: AsOf
    market_id: str


class MarketBatch(TypedDict):
    """Markets in the order of the request, all read at one position of the log."""

    markets: list[MarketWithPrices]
    positions: list[HeldPosition]
    """Those of the access token's wallet in these markets; none without one."""
    missing: list[str]
    """The requested names that are no market."""
    as_of: AsOf


class MarketBatchRequest(TypedDict):
    """The markets of a page."""

    markets: list[str]
    """Ids of 64 hexadecimal digits, or addresses; each one once."""
    points: NotRequired[Literal[0, 10, 25, 50, 100]]
    """Most prices of each sparkline."""


class MarketBrief(TypedDict):
    """A market in a list."""

    id: str
    """The market id: 64 hexadecimal digits."""
    on_chain_address: str
    slug: str
    """Its name in addresses: a-z, 0-9 and hyphens, made from the question; `market-` and the id until there is one. It
    changes with the question, and earlier ones keep leading to the market."""
    question: str
    """A placeholder with the id until the creator has set one."""
    description: str | None
    category: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    tags: list[str]
    end_date: str | None
    image_url: str | None
    """The path of its image on this server; null without one."""
    event_slug: str | None
    """The slug of the event that it is in; see /api/events."""
    state: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    status: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    """The same as state."""
    state_code: int
    """The program's number of the state."""
    outcome: Literal["INVALID", "NO", "YES"] | None
    """Null until finalized."""
    creator_wallet: str
    creator: str
    b_parameter: int
    b_parameter_exact: str
    """The integer beside it, exactly."""
    liquidityParameter: int
    initial_liquidity: int | None
    initial_liquidity_exact: str | None
    current_liquidity: int | None
    current_liquidity_exact: str | None
    shares_yes: int
    shares_yes_exact: str
    """The integer beside it, exactly."""
    shares_no: int
    shares_no_exact: str
    """The integer beside it, exactly."""
    totalShares: int
    total_volume: int
    total_volume_exact: str
    """The integer beside it, exactly."""
    trades_count: int
    price_yes: int | None
    """Billionths; null below the smallest tradable liquidity."""
    current_price_yes: float | None
    current_price_no: float | None
    priceYes: float | None
    priceNo: float | None
    proposed_outcome: bool | None
    final_outcome: bool | None
    """Null before the end and for INVALID; see outcome."""
    was_disputed: bool
    is_cancelled: bool
    created_at: str
    approved_at: str | None
    activated_at: str | None
    resolution_proposed_at: str | None
    dispute_initiated_at: str | None
    resolved_at: str | None
    finalized_at: str | None
    cancelled_at: str | None
    last_trade_at: str | None
    updated_at: str
    """When the log received the newest entry that changed this row."""
    createdAt: str
    activatedAt: str | None
    resolutionTime: str | None
    finalizedAt: str | None
    last_seq: int
    """The newest log entry that changed this row."""


class MarketChanged(TypedDict):
    """The state of a market, in short form."""

    market_id: str
    state: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    state_code: int
    outcome: Literal["INVALID", "NO", "YES"] | None
    priceYes: float | None
    priceNo: float | None
    totalShares: int
    """Nine decimals."""
    total_volume: int
    """Lamports."""
    total_volume_exact: str
    """The integer beside it, exactly."""
    trades_count: int
    last_trade_at: str | None
    last_seq: int
    """The newest log entry that this state reflects."""


class MarketEvent(TypedDict):
    """Any other event of the program."""

    name: str
    market_id: str | None
    user_wallet: str | None
    payload: dict[str, Any]
    """The event's other fields; 64-bit integers are text."""
    tx_signature: str
    ordinal: int
    slot: int
    """The slot of its transaction."""
    seq: int
    """Seq of the log entry of this message."""
    created_at: str


class MarketEventMessage(TypedDict):
    """Any other event of the program."""

    type: Literal["market_event"]
    market_id: str | None
    timestamp: str
    data: MarketEvent


class MarketImage(TypedDict):
    """The image of a market as it is now."""

    market_id: str
    image_url: str | None
    """Its path on this server; null after it was removed."""
    seq: int
    """Its log entry."""


class MarketMetadataEvent(TypedDict):
    """Metadata of a market, as published by its creator."""

    market_id: str
    question: str
    description: str | None
    category: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    tags: list[str]
    end_date: str | None
    slug: str
    """The market's name in addresses, as in REST."""
    seq: int
    """Seq of the log entry of this message."""


class MarketMetadataMessage(TypedDict):
    """Metadata of a market, as published by its creator."""

    type: Literal["market_metadata"]
    market_id: str | None
    timestamp: str
    data: MarketMetadataEvent


class MarketPage(TypedDict):
    """A page of markets."""

    markets: list[MarketBrief]
    count: int
    """Number of all markets that match the filters."""
    count_is_exact: bool
    """False when `q` matches more than were counted."""
    limit: int
    offset: int
    next_cursor: str | None
    """Send it as `cursor`; null on the last page."""
    as_of: AsOf


class MarketPageEvent(TypedDict):
    """What a market's page shows beside its metadata, as it is now."""

    market_id: str
    image_url: str | None
    """The path of its image; null without one."""
    event_slug: str | None
    """The slug of the event that it is in."""
    seq: int
    """Seq of the log entry of this message."""


class MarketPageMessage(TypedDict):
    """What a market's page shows beside its metadata, as it is now."""

    type: Literal["market_page"]
    market_id: str | None
    timestamp: str
    data: MarketPageEvent


class MarketStateMessage(TypedDict):
    """The state of a market, in the format for older clients."""

    type: Literal["market_state"]
    market_id: str | None
    timestamp: str
    data: MarketStateSnapshot


class MarketStateSnapshot(TypedDict):
    """The state of a market, in the format for older clients."""

    action: Literal["created", "snapshot", "updated"]
    old_state: None
    new_state: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"] | None
    market: MarketBrief | None
    """null for an unknown market."""
    priceYes: float
    """0 to 1."""
    priceNo: float
    """0 to 1."""
    totalShares: int
    """Nine decimals."""


class MarketStats(TypedDict):
    """The sums of a market's trades."""

    market_id: str
    stats: TradingStats
    as_of: AsOf


class MarketTradePage(TypedDict):
    """Trades of one market."""

    trades: list[Trade]
    count: int
    """Number of rows on this page."""
    limit: int
    offset: int
    next_cursor: str | None
    as_of: AsOf
    market_id: str


class MarketUpdateMessage(TypedDict):
    """The state of a market, in short form."""

    type: Literal["market_update"]
    market_id: str | None
    timestamp: str
    data: MarketChanged


class MarketVotes(TypedDict):
    """A market's ballots of one kind."""

    votes: list[Vote]
    stats: VoteStats
    limit: int
    offset: int
    market_id: str
    type: Literal["dispute", "proposal"]
    as_of: AsOf


class MarketWithPrices(TypedDict):
    """A market with its newest prices."""

    id: str
    """The market id: 64 hexadecimal digits."""
    on_chain_address: str
    slug: str
    """Its name in addresses: a-z, 0-9 and hyphens, made from the question; `market-` and the id until there is one. It
    changes with the question, and earlier ones keep leading to the market."""
    question: str
    """A placeholder with the id until the creator has set one."""
    description: str | None
    category: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    tags: list[str]
    end_date: str | None
    image_url: str | None
    """The path of its image on this server; null without one."""
    event_slug: str | None
    """The slug of the event that it is in; see /api/events."""
    state: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    status: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    """The same as state."""
    state_code: int
    """The program's number of the state."""
    outcome: Literal["INVALID", "NO", "YES"] | None
    """Null until finalized."""
    creator_wallet: str
    creator: str
    b_parameter: int
    b_parameter_exact: str
    """The integer beside it, exactly."""
    liquidityParameter: int
    initial_liquidity: int | None
    initial_liquidity_exact: str | None
    current_liquidity: int | None
    current_liquidity_exact: str | None
    shares_yes: int
    shares_yes_exact: str
    """The integer beside it, exactly."""
    shares_no: int
    shares_no_exact: str
    """The integer beside it, exactly."""
    totalShares: int
    total_volume: int
    total_volume_exact: str
    """The integer beside it, exactly."""
    trades_count: int
    price_yes: int | None
    """Billionths; null below the smallest tradable liquidity."""
    current_price_yes: float | None
    current_price_no: float | None
    priceYes: float | None
    priceNo: float | None
    proposed_outcome: bool | None
    final_outcome: bool | None
    """Null before the end and for INVALID; see outcome."""
    was_disputed: bool
    is_cancelled: bool
    created_at: str
    approved_at: str | None
    activated_at: str | None
    resolution_proposed_at: str | None
    dispute_initiated_at: str | None
    resolved_at: str | None
    finalized_at: str | None
    cancelled_at: str | None
    last_trade_at: str | None
    updated_at: str
    """When the log received the newest entry that changed this row."""
    createdAt: str
    activatedAt: str | None
    resolutionTime: str | None
    finalizedAt: str | None
    last_seq: int
    """The newest log entry that changed this row."""
    sparkline: list[float]
    """Price of YES after the newest trades, the latest last."""


class MetadataResult(TypedDict):
    """The stored metadata."""

    message: str
    market_id: str
    question_cid: str
    """The content id that a create instruction may anchor."""
    seq: int | None
    """Its log entry; null while the market does not exist."""


class ModelStatus(TypedDict):
    """A mart, and the log entry up to which it is complete."""

    name: str
    kind: str
    is_stale: bool
    """It stopped and waits for an operator."""
    applied_seq: int
    behind: int
    """Log entries that are not applied yet."""
    stale_since: str | None
    failed_event: int | None
    reason: str | None
    """The error of the last attempt, for METRICS_TOKEN and OPERATOR_WALLETS."""
    built_at: str
    is_behind: bool
    """An entry failed; the mart is retried automatically."""
    behind_since: str | None
    next_attempt_at: str | None


class ModerationDecision(TypedDict):
    """One decision."""

    seq: int
    action: Literal["ban", "clear", "dismiss", "erase", "hide", "restore", "unban"]
    subject: Literal["event", "image", "post", "profile", "wallet"]
    post_id: str | None
    market_id: str | None
    image_digest: str | None
    event_slug: str | None
    user_wallet: str
    """The wallet that the decision is about."""
    moderator_wallet: str
    reason: str
    decided_at: str


class ModerationEvent(TypedDict):
    """A moderator's decision. After `hide` and `erase`, drop the post's text; after `restore`, read the post again."""

    action: Literal["ban", "clear", "dismiss", "erase", "hide", "restore", "unban"]
    subject: Literal["event", "image", "post", "profile", "wallet"]
    post_id: str | None
    """The post's id; null for other subjects."""
    market_id: str | None
    image_digest: str | None
    """The image's digest; null for other subjects."""
    event_slug: str | None
    """The event's slug; null for other subjects."""
    user_wallet: str
    """The wallet that the decision is about."""
    moderator_wallet: str
    reason: str
    seq: int
    """Seq of the log entry of this message."""


class ModerationLog(TypedDict):
    """Decisions of moderators, the newest first."""

    decisions: list[ModerationDecision]
    limit: int
    next_before: int | None
    """Send it as `before` for the next page; null on the last."""
    as_of: AsOf


class ModerationMessage(TypedDict):
    """A moderator's decision. After `hide` and `erase`, drop the post's text; after `restore`, read the post again."""

    type: Literal["moderation"]
    market_id: str | None
    timestamp: str
    data: ModerationEvent


class ModerationQueue(TypedDict):
    """Reported posts, those with the most reports first."""

    posts: list[ReportedPost]
    limit: int
    next_cursor: str | None
    """Send it as `cursor` for the next page; null on the last."""


class MovedMessage(TypedDict):
    """An event that the chain dropped, or whose place on the chain differs from the one that was sent."""

    type: Literal["moved"]
    market_id: str | None
    timestamp: str
    data: EventRetracted


class NamedQuery(TypedDict):
    """An example query."""

    name: str
    statement: str
    """Its text; the first line is the question that it answers."""


class NewApiKey(TypedDict):
    """An API key to create."""

    name: str
    """What the key is for; only you see it."""
    scopes: list[Literal["read", "trade", "write"]]
    """`read`: what only the wallet sees, such as the topic me. `trade`: transactions to sign. `write`: ballots,
    comments, metadata."""
    expires_in_days: NotRequired[int]
    """Without it, the key is valid until it is revoked."""


class NewEventGroup(TypedDict):
    """An event: a title and its markets in the order in which they are shown."""

    title: str
    markets: list[str]
    """Ids or addresses. A market is in one event at a time."""
    description: NotRequired[str | None]


class NewImage(TypedDict):
    """An image for a market: PNG, JPEG or WebP, not animated, at most 4096 pixels a side and 4,194,304 together."""

    content: str
    """The file in base64, at most 512 KiB."""


class NewMarketPost(TypedDict):
    """A new post or reply, with its market."""

    content: str
    """Text, stored unchanged."""
    parent_id: NotRequired[str | None]
    parentId: NotRequired[str | None]
    market_id: str
    """The market's id or address."""


class NewMetadata(TypedDict):
    """A market's question and metadata; a market created with a content id accepts only exactly its document's text."""

    question: str
    description: NotRequired[str | None]
    category: NotRequired[Literal["crypto", "entertainment", "other", "politics", "science", "sports"]]
    tags: NotRequired[list[str]]
    end_date: NotRequired[str | None]


class NewPost(TypedDict):
    """A new post or reply."""

    content: str
    """Text, stored unchanged."""
    parent_id: NotRequired[str | None]
    parentId: NotRequired[str | None]


class NewProfile(TypedDict):
    """A wallet's public profile; a member that is left out, or null, is removed. Names are not unique."""

    display_name: NotRequired[str | None]
    bio: NotRequired[str | None]


class NewestActivities(TypedDict):
    """Recent events of the whole platform, the latest first."""

    activities: list[NewestActivity]
    count: int
    as_of: AsOf


class NewestActivity(TypedDict):
    """A recent event, in the format of the frontend's home page."""

    id: str
    type: Literal["creation", "resolution", "trade"]
    user: str
    """A wallet as "ABCDEF...WXYZ"; "protocol" for events without a wallet."""
    action: str
    market: str
    """The question."""
    marketId: str
    time: str
    amount: NotRequired[str]
    """"1.10 SOL"; absent where nothing was paid."""


class NonceToSign(TypedDict):
    """The fields for a wallet's signIn, and their text if the wallet is known."""

    nonce: str
    """Valid once, until expires_at."""
    domain: str
    """Host and port that the text must contain."""
    uri: str
    """The URI that the text must contain; it belongs to the domain."""
    version: str
    chain_id: str
    """mainnet, devnet or localnet."""
    statement: str
    issued_at: str
    expires_at: str
    message: str | None
    """The text to sign, for wallets that only sign messages; null unless `wallet` was given."""


class OnePosition(TypedDict):
    """A wallet's position in the requested market."""

    market_id: str
    marketId: str
    market_address: str
    market_pubkey: str
    user_wallet: str
    user_pubkey: str
    userId: str
    shares_yes: int
    shares_yes_exact: str
    """The integer beside it, exactly."""
    sharesYes: int
    shares_no: int
    shares_no_exact: str
    """The integer beside it, exactly."""
    sharesNo: int
    total_invested: int
    """Lamports paid, fees included."""
    total_invested_exact: str
    """The integer beside it, exactly."""
    invested: int
    totalCost: int
    total_proceeds: int
    total_proceeds_exact: str
    """The integer beside it, exactly."""
    current_value: int
    """Lamports: shares at the current price; the claimable amount once final."""
    current_value_exact: str
    """The integer beside it, exactly."""
    claimable_amount: int
    claimable_amount_exact: str
    """The integer beside it, exactly."""
    unrealized_pnl: int
    """Lamports; profit is this plus realized_pnl."""
    unrealizedPnL: int
    unrealized_pnl_exact: str
    """The integer beside it, exactly."""
    realized_pnl: int
    """Lamports."""
    realizedPnL: int
    realized_pnl_exact: str
    """The integer beside it, exactly."""
    trades_count: int
    has_claimed: bool
    claimed_amount: int
    claimed_amount_exact: str
    """The integer beside it, exactly."""
    first_trade_at: str | None
    last_trade_at: str | None
    claimed_at: str | None
    updated_at: str
    """When the log received the newest entry that changed it."""
    question: str
    category: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    state: int
    """The program's number of the market's state."""
    state_name: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    state_code: int
    """The same as state."""
    outcome: Literal["INVALID", "NO", "YES"] | None
    current_price_yes: float | None
    current_price_no: float | None
    last_seq: int
    as_of: AsOf


class Ping(TypedDict):
    """Request a pong."""

    action: Literal["ping"]


class Platform(TypedDict):
    """The platform's sums, the shortest period first."""

    periods: list[PlatformPeriod]
    as_of: AsOf


class PlatformPeriod(TypedDict):
    """The sums of the whole platform in a span of time."""

    period: Literal["24h", "30d", "7d", "all"]
    from_at: str | None
    to_at: str | None
    trades_count: int
    volume: str
    """An integer as text, because it may exceed 2**53."""
    buy_volume: str
    """An integer as text, because it may exceed 2**53."""
    sell_volume: str
    """An integer as text, because it may exceed 2**53."""
    traders_count: int
    new_wallets_count: int
    markets_created: int
    markets_finalized: int
    disputes_count: int
    ballots_count: int
    claims_paid: str
    """An integer as text, because it may exceed 2**53."""
    protocol_fees: str
    """An integer as text, because it may exceed 2**53."""
    resolver_fees: str
    """An integer as text, because it may exceed 2**53."""
    lp_fees: str
    """An integer as text, because it may exceed 2**53."""
    markets_count: int
    active_markets_count: int
    open_interest_shares: str
    """An integer as text, because it may exceed 2**53."""


class PnlDay(TypedDict):
    """A wallet's trades and profit on one day in UTC."""

    day: str
    trades_count: int
    volume: str
    """An integer as text, because it may exceed 2**53."""
    invested: str
    """An integer as text, because it may exceed 2**53."""
    proceeds: str
    """An integer as text, because it may exceed 2**53."""
    claimed: str
    """An integer as text, because it may exceed 2**53."""
    realized_pnl: str
    """An integer as text, because it may exceed 2**53."""
    cumulative_realized_pnl: str
    """An integer as text, because it may exceed 2**53."""
    last_seq: int


class PnlHistory(TypedDict):
    """The days with activity, the latest last."""

    wallet: str
    days: list[PnlDay]
    limit: int
    as_of: AsOf


class Pong(TypedDict):
    """The reply to a ping."""

    type: Literal["pong"]
    timestamp: str
    data: dict[str, Any]


class PongBack(TypedDict):
    """The reply to a ping of the server."""

    action: Literal["pong"]


class Portfolio(TypedDict):
    """The value and profit of a wallet's positions, the latest traded first."""

    wallet: str
    totals: PortfolioTotals
    positions: list[PortfolioPosition]
    count: int
    """Number of all positions."""
    limit: int
    offset: int
    as_of: AsOf


class PortfolioPosition(TypedDict):
    """A position with its value and profit, in lamports."""

    market_id: str
    market_address: str
    question: str
    state: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    outcome: Literal["INVALID", "NO", "YES"] | None
    shares_yes: str
    """An integer as text, because it may exceed 2**53."""
    shares_no: str
    """An integer as text, because it may exceed 2**53."""
    cost_yes: str
    """Lamports paid for the YES shares still owned, at their average cost."""
    cost_no: str
    """An integer as text, because it may exceed 2**53."""
    total_invested: str
    """An integer as text, because it may exceed 2**53."""
    total_proceeds: str
    """An integer as text, because it may exceed 2**53."""
    trades_count: int
    has_claimed: bool
    claimed_amount: str
    """An integer as text, because it may exceed 2**53."""
    claimable: str
    """The amount that a claim would pay now."""
    is_pool_withdrawn: bool
    """The creator withdrew the pool; winning claims pay nothing."""
    current_value: str
    """Shares at the current price; the claimable amount once final."""
    realized_pnl: str
    """An integer as text, because it may exceed 2**53."""
    unrealized_pnl: str
    """An integer as text, because it may exceed 2**53."""
    profit: str
    """Sum of realized_pnl and unrealized_pnl."""
    first_trade_at: str | None
    last_trade_at: str | None
    last_seq: int


class PortfolioTotals(TypedDict):
    """Sums over all positions of the wallet, in lamports."""

    total_invested: str
    """An integer as text, because it may exceed 2**53."""
    total_proceeds: str
    """An integer as text, because it may exceed 2**53."""
    claimed_amount: str
    """An integer as text, because it may exceed 2**53."""
    claimable: str
    """An integer as text, because it may exceed 2**53."""
    current_value: str
    """An integer as text, because it may exceed 2**53."""
    realized_pnl: str
    """An integer as text, because it may exceed 2**53."""
    unrealized_pnl: str
    """An integer as text, because it may exceed 2**53."""
    profit: str
    """An integer as text, because it may exceed 2**53."""


class PositionBatch(TypedDict):
    """The positions of several wallets in the order of the request, all read at one position of the log."""

    wallets: list[PositionsOfWallet]
    limit: int
    as_of: AsOf


class PositionBatchRequest(TypedDict):
    """Wallets whose positions are read; wallets times `limit` is at most 10,000."""

    wallets: list[str]
    """Addresses in base58, each one once."""
    market: NotRequired[str | None]
    """Only positions in this market: its id or address."""
    limit: NotRequired[int]
    """Most positions of each wallet."""


class PositionState(TypedDict):
    """The shares of a wallet in a market."""

    market_id: str
    user_wallet: str
    shares_yes: int
    """Nine decimals."""
    shares_yes_exact: str
    """The integer beside it, exactly."""
    shares_no: int
    """Nine decimals."""
    shares_no_exact: str
    """The integer beside it, exactly."""
    total_invested: int
    """Lamports."""
    total_invested_exact: str
    """The integer beside it, exactly."""
    total_proceeds: int
    """Lamports."""
    total_proceeds_exact: str
    """The integer beside it, exactly."""
    trades_count: int
    has_claimed: bool
    claimed_amount: int
    """Lamports."""
    claimed_amount_exact: str
    """The integer beside it, exactly."""
    last_seq: int
    """The newest log entry that this state reflects."""


class PositionUpdateMessage(TypedDict):
    """The shares of a wallet in a market."""

    type: Literal["position_update"]
    market_id: str | None
    timestamp: str
    data: PositionState


class PositionsOfWallet(TypedDict):
    """The positions of one wallet, the latest traded first."""

    wallet: str
    positions: list[PortfolioPosition]


class PostDecision(TypedDict):
    """What becomes of a post. An erased text cannot be restored; `dismiss` takes the post off the queue."""

    action: Literal["dismiss", "erase", "hide", "restore"]
    reason: str
    """Public."""


class PostReport(TypedDict):
    """The reason for a report of a post."""

    reason: str


class PostResult(TypedDict):
    """The result of the request, and the post's current state."""

    message: str
    discussion: Discussion


class PriceChanged(TypedDict):
    """The current prices of a market's shares."""

    market_id: str
    priceYes: float | None
    priceNo: float | None
    totalShares: int
    """Nine decimals."""
    price_yes: int | None
    shares_yes_exact: str
    """The integer beside it, exactly."""
    shares_no_exact: str
    """The integer beside it, exactly."""
    last_seq: int
    """The newest log entry that this state reflects."""


class PriceHistory(TypedDict):
    """Even odds at the market's creation, then its newest trades, the latest last."""

    market_id: str
    price_history: list[PricePoint]
    count: int
    """Number of points: the first one and up to `limit` trades."""
    as_of: AsOf


class PricePoint(TypedDict):
    """A market's price at an instant, for a chart."""

    timestamp: str
    yes: float
    """Percent, limited to 1 to 99."""
    no: float
    """100 minus yes."""


class PriceUpdateMessage(TypedDict):
    """The current prices of a market's shares."""

    type: Literal["price_update"]
    market_id: str | None
    timestamp: str
    data: PriceChanged


class Problem(TypedDict):
    """RFC 9457 problem details, with the members that older clients read."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    """Stable; compare this in programs."""
    error: str
    message: str
    timestamp: str
    path: str
    details: NotRequired[list[FieldProblem]]
    success: NotRequired[bool]
    """false, on paths of the earlier vote aggregator, with a sentence in error."""


class Profile(TypedDict):
    """What a wallet says about itself. Show it as text, and the wallet beside it: anyone may choose any name."""

    wallet: str
    display_name: str | None
    bio: str | None
    updated_at: str | None
    is_banned: bool
    """Whether a moderator has banned it from writing."""
    as_of: AsOf


class ProfileEvent(TypedDict):
    """A wallet's profile as it is now."""

    user_wallet: str
    display_name: str | None
    bio: str | None
    seq: int
    """Seq of the log entry of this message."""


class ProfileMessage(TypedDict):
    """A wallet's profile as it is now."""

    type: Literal["profile"]
    market_id: str | None
    timestamp: str
    data: ProfileEvent


class ProposalBallot(TypedDict):
    """A ballot on a proposal."""

    signature: str
    """An ed25519 signature of 64 bytes, in base58 (or base64)."""
    publicKey: str
    """A wallet's address in base58."""
    message: NotRequired[str]
    """The text of GET /api/votes/message; this or signed_message."""
    signed_message: NotRequired[str]
    """The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope."""
    vote: Literal["dislike", "like"]


class ProposalCounts(TypedDict):
    """A proposal's tally, in the format of the earlier vote aggregator."""

    success: Literal[True]
    marketId: str
    counts: ProposalTally
    as_of: AsOf


class ProposalTally(TypedDict):
    """A proposal's tally."""

    likes: int
    dislikes: int
    total: int


class ProposalVotes(TypedDict):
    """A proposal's tally, by the names that earlier tests read."""

    likes: int
    dislikes: int


class ProposedMarket(TypedDict):
    """A market that its transaction will create."""

    id: str
    on_chain_address: str
    question: str
    description: str | None
    category: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    tags: list[str]
    state: Literal["PROPOSED"]
    creator_wallet: str
    b_parameter: int
    b_parameter_exact: str
    """The integer beside it, exactly."""
    initial_liquidity: int
    initial_liquidity_exact: str
    """The integer beside it, exactly."""
    end_date: str
    ipfs_question_hash: str
    """The content id of metadata_document."""
    is_tradable: bool
    """Whether b_parameter reaches the 100 SOL that trading requires."""


class ProposedTrade(TypedDict):
    """The result of the trade at the current state, to the lamport."""

    market_id: str
    on_chain_address: str
    user_wallet: str
    trade_type: Literal["buy", "sell"]
    outcome: Literal["NO", "YES"]
    outcome_bool: bool
    """true for YES."""
    shares: int
    shares_exact: str
    """The integer beside it, exactly."""
    cost: int
    """Lamports paid or received, fees included."""
    cost_exact: str
    """The integer beside it, exactly."""
    limit_exact: str
    """The argument of the instruction: target_cost or min_proceeds, in lamports."""
    protocol_fee_exact: str
    """An integer as text, because it may exceed 2**53."""
    resolver_fee_exact: str
    """An integer as text, because it may exceed 2**53."""
    lp_fee_exact: str
    """An integer as text, because it may exceed 2**53."""
    new_price_yes_exact: str
    """Nine decimals."""
    slot: int
    """The slot of the market state that the numbers are based on."""


class Protocol(TypedDict):
    """The program's current configuration."""

    protocol_fee_bps: int
    resolver_reward_bps: int
    liquidity_provider_fee_bps: int
    proposal_approval_threshold: int
    """Basis points of likes that approve a proposal."""
    dispute_success_threshold: int
    """Basis points of agrees that uphold a dispute."""
    min_resolution_delay: str
    """Seconds; the program stores it and never enforces it."""
    dispute_period: str
    """Seconds in which a proposed outcome can be disputed."""
    is_paused: bool
    admin: str | None
    backend_authority: str | None
    set_by: ConfigSources
    as_of: AsOf


class Quote(TypedDict):
    """A trade's result if no other trade comes first. Amounts are lamports, shares and prices have nine decimals."""

    market_id: str
    side: Literal["buy", "sell"]
    outcome: Literal["NO", "YES"]
    is_possible: bool
    """False when the program would reject the trade; `refusal` has the reason."""
    refusal: Refusal | None
    target_cost: str | None
    """Purchases only: the highest amount to pay, fees included."""
    shares: str | None
    """Shares bought or sold."""
    before_fees: str | None
    """Cost or proceeds of the shares before fees."""
    protocol_fee: str | None
    resolver_fee: str | None
    lp_fee: str | None
    total: str | None
    """The amount that the buyer pays or the seller receives."""
    average_price: str | None
    """total for one whole share."""
    price_before: str | None
    """Of one share of the outcome; null if there is none."""
    price_after: str | None
    impact_bps: int | None
    """Change of the price, relative to the price before."""
    smallest: str | None
    """The smallest target_cost, or number of shares, that works now; null if none does."""
    warnings: list[Caution]
    as_of: AsOf


class QuoteBatch(TypedDict):
    """The results in the order of the request, all from one state of the market."""

    quotes: list[Quote]
    as_of: AsOf


class QuoteBatchRequest(TypedDict):
    """Trades to calculate independently of one another, each against the market as it is now."""

    quotes: list[QuoteRequest]


class QuoteRequest(TypedDict):
    """One trade to calculate: a purchase has `target_cost`, a sale has `shares`, and never both."""

    outcome: Literal["NO", "YES"]
    target_cost: NotRequired[str | None]
    """For a purchase: the most you pay in lamports, fees included."""
    shares: NotRequired[str | None]
    """For a sale: shares, in billionths."""


class RankedWallet(TypedDict):
    """A wallet with its rank."""

    rank: int
    """Equal values share a rank."""
    user_wallet: str
    profit: str
    """Realized within the period."""
    volume: str
    """An integer as text, because it may exceed 2**53."""
    trades_count: int
    markets_count: int
    decided_count: int
    """Positions decided YES or NO within the period."""
    won_count: int
    """Those with a profit."""
    win_rate_bps: int | None
    """won_count divided by decided_count."""
    last_seq: int


class Reaction(TypedDict):
    """A reaction to a post; null removes an earlier one."""

    vote: Literal["down", "up"] | None


class Readiness(TypedDict):
    """Whether requests can be answered, and the reasons if not."""

    status: Literal["ready", "unready"]
    service: str
    reasons: list[str]
    """Reasons why the process is not ready."""
    warnings: list[str]
    """Problems that do not prevent readiness."""
    epoch: str | None
    seq: int | None
    position: str | None
    streams: int
    """Open streams of this process."""


class RecordedBallot(TypedDict):
    """A recorded ballot."""

    success: Literal[True]
    voteId: str
    """PV- or DV- and the seq of the ballot's log entry."""
    marketId: str
    vote: Literal["agree", "disagree", "dislike", "like"]
    timestamp: str


class RefreshToken(TypedDict):
    """A refresh token to exchange or revoke."""

    refresh_token: str


class Refusal(TypedDict):
    """The error with which the program would refuse."""

    name: str
    code: int
    """The program's error number, from 6000."""
    message: str


class RelatedMarket(TypedDict):
    """A market that is similar to another one."""

    id: str
    question: str
    yesPrice: float | None
    category: str
    """With a capital letter."""
    categoryMatch: bool
    """The same category as the market in the request."""


class RelatedMarkets(TypedDict):
    """Other ACTIVE markets, those of the same category first; empty if the market is not known."""

    related: list[RelatedMarket]
    count: int
    as_of: AsOf


class RelayedTransaction(TypedDict):
    """A relayed transaction."""

    message: str
    signature: str
    status: Literal["confirmed", "expired", "failed", "finalized", "processed", "sent"]
    """processed: it is in a block that may still be skipped; with an error, this is provisional, so wait. failed: it
    landed, cost its fee and changed nothing else; its block is final. expired: it never landed or never ran, and never
    will, so it cost nothing; prepare it again."""
    slot: int | None
    error: str | None
    transaction: str
    """The same signature, under the name that older clients read."""
    explorer: str


class Replies(TypedDict):
    """A thread's replies, the oldest first."""

    replies: list[Discussion]
    count: int
    limit: int
    next_cursor: str | None
    as_of: AsOf


class ReportedPost(TypedDict):
    """A post with reports that no decision has followed yet."""

    id: str
    market_id: str | None
    user_wallet: str
    content: str
    """Its text, also if it is hidden or deleted."""
    is_hidden: bool
    is_deleted: bool
    is_author_banned: bool
    created_at: str
    flags: int
    """Wallets that reported it since the last decision."""
    reasons: list[str]
    """The newest ten."""
    last_flag_at: str


class ResolveMarket(TypedDict):
    """A proposed outcome and its evidence."""

    outcome: Literal["NO", "YES"] | bool | None
    ipfs_evidence_hash: str
    """A CIDv0, exactly 46 characters."""


class Resync(TypedDict):
    """Your position is not in this log: read the state again, then continue from this position."""

    type: Literal["resync"]
    timestamp: str
    data: dict[str, Any]


class ResyncEvent(TypedDict):
    """Your position is not in this log."""

    reason: Literal["foreign_epoch", "future_position", "mark_mismatch"]
    epoch: str
    """Id of this history of the log; a restore starts a new one."""
    seq: int
    """Seq of the log entry."""
    position: str
    """Opaque; send it unchanged as `since`. Compare order by epoch and seq."""


class RetractedMessage(TypedDict):
    """An event that the chain dropped, or whose place on the chain differs from the one that was sent."""

    type: Literal["retracted"]
    market_id: str | None
    timestamp: str
    data: EventRetracted


class RevokedApiKey(TypedDict):
    """The key is revoked."""

    id: str
    revoked_at: str


class ScheduledMart(TypedDict):
    """A mart that Dagster computes every few minutes."""

    name: str
    applied_seq: int
    """The newest log entry that its rows reflect."""
    refreshed_at: str
    is_overdue: bool
    """The log advanced more than 15 minutes ago, and it was not computed."""


class SellShares(TypedDict):
    """A sale of `shares` for at least `min_proceeds`."""

    market_id: str
    """A market's 64 hexadecimal digits, or the address of its account."""
    outcome: Literal["NO", "YES"] | bool
    """YES or NO; true and false, which earlier clients send, mean the same."""
    shares: int | str
    """Nine decimals; at least 1000000."""
    min_proceeds: NotRequired[int | str]
    """The least you receive in lamports, after fees."""


class Session(TypedDict):
    """A wallet that is signed in, with its tokens."""

    wallet: str
    """A wallet's address in base58."""
    access_token: str
    """For Authorization: Bearer."""
    token_type: str
    """Always Bearer."""
    expires_in: int
    """Seconds until the access token expires."""
    refresh_token: str
    """Valid once, for the next pair of tokens."""
    refresh_expires_at: str


class SideCount(TypedDict):
    """Ballots of one source."""

    likes: int
    dislikes: int


class SignOutResult(TypedDict):
    """The session is closed."""

    message: str


class SignedMessage(TypedDict):
    """The result of a wallet's signing: the signed text, as text or as bytes, and the signature."""

    wallet: str
    """A wallet's address in base58."""
    signature: str
    """An ed25519 signature of 64 bytes, in base58 (or base64)."""
    message: NotRequired[str]
    """The signed text; send this or signed_message."""
    signed_message: NotRequired[str]
    """The signed bytes in base64, as signIn and signMessage return them; also an off-chain envelope."""


class SignedTransaction(TypedDict):
    """A signed transaction to relay."""

    transaction: str
    """base64 of the signed bytes: at most 1,232 of them, and 4,096 of a version-1 transaction."""
    last_valid_block_height: NotRequired[int | None]


class Simulation(TypedDict):
    """The result of the simulation."""

    slot: int
    """The chain's slot at which it succeeded."""
    units_consumed: int
    """Compute units."""


class SqlAnswer(TypedDict):
    """Rows as objects; integers of any size are exact in the JSON text."""

    columns: list[SqlColumn]
    rows: list[dict[str, Any]]
    count: int
    is_cut: bool
    """True if there are more rows than shown."""
    took_ms: float
    as_of: AsOf


class SqlColumn(TypedDict):
    """A column of the result."""

    name: str
    type: str
    """As Postgres names it."""


class SqlConsole(TypedDict):
    """The SQL console's status, example queries, allowed functions and limits."""

    is_on: bool
    """Whether this server accepts SQL."""
    named: list[NamedQuery]
    functions: list[str]
    """Functions that may be called."""
    seconds: float
    most_rows: int


class SqlQuery(TypedDict):
    """One SELECT over the schema marts, or the name of an example query."""

    query: NotRequired[str | None]
    name: NotRequired[str | None]
    limit: NotRequired[int]
    """Maximum number of rows."""
    format: NotRequired[Literal["csv", "json"]]


class Status(TypedDict):
    """The status of the log and its marts."""

    epoch: str
    seq: int
    position: str
    """Opaque; send it unchanged as `since`. Compare order by epoch and seq."""
    slot: int | None
    commitment: Literal["confirmed", "finalized"]
    verified_through: int | None
    """Slot; null when nothing is proven."""
    finalized_through: int | None
    completeness: Completeness
    gaps: list[AcceptedGap]
    """Accepted gaps that are not filled yet."""
    lag: Lag
    models: list[ModelStatus]
    scheduled_marts: list[ScheduledMart]
    keepers: list[KeeperStatus]
    dead_letters: int
    """Deliveries that could not be used and were stored."""
    wanted: int
    """Known transactions that are not fetched yet."""
    alerts: list[AlertKind]
    as_of: AsOf


class StatusEvent(TypedDict):
    """A change of finality or a mart that became stale; the first message is a snapshot."""

    kind: Literal["finalized_through", "mart_stale", "snapshot"]
    finalized_through: int | None
    """Slot; null when unknown, and for other kinds."""
    seq: NotRequired[int]
    """Seq of the log entry; a snapshot has none."""
    stale: NotRequired[list[str]]
    """Marts that stopped following the log; in a snapshot only."""


class StatusMessage(TypedDict):
    """A change of finality or a mart that became stale; the first message is a snapshot."""

    type: Literal["status"]
    market_id: str | None
    timestamp: str
    data: StatusEvent


class Subscribe(TypedDict):
    """Subscribe to topics. `since` is a `position` from which these topics resume. Each subscription has its own."""

    action: Literal["subscribe"]
    topics: NotRequired[list[str]]
    market_id: NotRequired[str]
    since: NotRequired[str]
    token: NotRequired[str]
    ticket: NotRequired[str]


class Subscribed(TypedDict):
    """These topics are subscribed from `seq` on; messages with the current state follow."""

    type: Literal["subscribed"]
    timestamp: str
    topics: list[str]
    epoch: str
    """Id of this history of the log; a restore starts a new one."""
    seq: int
    """Seq of the log entry."""
    position: str
    """Opaque; send it unchanged as `since`. Compare order by epoch and seq."""
    messages: list[
        TradeMessage
        | TradeExecutedMessage
        | VoteMessage
        | MarketEventMessage
        | RetractedMessage
        | MovedMessage
        | DiscussionMessage
        | ModerationMessage
        | ProfileMessage
        | MarketMetadataMessage
        | MarketPageMessage
        | EventGroupMessage
        | StatusMessage
        | MarketStateMessage
        | MarketUpdateMessage
        | PriceUpdateMessage
        | VoteTallyMessage
        | PositionUpdateMessage
    ]


class Thread(TypedDict):
    """A post that started a thread, with its first replies as a flat list in the order of their creation."""

    id: str
    market_id: str
    marketId: str
    user_wallet: str
    author: str
    content: str
    """Empty after deletion."""
    parent_id: str | None
    """The post that this one replies to."""
    parentId: str | None
    upvotes: int
    downvotes: int
    flags: int
    """Number of wallets that reported it."""
    isFlagged: bool
    edits: int
    """Number of edits."""
    created_at: str
    createdAt: str
    edited_at: str | None
    deleted_at: str | None
    last_seq: int
    replies_count: int
    """Replies at any depth that are not deleted."""
    replies: list[Discussion]


class Threads(TypedDict):
    """A market's threads, the newest first."""

    discussions: list[Thread]
    count: int
    """Number of threads on this page."""
    limit: int
    offset: int
    next_cursor: str | None
    market_id: str
    as_of: AsOf


class Ticket(TypedDict):
    """A ticket that opens one stream."""

    ticket: str
    """Add it to the URL of one stream: ?ticket=..."""
    expires_in: int
    """Seconds."""


class Trade(TypedDict):
    """One purchase or sale of shares."""

    id: str
    """tx_signature:ordinal."""
    market_id: str
    marketId: str
    market_pubkey: str
    """The market's account."""
    user_wallet: str
    trader: str
    trader_pubkey: str
    trade_type: Literal["buy", "sell"]
    outcome: Literal["NO", "YES"]
    outcome_bool: bool
    """True for YES."""
    shares: int
    shares_exact: str
    """The integer beside it, exactly."""
    cost: int
    """Lamports: paid with fees, or received after fees."""
    cost_exact: str
    """The integer beside it, exactly."""
    gross_lamports: str
    """The cost before fees."""
    protocol_fee_lamports: str
    resolver_fee_lamports: str
    lp_fee_lamports: str
    are_fees_exact: bool
    """False for a sale whose fees the amounts on chain do not determine to the lamport."""
    price_after: float
    """Price of YES after the trade."""
    price: float
    """Price of the traded outcome after the trade."""
    new_price_yes: int
    """price_after in billionths."""
    tx_signature: str
    ordinal: int
    slot: int
    seq: int
    block_time: str
    created_at: str
    timestamp: str


class TradeEvent(TypedDict):
    """A purchase or a sale."""

    id: str
    """tx_signature:ordinal."""
    tradeId: str
    market_id: str
    marketId: str
    trade_type: Literal["buy", "sell"]
    outcome: Literal["NO", "YES"]
    outcome_bool: bool
    """true for YES."""
    shares: int
    """Nine decimals."""
    shares_exact: str
    """The integer beside it, exactly."""
    cost: int
    """Lamports: paid with fees, or received after fees."""
    cost_exact: str
    """The integer beside it, exactly."""
    user_wallet: str
    trader: str
    price: float
    """Of the traded outcome, right after the trade."""
    price_after: float
    """Of YES, right after the trade."""
    new_price_yes: int
    """Nine decimals."""
    tx_signature: str
    ordinal: int
    slot: int
    """The slot of its transaction."""
    seq: int
    """Seq of the log entry of this message."""
    created_at: str
    block_time: str


class TradeExecutedMessage(TypedDict):
    """A purchase or a sale."""

    type: Literal["trade_executed"]
    market_id: str | None
    timestamp: str
    data: TradeEvent


class TradeMessage(TypedDict):
    """A purchase or a sale."""

    type: Literal["trade"]
    market_id: str | None
    timestamp: str
    data: TradeEvent


class TradePage(TypedDict):
    """Trades, the latest on chain first."""

    trades: list[Trade]
    count: int
    """Number of rows on this page."""
    limit: int
    offset: int
    next_cursor: str | None
    as_of: AsOf


class TradingStats(TypedDict):
    """The sums of trades, in lamports."""

    total_volume: int
    total_volume_exact: str
    """The integer beside it, exactly."""
    total_trades: int
    unique_traders: int
    buy_volume: int
    """Paid by buyers, fees included."""
    buy_volume_exact: str
    """The integer beside it, exactly."""
    sell_volume: int
    """Paid out for sales, before fees."""
    sell_volume_exact: str
    """The integer beside it, exactly."""


class TransactionEvent(TypedDict):
    """An event of the transaction, from the log."""

    seq: int
    name: str
    market_id: str | None


class TransactionStatus(TypedDict):
    """How far a transaction has progressed."""

    signature: str
    status: Literal["confirmed", "expired", "failed", "finalized", "processed", "retracted"]
    """processed: it is in a block that may still be skipped; with an error, this is provisional, so wait. failed: it
    landed, cost its fee and changed nothing else; its block is final. expired: it never landed or never ran, and never
    will, so it cost nothing; prepare it again. retracted: the chain dropped the block that contained it."""
    slot: int | None
    error: str | None
    source: Literal["chain", "log"]
    """The source of the status: the log, or the chain where the log does not decide it."""
    events: list[TransactionEvent]
    explorer: str


class TrendingMarket(TypedDict):
    """A trending market."""

    id: str
    question: str
    yesPrice: float | None
    change24h: float
    """Percentage points of YES gained in the last day."""
    volume24h: float
    """SOL traded in the last day; for display."""
    volume_24h_exact: str
    """The same in lamports."""
    uniqueTraders: int
    """Wallets that traded in the last day."""
    trendingScore: float
    """0.6 of volume24h and 0.4 of uniqueTraders."""


class TrendingMarkets(TypedDict):
    """The most traded ACTIVE markets of the day up to the newest event."""

    trending: list[TrendingMarket]
    count: int
    as_of: AsOf


class UnsignedMarket(TypedDict):
    """A market's creation to sign."""

    message: str
    unsigned_transaction: str
    """base64; versioned, with zeros for its signatures."""
    signers: list[str]
    """The wallets that must sign, the payer first."""
    blockhash: str
    last_valid_block_height: int
    """The block height after which it can no longer land."""
    expires_in_seconds: int
    """About how long that is, by the measured slot length: some 30 s where a slot takes 0.2 s. Prepare it again when 20
    s of it are gone before the wallet is asked."""
    fee_lamports: str
    """The fee in lamports, without the amounts that the instruction moves."""
    simulation: Simulation
    transaction: NotRequired[None]
    """Its signature, once you have signed it; null here."""
    explorer: NotRequired[None]
    """null until it is sent."""
    market: ProposedMarket
    metadata_document: str
    """The bytes whose content id is anchored; store or pin them."""


class UnsignedOnMarket(TypedDict):
    """A step of a market's life to sign."""

    message: str
    unsigned_transaction: str
    """base64; versioned, with zeros for its signatures."""
    signers: list[str]
    """The wallets that must sign, the payer first."""
    blockhash: str
    last_valid_block_height: int
    """The block height after which it can no longer land."""
    expires_in_seconds: int
    """About how long that is, by the measured slot length: some 30 s where a slot takes 0.2 s. Prepare it again when 20
    s of it are gone before the wallet is asked."""
    fee_lamports: str
    """The fee in lamports, without the amounts that the instruction moves."""
    simulation: Simulation
    transaction: NotRequired[None]
    """Its signature, once you have signed it; null here."""
    explorer: NotRequired[None]
    """null until it is sent."""
    market: Market | None
    """The market as in GET /api/markets/{id}; null until the log contains it."""


class UnsignedTrade(TypedDict):
    """A trade to sign."""

    message: str
    unsigned_transaction: str
    """base64; versioned, with zeros for its signatures."""
    signers: list[str]
    """The wallets that must sign, the payer first."""
    blockhash: str
    last_valid_block_height: int
    """The block height after which it can no longer land."""
    expires_in_seconds: int
    """About how long that is, by the measured slot length: some 30 s where a slot takes 0.2 s. Prepare it again when 20
    s of it are gone before the wallet is asked."""
    fee_lamports: str
    """The fee in lamports, without the amounts that the instruction moves."""
    simulation: Simulation
    transaction: NotRequired[None]
    """Its signature, once you have signed it; null here."""
    explorer: NotRequired[None]
    """null until it is sent."""
    trade: ProposedTrade


class Unsubscribe(TypedDict):
    """Unsubscribe from topics."""

    action: Literal["unsubscribe"]
    topics: NotRequired[list[str]]
    market_id: NotRequired[str]


class Unsubscribed(TypedDict):
    """The topics that remain subscribed."""

    type: Literal["unsubscribed"]
    timestamp: str
    data: dict[str, Any]
    market_id: NotRequired[str]


class UserPosition(TypedDict):
    """A wallet's shares in a market, their value and their profit."""

    market_id: str
    marketId: str
    market_address: str
    market_pubkey: str
    user_wallet: str
    user_pubkey: str
    userId: str
    shares_yes: int
    shares_yes_exact: str
    """The integer beside it, exactly."""
    sharesYes: int
    shares_no: int
    shares_no_exact: str
    """The integer beside it, exactly."""
    sharesNo: int
    total_invested: int
    """Lamports paid, fees included."""
    total_invested_exact: str
    """The integer beside it, exactly."""
    invested: int
    totalCost: int
    total_proceeds: int
    total_proceeds_exact: str
    """The integer beside it, exactly."""
    current_value: int
    """Lamports: shares at the current price; the claimable amount once final."""
    current_value_exact: str
    """The integer beside it, exactly."""
    claimable_amount: int
    claimable_amount_exact: str
    """The integer beside it, exactly."""
    unrealized_pnl: int
    """Lamports; profit is this plus realized_pnl."""
    unrealizedPnL: int
    unrealized_pnl_exact: str
    """The integer beside it, exactly."""
    realized_pnl: int
    """Lamports."""
    realizedPnL: int
    realized_pnl_exact: str
    """The integer beside it, exactly."""
    trades_count: int
    has_claimed: bool
    claimed_amount: int
    claimed_amount_exact: str
    """The integer beside it, exactly."""
    first_trade_at: str | None
    last_trade_at: str | None
    claimed_at: str | None
    updated_at: str
    """When the log received the newest entry that changed it."""
    question: str
    category: Literal["crypto", "entertainment", "other", "politics", "science", "sports"]
    state: int
    """The program's number of the market's state."""
    state_name: Literal["ACTIVE", "APPROVED", "CANCELLED", "DISPUTED", "FINALIZED", "PROPOSED", "RESOLVING"]
    state_code: int
    """The same as state."""
    outcome: Literal["INVALID", "NO", "YES"] | None
    current_price_yes: float | None
    current_price_no: float | None
    last_seq: int


class Vote(TypedDict):
    """One ballot."""

    id: str
    market_id: str
    user_wallet: str
    vote_type: Literal["dispute", "proposal"]
    vote: bool
    """proposal: like; dispute: agree with the dispute."""
    voted_at: str
    created_at: str
    source: Literal["api", "chain"]
    tx_signature: str | None
    last_seq: int


class VoteCounts(TypedDict):
    """A market's tallies."""

    market_id: str
    counts: VoteTallies
    proposal_votes: ProposalVotes
    dispute_votes: DisputeVotes
    as_of: AsOf


class VoteEvent(TypedDict):
    """A ballot, cast on chain or in the API."""

    vote_type: Literal["dispute", "proposal"]
    vote: bool
    market_id: str
    user_wallet: str
    voted_at: str
    created_at: str
    source: Literal["api", "chain"]
    tx_signature: str | None
    seq: int
    """Seq of the log entry of this message."""


class VoteMessage(TypedDict):
    """A ballot, cast on chain or in the API."""

    type: Literal["vote"]
    market_id: str | None
    timestamp: str
    data: VoteEvent


class VoteOnDispute(TypedDict):
    """A vote on a dispute."""

    supportDispute: bool
    """true agrees with the dispute."""


class VoteOnProposal(TypedDict):
    """A vote on a proposal."""

    approve: bool
    """true likes it."""


class VoteStats(TypedDict):
    """The tally: each wallet once, in total and by the source of the ballot."""

    likes: int
    dislikes: int
    total: int
    approval_rate: str
    """Percent with two digits, such as "75.00"."""
    on_chain: SideCount
    off_chain_known: SideCount
    off_chain_unseen: SideCount
    voting_closes_at: str | None


class VoteTallies(TypedDict):
    """Tallies by kind."""

    proposal: VoteTally
    dispute: VoteTally


class VoteTally(TypedDict):
    """A tally: each wallet once."""

    agree: int
    """Likes of a proposal, or ballots for a dispute."""
    disagree: int
    total: int


class VoteTallyMessage(TypedDict):
    """The number of ballots of one kind in a market."""

    type: Literal["vote_tally"]
    market_id: str | None
    timestamp: str
    data: VoteTallyState


class VoteTallyState(TypedDict):
    """The number of ballots of one kind in a market."""

    market_id: str
    vote_type: Literal["dispute", "proposal"]
    likes: int
    dislikes: int
    total: int
    last_seq: int | None


class Wallet(TypedDict):
    """A wallet's counts; zeros for an unknown wallet."""

    wallet: str
    stats: WalletCounts
    as_of: AsOf


class WalletActivity(TypedDict):
    """The events of one wallet."""

    activity: list[Activity]
    count: int
    """Number of rows on this page."""
    limit: int
    next_cursor: str | None
    as_of: AsOf
    wallet: str


class WalletCounts(TypedDict):
    """The number of a wallet's trades, votes and posts."""

    total_trades: int
    total_votes: int
    proposal_votes: int
    dispute_votes: int
    discussions: int
    """Posts that are not deleted."""


class WalletDecision(TypedDict):
    """Whether a wallet may write through the API, or has its profile cleared. Positions, trades and ballots stay."""

    action: Literal["ban", "clear", "unban"]
    """clear: remove the texts of its profile."""
    reason: str
    """Public."""


class WalletStats(TypedDict):
    """The sums of a wallet's trading."""

    wallet: str
    totalTrades: int
    totalVolume: int
    """Lamports paid with fees and received after fees."""
    total_volume_exact: str
    """The integer beside it, exactly."""
    winRate: float
    """Share of positions decided YES or NO that made a profit, 0 to 1."""
    totalPnL: int
    """Lamports, realized and unrealized."""
    total_pnl_exact: str
    """The integer beside it, exactly."""
    activePositions: int
    settledPositions: int
    as_of: AsOf


class WalletTradePage(TypedDict):
    """Trades of one wallet."""

    trades: list[Trade]
    count: int
    """Number of rows on this page."""
    limit: int
    offset: int
    next_cursor: str | None
    as_of: AsOf
    wallet: str


class WalletVotes(TypedDict):
    """A wallet's ballots, the latest first."""

    proposal_votes: list[Vote]
    dispute_votes: list[Vote]
    total: int
    """Number of all ballots of the requested kinds."""
    limit: int
    offset: int
    wallet: str
    as_of: AsOf


class Welcome(TypedDict):
    """The connection is open."""

    type: Literal["welcome"]
    timestamp: str
    data: dict[str, Any]
