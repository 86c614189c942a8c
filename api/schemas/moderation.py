"""Defines the schemas of moderation: the queue of reports, decisions and their public log."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .answer import AsOf, Instant

ModerationAction = Literal["hide", "restore", "erase", "dismiss", "ban", "unban", "clear"]
ModerationSubject = Literal["post", "wallet", "profile", "image", "event"]
Reason = Annotated[
    str, Meta(min_length=1, max_length=500, description="Public.", examples=["Advertises another site."])
]


class PostDecision(Struct, kw_only=True):
    """What becomes of a post. An erased text cannot be restored; `dismiss` takes the post off the queue."""

    action: Literal["hide", "restore", "erase", "dismiss"]
    reason: Reason


class WalletDecision(Struct, kw_only=True):
    """Whether a wallet may write through the API, or has its profile cleared. Positions, trades and ballots stay."""

    action: Annotated[Literal["ban", "unban", "clear"], Meta(description="clear: remove the texts of its profile.")]
    reason: Reason


class ImageDecision(Struct, kw_only=True):
    """What becomes of an image, wherever it is shown. The bytes of an erased image are refused when they come again."""

    action: Literal["hide", "restore", "erase"]
    reason: Reason


class EventDecision(Struct, kw_only=True):
    """What becomes of an event. Its markets stay as they are."""

    action: Literal["hide", "restore"]
    reason: Reason


class Decided(Struct, kw_only=True):
    """A decision that was recorded."""

    message: str
    seq: Annotated[int, Meta(description="Its log entry.")]


class ReportedPost(Struct, kw_only=True):
    """A post with reports that no decision has followed yet."""

    id: str
    market_id: str | None
    user_wallet: str
    content: Annotated[str, Meta(description="Its text, also if it is hidden or deleted.")]
    is_hidden: bool
    is_deleted: bool
    is_author_banned: bool
    created_at: Instant
    flags: Annotated[int, Meta(description="Wallets that reported it since the last decision.")]
    reasons: Annotated[list[str], Meta(description="The newest ten.")]
    last_flag_at: Instant


class ModerationQueue(Struct, kw_only=True):
    """Reported posts, those with the most reports first."""

    posts: list[ReportedPost]
    limit: int
    next_cursor: Annotated[str | None, Meta(description="Send it as `cursor` for the next page; null on the last.")]


class ModerationDecision(Struct, kw_only=True):
    """One decision."""

    seq: int
    action: ModerationAction
    subject: ModerationSubject
    post_id: str | None
    market_id: str | None
    image_digest: str | None
    event_slug: str | None
    user_wallet: Annotated[str, Meta(description="The wallet that the decision is about.")]
    moderator_wallet: str
    reason: str
    decided_at: Instant


class ModerationLog(Struct, kw_only=True):
    """Decisions of moderators, the newest first."""

    decisions: list[ModerationDecision]
    limit: int
    next_before: Annotated[int | None, Meta(description="Send it as `before` for the next page; null on the last.")]
    as_of: AsOf
