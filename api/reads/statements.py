"""The API's statements: `sql/<noun>.sql`, put together with the parts in `sql/rows/<noun>.sql`.

Every statement of `sql` that answers a request gives the same columns: what it is true of
(ops.as_of) and the finished body, in one snapshot; a null body means that there is no such thing. A
word in braces stands for a part of that name. Every statement an endpoint may send is a finished
text that is composed once and then prepared by Postgres; values travel as parameters, never as text.

{bound} is a constant that is at least limit + offset + 1: plans are made once for all parameters,
and must know that few rows are wanted.
"""

from __future__ import annotations

import functools
import re
from importlib import resources

from zmart import errors
from zmart.db import queries

_PART = re.compile(r"\{([a-z_]+)\}")


def _load(folder: str) -> dict[str, str]:
    """Every text of a folder's files by its name; ConfigurationError when two files use one."""
    statements_by_name: dict[str, str] = {}
    for file in sorted(resources.files("api").joinpath(folder).iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".sql"):
            texts = queries.load("api", f"{folder}/{file.name}")
            if duplicates := statements_by_name.keys() & set(texts):
                raise errors.ConfigurationError(f"{folder}/{file.name}: {min(duplicates)} stands in another file, too.")
            statements_by_name |= {name: getattr(texts, name) for name in texts}
    return statements_by_name


_STATEMENTS = _load("sql")
_PARTS = _load("sql/rows")


@functools.cache
def compose(name: str, **parts: str) -> str:
    """The statement `name`; `parts` fill words that no part of the file is named after."""
    return _fill(_STATEMENTS[name], parts)


@functools.cache
def part(name: str, **parts: str) -> str:
    """The part `name` of sql/rows, filled."""
    return _fill(_strip_comments(_PARTS[name]), parts)


def fill(text: str, **parts: str) -> str:
    """Another file's statement, with `parts` and the parts of sql/rows in it."""
    return _fill(text, parts)


def _fill(text: str, parts: dict[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match[1]
        return parts[name] if name in parts else part(name, **parts)

    return _PART.sub(replacement, text)


def _strip_comments(text: str) -> str:
    # A part may end up in the middle of a line, where its sentence would swallow the rest.
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--")).strip()
