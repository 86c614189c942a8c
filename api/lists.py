"""Pages of rows: how a list is sorted, filtered and continued.

A page ends with a cursor that names the last row by its sort key and number. The next page is "what
stands below that row", so rows that arrive meanwhile neither repeat nor hide others, and a far page
costs what a near one does. `offset` works too, for clients that count.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from . import errors, statements

Direction: TypeAlias = Literal["asc", "desc"]
MarketSort: TypeAlias = Literal[
    "newest",
    "oldest",
    "volume",
    "liquidity",
    "trades",
    "price_high",
    "price_low",
    "contested",
    "last_trade",
    "activity",
]


@dataclass(frozen=True, kw_only=True)
class Sort:
    """An order of markets: never null, so that a cursor can stand anywhere in it."""

    key: str
    type: str
    direction: Direction = "desc"

    @property
    def reverse(self) -> Direction:
        """The other way round."""
        return "asc" if self.direction == "desc" else "desc"

    @property
    def comparison(self) -> str:
        """What stands between a row and the cursor it comes after."""
        return "<" if self.direction == "desc" else ">"


MARKET_SORTS: dict[MarketSort, Sort] = {
    "newest": Sort(key="m.created_at", type="timestamptz"),
    "oldest": Sort(key="m.created_at", type="timestamptz", direction="asc"),
    "volume": Sort(key="m.total_volume", type="numeric"),
    "liquidity": Sort(key="coalesce(m.current_liquidity, 0)", type="numeric"),
    "trades": Sort(key="m.trades_count", type="bigint"),
    "price_high": Sort(key="coalesce(m.price_yes, -1)", type="bigint"),
    "price_low": Sort(key="coalesce(m.price_yes, 1000000001)", type="bigint", direction="asc"),
    "contested": Sort(key="abs(coalesce(m.price_yes, 1000000001) - 500000000)", type="bigint", direction="asc"),
    "last_trade": Sort(key="coalesce(m.last_trade_at, '-infinity')", type="timestamptz"),
    "activity": Sort(key="m.last_order_key", type="bigint"),
}


@dataclass(frozen=True)
class Cursor:
    """A place in a sorted list: the sort's name, the key's text and the row's number."""

    sort: str
    key: str
    number: int

    @classmethod
    def parse(cls, text: str, *, sort: str) -> Cursor:
        """Read a cursor of this sort; Invalid says how to get one."""
        try:
            name, key, number = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            cursor = cls(name, str(key), int(number))
        except (ValueError, TypeError, binascii.Error):
            raise _no_cursor(sort) from None
        if cursor.sort != sort or not 0 <= cursor.number < 1 << 63:
            raise _no_cursor(sort)
        return cursor


def markets_statement(sort: Sort, filters: Iterable[str], *, after: bool) -> str:
    """The statement for a page of markets with these filters."""
    common = {"sort_key": sort.key, "direction": sort.direction, "reverse": sort.reverse}
    return statements.composed(
        "markets",
        **common,
        filters=_conditions(filters),
        beyond=statements.part(
            "where_market_before",
            sort_key=sort.key,
            comparison=sort.comparison,
            sort_type=sort.type,
        )
        if after
        else "",
    )


def trades_statement(filters: Iterable[str], *, after: bool) -> str:
    """The statement for a page of trades, of a market, of a wallet, or of all."""
    wanted = tuple(filters)
    of_market, of_wallet = "where_market" in wanted, "where_wallet" in wanted
    return statements.composed(
        "trades",
        filters=_conditions(wanted),
        beyond=statements.part("where_trade_before") if after else "",
        it_exists=statements.part("market_exists") if of_market else "true",
        named=" ".join(
            statements.part(name)
            for name, wished in (("named_market", of_market), ("named_wallet", of_wallet))
            if wished
        ),
    )


def cursor_parameters(text: str | None, *, sort: str) -> dict[str, Any]:
    """What the statement needs to begin after a cursor, or nothing."""
    if text is None:
        return {"sort": sort}
    cursor = Cursor.parse(text, sort=sort)
    return {"sort": sort, "cursor_key": cursor.key, "cursor_no": cursor.number}


def containing(text: str) -> str:
    """A pattern for `ilike` that finds the text itself, wherever it stands."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _conditions(names: Iterable[str]) -> str:
    return " ".join(statements.part(name) for name in names)


def _no_cursor(sort: str) -> errors.InvalidParameter:
    return errors.InvalidParameter("cursor", f"take next_cursor from an answer with sort={sort}, or leave it out")
