"""Defines the schemas of event groups: markets under one title."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from .answer import AsOf, Instant
from .markets import MarketBrief

_Slug = Annotated[str, Meta(description="Its name in addresses; earlier ones keep leading to it.")]
_Title = Annotated[str, Meta(min_length=3, max_length=200, examples=["Weather in Lisbon, May"])]
_Description = Annotated[str, Meta(max_length=2_000)]


class NewEventGroup(Struct, kw_only=True):
    """An event: a title and its markets in the order in which they are shown."""

    title: _Title
    markets: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=100)]],
        Meta(min_length=1, max_length=100, description="Ids or addresses. A market is in one event at a time."),
    ]
    description: _Description | None = None


class EventGroupResult(Struct, kw_only=True):
    """An event that was made, replaced or deleted."""

    message: str
    slug: _Slug
    seq: Annotated[int, Meta(description="The last of its log entries.")]


class EventGroup(Struct, kw_only=True):
    """An event in a list."""

    slug: _Slug
    title: str
    description: str | None
    user_wallet: Annotated[str, Meta(description="The wallet that made it.")]
    markets_count: int
    created_at: Instant
    updated_at: Instant


class EventGroupPage(Struct, kw_only=True):
    """Events, the newest first."""

    events: list[EventGroup]
    limit: int
    next_before: Annotated[int | None, Meta(description="Send it as `before` for the next page; null on the last.")]
    as_of: AsOf


class EventGroupWithMarkets(EventGroup, kw_only=True):
    """An event with its markets in their order, from one snapshot."""

    markets: list[MarketBrief]
    as_of: AsOf
