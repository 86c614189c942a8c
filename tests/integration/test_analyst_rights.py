"""The login of analysts cannot disturb the services: no notifications, locks, WAL or signals by functions."""

from __future__ import annotations

import pytest
from psycopg import errors as pg

from zmart import testing
from zmart.db import migrate

FORBIDDEN = {
    "notify": "select pg_notify('zmart_feed', repeat('x', 7000)) from generate_series(1, 100)",
    "end a session": "select pg_terminate_backend(0)",
    "cancel a statement": "select pg_cancel_backend(0)",
    "write WAL": "select pg_logical_emit_message(false, 'x', repeat('x', 1000000))",
    "write WAL as bytes": "select pg_logical_emit_message(true, 'x', 'y'::bytea)",
    "write a large object": "select lo_from_bytea(0, 'x')",
    "create a large object": "select lo_create(0)",
    "take a transaction number": "select pg_current_xact_id()",
    "take a transaction number by its earlier name": "select txid_current()",
    "lock": "select pg_advisory_lock(1)",
    "lock for a transaction": "select pg_advisory_xact_lock(hashtextextended('zmart roles', 0))",
    "try to lock": "select pg_try_advisory_lock(1)",
}


@pytest.mark.parametrize("deed", FORBIDDEN)
def test_an_analyst_cannot_disturb_the_services(database: testing.PostgresDatabase, deed: str) -> None:
    """Although the session may turn its read-only default off."""
    with database.connect("analyst") as analyst:
        analyst.execute("set default_transaction_read_only = off")
        with pytest.raises(pg.InsufficientPrivilege, match="permission denied for function"):
            analyst.execute(FORBIDDEN[deed].encode())


@pytest.mark.parametrize("role", ["zmart_owner", "zmart_ingest", "zmart_api", "zmart_keeper"])
def test_the_services_can_still_notify_and_lock(database: testing.PostgresDatabase, role: str) -> None:
    """They commit with notifications and take locks, also after the roles were prepared once more."""
    migrate.prepare(database.dsn("postgres"))
    with database.connect(role) as service:
        service.execute("select pg_notify('zmart_feed', ''), pg_advisory_xact_lock(1)")


def test_an_analyst_cannot_take_every_connection(database: testing.PostgresDatabase) -> None:
    """The services need connections, whatever one login does."""
    with database.connect("postgres") as owner:
        (limit,) = owner.execute("select rolconnlimit from pg_roles where rolname = 'analyst'").fetchone() or (None,)
    assert isinstance(limit, int)
    assert 0 < limit < 50
