"""Connections to Postgres, and the one place where the driver's errors become ours.

A connection says who it is (`application_name`), gives up on a statement that runs too long, and
switches the just-in-time compiler off. All are set after connecting rather than as start-up options,
which session poolers refuse. dbt and Dagster open connections of their own, with psycopg2, and give
us no place for a SET: they get `with_session_options`, in the start-up options that they send anyway
for the role and the search path.

Callers wrap what they do in `translated()`: the branch of `zmart.errors` then says whether trying
again can help. Mistakes in our own SQL pass through untouched, for they are bugs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import psycopg
import psycopg_pool
from psycopg import conninfo, sql
from psycopg import errors as pg
from psycopg.abc import AdaptContext

from zmart import errors

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
Pool: TypeAlias = psycopg_pool.AsyncConnectionPool[Connection]

#: Long enough for any statement of a service, short enough that a stuck one frees its connection.
STATEMENT_TIMEOUT_SECONDS = 30.0
#: A server on the same network answers in milliseconds; a dead one should be noticed.
CONNECT_TIMEOUT_SECONDS = 10
#: What every connection sets, whatever the server's own configuration says. With the compiler on, as an unchanged
#: Postgres has it, a delivery of five transactions takes 1.4 to 10 s instead of 0.01 to 0.06: a fold's statement is
#: compiled each time, and is too short to win that back.
SESSION: Mapping[str, str] = MappingProxyType({"jit": "off"})
#: A peer that vanished without closing its connection is noticed within this time, by the kernel.
KEEPALIVE: Mapping[str, str] = MappingProxyType(
    {
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }
)


async def connect(
    dsn: str,
    *,
    application_name: str = "zmart",
    statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
    autocommit: bool = False,
    prepare_threshold: int | None = 5,
) -> Connection:
    """Open one connection of its own, outside any pool.

    `statement_timeout_seconds` of 0 means none. `prepare_threshold` of None suits a transaction
    pooler. Raises Unavailable when the server does not answer, Unauthorized when it refuses the
    login.
    """
    with translate_errors():
        connection = await psycopg.AsyncConnection.connect(
            with_keepalive(dsn),
            autocommit=autocommit,
            prepare_threshold=prepare_threshold,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
        )
        await _session_setup(application_name, statement_timeout_seconds)(connection)
    return connection


def connect_sync(
    dsn: str,
    *,
    application_name: str | None = None,
    statement_timeout_seconds: float | None = None,
    connect_timeout_seconds: int = CONNECT_TIMEOUT_SECONDS,
    autocommit: bool = False,
    prepare_threshold: int | None = 5,
) -> psycopg.Connection[tuple[Any, ...]]:
    """Open one synchronous connection; the driver's errors pass as they are.

    `statement_timeout_seconds` of None leaves the timeout as the server has it, 0 means none.
    """
    connection = psycopg.connect(
        with_keepalive(dsn),
        autocommit=autocommit,
        prepare_threshold=prepare_threshold,
        connect_timeout=connect_timeout_seconds,
    )
    try:
        connection.execute(_settings(application_name, statement_timeout_seconds), prepare=False)
        if not autocommit:
            connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection


def with_keepalive(dsn: str) -> str:
    """Return `dsn` with the keepalive settings that it does not have itself."""
    return conninfo.make_conninfo("", **{**KEEPALIVE, **conninfo.conninfo_to_dict(dsn)})


def with_session_options(options: str) -> str:
    """Return the start-up options `options` with `SESSION` added, for drivers that are not ours to configure."""
    return " ".join(filter(None, [options, *(f"-c {name}={value}" for name, value in SESSION.items())]))


def pool(
    dsn: str,
    *,
    application_name: str = "zmart",
    min_size: int = 1,
    max_size: int = 8,
    statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
    wait_seconds: float = 5.0,
    max_waiting: int = 0,
    prepare_threshold: int | None = 5,
    autocommit: bool = False,
    check: bool = True,
    session: Mapping[str, str] | None = None,
    context: AdaptContext | None = None,
) -> Pool:
    """Make a pool, still closed: enter it with `async with`, or call `.open()` in the event loop.

    A caller waits at most `wait_seconds` for a connection, in a queue of at most `max_waiting`
    (0: no bound); either limit is Overloaded under `translated()`. With `check` a connection is
    tried before it is lent, which costs a round trip; without, the borrower may be lent a dead one.
    `session` holds further settings of Postgres for each connection, `context` how values are
    written and read where that is not as the driver does.
    """
    return psycopg_pool.AsyncConnectionPool(
        with_keepalive(dsn),
        min_size=min_size,
        max_size=max_size,
        max_waiting=max_waiting,
        timeout=wait_seconds,
        name=application_name,
        open=False,
        configure=_session_setup(application_name, statement_timeout_seconds, session or {}),
        check=psycopg_pool.AsyncConnectionPool.check_connection if check else None,
        kwargs={
            "autocommit": autocommit,
            "prepare_threshold": prepare_threshold,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "context": context,
        },
    )


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Turn the driver's errors into ours, keeping the original as the cause."""
    try:
        yield
    except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error


#: Checked from the top; the first class that fits decides.
_ERROR_CLASSES: tuple[tuple[type[Exception], type[errors.ZmartError]], ...] = (
    (psycopg_pool.TooManyRequests, errors.Overloaded),
    (psycopg_pool.PoolTimeout, errors.Overloaded),
    (pg.TooManyConnections, errors.Overloaded),
    (pg.QueryCanceled, errors.Overloaded),
    (pg.LockNotAvailable, errors.Overloaded),
    (pg.SerializationFailure, errors.Overloaded),
    (pg.DeadlockDetected, errors.Overloaded),
    (pg.InvalidAuthorizationSpecification, errors.Unauthorized),
    (pg.InvalidPassword, errors.Unauthorized),
    (pg.InvalidCatalogName, errors.ConfigurationError),
    (pg.InsufficientPrivilege, errors.Unauthorized),
    (pg.UniqueViolation, errors.Conflict),
    (pg.ExclusionViolation, errors.Conflict),
    (pg.NoDataFound, errors.NotFound),
    (pg.IntegrityError, errors.InvalidInput),
    (pg.DataError, errors.InvalidInput),
    (pg.RaiseException, errors.InvalidInput),
    (pg.OperationalError, errors.Unavailable),
    (pg.InterfaceError, errors.Unavailable),
)


def translate(error: Exception) -> errors.ZmartError | None:
    """Return what `error` means to a caller, or None when it is a mistake of ours.

    Only the server's primary message is repeated: its DETAIL quotes values of rows.
    """
    for theirs, ours in _ERROR_CLASSES:
        if isinstance(error, theirs):
            return ours(_error_message(error))
    return None


def _error_message(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    message = primary or (str(error).strip().splitlines() or ["no message"])[0]
    return f"Postgres: {message.rstrip('.')}."


def _session_setup(
    application_name: str, statement_timeout_seconds: float, session: Mapping[str, str] = MappingProxyType({})
) -> Callable[[Connection], Awaitable[None]]:
    statements = _settings(application_name, statement_timeout_seconds, session)

    async def set_up(connection: Connection) -> None:
        await connection.execute(statements, prepare=False)
        if not connection.autocommit:
            await connection.commit()

    return set_up


def _settings(
    application_name: str | None,
    statement_timeout_seconds: float | None,
    session: Mapping[str, str] = MappingProxyType({}),
) -> sql.Composed:
    settings = {**SESSION, **session}
    if application_name is not None:
        settings["application_name"] = application_name
    if statement_timeout_seconds is not None:
        settings["statement_timeout"] = str(round(statement_timeout_seconds * 1000))
    return sql.SQL("; ").join(
        sql.SQL("set {} = {}").format(sql.Identifier(name), value) for name, value in settings.items()
    )
