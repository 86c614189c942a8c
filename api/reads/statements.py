"""Composes the API's statements from `sql/<noun>.sql` and the parts in `sql/rows/<noun>.sql`.

Every statement of `sql` that answers a request returns the same columns: its position (ops.as_of) and the finished
body, in one snapshot; a null body means that the object does not exist. A word in braces is replaced by the part of
that name. Every statement that an endpoint may send is a finished text that is composed once and then prepared by
Postgres; values are sent as parameters, never as text.

{bound} is a constant that is at least limit + offset + 1. Plans are made once for all parameters, and the planner must
know that only a few rows are needed.
"""

from __future__ import annotations

import functools
import re
from importlib import resources

from zmart import errors
from zmart.db import queries

_PART = re.compile(r"\{([a-z_]+)\}")


def _load(folder: str) -> dict[str, str]:
    """Return every text of a folder's files by its name; raise ConfigurationError if two files use the same name."""
    statements_by_name: dict[str, str] = {}
    for file in sorted(resources.files("api").joinpath(folder).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".sql"):
            texts = queries.load("api", f"{folder}/{file.name}")
            if duplicates := statements_by_name.keys() & set(texts):
                raise errors.ConfigurationError(
                    f"{folder}/{file.name}: {min(duplicates)} is defined in another file, too."
                )
            statements_by_name |= {name: getattr(texts, name) for name in texts}
    return statements_by_name


_STATEMENTS = _load("sql")
_PARTS = _load("sql/rows")


@functools.cache
def compose(name: str, **parts: str) -> str:
    """Return the statement `name`; `parts` fill placeholders that have no part in sql/rows."""
    return _fill(_STATEMENTS[name], parts)


@functools.cache
def part(name: str, **parts: str) -> str:
    """Return the part `name` of sql/rows, filled."""
    return _fill(_strip_comments(_PARTS[name]), parts)


def fill(text: str, **parts: str) -> str:
    """Fill a statement of another file with `parts` and the parts of sql/rows."""
    return _fill(text, parts)


def _fill(text: str, parts: dict[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        return parts[name] if name in parts else part(name, **parts)

    return _PART.sub(replacement, text)


def _strip_comments(text: str) -> str:
    # A part may be inserted in the middle of a line, where its comment would hide the rest of the line.
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--")).strip()
