"""Defines the schemas of wallets, their positions and their profit."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from .answer import AsOf, Category, Exact, Instant, Integer, Outcome, Price, State
from .votes import Vote


class UserPosition(Struct, kw_only=True):
    """A wallet's shares in a market, their value and their profit."""

    market_id: str
    market_id_camel: str = field(name="marketId")
    market_address: str
    market_pubkey: str
    user_wallet: str
    user_pubkey: str
    user_id: str = field(name="userId")
    shares_yes: int
    shares_yes_exact: Exact
    shares_yes_camel: int = field(name="sharesYes")
    shares_no: int
    shares_no_exact: Exact
    shares_no_camel: int = field(name="sharesNo")
    total_invested: Annotated[int, Meta(description="Lamports paid, fees included.")]
    total_invested_exact: Exact
    invested: int
    total_cost: int = field(name="totalCost")
    total_proceeds: int
    total_proceeds_exact: Exact
    current_value: Annotated[
        int, Meta(description="Lamports: shares at the current price; the claimable amount once final.")
    ]
    current_value_exact: Exact
    claimable_amount: int
    claimable_amount_exact: Exact
    unrealized_pnl: Annotated[int, Meta(description="Lamports; profit is this plus realized_pnl.")]
    unrealized_pnl_camel: int = field(name="unrealizedPnL")
    unrealized_pnl_exact: Exact
    realized_pnl: Annotated[int, Meta(description="Lamports.")]
    realized_pnl_camel: int = field(name="realizedPnL")
    realized_pnl_exact: Exact
    trades_count: int
    has_claimed: bool
    claimed_amount: int
    claimed_amount_exact: Exact
    first_trade_at: Instant | None
    last_trade_at: Instant | None
    claimed_at: Instant | None
    updated_at: Annotated[Instant, Meta(description="When the log received the newest entry that changed it.")]
    question: str
    category: Category
    state: Annotated[int, Meta(ge=0, le=6, description="The program's number of the market's state.")]
    state_name: State
    state_code: Annotated[int, Meta(ge=0, le=6, description="The same as state.")]
    outcome: Outcome | None
    current_price_yes: Price | None
    current_price_no: Price | None
    last_seq: int


class OnePosition(UserPosition, kw_only=True):
    """A wallet's position in the requested market."""

    as_of: AsOf


class PortfolioPosition(Struct, kw_only=True):
    """A position with its value and profit, in lamports."""

    market_id: str
    market_address: str
    question: str
    state: State
    outcome: Outcome | None
    shares_yes: Integer
    shares_no: Integer
    cost_yes: Annotated[
        Integer, Meta(description="Lamports paid for the YES shares still owned, at their average cost.")
    ]
    cost_no: Integer
    total_invested: Integer
    total_proceeds: Integer
    trades_count: int
    has_claimed: bool
    claimed_amount: Integer
    claimable: Annotated[Integer, Meta(description="The amount that a claim would pay now.")]
    is_pool_withdrawn: Annotated[bool, Meta(description="The creator withdrew the pool; winning claims pay nothing.")]
    current_value: Annotated[Integer, Meta(description="Shares at the current price; the claimable amount once final.")]
    realized_pnl: Integer
    unrealized_pnl: Integer
    profit: Annotated[Integer, Meta(description="Sum of realized_pnl and unrealized_pnl.")]
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
    """The value and profit of a wallet's positions, the latest traded first."""

    wallet: str
    totals: PortfolioTotals
    positions: list[PortfolioPosition]
    count: Annotated[int, Meta(description="Number of all positions.")]
    limit: int
    offset: int
    as_of: AsOf


class WalletCounts(Struct, kw_only=True):
    """The number of a wallet's trades, votes and posts."""

    total_trades: int
    total_votes: int
    proposal_votes: int
    dispute_votes: int
    discussions: Annotated[int, Meta(description="Posts that are not deleted.")]


class Wallet(Struct, kw_only=True):
    """A wallet's counts; zeros for an unknown wallet."""

    wallet: str
    stats: WalletCounts
    as_of: AsOf


class WalletVotes(Struct, kw_only=True):
    """A wallet's ballots, the latest first."""

    proposal_votes: list[Vote]
    dispute_votes: list[Vote]
    total: Annotated[int, Meta(description="Number of all ballots of the requested kinds.")]
    limit: int
    offset: int
    wallet: str
    as_of: AsOf


class WalletStats(Struct, kw_only=True):
    """The sums of a wallet's trading."""

    wallet: str
    total_trades: int = field(name="totalTrades")
    total_volume: Annotated[int, Meta(description="Lamports paid with fees and received after fees.")] = field(
        name="totalVolume"
    )
    total_volume_exact: Exact
    win_rate: Annotated[float, Meta(description="Share of positions decided YES or NO that made a profit, 0 to 1.")] = (
        field(name="winRate")
    )
    total_pnl: Annotated[int, Meta(description="Lamports, realized and unrealized.")] = field(name="totalPnL")
    total_pnl_exact: Exact
    active_positions: int = field(name="activePositions")
    settled_positions: int = field(name="settledPositions")
    as_of: AsOf


class NewProfile(Struct, kw_only=True):
    """A wallet's public profile; a member that is left out, or null, is removed. Names are not unique."""

    display_name: Annotated[str, Meta(min_length=1, max_length=50, examples=["Ann"])] | None = None
    bio: Annotated[str, Meta(max_length=500)] | None = None


class Profile(Struct, kw_only=True):
    """What a wallet says about itself. Show it as text, and the wallet beside it: anyone may choose any name."""

    wallet: str
    display_name: str | None
    bio: str | None
    updated_at: Instant | None
    is_banned: Annotated[bool, Meta(description="Whether a moderator has banned it from writing.")]
    as_of: AsOf
