"""Defines the schemas of price history and candles."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct, field

from .answer import AsOf, Instant, Integer, Interval


class PricePoint(Struct, kw_only=True):
    """A market's price at an instant, for a chart."""

    timestamp: Instant
    yes: Annotated[float, Meta(ge=1, le=99, description="Percent, limited to 1 to 99.")]
    no: Annotated[float, Meta(ge=1, le=99, description="100 minus yes.")]


class PriceHistory(Struct, kw_only=True):
    """Even odds at the market's creation, then its newest trades, the latest last."""

    market_id: str
    price_history: list[PricePoint]
    count: Annotated[int, Meta(description="Number of points: the first one and up to `limit` trades.")]
    as_of: AsOf


class Candle(Struct, kw_only=True):
    """The price of YES in a span of time, and the volume traded."""

    bucket_at: Annotated[Instant, Meta(description="Start of the interval, by the chain's clock.")]
    open: Annotated[Integer, Meta(description="Billionths, after the first trade.")]
    high: Integer
    low: Integer
    close: Annotated[Integer, Meta(description="Billionths, after the last trade.")]
    open_price: Annotated[float, Meta(description="For display; 0 to 1.")]
    high_price: float
    low_price: float
    close_price: float
    volume: Annotated[Integer, Meta(description="Lamports: buys with fees, sells before fees.")]
    buy_volume: Annotated[Integer, Meta(description="Lamports of buys with fees.")]
    shares_volume: Annotated[Integer, Meta(description="Shares traded, in billionths.")]
    trades_count: int
    is_carried: Annotated[bool, Meta(description="No trade in this interval; all prices are the previous close.")]


class Candles(Struct, kw_only=True):
    """A market's candles, the newest last."""

    market_id: str
    interval: Interval
    candles: list[Candle]
    from_at: Instant | None = field(name="from")
    to_at: Instant | None = field(name="to")
    limit: int
    as_of: AsOf
