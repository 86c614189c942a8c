"""Writes to the database as one wallet at a time.

Every write calls a function of the schema `app`, in a transaction with a setting that names the acting wallet. The
functions and row level security decide what that wallet may do. The role zmart_api can neither write a table nor read
another wallet's private rows, whatever statement it sends.

A function rejects a call with an SQLSTATE of this project, ZM followed by the HTTP status, and a message.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import psycopg

from zmart import errors as zmart_errors
from zmart.db import feed, pool, queries
from zmart.db.connection import translate_errors

from . import errors

#: Writers take turns at the log, so more connections would only wait.
_CONNECTIONS: Final = 4
_MAX_WAITING: Final = 200
#: Longer than the five seconds for which a function waits for the log.
_STATEMENT_SECONDS: Final = 8.0
_CONNECTION_SECONDS: Final = 2.0

_REFUSALS: Mapping[str, type[zmart_errors.ZmartError]] = {
    "ZM401": errors.NotSignedIn,
    "ZM403": errors.Forbidden,
    "ZM404": zmart_errors.NotFound,
    "ZM409": zmart_errors.Conflict,
    "ZM422": errors.Unprocessable,
}


@dataclasses.dataclass
class IdempotentWrite:
    """The Idempotency-Key of the running request, and whether its write has been recorded."""

    key: str
    is_recorded: bool = False


#: Set while a request with an Idempotency-Key runs (middleware.idempotency).
idempotent_write: contextvars.ContextVar[IdempotentWrite | None] = contextvars.ContextVar(
    "idempotent_write", default=None
)


class WalletWrites:
    """Runs write statements over the connections for writes."""

    def __init__(self, connections: pool.Pool, on_write: Callable[[], None]) -> None:
        self._connections = connections
        #: Called when something may have been written, before the response is sent.
        self._on_write = on_write
        #: When each running write began, on the monotonic clock.
        self._running: dict[object, float] = {}

    @property
    def running_seconds(self) -> float:
        """Return the age of the oldest write that has not ended; 0 without one."""
        return time.monotonic() - min(self._running.values()) if self._running else 0.0

    async def run_as_wallet(
        self,
        wallet: str,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        is_moderator: bool = False,
    ) -> tuple[Any, ...] | None:
        """Run one statement in a transaction of this wallet, commit, and return the first row.

        `is_moderator` gives the transaction the rights of a wallet of MODERATOR_WALLETS.

        Raises the error that the called function rejects with (NotSignedIn, Forbidden, NotFound, Conflict,
        Unprocessable), and Unavailable or Overloaded if the statement cannot run now.
        """
        key = object()
        self._running[key] = time.monotonic()
        with translate_errors():
            try:
                return await self._run(wallet, is_moderator, statement, parameters)
            except psycopg.Error as error:
                refusal = _refusal(error)
                if refusal is None:
                    raise
                raise refusal from error
            finally:
                del self._running[key]
                # Also after a failure: a commit may have happened before its connection broke.
                self._on_write()

    async def _run(
        self, wallet: str, is_moderator: bool, statement: str, parameters: Mapping[str, Any] | None
    ) -> tuple[Any, ...] | None:
        async with self._connections.connection() as connection:
            # Local to the transaction: the next user of the connection starts without a wallet.
            await connection.execute(
                "select set_config('zmart.wallet', %s, true), set_config('zmart.is_moderator', %s, true)",
                [wallet, "true" if is_moderator else ""],
            )
            running = idempotent_write.get()
            if running is not None and not running.is_recorded:
                # In the transaction of the write: both are committed, or neither is.
                await connection.execute(_text("mark_idempotent_write"), {"key": running.key})
                running.is_recorded = True
            try:
                cursor = await connection.execute(statement, parameters)
            except psycopg.errors.CannotConnectNow:
                # Opened before the server was promoted: another connection finds the log's epoch (feed.check_identity).
                await connection.close()
                raise
            return await cursor.fetchone()


@contextlib.asynccontextmanager
async def open_wallet_writes(dsn: str, on_write: Callable[[], None]) -> AsyncIterator[WalletWrites]:
    """Provide writes over separate connections, so that a slow write delays no reader.

    `on_write` is called when something may have been written, before the response is sent.
    """
    connections = pool.pool(
        dsn,
        application_name="zmart api writes",
        min_size=1,
        max_size=_CONNECTIONS,
        max_waiting=_MAX_WAITING,
        statement_timeout_seconds=_STATEMENT_SECONDS,
        wait_seconds=_CONNECTION_SECONDS,
        # A write is never sent twice, so a dead connection must be detected before it is used.
        check=True,
        on_connect=feed.check_identity,
    )
    await connections.open(wait=False)
    try:
        yield WalletWrites(connections, on_write)
    finally:
        await connections.close()


def names() -> tuple[str, ...]:
    """Return the names of the statements of writes.sql."""
    return tuple(queries.load("api", "writes.sql"))


@functools.cache
def statement(name: str) -> str:
    """Return a statement of writes.sql."""
    return _text(name)


def _text(name: str) -> str:
    text: str = getattr(queries.load("api", "writes.sql"), name)
    return text


def _refusal(error: psycopg.Error) -> zmart_errors.ZmartError | None:
    kind = _REFUSALS.get(error.sqlstate or "")
    if kind is None:
        return None
    message = (error.diag.message_primary or "").rstrip(".")
    return kind(f"{message[:1].upper()}{message[1:]}.")
