"""Validates SQL: it must be one statement that calls only functions of an allow-list.

This module reads tokens, not grammar. Postgres itself checks that the text is one statement and that it only selects.
Here it matters that no function outside the list can be spelled. So everything that could hide a name is rejected
(escapes in identifiers, block comments, a schema before the name), and so is everything that Postgres may split into
tokens differently: control characters, letters beyond ASCII outside of literals, a continued literal. This list is the
second barrier: the first is a login that can only read (`login.sql`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from zmart import errors


class InvalidSql(errors.InvalidInput):
    """This SQL cannot be run here."""


def _word_set(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text))


#: Functions of rows and values. None waits, locks, notifies, writes, or reads files or settings.
FUNCTIONS: Final = _word_set(
    """
    abs age any_value array_agg array_length array_position avg bool_and bool_or btrim cardinality ceil ceiling
    char_length coalesce concat concat_ws corr count cume_dist date_bin date_part date_trunc dense_rank div every exp
    extract first_value floor generate_series greatest initcap isfinite json_agg json_array_elements
    json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text
    json_object_agg jsonb_agg jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array
    jsonb_build_object jsonb_each jsonb_each_text jsonb_object_agg jsonb_object_keys jsonb_typeof justify_days
    justify_hours lag last_value lead least left length ln log lower ltrim make_date make_interval make_timestamptz
    max md5 min mod mode now nth_value ntile nullif numeric_scale percent_rank percentile_cont percentile_disc power
    rank regexp_replace replace right round row_number row_to_json rtrim sign split_part sqrt starts_with stddev
    stddev_pop stddev_samp string_agg strpos substr substring sum to_char to_date to_json to_jsonb to_number
    to_timestamp trim trunc unnest upper var_pop var_samp variance width_bucket
    """
)
#: Words before a parenthesis that are not functions.
_KEYWORDS: Final = _word_set(
    """
    all and any array as between bit by case cast char character cube decimal distinct else end except exists filter
    float from group groups having ilike in inner intersect interval is join lateral like limit materialized not numeric
    offset on or order over partition position range recursive rollup row rows select sets some then time timestamp
    timestamptz
    union using values varchar varying when where window with within
    """
)
#: A word after these is a new name, so a parenthesis after that word contains column names.
_NAME_KEYWORDS: Final = frozenset({"as", "with", "recursive"})

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\r\n]*)
    |(?P<text>[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|\$(?P<tag>[A-Za-z_]\w*|)\$.*?\$(?P=tag)\$)
    |(?P<hidden>/\*|[uU]&["'])
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<word>[^\W\d][\w$]*)
    # A number by itself: Postgres ends it before a $, where it would begin a literal.
    |(?P<number>\d\w*)
    |(?P<other>.)
    """,
    # Letters beyond ASCII are rejected before they could be confused with characters that Postgres reads as blanks.
    re.VERBOSE | re.DOTALL | re.ASCII,
)
#: Tabs and line ends are the only control characters that every SQL parser reads as blanks.
_CONTROL = re.compile(r"[^\t\n\r\x20-\x7e\x80-\U0010ffff]")


class _Token(NamedTuple):
    kind: str
    text: str


def validate(text: str) -> str:
    """Return the text without a closing semicolon; raise InvalidSql with the part that is not allowed."""
    if _CONTROL.search(text):
        raise InvalidSql("Control characters are not allowed here; use blanks, tabs and line ends.")
    statement = text.strip().removesuffix(";").strip()
    if not statement:
        raise InvalidSql("Write one SELECT.")
    tokens = list(_tokens(statement))
    for before, name, after in zip([None, None, *tokens], [None, *tokens], tokens, strict=False):
        if name is not None and after.text == "(" and name.kind in {"word", "quoted"}:
            _require_allowed(before, name)
        if name is not None and name.kind == after.kind == "text":
            # Postgres continues in the first literal's mode: after E'' a backslash in the second escapes the quote.
            raise InvalidSql("Two literals must not follow each other; join them with ||.")
    return statement


def fields(statement: str) -> frozenset[str]:
    """Return the names after a dot, in Postgres' spelling, except functions that are allowed anyway."""
    tokens = list(_tokens(statement))
    named = [name for dot, name in itertools.pairwise(tokens) if dot.text == "." and name.kind in {"word", "quoted"}]
    return frozenset(map(_spelled, named)) - FUNCTIONS


def _tokens(statement: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(statement):
        kind = found.lastgroup if found.lastgroup != "tag" else "text"
        if kind == "hidden":
            raise InvalidSql("Comments in /* */ and escapes with U& are not allowed here; use -- and plain names.")
        if not found[0].isascii() and not (kind == "text" and found[0].endswith("'")):
            raise InvalidSql("Letters beyond ASCII are allowed in literals in single quotes only.")
        if kind != "space":
            yield _Token(str(kind), found[0])


def _require_allowed(before: _Token | None, name: _Token) -> None:
    if before is not None and before.text.lower() in _NAME_KEYWORDS:
        return
    function_name = _spelled(name)
    if before is not None and before.text == ".":
        raise InvalidSql(f"The function {function_name} cannot be called with a schema name.")
    if function_name not in FUNCTIONS and not (name.kind == "word" and function_name in _KEYWORDS):
        raise InvalidSql(f"The function {function_name} cannot be called. Use one of: {', '.join(sorted(FUNCTIONS))}.")


def _spelled(name: _Token) -> str:
    return name.text.lower() if name.kind == "word" else name.text[1:-1].replace('""', '"')
