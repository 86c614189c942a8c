"""Loads SQL statements from `.sql` files, in which every statement has a name and a descriptive sentence.

    -- name: market_by_id
    -- One market with its current price, or no row.
    select ... where id = %(id)s

`load("api", "queries.sql").market_by_id` is then the statement's text, ready for psycopg. A file that breaks this form
is refused when it is loaded, so that every file documents what a service does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from importlib import resources

from zmart import errors

_HEADING = re.compile(r"^-- name: *(.*?) *$", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SENTENCE = re.compile(r"\s*-- *\S.*")


class Queries:
    """The statements of one file, as attributes; the error for an unknown name contains the file."""

    def __init__(self, statements: dict[str, str], source: str) -> None:
        self._statements = statements
        self._source = source

    def __getattr__(self, name: str) -> str:
        try:
            return self._statements[name]
        except KeyError:
            message = f"{self._source} has no statement named {name!r}."
            raise AttributeError(message) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)

    def __repr__(self) -> str:
        return f"Queries({self._source}: {len(self)} statements)"


@functools.cache
def load(package: str, file: str = "queries.sql") -> Queries:
    """Read `file` of `package`; raise ConfigurationError when it breaks the form."""
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    return parse(text, source=f"{package}/{file}")


def parse(text: str, *, source: str = "queries") -> Queries:
    """Parse the named statements in `text`."""
    parts = _HEADING.split(text)[1:]
    statements: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        _check(name, body, statements, source)
        statements[name] = body.strip().removesuffix(";").rstrip()
    return Queries(statements, source)


def _check(name: str, body: str, statements: dict[str, str], source: str) -> None:
    problem = (
        "is not lower_case_with_underscores"
        if not _NAME.fullmatch(name)
        else "appears twice"
        if name in statements
        else "has no sentence above it"
        if not _SENTENCE.match(body)
        else "has no statement"
        if not re.sub(r"--.*", "", body).strip("; \n\t")
        else None
    )
    if problem:
        raise errors.ConfigurationError(f"{source}: the name {name!r} {problem}.")
