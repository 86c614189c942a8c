"""Runs SQL for signed-in users."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.handlers import BaseRouteHandler
from litestar.openapi import ResponseSpec

from zmart import errors as zmart_errors
from zmart.db import feed

from .. import errors, response_docs, schemas
from ..auth.signed_in import SECURITY, FromSignedIn
from ..dependencies import FromServices
from ..reads.database import Answer
from ..sql_console import executor, validator


@get(
    "/api/sql",
    tags=["status"],
    summary="List the named queries and the limits of SQL",
    responses=response_docs.problems(),
)
async def list_sql_queries(services: FromServices) -> schemas.SqlConsole:
    """List example queries by name, the allowed functions, and the limits."""
    return schemas.SqlConsole(
        is_on=services.settings.api.analyst_sql,
        named=[
            schemas.NamedQuery(name=name, statement=getattr(executor.NAMED_QUERIES, name))
            for name in executor.NAMED_QUERIES
        ],
        functions=sorted(validator.FUNCTIONS),
        seconds=executor.TIMEOUT_SECONDS,
        most_rows=executor.MOST_ROWS,
    )


def require_sql_console(connection: ASGIConnection[Any, Any, Any, State], _: BaseRouteHandler) -> None:
    """Raise NotFound where SQL is off, before anything about the request is checked."""
    if connection.app.state.sql_executor is None:
        raise zmart_errors.NotFound("This server does not accept SQL.", help="Start it with ANALYST_SQL=true.")


@post(
    "/api/sql",
    tags=["status"],
    summary="Run an SQL query",
    status_code=200,
    security=SECURITY,
    guards=[require_sql_console],
    responses={200: ResponseSpec(schemas.SqlAnswer, description="Rows"), **response_docs.problems(401, 404, 413)},
    opt={"weight": 10, "scope": "read"},
)
async def run_sql(state: State, signed_in: FromSignedIn, data: schemas.SqlQuery) -> Response[Any]:
    """Run one SELECT as the role analyst, read-only, for at most two seconds; return JSON or CSV.

    Disabled unless the server was started with ANALYST_SQL.
    """
    sql_executor: executor.SqlExecutor = state.sql_executor
    table = await sql_executor.execute(_query(data), data.limit)
    headers = Answer(table.epoch, table.seq, table.mark, table.slot, table.commitment, b"").headers()
    if data.format == "csv":
        return Response(table.csv().encode(), media_type="text/csv", headers=headers)
    return Response(_body(table), media_type="application/json", headers=headers)


def _query(data: schemas.SqlQuery) -> str:
    if (data.query is None) == (data.name is None):
        raise errors.InvalidParameter("query", "expected either a query or the name of one")
    if data.query is not None:
        return data.query
    if data.name not in set(executor.NAMED_QUERIES):
        raise errors.InvalidParameter("name", f"expected one of {', '.join(executor.NAMED_QUERIES)}")
    return str(getattr(executor.NAMED_QUERIES, data.name))


def _body(table: executor.SqlResult) -> bytes:
    as_of = {
        "epoch": table.epoch,
        "seq": table.seq,
        "position": str(feed.FeedPosition(table.epoch, table.seq, table.mark)),
        "slot": table.slot,
        "commitment": table.commitment,
    }
    return msgspec.json.encode(
        {
            "columns": [{"name": column.name, "type": column.type} for column in table.columns],
            # Postgres formatted the rows, so that no number passes through a float.
            "rows": [msgspec.Raw(row.encode()) for row in table.rows],
            "count": len(table.rows),
            "is_cut": table.is_cut,
            "took_ms": table.took_ms,
            "as_of": as_of,
        }
    )


HANDLERS = [list_sql_queries, run_sql]
