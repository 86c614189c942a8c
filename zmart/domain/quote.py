"""Computes the result of a trade before it is sent, to the lamport, and why the program would refuse it.

A quote makes the checks of `buy_shares` and `sell_shares` in their order (protocol.md 1.4.5, 1.4.6) with the maths of
the program, so it is exact until another trade happens. Two facts surprise users and are therefore part of it: the
smallest trade that works is far above the documented 10,000 lamports on a balanced market, and beyond 2 sqrt(3) b of
imbalance the shown price falls while each further share costs more (protocol.md 2.6).

Amounts are lamports, shares and prices have nine decimals. Refusals are `ProgramError`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

from zmart import errors
from zmart.domain import fixed, lmsr, market
from zmart.domain.program_errors import ErrorCode


@dataclass(frozen=True, kw_only=True)
class MarketSnapshot:
    """A market before a trade, with the configuration in force."""

    state: market.MarketState
    is_paused: bool
    b: int
    shares_yes: int
    shares_no: int
    #: The ledger's liquidity in lamports, which a sale must not exceed.
    current_liquidity: int
    protocol_bps: int
    resolver_bps: int
    lp_bps: int

    @property
    def price_yes(self) -> int:
        """Return the price of YES; raise ProgramError where there is none."""
        return lmsr.price_yes(self.shares_yes, self.shares_no, self.b)

    @property
    def is_past_turning_point(self) -> bool:
        """Return whether the imbalance exceeds 2 sqrt(3) b, where the exponential's approximation turns."""
        return (self.shares_yes - self.shares_no) ** 2 > 12 * self.b**2

    def with_shares(self, *, yes: bool, added: int) -> MarketSnapshot:
        """Return the pool after `added` more shares of a side; negative when they are sold."""
        if yes:
            return replace(self, shares_yes=self.shares_yes + added)
        return replace(self, shares_no=self.shares_no + added)


@dataclass(frozen=True, kw_only=True)
class TradeQuote:
    """A trade that the program would accept."""

    shares: int
    #: The market maker's price of the shares before fees, paid or received.
    before_fees: int
    protocol_fee: int
    resolver_fee: int
    lp_fee: int
    #: The amount that the buyer pays, or the seller receives.
    total: int
    #: The pool after the trade.
    after: MarketSnapshot


def buy(pool: MarketSnapshot, *, yes: bool, target_cost: int) -> TradeQuote:
    """Return the buy for at most `target_cost` lamports, fees included."""
    _require_open(pool, "buy_shares")
    market.require_trade_size(target_cost)
    cost, shares = lmsr.buy(pool.shares_yes, pool.shares_no, pool.b, yes=yes, budget=lmsr.budget(target_cost))
    protocol, resolver, lp, fees = _fees(pool, cost)
    market.require_slippage(paid=cost + fees, at_most=target_cost)
    return TradeQuote(
        shares=shares,
        before_fees=cost,
        protocol_fee=protocol,
        resolver_fee=resolver,
        lp_fee=lp,
        total=cost + fees,
        after=_require_tradable(pool.with_shares(yes=yes, added=shares)),
    )


def sell(pool: MarketSnapshot, *, yes: bool, shares: int) -> TradeQuote:
    """Return the sale of `shares`."""
    _require_open(pool, "sell_shares")
    gross = lmsr.sell(pool.shares_yes, pool.shares_no, pool.b, yes=yes, shares=shares)
    market.require_trade_size(gross)
    protocol, resolver, lp, fees = _fees(pool, gross)
    if pool.current_liquidity < gross - fees + protocol:
        raise ErrorCode.InsufficientLiquidity.error()
    return TradeQuote(
        shares=shares,
        before_fees=gross,
        protocol_fee=protocol,
        resolver_fee=resolver,
        lp_fee=lp,
        total=gross - fees,
        after=_require_tradable(pool.with_shares(yes=yes, added=-shares)),
    )


@functools.lru_cache(maxsize=4096)
def smallest_buy(pool: MarketSnapshot, *, yes: bool) -> int | None:
    """Return the least `target_cost` that buys any shares; None where no amount does."""
    return _find_smallest(lambda amount: buy(pool, yes=yes, target_cost=amount).shares > 0, lmsr.MIN_TRADE_LAMPORTS)


def target_for(pool: MarketSnapshot, *, yes: bool, shares: int) -> int | None:
    """Return the least `target_cost` that buys at least `shares`; None where no amount does."""
    return _find_smallest(
        lambda amount: buy(pool, yes=yes, target_cost=amount).shares >= shares, lmsr.MIN_TRADE_LAMPORTS
    )


@functools.lru_cache(maxsize=4096)
def smallest_sale(pool: MarketSnapshot, *, yes: bool) -> int | None:
    """Return the least number of shares that can be sold; None where none can."""
    return _find_smallest(lambda shares: sell(pool, yes=yes, shares=shares).shares > 0, 1)


def _find_smallest(is_sufficient: Callable[[int], bool], least: int) -> int | None:
    """Return the first amount from `least` on that works, given that all above it work up to some bound."""
    high = least
    while not _is_accepted(is_sufficient, high):
        high *= 2
        if high > fixed.U64_MAX:
            return None
    low = least if high == least else high // 2 + 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_accepted(is_sufficient, middle) else (middle + 1, high)
    return high


def _is_accepted(is_sufficient: Callable[[int], bool], amount: int) -> bool:
    try:
        return is_sufficient(amount)
    except errors.ProgramError:
        return False


def _require_open(pool: MarketSnapshot, instruction: str) -> None:
    market.require_state(instruction, pool.state)
    if pool.is_paused:
        raise ErrorCode.ProtocolPaused.error()


def _fees(pool: MarketSnapshot, amount: int) -> tuple[int, int, int, int]:
    return lmsr.fees(amount, protocol_bps=pool.protocol_bps, resolver_bps=pool.resolver_bps, lp_bps=pool.lp_bps)


def _require_tradable(pool: MarketSnapshot) -> MarketSnapshot:
    """Return the pool, if the program could write its price into the event."""
    pool.price_yes  # noqa: B018 - raises what the program would
    return pool
