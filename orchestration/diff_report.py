"""Reports where a mart differs from its rebuild, in a form that an operator understands at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from zmart.db import queries

from .resources import Connection

sql = queries.load("orchestration")

ROWS = 10
_NO_ROW = "no row"


def sample_differences(connection: Connection, name: str, *, limit: int = ROWS) -> str:
    """Return a Markdown table of up to `limit` rows in which the mart differs: one line per differing column.

    It folds the whole log once more, as the owner, on its own snapshot.
    """
    statement = connection.execute(sql.difference_sample, {"name": name, "limit": limit}).fetchone()
    assert statement is not None
    rows = connection.execute(statement[0]).fetchall()
    lines = [line for key, live, rebuilt in rows for line in _lines(key, live, rebuilt)]
    return "\n".join(["| key | column | live | rebuilt |", "|---|---|---|---|", *lines])


def _lines(key: list[Any], live: Mapping[str, Any] | None, rebuilt: Mapping[str, Any] | None) -> Iterator[str]:
    name = ", ".join(str(part) for part in key)
    if live is None or rebuilt is None:
        yield f"| {name} | | {_NO_ROW if live is None else 'a row'} | {_NO_ROW if rebuilt is None else 'a row'} |"
        return
    for column in live:
        if live[column] != rebuilt[column]:
            yield f"| {name} | {column} | {live[column]} | {rebuilt[column]} |"
