"""Cursors, sorts and searches."""

from __future__ import annotations

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import errors
from api.reads import pagination


def encoded(*parts: object) -> str:
    """A cursor as Postgres writes it."""
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


@given(
    st.from_regex(r"-?[0-9]{1,40}(\.[0-9]{1,9})?", fullmatch=True)
    | st.datetimes().map(lambda instant: f"{instant}+00")
    | st.just("-infinity"),
    st.integers(0, 2**63 - 1),
)
def test_a_cursor_survives_its_journey(key: str, number: int) -> None:
    """Sort, key and number are decoded unchanged."""
    cursor = pagination.Cursor.parse(encoded("volume", key, number), sort="volume")
    assert (cursor.sort, cursor.key, cursor.number) == ("volume", key, number)


@pytest.mark.parametrize(
    "text",
    [
        *("", "!", "e30", encoded(), encoded("volume", "1"), encoded("volume", "1", "x"), encoded("oldest", "1", 1)),
        *(encoded("volume", "1", number) for number in (-1, 1 << 63, float("inf"), float("nan"))),
        *(encoded("volume", key, 1) for key in ("", "\0", "\ud800", "1" * 65, "1'", None, [])),
    ],
)
def test_a_foreign_cursor_is_refused(text: str) -> None:
    """An invalid cursor, or one of another sort, gives an error with the next step."""
    with pytest.raises(errors.InvalidParameter, match="next_cursor"):
        pagination.Cursor.parse(text, sort="volume")


@given(st.text())
def test_no_text_surprises_the_cursor(text: str) -> None:
    """Any text is a cursor or an InvalidParameter."""
    try:
        pagination.Cursor.parse(text, sort="newest")
    except errors.InvalidParameter:
        return


@pytest.mark.parametrize("text", [None, "lisbon", "two words"])
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("sort", pagination.MARKET_SORTS.values())
def test_every_statement_is_complete(sort: pagination.Sort, after: bool, text: str | None) -> None:
    """No placeholder is left in any order of the list."""
    filters = ["where_state", "where_category", "where_creator"]
    cursor = pagination.Cursor("any", "1", 1) if after else None
    search = pagination.Search(text) if text else None
    statement = pagination.markets_statement(sort, filters, pagination.PageRequest("any", 20, 0, cursor), search)
    assert re.findall(r"\{[a-z_]+\}", statement) == []
    assert ("cursor_key" in statement) is after


@pytest.mark.parametrize("cursor", [None, pagination.Cursor("any", "1", 1)])
def test_near_pages_are_looked_up_together(cursor: pagination.Cursor | None) -> None:
    """By parameters that the statement has; a far one, or one with a foreign cursor, is run separately."""
    page = pagination.PageRequest("any", 20, 0, cursor)
    assert set(page.varying) <= page.parameters().keys()
    assert page.varying == (() if cursor else ("offset",))
    assert pagination.PageRequest("any", 20, 100_000, cursor).varying == ()


def test_a_search_escapes_like_patterns() -> None:
    """Characters that `like` reads as patterns are found as themselves."""
    assert pagination.ilike_pattern("100%_\\") == "%100\\%\\_\\\\%"


@pytest.mark.parametrize(
    ("text", "condition", "prefix"),
    [
        ("lisbon", "where_part", None),
        (" 100,000 ", "where_part", None),
        ("li", "where_words", "'li':*"),
        ("rain in li", "where_words", "'rain' & 'in' & 'li':*"),
        ("rain -lisbon", "where_words", ""),
        ("%_", "where_words", ""),
        ("_", "where_words", ""),
    ],
)
def test_a_search_is_for_words_or_for_a_part(text: str, condition: str, prefix: str | None) -> None:
    """One word that is long enough is searched within others; of several the last may be a prefix."""
    search = pagination.Search(text)
    assert search.condition == condition
    assert search.parameters().get("prefix") == prefix
