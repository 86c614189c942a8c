"""Runs an analyst's SQL with two connections, a short queue and a timeout of two seconds."""

from __future__ import annotations

import contextlib
import csv
import decimal
import io
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psycopg
import structlog
from psycopg import errors as pg

from zmart import errors
from zmart.db import pool, queries
from zmart.db.connection import SESSION, Connection, translate_errors
from zmart.settings import Settings

from . import validator
from .validator import InvalidSql

CONNECTIONS: Final = 2
MAX_WAITING: Final = 4
TIMEOUT_SECONDS: Final = 2.0
MOST_ROWS: Final = 10_000
#: Limits of one row, which is rejected above it, and of one answer, which is cut above it.
ROW_BYTES: Final = 64 * 1024
ANSWER_BYTES: Final = 4 * 1024 * 1024

NAMED_QUERIES: Final = queries.load("api.sql_console", "named.sql")

log = structlog.get_logger()

_SQL: Final = queries.load("api.sql_console", "login.sql")
_BEGIN: Final = "begin isolation level repeatable read read only"
#: Set for each statement, because `discard all` after a statement also resets the settings of the connection. Without
#: the last setting, a backslash would end a literal at another place than in `validator`.
_SETTINGS: Final = "; ".join(
    f"set local {name} = {value}"
    for name, value in {
        **SESSION,
        "statement_timeout": round(TIMEOUT_SECONDS * 1000),
        "standard_conforming_strings": "on",
    }.items()
)
_ROWS: Final = """select case when octet_length(j.row) <= {bytes} then j.row end
from (select to_json(q)::text as row from (
{sql}
) as q limit {most}) as j"""
_COLUMNS: Final = "select * from (\n{sql}\n) as q limit 0"
#: Errors about the server itself, rather than about the text of a statement.
_SERVER_ERRORS = (pg.OperationalError, pg.InternalError, pg.InsufficientResources)


@dataclass(frozen=True, kw_only=True)
class ResultColumn:
    """A column of a result."""

    name: str
    type: str


@dataclass(frozen=True, kw_only=True)
class SqlResult:
    """The result of a statement: rows as JSON objects, and the position at which they are valid."""

    columns: Sequence[ResultColumn]
    rows: Sequence[str]
    #: Whether there were more rows than are returned.
    is_cut: bool
    took_ms: float
    epoch: str
    seq: int
    #: See `feed.FeedPosition.mark`.
    mark: str | None
    slot: int | None
    commitment: str

    def csv(self) -> str:
        """Return the rows as RFC 4180 with a header line; numbers are formatted as by Postgres."""
        decoder = msgspec.json.Decoder(float_hook=decimal.Decimal)
        out = io.StringIO()
        writer = csv.writer(out)
        names = [column.name for column in self.columns]
        writer.writerow(names)
        for row in self.rows:
            values = decoder.decode(row)
            writer.writerow([_cell(values[name]) for name in names])
        return out.getvalue()


class SqlExecutor:
    """Runs statements over two connections as the role analyst."""

    def __init__(self, connections: pool.Pool) -> None:
        self._connections = connections

    async def execute(self, sql: str, limit: int) -> SqlResult:
        """Return the result of one SELECT. Raise InvalidSql if it is rejected, Overloaded if the queue is full."""
        statement = validator.validate(sql)
        with translate_errors():
            async with self._connections.connection() as connection:
                try:
                    return await self._run(connection, statement, limit)
                except pg.QueryCanceled as error:
                    raise InvalidSql(
                        f"The statement took more than {TIMEOUT_SECONDS:g} seconds; ask for less."
                    ) from error
                except psycopg.Error as error:
                    if isinstance(error, _SERVER_ERRORS):
                        raise
                    raise InvalidSql(_error_message(error)) from error
                finally:
                    await _reset_connection(connection)

    async def _run(self, connection: Connection, statement: str, limit: int) -> SqlResult:
        began = time.perf_counter()
        await connection.execute(_BEGIN)
        await connection.execute(_SETTINGS)
        await _require_analyst(connection)
        await _require_columns(connection, statement)
        as_of = await (
            await connection.execute("select epoch, seq, raw.mark_of(seq), slot, commitment from ops.as_of('{}')")
        ).fetchone()
        if as_of is None:
            raise errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
        # First without the wrapper: text that is one statement here cannot close the parenthesis around it below.
        await _execute_single(connection, f"prepare asked as\n{statement}")
        columns = await self._columns(connection, statement)
        rows = await _execute_single(connection, _ROWS.format(bytes=ROW_BYTES, sql=statement, most=limit + 1))
        found = [row[0] for row in await rows.fetchall()]
        if any(row is None for row in found):
            raise InvalidSql(f"A row is longer than {ROW_BYTES // 1024} KiB; select less of it.")
        shown = list(_fit_rows(found[:limit]))
        epoch, seq, mark, slot, commitment = as_of
        return SqlResult(
            columns=columns,
            rows=shown,
            is_cut=len(shown) < len(found),
            took_ms=round((time.perf_counter() - began) * 1000, 1),
            epoch=epoch,
            mark=mark,
            seq=seq,
            slot=slot,
            commitment=commitment,
        )

    async def _columns(self, connection: Connection, statement: str) -> list[ResultColumn]:
        cursor = await _execute_single(connection, _COLUMNS.format(sql=statement))
        found = cursor.description or []
        names = [column.name for column in found]
        if len(set(names)) < len(names):
            raise InvalidSql("Two columns have one name; give each its own with AS.")
        return [ResultColumn(name=column.name, type=column.type_display) for column in found]


@contextlib.asynccontextmanager
async def open_executor(settings: Settings) -> AsyncIterator[SqlExecutor | None]:
    """Provide the executor, or None unless ANALYST_SQL is on."""
    if not settings.api.analyst_sql:
        yield None
        return
    connections = pool.pool(
        settings.postgres.dsn("analyst"),
        application_name="zmart api sql",
        min_size=0,
        max_size=CONNECTIONS,
        max_waiting=MAX_WAITING,
        wait_seconds=TIMEOUT_SECONDS * 2,
        statement_timeout_seconds=TIMEOUT_SECONDS,
        autocommit=True,
        prepare_threshold=None,
    )
    await connections.open(wait=False)
    try:
        yield SqlExecutor(connections)
    finally:
        await connections.close()


async def _require_analyst(connection: Connection) -> None:
    """Reject a login that may do more than read: the list of functions alone is no boundary.

    This is checked for each statement, because a right may be granted while the connection is open.
    """
    found = await (await connection.execute(_SQL.excess_rights)).fetchall()
    if found:
        log.error(
            "sql_login_refused",
            login=found[0][0],
            reasons=[reason for _, reason in found],
            next_step="Set DATABASE_URL_ANALYST to the login of the role analyst, and revoke its other grants.",
        )
        raise errors.NotFound("This server does not accept SQL.", help="See the event sql_login_refused in its log.")


async def _require_columns(connection: Connection, statement: str) -> None:
    """Reject a function call that is written as a column."""
    names = validator.fields(statement)
    found = await (await connection.execute(_SQL.calling_fields, {"names": list(names)})).fetchone()
    if found is not None:
        raise InvalidSql(f"The function {found[0]} cannot be called as a column; name columns otherwise.")


async def _execute_single(connection: Connection, statement: str) -> psycopg.AsyncCursor[tuple[Any, ...]]:
    """Send text that must be a single statement: with binary results the protocol accepts only one."""
    cursor = connection.cursor(binary=True)
    await cursor.execute(statement.encode())
    return cursor


async def _reset_connection(connection: Connection) -> None:
    """Remove all state from the connection: transaction, settings, locks and prepared statements."""
    with contextlib.suppress(psycopg.Error):
        await connection.execute("rollback")
        await connection.execute("discard all")


def _fit_rows(rows: Sequence[str]) -> Sequence[str]:
    """Return the first rows whose total size is within the limit of an answer."""
    length = 0
    for index, row in enumerate(rows):
        length += len(row)
        if length > ANSWER_BYTES:
            return rows[:index]
    return rows


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return value


def _error_message(error: psycopg.Error) -> str:
    message = error.diag.message_primary or "Postgres rejects the statement"
    character = error.diag.statement_position
    return f"{message[:1].upper()}{message[1:].rstrip('.')}{f' (at character {character})' if character else ''}."
