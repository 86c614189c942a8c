"""Analysts who listen and do not read cannot fill the server's queue of notifications."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

import psycopg
import pytest
from psycopg import conninfo, sql
from psycopg.pq import ExecStatus

from ingest import notification_watch
from ingest.notification_watch import ALERT, NotificationWatch
from zmart import testing
from zmart.run.postgres import embedded

#: The part of the queue that `_fill` exceeds.
LIMIT = 0.0005
OPEN_ALERTS = "select severity, message from ops.alerts where kind = %s and resolved_at is null"


@pytest.fixture(scope="module")
def own_server() -> Iterator[testing.PostgresServer]:
    """A server for these tests alone: the queue belongs to the server, and the watch ends analysts of all its
    databases."""
    with testing.temporary_server() as running:
        server = testing.PostgresServer(origin="own", admin_dsn=running.dsn(embedded.SUPERUSER))
        server.provision()
        yield server


@pytest.fixture(scope="module")
def own_template(own_server: testing.PostgresServer) -> Iterator[testing.PostgresDatabase]:
    """The migrated log on that server."""
    with own_server.template(testing.apply_migrations) as template:
        yield template


@pytest.fixture
def database(
    own_server: testing.PostgresServer, own_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A migrated database for one test."""
    with own_server.clone(own_template) as database:
        yield database


@pytest.fixture
async def watch(database: testing.PostgresDatabase) -> AsyncIterator[NotificationWatch]:
    """The watch, with a limit that a test reaches in a moment."""
    watch = NotificationWatch(database.dsn("zmart_ingest"), limit=LIMIT)
    yield watch
    await watch.stop()


def _usage(connection: psycopg.Connection[tuple[object, ...]]) -> float:
    ((usage,),) = connection.execute("select pg_notification_queue_usage()").fetchall()
    return float(str(usage))


def _fill(analyst: psycopg.Connection[tuple[object, ...]]) -> None:
    """Notify by the command, which no right forbids, until the queue exceeds the limit."""
    for round_number in range(100):
        if _usage(analyst) > LIMIT:
            return
        with analyst.transaction():
            for number in range(100):
                payload = f"{round_number} {number} " + "x" * 7_000
                analyst.execute(sql.SQL("notify noise, {}").format(sql.Literal(payload)))
    raise AssertionError("the queue did not fill up")


def _is_ended(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    try:
        connection.execute("select 1")
    except psycopg.OperationalError:
        return True
    return False


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_analysts_that_hold_the_queue_are_ended(
    database: testing.PostgresDatabase, watch: NotificationWatch
) -> None:
    """Those that listen in an idle transaction end, the queue empties, and the alert opens and closes; services, and an
    analyst who is at work, stay."""
    with (
        database.connect("analyst") as holder,
        database.connect("analyst") as sender,
        database.connect("zmart_api") as service,
        database.connect() as owner,
    ):
        # A session may change its own settings, so the login's timeout is no protection.
        holder.execute("set idle_in_transaction_session_timeout = 0")
        holder.execute("listen noise")
        holder.execute("begin")
        _fill(sender)
        assert await watch.check() == 2

        assert _is_ended(holder)
        assert not _is_ended(service)
        # The queue is emptied when somebody notifies.
        _wait(lambda: bool(owner.execute("select pg_notify('zmart_feed', '')")) and _usage(owner) < LIMIT)
        ((severity, message),) = owner.execute(OPEN_ALERTS, (ALERT,)).fetchall()
        assert severity == "critical"
        assert "2 sessions of analysts" in str(message)

        assert await watch.check() == 0
        assert owner.execute(OPEN_ALERTS, (ALERT,)).fetchall() == []


@pytest.fixture
def logins(database: testing.PostgresDatabase) -> Iterator[Callable[[str], str]]:
    """Return the DSN of a new login with roles; the logins are dropped after the test."""
    made: list[str] = []

    with psycopg.connect(database.dsn("postgres"), autocommit=True) as superuser:

        def login(roles: str) -> str:
            made.append(f"login_{len(made)}")
            superuser.execute(f"create role {made[-1]} login password 'x'; grant {roles} to {made[-1]}")
            return conninfo.make_conninfo(database.dsn("analyst"), user=made[-1], password="x")

        yield login
        for name in made:
            superuser.execute(f"drop role {name}")


async def test_every_login_that_is_an_analyst_is_ended(
    database: testing.PostgresDatabase, watch: NotificationWatch, logins: Callable[[str], str]
) -> None:
    """A member of the role, directly or by another role, may hold the queue as well. A login that is also a service or
    acts as the owner is spared, as an operator's superuser is."""
    named, by_group = logins("analyst"), logins("zmart_dbt")
    service, owner = logins("analyst, zmart_api"), logins("analyst, zmart_owner")
    with contextlib.ExitStack() as stack:
        ended = [stack.enter_context(psycopg.connect(dsn, autocommit=True)) for dsn in (named, by_group)]
        spared = [
            stack.enter_context(psycopg.connect(dsn, autocommit=True))
            for dsn in (service, owner, database.dsn("postgres"))
        ]
        sender = stack.enter_context(database.connect("analyst"))
        for session in (*ended, *spared):
            session.execute("listen noise")
        ended[0].execute("begin")
        _fill(sender)

        assert await watch.check() == len(ended) + 1
        assert all(_is_ended(session) for session in ended)
        assert not any(_is_ended(session) for session in spared)


async def test_a_session_that_may_not_be_ended_does_not_protect_the_others(
    database: testing.PostgresDatabase, watch: NotificationWatch, logins: Callable[[str], str]
) -> None:
    """Where no superuser migrated, the owner may end its own members' sessions only."""
    with psycopg.connect(database.dsn("postgres"), autocommit=True) as superuser:
        superuser.execute("revoke pg_signal_backend from zmart_owner")
        try:
            with psycopg.connect(logins("analyst"), autocommit=True) as named, database.connect("analyst") as sender:
                named.execute("listen noise")
                _fill(sender)
                assert await watch.check() == 1
                assert not _is_ended(named)
        finally:
            superuser.execute("grant pg_signal_backend to zmart_owner")


async def test_a_queue_that_is_read_ends_nobody(database: testing.PostgresDatabase, watch: NotificationWatch) -> None:
    """Below the limit idle analysts stay."""
    with database.connect("analyst") as analyst:
        analyst.execute("listen noise")
        assert await watch.check() == 0
        assert not _is_ended(analyst)


async def test_sessions_ended_at_once_are_bounded(
    database: testing.PostgresDatabase, watch: NotificationWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One check ends no more than its number, the oldest first."""
    monkeypatch.setattr(notification_watch, "MOST_ENDED", 1)
    with database.connect("analyst") as holder, database.connect("analyst") as sender:
        holder.execute("listen noise")
        holder.execute("begin")
        _fill(sender)
        assert await watch.check() == 1
        assert _is_ended(holder)
        assert not _is_ended(sender)


async def test_a_running_query_is_spared(database: testing.PostgresDatabase) -> None:
    """A query of a moment cannot hold much; the others that analysts have open end."""
    with (
        database.connect("analyst") as working,
        database.connect("analyst") as idle,
        database.connect("zmart_ingest") as service,
    ):
        with psycopg.connect(database.dsn("postgres"), autocommit=True) as superuser:
            working.pgconn.send_query(b"select pg_sleep(5)")
            _wait(
                lambda: (
                    superuser.execute(
                        "select state from pg_stat_activity where pid = %s and query like '%%pg_sleep%%'",
                        (working.info.backend_pid,),
                    ).fetchone()
                    == ("active",)
                )
            )
        assert service.execute("select ops.end_listening_analysts(20)").fetchone() == (1,)
        assert _is_ended(idle)
        while (result := working.pgconn.get_result()) is not None:
            assert result.status == ExecStatus.TUPLES_OK
