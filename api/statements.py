"""The API's statements, put together from `queries.sql` and the parts in `rows.sql`.

A word in braces stands for a part of that name. Every statement an endpoint may send is a finished
text that is composed once and then prepared by Postgres; values travel as parameters, never as text.
"""

from __future__ import annotations

import functools
import re

from zmart.db import queries

_PART = re.compile(r"\{([a-z_]+)\}")
_STATEMENTS = queries.load("api", "queries.sql")
_PARTS = queries.load("api", "rows.sql")


@functools.cache
def composed(name: str, **parts: str) -> str:
    """The statement `name`; `parts` fill words that no part of the file is named after."""
    return _filled(getattr(_STATEMENTS, name), parts)


@functools.cache
def part(name: str, **parts: str) -> str:
    """The part `name` of rows.sql, filled."""
    return _filled(_without_comment(getattr(_PARTS, name)), parts)


def filled(text: str, **parts: str) -> str:
    """Another file's statement, with `parts` and the parts of rows.sql in it."""
    return _filled(text, parts)


def _filled(text: str, parts: dict[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        word = match[1]
        return parts[word] if word in parts else part(word, **parts)

    return _PART.sub(replacement, text)


def _without_comment(text: str) -> str:
    # A part may end up in the middle of a line, where its sentence would swallow the rest.
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--")).strip()
