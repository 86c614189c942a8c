"""Postgres fixtures: one server per run, one database per test.

database         a clone with the whole schema, roles and rights; `.dsn(role)`, `.connect(role)`
marts_database   the same with the folds deployed
empty_database   an empty database that none of our roles owns
opened_connections  the connections that `zmart.db.connection` opens during the test
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from zmart import testing
from zmart.db import connection as db


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[testing.PostgresServer]:
    """The run's server; tests fail with the reason where there is none."""
    with testing.server() as server:
        yield server


@pytest.fixture(scope="session")
def template(postgres_server: testing.PostgresServer) -> Iterator[testing.PostgresDatabase]:
    """The migrated log as a template; never connect to it."""
    with postgres_server.template(testing.apply_migrations) as database:
        yield database


@pytest.fixture(scope="session")
def marts_template(
    postgres_server: testing.PostgresServer, template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """The migrated log with every model deployed, to clone from."""
    # Imports dbt, which takes seconds and which unit tests do not need.
    from zmart.run.deploy import rebuild

    with postgres_server.clone(template) as database:
        rebuild.deploy(database.dsn())
        yield database


@pytest.fixture
def database(
    postgres_server: testing.PostgresServer, template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A migrated database for this test alone."""
    with postgres_server.clone(template) as database:
        yield database


@pytest.fixture
def marts_database(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A migrated database for this test alone, with every model deployed."""
    with postgres_server.clone(marts_template) as database:
        yield database


@pytest.fixture
def empty_database(postgres_server: testing.PostgresServer) -> Iterator[testing.PostgresDatabase]:
    """A database without any schema of ours."""
    database = postgres_server.create()
    yield database
    postgres_server.drop(database)


@pytest.fixture
def opened_connections(monkeypatch: pytest.MonkeyPatch) -> list[db.Connection]:
    """The connections that `zmart.db.connection` opens during this test, oldest first."""
    opened: list[db.Connection] = []
    connect = db.connect

    async def connect_and_remember(*arguments: Any, **options: Any) -> db.Connection:
        connection = await connect(*arguments, **options)
        opened.append(connection)
        return connection

    monkeypatch.setattr(db, "connect", connect_and_remember)
    return opened
