"""Detects connection poolers in transaction mode, behind which nothing of ours works reliably.

They lend a backend for one transaction: LISTEN, temporary tables, prepared statements and the settings of a session are
lost between two statements. A pooler that is idle may lend the same backend again, so statements of one connection show
nothing; two connections that take turns do.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable

import psycopg

from zmart import errors

from . import queries
from .connection import SyncConnection, connect_sync, translate_errors

sql = queries.load("zmart.db", "poolers.sql")

STATEMENT_TIMEOUT_SECONDS = 5.0
CONNECT_TIMEOUT_SECONDS = 5
TRIES = 2
ROUNDS = 3
NEXT_STEP = "Use the session port."


def require_session_mode(dsns: Iterable[str]) -> None:
    """Raise ConfigurationError if an address leads to a pooler in transaction mode.

    A server that does not answer raises nothing: it may come later, and other checks report it.
    """
    for dsn in dict.fromkeys(dsns):
        if _is_transaction_pooler_if_known(dsn):
            raise errors.ConfigurationError(
                "The address of Postgres leads to a pooler in transaction mode, which keeps no sessions.",
                help=NEXT_STEP,
            )


def is_transaction_pooler(dsn: str) -> bool:
    """Return whether one of two connections ever meets another backend than its own. Raise the database's errors."""
    with translate_errors(), _connect(dsn) as first, _connect(dsn) as second:
        sessions = {connection: _mark_session(connection) for connection in (first, second)}
        if sessions[first][1] == sessions[second][1]:
            return True
        # Poolers differ in which idle backend they lend next: several orders of statements find all of them.
        for holder, other in [(first, second), (second, first)] * ROUNDS:
            with holder.transaction():
                # The backend that the holder uses now cannot be lent to the other one.
                found = [(holder, _session(holder)), (other, _session(other))]
            found += [(other, _session(other)), (other, _session(other))]
            if any(session != sessions[connection] for connection, session in found):
                return True
    return False


def _is_transaction_pooler_if_known(dsn: str) -> bool:
    """Return what is_transaction_pooler finds; False if the server does not answer, twice: a busy one may be slow."""
    for _ in range(TRIES):
        with contextlib.suppress(psycopg.Error, errors.ZmartError):
            return is_transaction_pooler(dsn)
    return False


def _connect(dsn: str) -> SyncConnection:
    return connect_sync(
        dsn,
        application_name="zmart pooler check",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        connect_timeout_seconds=CONNECT_TIMEOUT_SECONDS,
        autocommit=True,
        prepare_threshold=None,
    )


def _mark_session(connection: SyncConnection) -> tuple[object, ...]:
    return _row(connection.execute(sql.mark_session, {"mark": secrets.token_hex(8)}))


def _session(connection: SyncConnection) -> tuple[object, ...]:
    return _row(connection.execute(sql.session))


def _row(cursor: psycopg.Cursor[tuple[object, ...]]) -> tuple[object, ...]:
    row = cursor.fetchone()
    assert row is not None
    return row
