"""Defines the schemas of discussions."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from .answer import AsOf, Instant

Content = Annotated[
    str,
    Meta(min_length=1, max_length=1000, description="Text, stored unchanged.", examples=["Odds look too low to me."]),
]
CommentId = Annotated[str, Meta(pattern="^[0-9]{1,18}$", description="A post's id.", examples=["42"])]


class Discussion(Struct, kw_only=True):
    """One post. `content` is text, never markup: show it as text."""

    id: str
    market_id: str
    market_id_camel: str = field(name="marketId")
    user_wallet: str
    author: str
    content: Annotated[str, Meta(description="Empty after deletion.")]
    parent_id: Annotated[str | None, Meta(description="The post that this one replies to.")]
    parent_id_camel: str | None = field(name="parentId")
    upvotes: int
    downvotes: int
    flags: Annotated[int, Meta(description="Number of wallets that reported it.")]
    is_flagged: bool = field(name="isFlagged")
    edits: Annotated[int, Meta(description="Number of edits.")]
    created_at: Instant
    created_at_camel: Instant = field(name="createdAt")
    edited_at: Instant | None
    deleted_at: Instant | None
    last_seq: int


class Thread(Discussion, kw_only=True):
    """A post that started a thread, with its first replies as a flat list in the order of their creation."""

    replies_count: Annotated[int, Meta(description="Replies at any depth that are not deleted.")]
    replies: list[Discussion]


class Discussions(Struct, kw_only=True):
    """A market's posts, the newest first."""

    discussions: list[Discussion]
    count: Annotated[int, Meta(description="Number of rows on this page.")]
    limit: int
    offset: int
    next_cursor: str | None
    market_id: str
    as_of: AsOf


class Threads(Struct, kw_only=True):
    """A market's threads, the newest first."""

    discussions: list[Thread]
    count: Annotated[int, Meta(description="Number of threads on this page.")]
    limit: int
    offset: int
    next_cursor: str | None
    market_id: str
    as_of: AsOf


class Replies(Struct, kw_only=True):
    """A thread's replies, the oldest first."""

    replies: list[Discussion]
    count: int
    limit: int
    next_cursor: str | None
    as_of: AsOf


class Edit(Struct, kw_only=True):
    """The text of a post before an edit."""

    content_before: str
    edited_at: Instant


class Edits(Struct, kw_only=True):
    """A post's history, the latest edit first; at most 100."""

    id: str
    content: str
    edits: list[Edit]
    as_of: AsOf


class NewPost(Struct, kw_only=True):
    """A new post or reply."""

    content: Content
    parent_id: CommentId | None = None
    parent_id_camel: CommentId | None = field(default=None, name="parentId")


class NewMarketPost(NewPost, kw_only=True):
    """A new post or reply, with its market."""

    market_id: Annotated[str, Meta(max_length=100, description="The market's id or address.")]


class ChangedPost(Struct, kw_only=True):
    """The new text of a post."""

    content: Content


class Reaction(Struct, kw_only=True):
    """A reaction to a post; null removes an earlier one."""

    vote: Literal["up", "down"] | None


class PostReport(Struct, kw_only=True):
    """The reason for a report of a post."""

    reason: Annotated[str, Meta(min_length=1, max_length=500, examples=["Spam"])]


class PostResult(Struct, kw_only=True):
    """The result of the request, and the post's current state."""

    message: str
    discussion: Discussion


class Ack(Struct, kw_only=True):
    """The result of the request."""

    message: str
