"""Defines the schemas of activity, with readable text for each event."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, UnsetType, field

from .answer import ActivityType, AsOf, Instant, Integer


class NewestActivity(Struct, kw_only=True):
    """A recent event, in the format of the frontend's home page."""

    id: str
    type: Literal["trade", "resolution", "creation"]
    user: Annotated[str, Meta(description='A wallet as "ABCDEF...WXYZ"; "protocol" for events without a wallet.')]
    action: str
    market: Annotated[str, Meta(description="The question.")]
    market_id: str = field(name="marketId")
    time: Instant
    amount: Annotated[str, Meta(description='"1.10 SOL"; absent where nothing was paid.')] | UnsetType = msgspec.UNSET


class NewestActivities(Struct, kw_only=True):
    """Recent events of the whole platform, the latest first."""

    activities: list[NewestActivity]
    count: int
    as_of: AsOf


class Activity(Struct, kw_only=True):
    """One event of the program, with readable text."""

    id: Annotated[str, Meta(description="tx_signature:ordinal.")]
    type: ActivityType
    event: Annotated[str, Meta(description="The program's name of the event.")]
    action: Annotated[str, Meta(description="Text that follows the wallet's name.")]
    market_id: Annotated[str | None, Meta(description="Null for events of the whole protocol.")]
    user_wallet: Annotated[str | None, Meta(description="The wallet that acted, if the event names one.")]
    amount: Annotated[Integer | None, Meta(description="Lamports transferred, if any.")]
    tx_signature: str
    ordinal: int
    slot: int
    seq: int
    block_time: Instant


class ActivityPage(Struct, kw_only=True):
    """A page of events, the latest on chain first."""

    activity: list[Activity]
    count: Annotated[int, Meta(description="Number of rows on this page.")]
    limit: int
    next_cursor: str | None
    as_of: AsOf


class MarketActivity(ActivityPage, kw_only=True):
    """The events of one market."""

    market_id: str


class WalletActivity(ActivityPage, kw_only=True):
    """The events of one wallet."""

    wallet: str
