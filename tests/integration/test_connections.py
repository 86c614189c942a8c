"""Settings of our connections, on a database with other defaults."""

from __future__ import annotations

import uuid

import psycopg
import pytest
from psycopg import sql

from zmart import testing
from zmart.db import feed, pool
from zmart.db.connection import KEEPALIVE, Connection, connect, connect_sync


@pytest.fixture
def compiling(database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """A database whose sessions start with the just-in-time compiler on, as on an unchanged Postgres."""
    with database.connect("postgres") as owner:
        owner.execute(sql.SQL("alter database {} set jit = on").format(sql.Identifier(database.name)))
    with database.connect() as connection:
        assert connection.execute("show jit").fetchone() == ("on",)
    return database


#: The server's side of a connection: it notices a client that is gone, and ends one that stops in a transaction.
SENT = {
    "idle_in_transaction_session_timeout": "30s",
    "lock_timeout": "15s",
    "statement_timeout": "30s",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
ALL = "select name, setting from (select unnest(%s::text[]) as name) as n, current_setting(name) as setting"


def _require_settings(info: psycopg.ConnectionInfo) -> None:
    parameters = info.get_parameters()
    assert {name: parameters[name] for name in KEEPALIVE} == dict(KEEPALIVE)


@pytest.mark.parametrize("autocommit", [True, False])
async def test_connections_of_their_own(compiling: testing.PostgresDatabase, autocommit: bool) -> None:
    """Asynchronous, synchronous, and after a rollback, too."""
    connection = await connect(compiling.dsn(), autocommit=autocommit)
    await connection.rollback()
    assert await (await connection.execute("show jit")).fetchone() == ("off",)
    assert dict(await (await connection.execute(ALL, [list(SENT)])).fetchall()) == SENT
    _require_settings(connection.info)
    await connection.close()
    with connect_sync(compiling.dsn(), autocommit=autocommit, application_name="a test") as other:
        other.rollback()
        assert other.execute("show jit").fetchone() == ("off",)
        assert other.execute("show application_name").fetchone() == ("a test",)
        assert dict(other.execute(ALL, [list(SENT)]).fetchall()) == SENT
        _require_settings(other.info)


async def test_pools_and_listeners(compiling: testing.PostgresDatabase, opened_connections: list[Connection]) -> None:
    """Each connection of a pool, and the one of a listener."""
    async with (
        pool.pool(compiling.dsn(), min_size=2) as connections,
        connections.connection() as one,
        connections.connection() as two,
    ):
        for connection in (one, two):
            assert await (await connection.execute("show jit")).fetchone() == ("off",)
            _require_settings(connection.info)
    async with feed.FeedListener(compiling.dsn(), after=feed.FeedPosition(str(uuid.uuid4()), 0)) as listener:
        await listener.start()
        connection = opened_connections[-1]
        assert connection.info.backend_pid == listener.backend_pid
        assert await (await connection.execute("show jit")).fetchone() == ("off",)
        _require_settings(connection.info)


def test_an_address_of_yours_may_say_otherwise(database: testing.PostgresDatabase) -> None:
    """Keepalive settings of DATABASE_URL are used, the others are added."""
    with connect_sync(f"{database.dsn()}?keepalives_idle=60") as connection:
        parameters = connection.info.get_parameters()
    assert (parameters["keepalives_idle"], parameters["keepalives_count"]) == ("60", "3")
