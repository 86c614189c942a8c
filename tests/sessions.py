"""Queries about the sessions of a test's own database.

The tests share one server, and their databases are copies of a template, so even the numbers of their tables are the
same: a query of pg_stat_activity or pg_locks that names no database also finds the sessions of other tests.
"""

from __future__ import annotations

from typing import Any

import psycopg

#: The number of sessions that wait for the right to append.
WAITING_APPENDS = (
    "select count(*) from pg_locks as l inner join pg_database as d on l.database = d.oid"
    " where d.datname = current_database() and not l.granted and l.relation = 'raw.writer'::regclass"
)
#: The number of locks that the session with this application name waits for.
WAITING_LOCKS = (
    "select count(*) from pg_locks as l inner join pg_stat_activity as a on a.pid = l.pid"
    " where a.datname = current_database() and a.application_name = %s and not l.granted"
)


def backend_pid(connection: psycopg.Connection[Any], application: str) -> int:
    """Return the server process of the session with this application name in the database of `connection`."""
    row = connection.execute(
        "select pid from pg_stat_activity where application_name = %s and datname = current_database()", (application,)
    ).fetchone()
    assert row is not None, f"no session is named {application}"
    return int(row[0])
