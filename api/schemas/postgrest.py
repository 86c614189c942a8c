"""Defines the rows and errors that the earlier frontend reads through PostgREST (protocol.md 9.1, 9.6)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct, UnsetType

from .answer import Instant
from .auth import WalletAddress


class RestUser(Struct, kw_only=True):
    """A row of the earlier table of users; members that are not known are null."""

    wallet: str
    wallet_address: str
    created_at: Annotated[Instant | None, Meta(description="The wallet's first visit or trade.")] = None
    last_seen_at: Annotated[Instant | None, Meta(description="The wallet's latest report of itself, or trade.")] = None
    updated_at: Instant | None = None
    twitter_handle: None = None
    twitter_verified: bool = False
    avatar_url: str | None = None
    bio: str | None = None
    reputation_score: None = None
    total_trades: int = 0
    total_volume: Annotated[int, Meta(description="Lamports paid with fees and received after fees.")] = 0


class RestCount(Struct, kw_only=True):
    """The number of rows."""

    count: int


class RestDiscussion(Struct, kw_only=True):
    """A row of the earlier table of discussions, also by the names that the frontend reads."""

    id: str
    discussion_id: str
    market_id: str
    user_wallet: str
    wallet: str
    content: str
    created_at: Instant
    deleted_at: None
    upvotes: int


class RestVisit(Struct, kw_only=True):
    """The report that a wallet is present."""

    wallet: WalletAddress
    last_seen_at: Annotated[str, Meta(max_length=60, description="Ignored; the server's clock counts.")] | UnsetType = (
        msgspec.UNSET
    )


class RestLastSeen(Struct, kw_only=True):
    """The report that a wallet is still present."""

    last_seen_at: Annotated[str, Meta(max_length=60, description="Ignored; the server's clock counts.")]


class PostgrestError(Struct, kw_only=True):
    """An error in PostgREST's format."""

    code: Annotated[str, Meta(description="PGRST116 for no row, PGRST100 for a query that is not served.")]
    message: str
    details: str | None
    hint: str | None
