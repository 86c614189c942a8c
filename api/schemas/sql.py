"""Defines the schemas of the SQL console."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from .answer import AsOf


class SqlQuery(Struct, kw_only=True):
    """One SELECT over the schema marts, or the name of an example query."""

    query: (
        Annotated[
            str, Meta(min_length=1, max_length=10_000, examples=["select state, count(*) from markets group by state"])
        ]
        | None
    ) = None
    name: Annotated[str, Meta(max_length=100, examples=["busiest_markets"])] | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Maximum number of rows.")] = 1_000
    format: Literal["json", "csv"] = "json"


class SqlColumn(Struct, kw_only=True):
    """A column of the result."""

    name: str
    type: Annotated[str, Meta(description="As Postgres names it.")]


class SqlAnswer(Struct, kw_only=True):
    """Rows as objects; integers of any size are exact in the JSON text."""

    columns: list[SqlColumn]
    rows: list[dict[str, Any]]
    count: int
    is_cut: Annotated[bool, Meta(description="True if there are more rows than shown.")]
    took_ms: float
    as_of: AsOf


class NamedQuery(Struct, kw_only=True):
    """An example query."""

    name: str
    statement: Annotated[str, Meta(description="Its text; the first line is the question that it answers.")]


class SqlConsole(Struct, kw_only=True):
    """The SQL console's status, example queries, allowed functions and limits."""

    is_on: Annotated[bool, Meta(description="Whether this server accepts SQL.")]
    named: list[NamedQuery]
    functions: Annotated[list[str], Meta(description="Functions that may be called.")]
    seconds: float
    most_rows: int
