"""Defines the schemas of market discovery and of quotes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from .answer import AsOf, Category, Integer, Price, Side


class TrendingMarket(Struct, kw_only=True):
    """A trending market."""

    id: str
    question: str
    yes_price: Price | None = field(name="yesPrice")
    change_24h: Annotated[float, Meta(description="Percentage points of YES gained in the last day.")] = field(
        name="change24h"
    )
    volume_24h: Annotated[float, Meta(description="SOL traded in the last day; for display.")] = field(name="volume24h")
    volume_24h_exact: Annotated[Integer, Meta(description="The same in lamports.")]
    unique_traders: Annotated[int, Meta(description="Wallets that traded in the last day.")] = field(
        name="uniqueTraders"
    )
    trending_score: Annotated[float, Meta(description="0.6 of volume24h and 0.4 of uniqueTraders.")] = field(
        name="trendingScore"
    )


class TrendingMarkets(Struct, kw_only=True):
    """The most traded ACTIVE markets of the day up to the newest event."""

    trending: list[TrendingMarket]
    count: int
    as_of: AsOf


class CategoryCount(Struct, kw_only=True):
    """A category with its markets."""

    id: Category
    name: Annotated[str, Meta(description="The id with a capital letter.")]
    count: int
    emoji: str
    trend: Annotated[str, Meta(description='Growth in the last week, such as "+12%".')]


class Categories(Struct, kw_only=True):
    """The five largest categories; those without a market are left out."""

    categories: list[CategoryCount]
    count: int
    as_of: AsOf


class RelatedMarket(Struct, kw_only=True):
    """A market that is similar to another one."""

    id: str
    question: str
    yes_price: Price | None = field(name="yesPrice")
    category: Annotated[str, Meta(description="With a capital letter.")]
    category_match: Annotated[bool, Meta(description="The same category as the market in the request.")] = field(
        name="categoryMatch"
    )


class RelatedMarkets(Struct, kw_only=True):
    """Other ACTIVE markets, those of the same category first; empty if the market is not known."""

    related: list[RelatedMarket]
    count: int
    as_of: AsOf


class Refusal(Struct, kw_only=True):
    """The error with which the program would refuse."""

    name: Annotated[str, Meta(examples=["TradeTooSmall"])]
    code: Annotated[int, Meta(description="The program's error number, from 6000.", examples=[6012])]
    message: str


class Caution(Struct, kw_only=True):
    """A warning to read before sending."""

    code: Literal["past_turning_point", "becomes_past_turning_point", "no_shares", "sales_unproven"]
    message: str


class Quote(Struct, kw_only=True):
    """A trade's result if no other trade comes first. Amounts are lamports, shares and prices have nine decimals."""

    market_id: str
    side: Literal["buy", "sell"]
    outcome: Side
    is_possible: Annotated[
        bool, Meta(description="False when the program would reject the trade; `refusal` has the reason.")
    ]
    refusal: Refusal | None
    target_cost: Annotated[
        Integer | None, Meta(description="Purchases only: the highest amount to pay, fees included.")
    ]
    shares: Annotated[Integer | None, Meta(description="Shares bought or sold.")]
    before_fees: Annotated[Integer | None, Meta(description="Cost or proceeds of the shares before fees.")]
    protocol_fee: Integer | None
    resolver_fee: Integer | None
    lp_fee: Integer | None
    total: Annotated[Integer | None, Meta(description="The amount that the buyer pays or the seller receives.")]
    average_price: Annotated[Integer | None, Meta(description="total for one whole share.")]
    price_before: Annotated[Integer | None, Meta(description="Of one share of the outcome; null if there is none.")]
    price_after: Integer | None
    impact_bps: Annotated[int | None, Meta(description="Change of the price, relative to the price before.")]
    smallest: Annotated[
        Integer | None,
        Meta(description="The smallest target_cost, or number of shares, that works now; null if none does."),
    ]
    warnings: list[Caution]
    as_of: AsOf
