"""Quotes equal the program's results: the worked examples, the smallest trades, and the errors."""

from __future__ import annotations

import dataclasses

import pytest

from zmart import errors
from zmart.domain import quote
from zmart.domain.market import MarketState

SOL = 1_000_000_000


def pool(b: int = 100 * SOL, **more: int) -> quote.MarketSnapshot:
    """A new market with this b and default fees."""
    fresh = quote.MarketSnapshot(
        state=MarketState.ACTIVE,
        is_paused=False,
        b=b,
        shares_yes=b // 1000,
        shares_no=b // 1000,
        current_liquidity=10 * SOL,
        protocol_bps=300,
        resolver_bps=200,
        lp_bps=500,
    )
    return dataclasses.replace(fresh, **more)


def test_the_worked_examples_to_the_lamport() -> None:
    """Trades 2 and 3 of protocol.md 2.7, one after the other."""
    first = quote.buy(pool(), yes=True, target_cost=SOL)
    assert (first.shares, first.before_fees, first.total) == (1_835_823_062, 909_025_800, 999_928_380)
    assert (first.protocol_fee, first.resolver_fee, first.lp_fee) == (27_270_774, 18_180_516, 45_451_290)
    assert first.after.price_yes == 504_589_428
    second = quote.buy(first.after, yes=False, target_cost=SOL // 2)
    assert (second.shares, second.total) == (916_481_020, 499_942_740)
    assert second.after.price_yes == 502_298_338


def test_a_sale_of_the_worked_state() -> None:
    """A sale of one YES share after trades 5 to 7 (protocol.md 2.7)."""
    state = pool(1000 * SOL, shares_yes=21_193_457_609, shares_no=4_637_075_426)
    sale = quote.sell(state, yes=True, shares=SOL)
    assert (sale.before_fees, sale.total) == (504_654_000, 454_188_600)
    assert (sale.protocol_fee, sale.resolver_fee, sale.lp_fee) == (15_139_620, 10_093_080, 25_232_700)


def test_the_smallest_first_buy() -> None:
    """1,071,510 lamports on a balanced market of b = 100 SOL; one less is rejected (protocol.md 2.6)."""
    assert quote.smallest_buy(pool(), yes=True) == 1_071_510
    with pytest.raises(errors.ProgramError, match="UnderflowError"):
        quote.buy(pool(), yes=True, target_cost=1_071_509)


@pytest.mark.parametrize("yes", [True, False])
def test_the_smallest_sale_works_and_one_less_does_not(yes: bool) -> None:
    """The gross of a sale must reach 10,000 lamports."""
    state = pool(shares_yes=3 * SOL, shares_no=2 * SOL)
    smallest = quote.smallest_sale(state, yes=yes)
    assert smallest is not None
    assert quote.sell(state, yes=yes, shares=smallest).before_fees >= 10_000
    with pytest.raises(errors.ProgramError):
        quote.sell(state, yes=yes, shares=smallest - 1)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"state": MarketState.RESOLVING}, "InvalidMarketState"),
        ({"is_paused": True}, "ProtocolPaused"),
        ({"b": 99 * SOL}, "InvalidBParameter"),
    ],
)
def test_an_untradable_market_has_no_smallest_amount(changed: dict[str, int], refusal: str) -> None:
    """A market without possible trades has the program's error, and no smallest trade."""
    closed = pool(**changed)
    with pytest.raises(errors.ProgramError, match=refusal):
        quote.buy(closed, yes=True, target_cost=SOL)
    assert quote.smallest_buy(closed, yes=True) is None
    assert quote.smallest_sale(closed, yes=True) is None


def test_refusals_of_amounts() -> None:
    """Too little, more than the seller has, more than the ledger has."""
    with pytest.raises(errors.ProgramError, match="TradeTooSmall"):
        quote.buy(pool(), yes=True, target_cost=9_999)
    with pytest.raises(errors.ProgramError, match="InsufficientShares"):
        quote.sell(pool(), yes=True, shares=SOL)
    with pytest.raises(errors.ProgramError, match="InsufficientLiquidity"):
        quote.sell(pool(shares_yes=5 * SOL, current_liquidity=1), yes=True, shares=SOL)


def test_the_turning_point() -> None:
    """Beyond 2 sqrt(3) b the displayed price falls although shares cost more."""
    b = 100 * SOL
    below, beyond = pool(shares_yes=346 * SOL, shares_no=0), pool(shares_yes=347 * SOL, shares_no=0)
    assert (below.is_past_turning_point, beyond.is_past_turning_point) == (False, True)
    assert beyond.with_shares(yes=True, added=b).price_yes < beyond.price_yes
