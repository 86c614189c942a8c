"""What happened, in words."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, UnsetType, field

from .answer import ActivityType, AsOf, Instant, Integer


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
