"""Defines the schemas of reads of many things at once."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from .answer import AsOf, Instant, Integer, Interval, Price, Side
from .charts import Candle
from .discovery import Quote
from .markets import MarketBrief
from .wallets import PortfolioPosition

_Name = Annotated[str, Meta(min_length=1, max_length=100)]
MarketNames = Annotated[
    list[_Name],
    Meta(min_length=1, max_length=100, description="Ids of 64 hexadecimal digits, or addresses; each one once."),
]
InstantText = Annotated[str, Meta(max_length=40)]
Amount64 = Annotated[str, Meta(max_length=20, pattern="^[0-9]+$")]


class MarketBatchRequest(Struct, kw_only=True):
    """The markets of a page."""

    markets: MarketNames
    points: Annotated[Literal[0, 10, 25, 50, 100], Meta(description="Most prices of each sparkline.")] = 25


class HeldPosition(Struct, kw_only=True):
    """The signed-in wallet's position in a market, in lamports and billionths of a share."""

    market_id: str
    shares_yes: Integer
    shares_no: Integer
    total_invested: Integer
    current_value: Integer
    claimable: Integer
    realized_pnl: Integer
    unrealized_pnl: Integer
    has_claimed: bool


class MarketWithPrices(MarketBrief, kw_only=True):
    """A market with its newest prices."""

    sparkline: Annotated[list[Price], Meta(description="Price of YES after the newest trades, the latest last.")]


class MarketBatch(Struct, kw_only=True):
    """Markets in the order of the request, all read at one position of the log."""

    markets: list[MarketWithPrices]
    positions: Annotated[
        list[HeldPosition], Meta(description="Those of the access token's wallet in these markets; none without one.")
    ]
    missing: Annotated[list[str], Meta(description="The requested names that are no market.")]
    as_of: AsOf


class CandleBatchRequest(Struct, kw_only=True):
    """A window of candles of several markets; markets times `limit` is at most 10,000."""

    markets: MarketNames
    interval: Interval = "1h"
    from_at: Annotated[InstantText | None, Meta(description="Unix seconds or ISO 8601 (UTC).")] = field(
        default=None, name="from"
    )
    to_at: Annotated[
        InstantText | None, Meta(description="End of the window, exclusive; default: the newest event.")
    ] = field(default=None, name="to")
    limit: Annotated[int, Meta(ge=1, le=1000, description="Candles of each market, the newest of the window.")] = 100
    fill: Annotated[bool, Meta(description="Also candles without a trade; they carry the previous close.")] = True


class CandleSeries(Struct, kw_only=True):
    """The candles of one market, the newest last."""

    market_id: str
    candles: list[Candle]


class CandleBatch(Struct, kw_only=True):
    """The candles of several markets in the order of the request, all read at one position of the log."""

    interval: Interval
    series: list[CandleSeries]
    missing: Annotated[list[str], Meta(description="The requested names that are no market.")]
    from_at: Instant | None = field(name="from")
    to_at: Instant | None = field(name="to")
    limit: int
    as_of: AsOf


class PositionBatchRequest(Struct, kw_only=True):
    """Wallets whose positions are read; wallets times `limit` is at most 10,000."""

    wallets: Annotated[
        list[_Name], Meta(min_length=1, max_length=100, description="Addresses in base58, each one once.")
    ]
    market: Annotated[_Name | None, Meta(description="Only positions in this market: its id or address.")] = None
    limit: Annotated[int, Meta(ge=1, le=1000, description="Most positions of each wallet.")] = 100


class PositionsOfWallet(Struct, kw_only=True):
    """The positions of one wallet, the latest traded first."""

    wallet: str
    positions: list[PortfolioPosition]


class PositionBatch(Struct, kw_only=True):
    """The positions of several wallets in the order of the request, all read at one position of the log."""

    wallets: list[PositionsOfWallet]
    limit: int
    as_of: AsOf


class QuoteRequest(Struct, kw_only=True):
    """One trade to calculate: a purchase has `target_cost`, a sale has `shares`, and never both."""

    outcome: Side
    target_cost: Annotated[
        Amount64 | None, Meta(description="For a purchase: the most you pay in lamports, fees included.")
    ] = None
    shares: Annotated[Amount64 | None, Meta(description="For a sale: shares, in billionths.")] = None


class QuoteBatchRequest(Struct, kw_only=True):
    """Trades to calculate independently of one another, each against the market as it is now."""

    quotes: Annotated[list[QuoteRequest], Meta(min_length=1, max_length=20)]


class QuoteBatch(Struct, kw_only=True):
    """The results in the order of the request, all from one state of the market."""

    quotes: list[Quote]
    as_of: AsOf
