"""Writes the events of an upgraded database again, in steps, so that they give back the space of dropped columns.

A dropped column is gone at once for every reader, but a row keeps its bytes until it is written again. Each step writes
the rows of some pages again under the writer's lock, which takes some tenths of a second, and records in the same
transaction where it stopped. A run that is killed continues there. Reading and ingest go on. Every few steps a vacuum
makes the space of the old rows free for the next ones, so the table grows by a twentieth at most. The file does not get
smaller: new events take the free space. At the end the indexes are built again, beside the live ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import sql as composed

from zmart import errors
from zmart.db import queries
from zmart.db.connection import SyncConnection, connect_sync, translate_errors

sql = queries.load("zmart.run.deploy", "compaction.sql")

#: Pages of a step: about four thousand events.
STEP_PAGES: Final = 128
#: A vacuum follows this share of the table's pages, and at least so many steps.
VACUUM_SHARE: Final = 16
#: Receives the number of pages that are done and the number of all.
Report = Callable[[int, int], None]


def compact_events(dsn: str, *, report: Report = lambda done, of: None) -> int:
    """Write the rows of raw.events again that may have the bytes of a dropped column; return the number of pages.

    Raise Unavailable when the server has no space or does not answer; the next call continues where this one stopped.
    """
    with (
        translate_errors(),
        connect_sync(dsn, application_name="zmart migrate", statement_timeout_seconds=0, autocommit=True) as connection,
    ):
        try:
            return _compact(connection, report)
        except psycopg.errors.DiskFull as error:
            raise errors.Unavailable(
                "The disk of Postgres is full, so the events are not written again to the end. Nothing is lost.",
                help="Free space and run `zmart migrate` again: it continues where it stopped.",
            ) from error


def _compact(connection: SyncConnection, report: Report) -> int:
    state, has_dropped, size = _fetch_state(connection)
    # A migration that drops another column of the events deletes this state.
    if (state is not None and state["is_done"]) or not has_dropped:
        return 0
    # Rows that are appended while this runs have the new form, so the pages of the start are all.
    pages: int = state["pages"] if state is not None else size
    done: int = state["next"] if state is not None else 0
    interval = max(pages // VACUUM_SHARE, STEP_PAGES)
    vacuumed = done
    while done < pages:
        until = min(done + STEP_PAGES, pages)
        _rewrite(connection, done, until, pages)
        done = until
        report(done, pages)
        if done - vacuumed >= interval:
            connection.execute(sql.vacuum)
            vacuumed = done
    connection.execute(sql.vacuum)
    _rebuild_indexes(connection)
    with connection.transaction():
        connection.execute(sql.save_state, {"next": pages, "pages": pages, "is_done": True})
    return pages


def _rebuild_indexes(connection: SyncConnection) -> None:
    """Build the indexes again beside the live ones: rows that moved have left them half empty."""
    for (remains,) in connection.execute(sql.invalid_indexes).fetchall():
        # Of a run that was killed while it built this one.
        connection.execute(composed.SQL("drop index raw.{}").format(composed.Identifier(remains)))
    connection.execute(sql.rebuild_indexes)


def _rewrite(connection: SyncConnection, first: int, until: int, pages: int) -> None:
    with connection.transaction():
        connection.execute(sql.lock_log)
        connection.execute(sql.rewrite, {"first": first, "next": until})
        connection.execute(sql.save_state, {"next": until, "pages": pages, "is_done": False})


def _fetch_state(connection: SyncConnection) -> tuple[dict[str, Any] | None, bool, int]:
    row: Any = connection.execute(sql.state).fetchone()
    return row[0], row[1], row[2]
