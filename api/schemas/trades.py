"""Defines the schemas of trades."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from .answer import AsOf, Exact, Instant, Side


class Trade(Struct, kw_only=True):
    """One purchase or sale of shares."""

    id: Annotated[str, Meta(description="tx_signature:ordinal.")]
    market_id: str
    market_id_camel: str = field(name="marketId")
    market_pubkey: Annotated[str, Meta(description="The market's account.")]
    user_wallet: str
    trader: str
    trader_pubkey: str
    trade_type: Literal["buy", "sell"]
    outcome: Side
    outcome_bool: Annotated[bool, Meta(description="True for YES.")]
    shares: int
    shares_exact: Exact
    cost: Annotated[int, Meta(description="Lamports: paid with fees, or received after fees.")]
    cost_exact: Exact
    gross_lamports: Annotated[str, Meta(description="The cost before fees.")]
    protocol_fee_lamports: str
    resolver_fee_lamports: str
    lp_fee_lamports: str
    are_fees_exact: Annotated[
        bool, Meta(description="False for a sale whose fees the amounts on chain do not determine to the lamport.")
    ]
    price_after: Annotated[float, Meta(description="Price of YES after the trade.")]
    price: Annotated[float, Meta(description="Price of the traded outcome after the trade.")]
    new_price_yes: Annotated[int, Meta(description="price_after in billionths.")]
    tx_signature: str
    ordinal: int
    slot: int
    seq: int
    block_time: Instant
    created_at: Instant
    timestamp: Instant


class TradePage(Struct, kw_only=True):
    """Trades, the latest on chain first."""

    trades: list[Trade]
    count: Annotated[int, Meta(description="Number of rows on this page.")]
    limit: int
    offset: int
    next_cursor: str | None
    as_of: AsOf


class MarketTradePage(TradePage, kw_only=True):
    """Trades of one market."""

    market_id: str


class WalletTradePage(TradePage, kw_only=True):
    """Trades of one wallet."""

    wallet: str
