"""Implements the program's fixed-point arithmetic: u64 with nine decimals, every division floors.

Protocol.md 2.1. The exponential is a Padé (2,2) approximant that peaks near 3.46 and falls after that; the logarithm is
a series of three terms. Both are inexact on purpose in the same way as the chain: a better approximation here would
give another price than the chain's.
"""

from __future__ import annotations

from zmart.domain.program_errors import ErrorCode

#: One, in fixed point. Shares, b, prices and SOL all have nine decimals.
PRECISION = 1_000_000_000
#: ln 2 in fixed point, rounded down by the program.
LN_2 = 693_147_180
#: The greatest argument of `exp`: 20.0.
MAX_EXP = 20 * PRECISION
#: The greatest value of the program's integers.
U64_MAX = (1 << 64) - 1


def u64(value: int) -> int:
    """Return the value; raise OverflowError or UnderflowError where the program could not store it."""
    if value > U64_MAX:
        raise ErrorCode.OverflowError.error()
    if value < 0:
        raise ErrorCode.UnderflowError.error()
    return value


def mul(left: int, right: int) -> int:
    """Return the product of two fixed-point numbers; raise OverflowError beyond u64."""
    return u64(left * right // PRECISION)


def div(left: int, right: int) -> int:
    """Return the quotient of two fixed-point numbers; raise DivisionByZero or OverflowError."""
    if right == 0:
        raise ErrorCode.DivisionByZero.error()
    return u64(left * PRECISION // right)


def exp(x: int) -> int:
    """Return the program's e to the x, for 0 <= x <= 20.0; raise ExponentTooLarge beyond.

    The denominator never falls below 0.25, so nothing else can fail.
    """
    if x > MAX_EXP:
        raise ErrorCode.ExponentTooLarge.error()
    half = x >> 1
    twelfth = x * x // PRECISION // 12
    return (PRECISION + half + twelfth) * PRECISION // (PRECISION - half + twelfth)


def ln(x: int) -> int:
    """Return the program's natural logarithm of x >= 0.5 in fixed point; raise InvalidInput for zero.

    Below one the program inverts the reduced argument and drops the sign. This function does the same: the cost
    function never uses such arguments, and a caller who does gets the chain's result.
    """
    if x == 0:
        raise ErrorCode.InvalidInput.error()
    if x == PRECISION:
        return 0
    doublings = 0
    while x >= 2 * PRECISION:
        x >>= 1
        doublings += 1
    while x < PRECISION // 2:
        x <<= 1
        doublings -= 1
    if x < PRECISION:
        x = div(PRECISION, x)
    return u64(series(x) + doublings * LN_2)


def series(x: int) -> int:
    """Return the series of `ln` for 1 <= x < 2: twice the artanh of (x-1)/(x+1)."""
    y = (x - PRECISION) * PRECISION // (x + PRECISION)
    y2 = y * y // PRECISION
    y3 = y2 * y // PRECISION
    y5 = y3 * y2 // PRECISION
    return 2 * (y + y3 // 3 + y5 // 5)
