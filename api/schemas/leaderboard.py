"""Defines the schemas of ranks and histories, refreshed every few minutes up to `as_of`. Amounts are lamports."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from .answer import AsOf, Instant, Integer

Period = Literal["24h", "7d", "30d", "all"]
RankedBy = Literal["profit", "volume", "trades", "win_rate"]


class RankedWallet(Struct, kw_only=True):
    """A wallet with its rank."""

    rank: Annotated[int, Meta(description="Equal values share a rank.")]
    user_wallet: str
    profit: Annotated[Integer, Meta(description="Realized within the period.")]
    volume: Integer
    trades_count: int
    markets_count: int
    decided_count: Annotated[int, Meta(description="Positions decided YES or NO within the period.")]
    won_count: Annotated[int, Meta(description="Those with a profit.")]
    win_rate_bps: Annotated[int | None, Meta(description="won_count divided by decided_count.")]
    last_seq: int


class Leaderboard(Struct, kw_only=True):
    """Wallets by rank; by win rate, only those with at least three decided positions."""

    leaderboard: list[RankedWallet]
    count: int
    period: Period
    by: RankedBy
    limit: int
    offset: int
    as_of: AsOf


class PnlDay(Struct, kw_only=True):
    """A wallet's trades and profit on one day in UTC."""

    day: datetime.date
    trades_count: int
    volume: Integer
    invested: Integer
    proceeds: Integer
    claimed: Integer
    realized_pnl: Integer
    cumulative_realized_pnl: Integer
    last_seq: int


class PnlHistory(Struct, kw_only=True):
    """The days with activity, the latest last."""

    wallet: str
    days: list[PnlDay]
    limit: int
    as_of: AsOf


class PlatformPeriod(Struct, kw_only=True):
    """The sums of the whole platform in a span of time."""

    period: Period
    from_at: Instant | None
    to_at: Instant | None
    trades_count: int
    volume: Integer
    buy_volume: Integer
    sell_volume: Integer
    traders_count: int
    new_wallets_count: int
    markets_created: int
    markets_finalized: int
    disputes_count: int
    ballots_count: int
    claims_paid: Integer
    protocol_fees: Integer
    resolver_fees: Integer
    lp_fees: Integer
    markets_count: int
    active_markets_count: int
    open_interest_shares: Integer


class Platform(Struct, kw_only=True):
    """The platform's sums, the shortest period first."""

    periods: list[PlatformPeriod]
    as_of: AsOf
