"""Detects connection poolers in transaction mode, behind which nothing of ours works reliably.

They lend a backend for one transaction: LISTEN, temporary tables, prepared statements and the settings of a session are
lost between two statements. A pooler that is idle lends the same backend again, so statements of one connection show
nothing; two connections do.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import psycopg

from zmart import errors

from . import queries
from .connection import SyncConnection, connect_sync, translate_errors

sql = queries.load("zmart.db", "poolers.sql")

STATEMENT_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 5
NEXT_STEP = "Use the session port."


def require_session_mode(dsns: Iterable[str]) -> None:
    """Raise ConfigurationError if an address leads to a pooler in transaction mode.

    A server that does not answer raises nothing: it may come later, and other checks report it.
    """
    for dsn in dict.fromkeys(dsns):
        try:
            found = is_transaction_pooler(dsn)
        except (psycopg.Error, errors.ZmartError):
            continue
        if found:
            raise errors.ConfigurationError(
                "The address of Postgres leads to a pooler in transaction mode, which keeps no sessions.",
                help=NEXT_STEP,
            )


def is_transaction_pooler(dsn: str) -> bool:
    """Return whether two connections share a backend, or one loses its session. Raise the database's errors."""
    with translate_errors(), _connect(dsn) as first, _connect(dsn) as second:
        mark = secrets.token_hex(8)
        session = (mark, _row(first, sql.mark_session, mark)[1])
        if _row(second, sql.session) == session or _row(second, sql.session)[1] == session[1]:
            return True
        with second.transaction():
            # A backend that the second connection holds cannot be lent to the first one meanwhile.
            second.execute(sql.session)
            return _row(first, sql.session) != session


def _connect(dsn: str) -> SyncConnection:
    return connect_sync(
        dsn,
        application_name="zmart pooler check",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        autocommit=True,
        prepare_threshold=None,
    )


def _row(connection: SyncConnection, statement: str, mark: str = "") -> tuple[object, ...]:
    row = connection.execute(statement, {"mark": mark}).fetchone()
    assert row is not None
    return row
