"""What a trade's terms become: the arguments of the instruction, and what they come to now.

The program knows one limit a side: the most a buyer pays, fees included, and the least a seller
receives (protocol.md 1.4.5, 1.4.6). A buyer who names shares gets the least `target_cost` that buys
them now. Should the market move before the transaction lands, that money buys fewer shares; it is
never more money, and there is no way to tell the program how many shares are enough.
"""

from __future__ import annotations

from dataclasses import dataclass

from zmart.domain import fixed, market, quote
from zmart.domain.program_errors import ErrorCode

from .. import errors

#: The program's search for shares is this exact (protocol.md 2.3), so fewer cannot be asked for.
LEAST_SHARES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class PurchaseTerms:
    """A purchase: the argument, and what it brings now."""

    target_cost: int
    trade: quote.TradeQuote


def buy(pool: quote.MarketSnapshot, *, yes: bool, shares: int | None, max_cost: int) -> PurchaseTerms:
    """The purchase of so many shares for at most `max_cost` lamports, or of what `max_cost` buys.

    ProgramError as the program would refuse; SlippageExceeded when the shares cost more.
    """
    if shares is None:
        return PurchaseTerms(target_cost=max_cost, trade=quote.buy(pool, yes=yes, target_cost=max_cost))
    # What the whole budget would do tells why nothing can be bought at all.
    quote.buy(pool, yes=yes, target_cost=max_cost)
    target = quote.target_for(pool, yes=yes, shares=shares)
    if target is None or target > max_cost:
        refusal = ErrorCode.SlippageExceeded.error()
        refusal.help = f"So many shares take {'more than there is' if target is None else f'{target} lamports'} now."
        raise refusal
    return PurchaseTerms(target_cost=target, trade=quote.buy(pool, yes=yes, target_cost=target))


def sell(pool: quote.MarketSnapshot, *, yes: bool, shares: int, min_proceeds: int) -> quote.TradeQuote:
    """The sale of so many shares for at least `min_proceeds` lamports; ProgramError as the program would refuse."""
    trade = quote.sell(pool, yes=yes, shares=shares)
    market.require_proceeds(received=trade.total, at_least=min_proceeds)
    return trade


def parse_amount(field: str, value: int | str) -> int:
    """A u64 that came as a number or as digits; InvalidParameter for anything else."""
    number = int(value) if isinstance(value, int) or (value.isascii() and value.isdigit()) else -1
    if not 0 <= number <= fixed.U64_MAX:
        raise errors.InvalidParameter(field, "expected a whole number from 0 to 2**64 - 1")
    return number
