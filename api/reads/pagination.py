"""Builds pages of lists: sorting, filtering and continuation.

A page ends with a cursor that identifies the last row by its sort key and number. The next page contains the rows
after that row. New rows therefore neither repeat nor hide others, and a far page costs as much as a near one. `offset`
also works, for clients that count.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .. import errors
from . import statements
from .row_pages import ListSpec

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


#: Only a few, because each bound creates its own statements; the last one covers the furthest possible page.
_BOUNDS = (21, 51, 101, 501, 2_000, 20_000, 1_100_000)


#: Pages with at most this offset are read together with others.
_MAX_BATCHED_OFFSET = 2_000
#: With more matches than this, the statement walks the list in its own order; matches are counted up to this number.
MOST_FOUND = 2_000
#: Sort keys as Postgres formats them: numbers, instants, -infinity.
_KEY = re.compile(r"[0-9A-Za-z+:. -]{1,64}", re.ASCII)
_PART = re.compile(r"(?=\S*[^\W_]{3})\S+")
_PLAIN_TEXT = re.compile(r"[\w\s]+")
_WORD = re.compile(r"[^\W_]+")


MARKETS = ListSpec("markets", statements.compose("market_rows"))
TRADES = ListSpec("trades", statements.compose("trade_rows"), shown_rows=statements.part("trades_shown"))


@dataclass(frozen=True, kw_only=True)
class Sort:
    """A sort order of markets. The key is never null, so a cursor can be at any place in the order."""

    key: str
    type: str
    direction: Direction = "desc"

    @property
    def reverse(self) -> Direction:
        """Return the opposite direction."""
        return "asc" if self.direction == "desc" else "desc"

    @property
    def comparison(self) -> str:
        """Return the operator between a row's key and the key of the cursor before it."""
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
        """Parse a cursor of this sort; raise InvalidParameter, which explains how to get one."""
        try:
            name, key, number = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
            cursor = cls(name, str(key), int(number))
        except (ValueError, TypeError, OverflowError, binascii.Error):
            raise _invalid_cursor(sort) from None
        is_ours = isinstance(key, str) and _KEY.fullmatch(key) and 0 <= cursor.number < 1 << 63
        if cursor.sort != sort or not is_ours:
            raise _invalid_cursor(sort)
        return cursor


@dataclass(frozen=True)
class Search:
    """A search text: matches words in any form, the last word as a prefix, and a long enough part inside words."""

    text: str

    @property
    def condition(self) -> str:
        """Return the name of the search condition; a text without three letters in a row cannot use the part index."""
        return "where_part" if _PART.fullmatch(self.text.strip()) else "where_words"

    def parameters(self) -> dict[str, str]:
        """Return the statement's parameters for the search."""
        if self.condition == "where_part":
            return {"words": self.text, "part": ilike_pattern(self.text.strip())}
        return {"words": self.text, "prefix": self._prefix_query()}

    def _prefix_query(self) -> str:
        """Return a query of all words with the last as a prefix; empty if the text has quotes or a minus."""
        if not _PLAIN_TEXT.fullmatch(self.text):
            return ""
        *whole, last = _WORD.findall(self.text) or [""]
        return " & ".join([*(f"'{word}'" for word in whole), *([f"'{last}':*"] if last else [])])


@dataclass(frozen=True)
class PageRequest:
    """The requested part of a list."""

    sort: str
    limit: int
    offset: int
    cursor: Cursor | None

    @classmethod
    def of(cls, sort: str, limit: int, offset: int, cursor: str | None) -> PageRequest:
        """Return the page that a client requested; raise InvalidParameter if the cursor is invalid."""
        position_in_list = None if cursor is None else Cursor.parse(cursor, sort=sort)
        return cls(sort, limit, offset, position_in_list)

    @property
    def bound(self) -> str:
        """Return the smallest bound that covers the skipped rows, the page, and one more row."""
        rows_needed = self.offset + self.limit + 1
        return str(next(bound for bound in _BOUNDS if bound >= rows_needed))

    @property
    def varying(self) -> tuple[str, ...]:
        """Return the parameters in which pages of one statement may differ, so that they are read together.

        A far page has none, because it is slow and other requests should not wait for it. A page with a cursor has
        none either: the cursor's content comes from the client, and a value that Postgres rejects fails the whole
        statement.
        """
        return ("offset",) if self.cursor is None and self.offset <= _MAX_BATCHED_OFFSET else ()

    def parameters(self) -> dict[str, Any]:
        """Return the statement's parameters for the page."""
        cursor_parameters = {"cursor_key": self.cursor.key, "cursor_no": self.cursor.number} if self.cursor else {}
        return {"sort": self.sort, "limit": self.limit, "offset": self.offset, **cursor_parameters}


def markets_statement(sort: Sort, filters: Iterable[str], page: PageRequest, search: Search | None = None) -> str:
    """Return the statement for a page of markets with these filters; with `search`, only of markets that match it."""
    beyond = statements.part("where_market_before", sort_key=sort.key, comparison=sort.comparison, sort_type=sort.type)
    conditions = tuple(filters)
    parts = {
        "sort_key": sort.key,
        "direction": sort.direction,
        "reverse": sort.reverse,
        "filters": _conditions(conditions),
        # Creator metadata is joined for the rows shown, and for all rows only if the filter depends on it.
        "metadata_join": statements.part("creator_metadata") if "where_category" in conditions else "",
        "beyond": beyond if page.cursor else "",
        "bound": page.bound,
    }
    if search is None:
        return statements.compose(
            "markets",
            found="",
            page=statements.part("page_listed", **parts),
            count=statements.part("count_listed", **parts),
            is_exact="true",
            **parts,
        )
    parts |= {"matches": statements.part(search.condition), "most_found": str(MOST_FOUND)}
    return statements.compose(
        "markets",
        page=statements.part("page_found", **parts),
        count=statements.part("count_found", **parts),
        is_exact=statements.part("is_found_exactly", **parts),
        **parts,
    )


def trades_statement(filters: Iterable[str], page: PageRequest) -> str:
    """Return the statement for a page of trades: of a market, of a wallet, or of all."""
    conditions = tuple(filters)
    of_market, of_wallet = "where_market" in conditions, "where_wallet" in conditions
    return statements.compose(
        "trades",
        filters=_conditions(conditions),
        beyond=statements.part("where_trade_before") if page.cursor else "",
        bound=page.bound,
        it_exists=statements.part("market_exists") if of_market else "true",
        is_shown="true" if of_market else statements.part("of_a_shown_market"),
        named=" ".join(
            statements.part(name)
            for name, is_used in (("named_market", of_market), ("named_wallet", of_wallet))
            if is_used
        ),
    )


def activity_statement(of: Literal["market", "wallet"], page: PageRequest) -> str:
    """Return the statement for a page of a market's or a wallet's activity."""
    parts = {
        "beyond": statements.part("where_activity_before") if page.cursor else "",
        "bound": page.bound,
    }
    return statements.compose(
        "activity",
        rows=statements.part(f"activity_of_{of}", **parts),
        it_exists=statements.part("market_exists") if of == "market" else "true",
        named=statements.part(f"named_{of}"),
    )


def holders_statement(outcome: Literal["YES", "NO"] | None, page: PageRequest) -> str:
    """Return the statement for a page of holders of one outcome, or of both together."""
    sort_key = {"YES": "h.shares_yes", "NO": "h.shares_no", None: "(h.shares_yes + h.shares_no)"}[outcome]
    return statements.compose(
        "holders",
        sort_key=sort_key,
        beyond=statements.part("where_holder_before", sort_key=sort_key) if page.cursor else "",
        bound=page.bound,
    )


def _conditions(names: Iterable[str]) -> str:
    return " ".join(statements.part(name) for name in names)


def ilike_pattern(text: str) -> str:
    """Return an `ilike` pattern that matches the literal text at any place."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def _invalid_cursor(sort: str) -> errors.InvalidParameter:
    return errors.InvalidParameter("cursor", f"use next_cursor of a response with sort={sort}, or omit it")
