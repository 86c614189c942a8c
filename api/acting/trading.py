"""Converts a trade's terms to the arguments of the instruction, and computes the result at the current state.

The program has one limit per side: the most that a buyer pays, fees included, and the least that a seller receives
(protocol.md 1.4.5, 1.4.6). A buyer who requests shares gets the least `target_cost` that buys them now. If the market
moves before the transaction lands, that amount buys fewer shares; it never costs more, and the program has no argument
for the number of shares that would be enough.
"""

from __future__ import annotations

from dataclasses import dataclass

from zmart.domain import fixed, market, quote
from zmart.domain.program_errors import ErrorCode

from .. import errors

#: The precision of the program's search for shares (protocol.md 2.3), so fewer cannot be requested.
LEAST_SHARES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class PurchaseTerms:
    """A purchase: the argument of the instruction, and its result now."""

    target_cost: int
    trade: quote.TradeQuote


def buy(pool: quote.MarketSnapshot, *, yes: bool, shares: int | None, max_cost: int) -> PurchaseTerms:
    """Return the purchase of `shares` for at most `max_cost` lamports, or of the shares that `max_cost` buys.

    Raises ProgramError as the program would; SlippageExceeded if the shares cost more.
    """
    if shares is None:
        return PurchaseTerms(target_cost=max_cost, trade=quote.buy(pool, yes=yes, target_cost=max_cost))
    # A quote for the whole budget first: it raises the program's error if nothing can be bought at all.
    quote.buy(pool, yes=yes, target_cost=max_cost)
    target = quote.target_for(pool, yes=yes, shares=shares)
    if target is None or target > max_cost:
        refusal = ErrorCode.SlippageExceeded.error()
        refusal.help = (
            f"This number of shares costs {'more than a wallet can hold' if target is None else f'{target} lamports'} "
            "now."
        )
        raise refusal
    return PurchaseTerms(target_cost=target, trade=quote.buy(pool, yes=yes, target_cost=target))


def sell(pool: quote.MarketSnapshot, *, yes: bool, shares: int, min_proceeds: int) -> quote.TradeQuote:
    """Return the sale of `shares` for at least `min_proceeds` lamports; raise ProgramError as the program would."""
    trade = quote.sell(pool, yes=yes, shares=shares)
    market.require_proceeds(received=trade.total, at_least=min_proceeds)
    return trade


def parse_amount(field: str, value: int | str) -> int:
    """Return a u64 given as a number or as digits; raise InvalidParameter for anything else."""
    number = int(value) if isinstance(value, int) or (value.isascii() and value.isdigit()) else -1
    if not 0 <= number <= fixed.U64_MAX:
        raise errors.InvalidParameter(field, "expected a whole number from 0 to 2**64 - 1")
    return number
