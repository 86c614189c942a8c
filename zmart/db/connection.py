"""Opens connections to Postgres and translates the driver's errors into ours; no other module does either.

A connection sets its name (`application_name`), timeouts for statements and locks, and `SESSION`. All are set
after connecting rather than as start-up options, which session poolers refuse. dbt and Dagster open their own
connections, with psycopg2, and do not allow a SET: they use `with_session_options`, in the start-up options that they
send anyway for the role and the search path.

Every wait for the server ends. The server's own timeouts end a statement that is slow. The client's deadline, a little
longer, ends the wait for a server that is stopped or unreachable behind a proxy that keeps the connection open; the
connection is closed then, because the server may still answer the old statement. TCP keepalives end the rest.

Callers wrap their statements in `translate_errors()`: the branch of `zmart.errors` then shows whether another attempt
can help. Mistakes in our own SQL are not translated, because they are bugs. Services that run against a schema that may
not be deployed yet use `translate_all_errors()`, which makes those mistakes Unavailable too.

`ReconnectingConnection` serves tasks that use one connection for as long as the process runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import psycopg
import psycopg_pool
from psycopg import conninfo, sql
from psycopg import errors as pg
from psycopg.abc import RV, PQGen

from zmart import errors

Connection: TypeAlias = psycopg.AsyncConnection[tuple[Any, ...]]
SyncConnection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

#: Long enough for any statement of a service, short enough that a stuck one frees its connection.
STATEMENT_TIMEOUT_SECONDS = 30.0
#: A server on the same network answers in milliseconds; a dead one must be noticed.
CONNECT_TIMEOUT_SECONDS = 10
#: How often a wait looks whether it was interrupted; the driver's own default.
POLL_SECONDS = 0.1
#: How much longer than the server's statement timeout the client waits for the server's answer.
DEADLINE_MARGIN_SECONDS = 5.0
#: No lock of ours is held for longer, except by a statement that has no timeout either.
LOCK_TIMEOUT_SECONDS = 15.0
#: For dbt, which waits for readers of marts; an analyst's statement may take 60 s.
START_UP_LOCK_TIMEOUT_SECONDS = 90
#: Settings of every connection, whatever the server's own configuration is. With the just-in-time compiler on, as in an
#: unchanged Postgres, a delivery of five transactions takes 1.4 to 10 s instead of 0.01 to 0.06: a fold's statement is
#: compiled each time, and is too short to win that back. The others free the locks of a client that is stopped in the
#: middle of a transaction, or whose host is gone: without them a dead host holds the log's lock for two hours.
SESSION: Mapping[str, str] = MappingProxyType(
    {
        "jit": "off",
        "idle_in_transaction_session_timeout": "30000",
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }
)
#: The kernel notices within this time that a peer vanished without closing its connection.
KEEPALIVE: Mapping[str, str] = MappingProxyType(
    {
        "keepalives_idle": "5",
        "keepalives_interval": "2",
        "keepalives_count": "3",
        "tcp_user_timeout": "10000",
    }
)


class DeadlineConnection(psycopg.AsyncConnection[tuple[Any, ...]]):
    """A connection that is closed when the server does not answer in time."""

    #: Seconds that one answer may take; None where a statement has no timeout.
    deadline_seconds: float | None = STATEMENT_TIMEOUT_SECONDS + DEADLINE_MARGIN_SECONDS

    async def wait(
        self,
        gen: PQGen[RV],
        interval: float = POLL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109 - the driver's
    ) -> RV:
        """Wait as the driver does; raise OperationalError and close the connection after the deadline."""
        if timeout is not None or self.deadline_seconds is None:
            return await super().wait(gen, interval, timeout)
        try:
            return await super().wait(gen, interval, self.deadline_seconds)
        except pg._WaitTimeout:
            self.pgconn.finish()
            raise _deadline_error(self.deadline_seconds) from None


class SyncDeadlineConnection(psycopg.Connection[tuple[Any, ...]]):
    """The same for synchronous code."""

    #: Seconds that one answer may take; None where a statement has no timeout.
    deadline_seconds: float | None = STATEMENT_TIMEOUT_SECONDS + DEADLINE_MARGIN_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = POLL_SECONDS, timeout: float | None = None) -> RV:
        """Wait as the driver does; raise OperationalError and close the connection after the deadline."""
        if timeout is not None or self.deadline_seconds is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.deadline_seconds)
        except pg._WaitTimeout:
            self.pgconn.finish()
            raise _deadline_error(self.deadline_seconds) from None


def _deadline_error(seconds: float) -> psycopg.OperationalError:
    return psycopg.OperationalError(f"no answer within {seconds:.0f} s; the connection is closed")


def deadline_seconds(statement_timeout_seconds: float) -> float | None:
    """Return how long the client waits for the answer to a statement with this timeout; None without a timeout."""
    return statement_timeout_seconds + DEADLINE_MARGIN_SECONDS if statement_timeout_seconds else None


async def connect(
    dsn: str,
    *,
    application_name: str = "zmart",
    statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
    autocommit: bool = False,
    prepare_threshold: int | None = 5,
) -> Connection:
    """Open one separate connection, outside any pool.

    `statement_timeout_seconds` of 0 means none. `prepare_threshold` of None suits a transaction pooler. Raise
    Unavailable when the server does not answer, and Unauthorized when it refuses the login.
    """
    with translate_errors():
        connection = await DeadlineConnection.connect(
            with_keepalive(dsn),
            autocommit=autocommit,
            prepare_threshold=prepare_threshold,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
        )
        await session_setup(application_name, statement_timeout_seconds)(connection)
    return connection


def connect_sync(
    dsn: str,
    *,
    application_name: str | None = None,
    statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
    connect_timeout_seconds: int = CONNECT_TIMEOUT_SECONDS,
    autocommit: bool = False,
    prepare_threshold: int | None = 5,
) -> SyncConnection:
    """Open one synchronous connection; the driver's errors are not translated.

    `statement_timeout_seconds` of 0 means none.
    """
    connection = SyncDeadlineConnection.connect(
        with_keepalive(dsn),
        autocommit=autocommit,
        prepare_threshold=prepare_threshold,
        connect_timeout=connect_timeout_seconds,
    )
    try:
        connection.execute(_settings(application_name, statement_timeout_seconds), prepare=False)
        if not autocommit:
            connection.commit()
        connection.deadline_seconds = deadline_seconds(statement_timeout_seconds)
    except BaseException:
        connection.close()
        raise
    return connection


def with_keepalive(dsn: str) -> str:
    """Return `dsn` with the keepalive settings that it does not contain itself."""
    return conninfo.make_conninfo("", **{**KEEPALIVE, **conninfo.conninfo_to_dict(dsn)})


def with_session_options(options: str) -> str:
    """Return the start-up options `options` with `SESSION` added, for drivers that we cannot configure."""
    session = {**SESSION, "lock_timeout": f"{START_UP_LOCK_TIMEOUT_SECONDS}s"}
    return " ".join(filter(None, [options, *(f"-c {name}={value}" for name, value in session.items())]))


class ReconnectingConnection:
    """A connection that is opened when it is needed and reopened after it was lost.

    It never repeats a statement: the caller gets the error and decides. The session's state (temporary tables, LISTEN,
    prepared statements) is gone after a reconnect; `on_connect` sets it up, and `generation` shows that it is new.
    """

    def __init__(
        self,
        dsn: str,
        *,
        application_name: str,
        statement_timeout_seconds: float = STATEMENT_TIMEOUT_SECONDS,
        autocommit: bool = True,
        on_connect: Callable[[Connection], Awaitable[None]] | None = None,
    ) -> None:
        self._dsn = dsn
        self._application_name = application_name
        self._statement_timeout_seconds = statement_timeout_seconds
        self._autocommit = autocommit
        self._on_connect = on_connect
        self._connection: Connection | None = None
        # Two tasks that find the connection lost must not open one each.
        self._connecting = asyncio.Lock()
        #: How many connections were opened; it grows with each reconnect.
        self.generation = 0

    @property
    def backend_pid(self) -> int | None:
        """Return the pid of the server process of the connection, or None without a connection."""
        connection = self._open_connection()
        return None if connection is None else connection.info.backend_pid

    async def get(self) -> Connection:
        """Return the connection; open it and set it up where there is none.

        Raise Unavailable when the server does not answer, Unauthorized when it refuses the login, and the errors of
        `on_connect`; a connection that could not be set up is closed.
        """
        if (connection := self._open_connection()) is not None:
            return connection
        async with self._connecting:
            if (connection := self._open_connection()) is None:
                connection = self._connection = await self._connect()
                self.generation += 1
            return connection

    async def close(self) -> None:
        """Close the connection; `get` afterwards opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _open_connection(self) -> Connection | None:
        connection = self._connection
        return None if connection is None or connection.closed else connection

    async def _connect(self) -> Connection:
        connection = await connect(
            self._dsn,
            application_name=self._application_name,
            statement_timeout_seconds=self._statement_timeout_seconds,
            autocommit=self._autocommit,
        )
        if self._on_connect is not None:
            try:
                with translate_errors():
                    await self._on_connect(connection)
            except BaseException:
                await connection.close()
                raise
        return connection


@contextlib.contextmanager
def translate_errors() -> Iterator[None]:
    """Translate the driver's errors into ours, with the original as the cause."""
    try:
        yield
    except (psycopg.Error, psycopg_pool.PoolTimeout) as error:
        ours = translate(error)
        if ours is None:
            raise
        raise ours from error


@contextlib.contextmanager
def translate_all_errors(failure: str) -> Iterator[None]:
    """Translate as `translate_errors` does, and mistakes in our own SQL into Unavailable("`failure`: reason.").

    Where the schema is not deployed yet, a correct statement fails in the same way, and succeeds a moment later.
    """
    try:
        with translate_errors():
            yield
    except psycopg.Error as bug:
        raise errors.Unavailable(f"{failure}: {bug.diag.message_primary or bug}.") from bug


#: Checked from the top; the first class that matches decides.
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
    (pg.ExclusionViolation, errors.Conflict),
    (pg.NoDataFound, errors.NotFound),
    (pg.IntegrityError, errors.InvalidInput),
    (pg.DataError, errors.InvalidInput),
    (pg.RaiseException, errors.InvalidInput),
    (pg.OperationalError, errors.Unavailable),
    (pg.InterfaceError, errors.Unavailable),
)


def translate(error: Exception) -> errors.ZmartError | None:
    """Return our error for `error`, or None when it is a mistake in our code.

    The message contains only the server's primary message, because its DETAIL quotes values of rows.
    """
    for theirs, ours in _ERROR_CLASSES:
        if isinstance(error, theirs):
            return ours(_error_message(error), help=_next_step(error))
    return None


def _next_step(error: Exception) -> str | None:
    """Return the setting to look at where no connection could be opened; statements that fail need another step."""
    if isinstance(error, pg.InvalidPassword | pg.InvalidAuthorizationSpecification):
        return "Check user and password in DATABASE_URL."
    if isinstance(error, pg.InvalidCatalogName):
        return "Check the name of the database in DATABASE_URL."
    if isinstance(error, psycopg.OperationalError) and error.sqlstate is None and "connection" in str(error):
        return "Check that Postgres runs and that DATABASE_URL has its address."
    return None


def _error_message(error: Exception) -> str:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    message = primary or (str(error).strip().splitlines() or ["no message"])[0]
    return f"Postgres: {message.rstrip('.')}."


def session_setup(
    application_name: str, statement_timeout_seconds: float, session: Mapping[str, str] = MappingProxyType({})
) -> Callable[[Connection], Awaitable[None]]:
    """Return the function that sets the settings of a new connection."""
    statements = _settings(application_name, statement_timeout_seconds, session)

    async def set_up(connection: Connection) -> None:
        await connection.execute(statements, prepare=False)
        if not connection.autocommit:
            await connection.commit()
        if isinstance(connection, DeadlineConnection):
            connection.deadline_seconds = deadline_seconds(statement_timeout_seconds)

    return set_up


def _settings(
    application_name: str | None,
    statement_timeout_seconds: float,
    session: Mapping[str, str] = MappingProxyType({}),
) -> sql.Composed:
    settings = {**SESSION, **session, "statement_timeout": str(round(statement_timeout_seconds * 1000))}
    if statement_timeout_seconds:
        settings["lock_timeout"] = str(round(min(statement_timeout_seconds, LOCK_TIMEOUT_SECONDS) * 1000))
    if application_name is not None:
        settings["application_name"] = application_name
    return sql.SQL("; ").join(
        sql.SQL("set {} = {}").format(sql.Identifier(name), value) for name, value in settings.items()
    )
