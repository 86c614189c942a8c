"""Defines the message types of the streams: their fields, and the topics whose subscribers receive them.

live.sql creates the messages and these classes describe them. A test compares every message of a recorded history
with its class; no field may be missing or extra. The AsyncAPI document and the clients' types are generated from
these classes.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NamedTuple

from msgspec import Meta, Struct, field

from ..schemas.answer import BallotKind, Category, Exact, Instant, Outcome, Price, Side, State
from ..schemas.markets import MarketBrief
from ..schemas.moderation import ModerationAction, ModerationSubject

_Seq = Annotated[int, Meta(description="Seq of the log entry of this message.")]
_Slot = Annotated[int, Meta(description="The slot of its transaction.")]
_LastSeq = Annotated[int, Meta(description="The newest log entry that this state reflects.")]
_Lamports = Annotated[int, Meta(description="Lamports.")]
_Billionths = Annotated[int, Meta(description="Nine decimals.")]


class TradeEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """A purchase or a sale."""

    id: Annotated[str, Meta(description="tx_signature:ordinal.")]
    trade_id: str = field(name="tradeId")
    market_id: str
    market_id_camel: str = field(name="marketId")
    trade_type: Literal["buy", "sell"]
    outcome: Side
    outcome_bool: Annotated[bool, Meta(description="true for YES.")]
    shares: _Billionths
    shares_exact: Exact
    cost: Annotated[int, Meta(description="Lamports: paid with fees, or received after fees.")]
    cost_exact: Exact
    user_wallet: str
    trader: str
    price: Annotated[float, Meta(description="Of the traded outcome, right after the trade.")]
    price_after: Annotated[float, Meta(description="Of YES, right after the trade.")]
    new_price_yes: _Billionths
    tx_signature: str
    ordinal: int
    slot: _Slot
    seq: _Seq
    created_at: Instant
    block_time: Instant


class VoteEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """A ballot, cast on chain or in the API."""

    vote_type: BallotKind
    vote: bool
    market_id: str
    user_wallet: str
    voted_at: Instant
    created_at: Instant
    source: Literal["chain", "api"]
    tx_signature: str | None
    seq: _Seq


class MarketEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """Any other event of the program."""

    name: str
    market_id: str | None
    user_wallet: str | None
    payload: Annotated[dict[str, Any], Meta(description="The event's other fields; 64-bit integers are text.")]
    tx_signature: str
    ordinal: int
    slot: _Slot
    seq: _Seq
    created_at: Instant


class EventRetracted(Struct, kw_only=True, forbid_unknown_fields=True):
    """An event that the chain dropped, or whose place on the chain differs from the one that was sent."""

    ref: Annotated[int, Meta(description="The seq of the entry that reported it.")]
    name: str
    market_id: str | None
    tx_signature: str
    ordinal: int
    slot: _Slot
    seq: _Seq


class DiscussionPost(Struct, kw_only=True, forbid_unknown_fields=True):
    """A post in its current state; a post that was deleted since is sent without its text."""

    id: Annotated[str, Meta(description="The post's id, as in REST.")]
    user_wallet: str
    content: str | None
    parent_id: str | None
    upvotes: int
    downvotes: int
    created_at: Instant
    edited_at: Instant | None
    deleted_at: Instant | None


class DiscussionEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """A post under a market was created, changed or rated."""

    action: Literal["created", "edited", "deleted", "reacted"]
    discussion: DiscussionPost
    post_id: str = field(name="postId")
    author: str
    content: str | None
    parent_id: str | None = field(name="parentId")
    market_id: str
    seq: _Seq


class ModerationEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """A moderator's decision. After `hide` and `erase`, drop the post's text; after `restore`, read the post again."""

    action: ModerationAction
    subject: ModerationSubject
    post_id: Annotated[str | None, Meta(description="The post's id; null for other subjects.")]
    market_id: str | None
    image_digest: Annotated[str | None, Meta(description="The image's digest; null for other subjects.")]
    event_slug: Annotated[str | None, Meta(description="The event's slug; null for other subjects.")]
    user_wallet: Annotated[str, Meta(description="The wallet that the decision is about.")]
    moderator_wallet: str
    reason: str
    seq: _Seq


class ProfileEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """A wallet's profile as it is now."""

    user_wallet: str
    display_name: str | None
    bio: str | None
    seq: _Seq


class MarketMetadataEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """Metadata of a market, as published by its creator."""

    market_id: str
    question: str
    description: str | None
    category: Category
    tags: list[str]
    end_date: Instant | None
    slug: Annotated[str, Meta(description="The market's name in addresses, as in REST.")]
    seq: _Seq


class MarketPageEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a market's page shows beside its metadata, as it is now."""

    market_id: str
    image_url: Annotated[str | None, Meta(description="The path of its image; null without one.")]
    event_slug: Annotated[str | None, Meta(description="The slug of the event that it is in.")]
    seq: _Seq


class EventGroupEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """An event as it is now: markets under one title. One that a moderator hid is in no message."""

    action: Literal["saved", "deleted"]
    slug: str
    title: str
    description: str | None
    user_wallet: Annotated[str, Meta(description="The wallet that made it.")]
    markets: Annotated[list[str], Meta(description="The ids of its markets in their order; empty once it is deleted.")]
    seq: _Seq


class StatusEvent(Struct, kw_only=True, forbid_unknown_fields=True):
    """A change of finality or a mart that became stale; the first message is a snapshot."""

    kind: Literal["finalized_through", "mart_stale", "snapshot"]
    finalized_through: Annotated[int | None, Meta(description="Slot; null when unknown, and for other kinds.")]
    seq: Annotated[int, Meta(description="Seq of the log entry; a snapshot has none.")] = 0
    stale: Annotated[list[str], Meta(description="Marts that stopped following the log; in a snapshot only.")] = []


class MarketStateSnapshot(Struct, kw_only=True, forbid_unknown_fields=True):
    """The state of a market, in the format for older clients."""

    action: Literal["created", "updated", "snapshot"]
    old_state: None
    new_state: State | None
    market: Annotated[MarketBrief | None, Meta(description="null for an unknown market.")]
    price_yes: Price = field(name="priceYes")
    price_no: Price = field(name="priceNo")
    total_shares: _Billionths = field(name="totalShares")


class MarketChanged(Struct, kw_only=True, forbid_unknown_fields=True):
    """The state of a market, in short form."""

    market_id: str
    state: State
    state_code: int
    outcome: Outcome | None
    price_yes: Price | None = field(name="priceYes")
    price_no: Price | None = field(name="priceNo")
    total_shares: _Billionths = field(name="totalShares")
    total_volume: _Lamports
    total_volume_exact: Exact
    trades_count: int
    last_trade_at: Instant | None
    last_seq: _LastSeq


class PriceChanged(Struct, kw_only=True, forbid_unknown_fields=True):
    """The current prices of a market's shares."""

    market_id: str
    price_yes_eyes: Price | None = field(name="priceYes")
    price_no_eyes: Price | None = field(name="priceNo")
    total_shares: _Billionths = field(name="totalShares")
    price_yes: _Billionths | None
    shares_yes_exact: Exact
    shares_no_exact: Exact
    last_seq: _LastSeq


class VoteTallyState(Struct, kw_only=True, forbid_unknown_fields=True):
    """The number of ballots of one kind in a market."""

    market_id: str
    vote_type: BallotKind
    likes: int
    dislikes: int
    total: int
    last_seq: _LastSeq | None


class PositionState(Struct, kw_only=True, forbid_unknown_fields=True):
    """The shares of a wallet in a market."""

    market_id: str
    user_wallet: str
    shares_yes: _Billionths
    shares_yes_exact: Exact
    shares_no: _Billionths
    shares_no_exact: Exact
    total_invested: _Lamports
    total_invested_exact: Exact
    total_proceeds: _Lamports
    total_proceeds_exact: Exact
    trades_count: int
    has_claimed: bool
    claimed_amount: _Lamports
    claimed_amount_exact: Exact
    last_seq: _LastSeq


class MessageType(NamedTuple):
    """A type of message: its name, its fields and its topics."""

    name: str
    data: type[Struct]
    topics: tuple[str, ...]
    #: Whether only the newest message matters. Messages of the log are never dropped.
    is_state: bool = False


_OF_WALLET: Final = ("market", "wallet", "me")
MESSAGES: Final = (
    MessageType("trade", TradeEvent, ("trades", *_OF_WALLET)),
    MessageType("trade_executed", TradeEvent, ("markets",)),
    MessageType("vote", VoteEvent, ("votes", *_OF_WALLET)),
    MessageType("market_event", MarketEvent, ("markets", *_OF_WALLET, "status")),
    MessageType("retracted", EventRetracted, ("markets", "trades", "votes", *_OF_WALLET)),
    MessageType("moved", EventRetracted, ("markets", "trades", "votes", *_OF_WALLET)),
    MessageType("discussion", DiscussionEvent, ("discussions", "market", "me")),
    MessageType("moderation", ModerationEvent, ("discussions", "market", "markets", "me")),
    MessageType("profile", ProfileEvent, ("wallet", "me")),
    MessageType("market_metadata", MarketMetadataEvent, ("markets", "market")),
    MessageType("market_page", MarketPageEvent, ("markets", "market")),
    MessageType("event_group", EventGroupEvent, ("markets",)),
    MessageType("status", StatusEvent, ("status",)),
    MessageType("market_state", MarketStateSnapshot, ("market",), is_state=True),
    MessageType("market_update", MarketChanged, ("markets", "market"), is_state=True),
    MessageType("price_update", PriceChanged, ("markets", "market"), is_state=True),
    MessageType("vote_tally", VoteTallyState, ("votes",), is_state=True),
    MessageType("position_update", PositionState, ("wallet", "me"), is_state=True),
)
BY_NAME: Final = {message_type.name: message_type for message_type in MESSAGES}
