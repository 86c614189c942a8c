"""Computes the market maker's prices and costs, to the lamport (protocol.md 2.2 to 2.5).

A logarithmic market scoring rule with liquidity parameter b charges for a trade the difference of `C(q) = b *
ln(e^(q_yes/b) + e^(q_no/b))` after and before it. All quantities are u64 with nine decimals. C moves in steps of b/1e9
and jumps by about 0.000143 b at exact balance, where the program's ln(2) differs from its series: that is why small
first buys fail with UnderflowError.

Failures are `zmart.errors.ProgramError` with the program's name and number.
"""

from __future__ import annotations

from zmart.domain.fixed import LN_2, MAX_EXP, PRECISION, U64_MAX, exp, series, u64
from zmart.domain.program_errors import ErrorCode

#: The smallest b with which any price or cost can be computed: 100 SOL.
MIN_B = 100 * PRECISION
#: The smallest buy target and sell gross, in lamports.
MIN_TRADE_LAMPORTS = 10_000
#: 100 % in basis points.
BPS = 10_000
#: A buy reserves 10 % for fees whatever the configured rates are (protocol.md 1.4.5).
BUY_DIVISOR_BPS = 11_000
#: The search for shares ends at this width: 0.001 share.
SEARCH_WIDTH = 1_000_000
#: ... or after this many rounds.
SEARCH_ROUNDS = 50


def price_yes(q_yes: int, q_no: int, b: int) -> int:
    """Return the price of one YES share, nine decimals; the price of NO is `PRECISION` minus it.

    Raise InvalidBParameter for b below 100 SOL, ExponentTooLarge when the sides differ by more than 20 b. Beyond 3.46 b
    the price falls again (protocol.md 2.6). This function takes the ratio of the sides' difference, whereas `cost`
    takes the difference of their ratios.
    """
    _require_b(b)
    e = exp(abs(u64(q_yes) - u64(q_no)) * PRECISION // b)
    return (e if q_yes >= q_no else PRECISION) * PRECISION // (e + PRECISION)


def cost(q_yes: int, q_no: int, b: int) -> int:
    """Return the cost function C, in lamports; the money in a trade is a difference of two of these."""
    _require_b(b)
    return _cost(u64(q_yes) * PRECISION // b, u64(q_no) * PRECISION // b, b)


def buy(q_yes: int, q_no: int, b: int, *, yes: bool, budget: int) -> tuple[int, int]:
    """Return `(cost, shares)` that `budget` lamports before fees buy, with cost before fees.

    A binary search over shares, with the program's bounds and its ends. Tiny budgets off balance give (0, 0), which the
    program accepts all the same.
    """
    u64(budget)
    now = cost(q_yes, q_no, b)
    own, other = (q_yes, q_no) if yes else (q_no, q_yes)
    ratio = other * PRECISION // b
    low, high = 0, u64(20 * b)
    for _ in range(SEARCH_ROUNDS):
        if high - low <= SEARCH_WIDTH:
            break
        middle = low + (high - low) // 2
        trade_cost = _cost_of_buying(own, middle, ratio, b, now)
        if trade_cost == budget:
            return trade_cost, middle
        low, high = (middle + 1, high) if trade_cost < budget else (low, middle)
    return _cost_of_buying(own, low, ratio, b, now), low


def sell(q_yes: int, q_no: int, b: int, *, yes: bool, shares: int) -> int:
    """Return the gross proceeds of selling, in lamports before fees; raise InsufficientShares."""
    own = q_yes if yes else q_no
    if u64(shares) > own:
        raise ErrorCode.InsufficientShares.error()
    after = (q_yes - shares, q_no) if yes else (q_yes, q_no - shares)
    return u64(cost(q_yes, q_no, b) - cost(*after, b))


def fees(amount: int, *, protocol_bps: int, resolver_bps: int, lp_bps: int) -> tuple[int, int, int, int]:
    """Return the fees on `amount` lamports: `(protocol, resolver, lp, total)`; the LP gets the remainder.

    They are added to the cost of a buy and deducted from the gross of a sell. Raise DivisionByZero when no rate is set.
    """
    rates = protocol_bps + resolver_bps + lp_bps
    total = u64(amount) * rates // BPS
    if rates == 0:
        raise ErrorCode.DivisionByZero.error()
    protocol = u64(total) * protocol_bps // rates
    resolver = total * resolver_bps // rates
    return protocol, resolver, total - protocol - resolver, total


def budget(target_cost: int) -> int:
    """Return the part of a buyer's `target_cost` that the program spends on shares, in lamports before fees."""
    return u64(target_cost) * BPS // BUY_DIVISOR_BPS


def cost_before_fees(total: int, *, fee_bps: int) -> int:
    """Return the one cost before fees for which a buyer pays `total` (protocol.md 8.6).

    `fee_bps` is the sum of the three rates. Raise InvalidInput where no cost gives that total.
    """
    guess = total * BPS // (BPS + fee_bps)
    for candidate in (guess, guess + 1):
        if candidate + candidate * fee_bps // BPS == total:
            return candidate
    raise ErrorCode.InvalidInput.error()


def gross_before_fees(net: int, *, fee_bps: int) -> tuple[int, ...]:
    """Return every gross that leaves a seller `net`, ascending: one, or two between which balances must decide.

    `fee_bps` is the sum of the three rates, below 100 % (protocol.md 8.6). Empty if there is none.
    """
    guess = net * BPS // (BPS - fee_bps)
    width = BPS // (BPS - fee_bps) + 2
    candidates = range(max(net, guess - width), guess + width + 1)
    return tuple(gross for gross in candidates if gross - gross * fee_bps // BPS == net)


def _require_b(b: int) -> None:
    if u64(b) < MIN_B:
        raise ErrorCode.InvalidBParameter.error()


def _cost(u: int, v: int, b: int) -> int:
    """Return C from the two ratios q/b: max(u, v) + ln(1 + e^-|u-v|), times b.

    `fixed.exp` and `fixed.ln` are written out: a buy evaluates this up to fifty times. The argument of the logarithm is
    between one and two, so only exactly two needs its special value.
    """
    distance = u - v if u > v else v - u
    if distance > MAX_EXP:
        raise ErrorCode.ExponentTooLarge.error()
    half = distance >> 1
    twelfth = distance * distance // PRECISION // 12
    e = (PRECISION + half + twelfth) * PRECISION // (PRECISION - half + twelfth)
    x = PRECISION + PRECISION * PRECISION // e
    log = LN_2 if x == 2 * PRECISION else series(x)
    lamports = b * ((u if u > v else v) + log) // PRECISION
    if lamports > U64_MAX:
        raise ErrorCode.OverflowError.error()
    return lamports


def _cost_of_buying(own: int, shares: int, other_ratio: int, b: int, now: int) -> int:
    trade_cost = _cost(u64(own + shares) * PRECISION // b, other_ratio, b) - now
    if trade_cost < 0:
        raise ErrorCode.UnderflowError.error()
    return trade_cost
