"""Reports who holds the log's lock while commits wait for it."""

from __future__ import annotations

from zmart import errors

from . import queries
from .connection import Connection, translate_errors

sql = queries.load("zmart.db", "locks.sql")

#: A commit holds the lock for milliseconds; a wait of this length means that its holder is stuck.
STUCK_SECONDS = 5.0


async def require_free_writer(connection: Connection) -> None:
    """Raise Unavailable, with the holder of the lock, when a session has waited for it for too long."""
    with translate_errors():
        row = await (await connection.execute(sql.writer_wait)).fetchone()
    if row is not None and (message := describe_wait(*row)) is not None:
        raise errors.Unavailable(message)


def describe_wait(seconds: float, pid: int | None, login: str | None, name: str | None) -> str | None:
    """Return the sentences about a wait for the log's lock, or None for a short one."""
    if seconds < STUCK_SECONDS:
        return None
    waited = f"Commits have waited for the log's lock for {seconds:.0f} seconds."
    if pid is None:
        return waited
    who = f"pid {pid} ({', '.join(filter(None, [name, login]))})"
    return f"{waited} It is held by {who}; if that does not end, run as superuser: select pg_terminate_backend({pid})"
