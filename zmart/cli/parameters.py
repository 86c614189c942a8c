"""Declares the types of numbers that commands take, so that a wrong one is refused before a service starts."""

from __future__ import annotations

import math
from typing import Any, Final

import click

#: The greatest number of a row, and of a slot: a signed integer of 64 bits.
_MOST: Final = (1 << 63) - 1


class _PositiveNumber(click.ParamType[float]):
    """A finite number above 0; click's own range accepts nan, which is neither below nor above anything."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number.", param, ctx)
        if not math.isfinite(number) or number <= 0:
            self.fail(f"{value} is not a number above 0.", param, ctx)
        return number


#: The number of a row, as lists show it.
ROW_NUMBER: Final = click.IntRange(1, _MOST)
SLOT: Final = click.IntRange(0, _MOST)
#: A number of rows to show, or of requests to send.
COUNT: Final = click.IntRange(1, 1_000_000)
POSITIVE: Final = _PositiveNumber()
