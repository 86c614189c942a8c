"""Creates pools of connections to Postgres, with each connection set up as in `zmart.db.connection`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import psycopg_pool
from psycopg.abc import AdaptContext

from .connection import (
    CONNECT_TIMEOUT_SECONDS,
    STATEMENT_TIMEOUT_SECONDS,
    Connection,
    DeadlineConnection,
    session_setup,
    with_keepalive,
)

Pool: TypeAlias = psycopg_pool.AsyncConnectionPool[Connection]


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
    on_connect: Callable[[Connection], Awaitable[None]] | None = None,
) -> Pool:
    """Return a pool that is still closed: enter it with `async with`, or call `.open()` in the event loop.

    A caller waits at most `wait_seconds` for a connection, in a queue of at most `max_waiting` (0: no limit); exceeding
    either limit is Overloaded under `translate_errors()`. With `check`, a connection is tested before it is lent, which
    costs a round trip; without it, the borrower may get a dead one. `session` contains further settings of Postgres for
    each connection, `context` adapters that write and read values in another way than the driver's own. `on_connect` is
    awaited for each new connection before it is lent.
    """
    return psycopg_pool.AsyncConnectionPool(
        with_keepalive(dsn),
        connection_class=DeadlineConnection,
        min_size=min_size,
        max_size=max_size,
        max_waiting=max_waiting,
        timeout=wait_seconds,
        name=application_name,
        open=False,
        configure=_configure(session_setup(application_name, statement_timeout_seconds, session or {}), on_connect),
        check=psycopg_pool.AsyncConnectionPool.check_connection if check else None,
        kwargs={
            "autocommit": autocommit,
            "prepare_threshold": prepare_threshold,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "context": context,
        },
    )


def _configure(
    set_up: Callable[[Connection], Awaitable[None]], on_connect: Callable[[Connection], Awaitable[None]] | None
) -> Callable[[Connection], Awaitable[None]]:
    async def configure(connection: Connection) -> None:
        await set_up(connection)
        if on_connect is not None:
            await on_connect(connection)
            if not connection.autocommit:
                await connection.commit()

    return configure
