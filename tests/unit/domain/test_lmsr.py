"""The market maker's arithmetic against the program's own results and against its rules."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from zmart import errors
from zmart.domain import fixed, lmsr, market

P = fixed.PRECISION
SOL = 1_000_000_000
VECTORS = Path(__file__).parents[4] / "shared/data/lmsr_vectors.json"

liquidity = st.integers(lmsr.MIN_B, 1_000_000 * SOL)
rates = st.integers(1, 3_000)


def answered(call: Any, *args: Any, **kwargs: Any) -> Any:
    """Return a function's result as JSON, or the name of the program's error."""
    try:
        result = call(*args, **kwargs)
    except errors.ProgramError as exc:
        return exc.name
    return list(result) if isinstance(result, tuple) else result


@pytest.mark.skipif(not VECTORS.exists(), reason="the program's computed cases are not at hand")
def test_all_cases_of_the_program() -> None:
    """Every value and every error of the program's own 1,500 cases is the same."""
    differing = []
    for case in json.loads(VECTORS.read_text()):
        q = case["q_yes"], case["q_no"], case["b"]
        yes, budget = case["outcome_yes"], case["max_before_fees"]
        computed = {
            "price_yes": answered(lmsr.price_yes, *q),
            "cost": answered(lmsr.cost, *q),
            "buy_cost_shares": answered(lmsr.buy, *q, yes=yes, budget=budget),
            "sell_proceeds": answered(lmsr.sell, *q, yes=yes, shares=case["sell_shares"]),
            "fees_300_200_500": answered(lmsr.fees, budget, protocol_bps=300, resolver_bps=200, lp_bps=500),
        }
        differing += [(case, key) for key, value in computed.items() if value != case[key]]
    assert not differing


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (1_000_000, 1_001_000_500),
        (100_000_000, 1_105_170_902),
        (500_000_000, 1_648_648_648),
        (1 * P, 2_714_285_715),
        (2 * P, 7_000_000_006),
        (3 * P, 13_000_000_000),
        (3_464_100_000, 13_928_203_254),
        (4 * P, 13_000_000_012),
        (5 * P, 9_571_428_576),
        (10 * P, 3_307_692_307),
        (20 * P, 1_821_917_808),
    ],
)
def test_exponential(x: int, expected: int) -> None:
    """The exponential is the program's approximant, turning point included (protocol.md 2.6)."""
    assert fixed.exp(x) == expected


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (1 * P, 0),
        (1_250_000_000, 223_143_490),
        (1_500_000_000, 405_461_332),
        (1_750_000_000, 559_581_744),
        (1_900_000_000, 641_768_218),
        (1_999_999_999, 693_004_112),
        (2 * P, 693_147_180),
        (2_718_281_828, 999_999_444),
        (3 * P, 1_098_608_512),
        (4 * P, 1_386_294_360),
    ],
)
def test_logarithm(x: int, expected: int) -> None:
    """The logarithm is the program's series, special values included (protocol.md 2.6)."""
    assert fixed.ln(x) == expected


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        (0, 500_000_000),
        (500_000_000, 622_448_979),
        (1 * P, 730_769_230),
        (2 * P, 875_000_000),
        (3 * P, 928_571_428),
        (3_464_100_000, 933_012_701),
        (5 * P, 905_405_405),
        (10 * P, 767_857_142),
        (20 * P, 645_631_067),
    ],
)
def test_price_by_imbalance(ratio: int, expected: int) -> None:
    """The price follows the imbalance in units of b and falls again past 3.46."""
    b = 100 * SOL
    assert lmsr.price_yes(fixed.mul(b, ratio), 0, b) == expected


@pytest.mark.parametrize(
    ("q_yes", "q_no", "expected"),
    [(0, 0, 693_147_180_000), (100, 0, 744_308_700_000), (500, 300, 1_098_085_718_000)],
)
def test_cost(q_yes: int, q_no: int, expected: int) -> None:
    """C at b = 1000 SOL is the program's (protocol.md 2.7)."""
    assert lmsr.cost(q_yes * SOL, q_no * SOL, 1_000 * SOL) == expected


@pytest.mark.parametrize(
    ("q_yes", "q_no", "expected"),
    [
        (10, 10, 500_000_000),
        (100, 0, 524_979_183),
        (0, 100, 475_020_816),
        (500, 300, 549_833_887),
        (15, 10, 501_249_997),
        (20, 10, 502_499_979),
        (25, 10, 503_749_929),
    ],
)
def test_price(q_yes: int, q_no: int, expected: int) -> None:
    """Prices at b = 1000 SOL are the program's (protocol.md 2.7)."""
    assert lmsr.price_yes(q_yes * SOL, q_no * SOL, 1_000 * SOL) == expected


@pytest.mark.parametrize(
    ("b", "q_yes", "q_no", "yes", "target", "max_before", "shares", "cost", "price"),
    [
        (100, 10**8, 10**8, True, 50_000_000, 45_454_545, 119_209_291, 45_397_000, None),
        (100, 10**8, 10**8, True, SOL, 909_090_909, 1_835_823_062, 909_025_800, 504_589_428),
        (
            *(100, 1_935_823_062, 10**8, False, SOL // 2),
            *(454_545_454, 916_481_020, 454_493_400, 502_298_338),
        ),
        (
            *(100, 10**8, 10**8, True, 50 * SOL),
            *(45_454_545_454, 76_571_464_541, 45_454_132_900, 682_511_181),
        ),
        (1000, SOL, SOL, True, SOL, 909_090_909, 2_099_871_638, 908_851_000, 500_524_967),
        (
            *(1000, 3_099_871_638, SOL, False, 2 * SOL),
            *(1_818_181_818, 3_637_075_426, 1_817_898_000, 499_615_699),
        ),
        (
            *(1000, 3_099_871_638, 4_637_075_426, True, 10 * SOL),
            *(9_090_909_090, 18_093_585_971, 9_090_656_000, 504_139_000),
        ),
    ],
)
def test_whole_buys(
    b: int,
    q_yes: int,
    q_no: int,
    yes: bool,
    target: int,
    max_before: int,
    shares: int,
    cost: int,
    price: int | None,
) -> None:
    """The seven worked buys of protocol.md 2.7 give the same shares, cost and price after."""
    budget = lmsr.budget(target)
    assert budget == max_before
    assert lmsr.buy(q_yes, q_no, b * SOL, yes=yes, budget=budget) == (cost, shares)
    after = (q_yes + shares, q_no) if yes else (q_yes, q_no + shares)
    assert price in (None, lmsr.price_yes(*after, b * SOL))


@pytest.mark.parametrize(
    ("shares", "gross", "fees"),
    [
        (SOL, 504_654_000, (15_139_620, 10_093_080, 25_232_700, 50_465_400)),
        (5 * SOL, 2_520_790_000, (75_623_700, 50_415_800, 126_039_500, 252_079_000)),
    ],
)
def test_sell_quotes(shares: int, gross: int, fees: tuple[int, ...]) -> None:
    """Selling after the worked buys gives the gross and the fees of protocol.md 2.7."""
    state = 21_193_457_609, 4_637_075_426, 1_000 * SOL
    assert lmsr.sell(*state, yes=True, shares=shares) == gross
    assert lmsr.fees(gross, protocol_bps=300, resolver_bps=200, lp_bps=500) == fees


def test_there_and_back() -> None:
    """Five shares cost the amount that their sale returns when nothing happened in between."""
    there = lmsr.cost(25 * SOL, 10 * SOL, 1_000 * SOL) - lmsr.cost(20 * SOL, 10 * SOL, 1_000 * SOL)
    assert there == 2_518_866_000
    assert lmsr.sell(25 * SOL, 10 * SOL, 1_000 * SOL, yes=True, shares=5 * SOL) == there


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (SOL, (30_000_000, 20_000_000, 50_000_000, 100_000_000)),
        (99, (2, 1, 6, 9)),
        (10, (0, 0, 1, 1)),
        (9, (0, 0, 0, 0)),
        (0, (0, 0, 0, 0)),
        (45_454_545, (1_363_636, 909_090, 2_272_728, 4_545_454)),
    ],
)
def test_fees(amount: int, expected: tuple[int, ...]) -> None:
    """The default rates split as in protocol.md 2.5, with the remainder for the LP."""
    assert lmsr.fees(amount, protocol_bps=300, resolver_bps=200, lp_bps=500) == expected


def test_no_rates_divide_by_zero() -> None:
    """A configuration without fees breaks every trade, even of zero."""
    with pytest.raises(errors.ProgramError) as refused:
        lmsr.fees(0, protocol_bps=0, resolver_bps=0, lp_bps=0)
    assert (refused.value.name, refused.value.code) == ("DivisionByZero", 6035)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: lmsr.price_yes(0, 0, lmsr.MIN_B - 1), "InvalidBParameter"),
        (lambda: lmsr.cost(0, 0, 0), "InvalidBParameter"),
        (lambda: lmsr.price_yes(20 * lmsr.MIN_B + 100, 0, lmsr.MIN_B), "ExponentTooLarge"),
        (lambda: lmsr.cost(0, 20 * lmsr.MIN_B + 100, lmsr.MIN_B), "ExponentTooLarge"),
        (lambda: lmsr.cost(fixed.U64_MAX + 1, 0, lmsr.MIN_B), "OverflowError"),
        (lambda: lmsr.cost(-1, 0, lmsr.MIN_B), "UnderflowError"),
        (lambda: lmsr.cost(fixed.U64_MAX, fixed.U64_MAX, lmsr.MIN_B), "OverflowError"),
        (lambda: lmsr.buy(0, 0, fixed.U64_MAX, yes=True, budget=1), "OverflowError"),
        (lambda: lmsr.sell(5, 5, lmsr.MIN_B, yes=True, shares=6), "InsufficientShares"),
        (lambda: lmsr.buy(10**8, 10**8, lmsr.MIN_B, yes=True, budget=9_090), "UnderflowError"),
        (
            lambda: lmsr.buy(11 * lmsr.MIN_B, 0, lmsr.MIN_B, yes=True, budget=10**6),
            "ExponentTooLarge",
        ),
        (lambda: fixed.div(1, 0), "DivisionByZero"),
        (lambda: fixed.mul(fixed.U64_MAX, 2 * P), "OverflowError"),
        (lambda: fixed.ln(0), "InvalidInput"),
        (lambda: fixed.exp(20 * P + 1), "ExponentTooLarge"),
    ],
)
def test_refusals(call: Any, name: str) -> None:
    """A value that the program cannot compute gives the program's error."""
    assert answered(call) == name


@pytest.mark.parametrize(("target", "works"), [(1_071_509, False), (1_071_510, True)])
def test_smallest_first_buy(target: int, works: bool) -> None:
    """On a balanced market of b = 100 SOL the first workable target is 1,071,510 lamports."""
    outcome = answered(lmsr.buy, 10**8, 10**8, lmsr.MIN_B, yes=True, budget=lmsr.budget(target))
    assert (outcome != "UnderflowError") is works


@given(amount=st.integers(0, 10**15), protocol=rates, resolver=rates, lp=rates)
def test_fees_never_leak(amount: int, protocol: int, resolver: int, lp: int) -> None:
    """The three parts add up to the total, none is negative, the total never exceeds its rate."""
    *parts, total = lmsr.fees(amount, protocol_bps=protocol, resolver_bps=resolver, lp_bps=lp)
    assert sum(parts) == total
    assert min(parts) >= 0
    assert total * lmsr.BPS <= amount * (protocol + resolver + lp)


@given(b=liquidity, yes=st.integers(0, 19 * P), no=st.integers(0, 19 * P))
def test_prices_of_both_sides_make_one(b: int, yes: int, no: int) -> None:
    """Exchanging the sides exchanges the prices, up to the one unit that flooring costs."""
    q_yes, q_no = b * yes // P, b * no // P
    both = lmsr.price_yes(q_yes, q_no, b) + lmsr.price_yes(q_no, q_yes, b)
    assert both in (P - 1, P)


@given(b=liquidity, own=st.integers(0, 3 * P), other=st.integers(0, 3 * P), budget=st.data())
def test_a_buy_stays_within_its_budget_and_sells_back_for_its_cost(
    b: int, own: int, other: int, budget: st.DataObject
) -> None:
    """A buy stays within its budget, and a sale of the same shares returns exactly the cost, never more."""
    q_yes, q_no = b * own // P, b * other // P
    lamports = budget.draw(st.integers(10_000, b))
    try:
        cost, shares = lmsr.buy(q_yes, q_no, b, yes=True, budget=lamports)
    except errors.ProgramError as exc:
        assume(exc.name != "UnderflowError")
        raise
    # The last midpoint known to be affordable is one below the result: a step of C may be between them.
    assert cost <= lamports + b // P + 1
    assert lmsr.sell(q_yes + shares, q_no, b, yes=True, shares=shares) == cost


@given(cost=st.integers(0, 10**15), fee_bps=st.integers(0, 9_999))
def test_cost_before_fees_is_found_again(cost: int, fee_bps: int) -> None:
    """A buyer's total gives the one cost that it came from."""
    assert lmsr.cost_before_fees(cost + cost * fee_bps // 10_000, fee_bps=fee_bps) == cost


def test_no_cost_gives_every_total() -> None:
    """A total that no cost gives is rejected."""
    assert answered(lmsr.cost_before_fees, 10, fee_bps=1_000) == "InvalidInput"


@given(gross=st.integers(0, 10**12), fee_bps=st.integers(0, 5_000))
def test_gross_before_fees_is_among_the_candidates(gross: int, fee_bps: int) -> None:
    """A seller's net gives its gross, alone or with the neighbours that have the same net."""
    net = gross - gross * fee_bps // 10_000
    candidates = lmsr.gross_before_fees(net, fee_bps=fee_bps)
    assert gross in candidates
    assert all(each - each * fee_bps // 10_000 == net for each in candidates)


def test_gross_is_ambiguous_at_multiples_of_nine() -> None:
    """At 10 % a net of 9k came from 10k - 1 or 10k, and only balances can decide."""
    assert lmsr.gross_before_fees(9 * 7, fee_bps=1_000) == (69, 70)
    assert lmsr.gross_before_fees(64, fee_bps=1_000) == (71,)


def test_the_market_maker_loses_at_most_b_ln_2() -> None:
    """C of an empty market is the bounded loss."""
    assert lmsr.cost(0, 0, 1_000 * SOL) == market.max_loss(1_000 * SOL) == 693_147_180_000
