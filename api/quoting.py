"""Builds a quote from a market's row: the numbers of `zmart.domain.quote`, with warnings beside them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from zmart import errors as zmart_errors
from zmart.domain import fixed, quote
from zmart.domain.fixed import PRECISION
from zmart.domain.market import MarketState

from . import errors, schemas

Kind: TypeAlias = Literal["buy", "sell"]

_WARNINGS = {
    "past_turning_point": (
        "The shares of both sides differ by more than 3.46 b: the displayed price falls while shares cost more."
    ),
    "becomes_past_turning_point": "After this trade the displayed price falls while further shares cost more.",
    "no_shares": "The program would accept this trade and transfer no shares for it.",
    "sales_unproven": "The program deployed on public clusters rejects the payout of every sale; simulate it first.",
}


class TradeConfig(Struct, kw_only=True):
    """The part of the configuration that a trade needs."""

    protocol_fee_bps: int
    resolver_reward_bps: int
    liquidity_provider_fee_bps: int
    is_paused: bool


class QuoteInputs(Struct, kw_only=True):
    """The body of the statement `pool`."""

    market_id: str
    state_code: int
    b: str
    shares_yes: str
    shares_no: str
    current_liquidity: str
    config: TradeConfig
    as_of: schemas.AsOf

    @property
    def pool(self) -> quote.MarketSnapshot:
        """Return the market's state as the input of a trade."""
        return quote.MarketSnapshot(
            state=MarketState(self.state_code),
            is_paused=self.config.is_paused,
            b=int(self.b),
            shares_yes=int(self.shares_yes),
            shares_no=int(self.shares_no),
            current_liquidity=int(self.current_liquidity),
            protocol_bps=self.config.protocol_fee_bps,
            resolver_bps=self.config.resolver_reward_bps,
            lp_bps=self.config.liquidity_provider_fee_bps,
        )


def parse_amount(field: str, text: str) -> int:
    """Return a whole number of 64 bits; raise InvalidParameter for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > 20 or int(text) > fixed.U64_MAX:
        raise errors.InvalidParameter(field, "expected a whole number from 0 to 18446744073709551615")
    return int(text)


def build_quote(inputs: QuoteInputs, kind: Kind, *, yes: bool, amount: int, sales_proven: bool) -> schemas.Quote:
    """Return the quote for a purchase of at most `amount` lamports, or a sale of `amount` shares."""
    pool = inputs.pool
    try:
        trade = (
            quote.buy(pool, yes=yes, target_cost=amount) if kind == "buy" else quote.sell(pool, yes=yes, shares=amount)
        )
        refusal = None
    except zmart_errors.ProgramError as error:
        trade, refusal = None, schemas.Refusal(name=error.name, code=error.code, message=str(error))
    before = _price(pool, yes)
    after = _price(trade.after, yes) if trade else None
    smallest = (quote.smallest_buy if kind == "buy" else quote.smallest_sale)(pool, yes=yes)
    return schemas.Quote(
        market_id=inputs.market_id,
        side=kind,
        outcome="YES" if yes else "NO",
        is_possible=trade is not None,
        refusal=refusal,
        target_cost=str(amount) if kind == "buy" else None,
        shares=_text(trade.shares if trade else amount if kind == "sell" else None),
        before_fees=_text(trade.before_fees if trade else None),
        protocol_fee=_text(trade.protocol_fee if trade else None),
        resolver_fee=_text(trade.resolver_fee if trade else None),
        lp_fee=_text(trade.lp_fee if trade else None),
        total=_text(trade.total if trade else None),
        average_price=_text(trade.total * PRECISION // trade.shares if trade and trade.shares else None),
        price_before=_text(before),
        price_after=_text(after),
        impact_bps=(after - before) * 10_000 // before if before and after is not None else None,
        smallest=_text(smallest),
        warnings=[
            schemas.Caution(code=code, message=_WARNINGS[code])
            for code in _warning_codes(pool, trade, is_unproven_sale=kind == "sell" and not sales_proven)
        ],
        as_of=inputs.as_of,
    )


_Code: TypeAlias = Literal["past_turning_point", "becomes_past_turning_point", "no_shares", "sales_unproven"]


def _warning_codes(
    pool: quote.MarketSnapshot, trade: quote.TradeQuote | None, *, is_unproven_sale: bool
) -> Iterator[_Code]:
    if pool.is_past_turning_point:
        yield "past_turning_point"
    elif trade is not None and trade.after.is_past_turning_point:
        yield "becomes_past_turning_point"
    if trade is not None and trade.shares == 0:
        yield "no_shares"
    if is_unproven_sale:
        yield "sales_unproven"


def _price(pool: quote.MarketSnapshot, yes: bool) -> int | None:
    try:
        return pool.price_yes if yes else PRECISION - pool.price_yes
    except zmart_errors.ProgramError:
        return None


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)


def decode_inputs(body: bytes) -> QuoteInputs:
    """Decode the statement's body."""
    return msgspec.json.decode(body, type=QuoteInputs)
