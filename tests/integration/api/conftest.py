"""A log with markets in it, and an application that reads it.

log       an empty log for the test alone
markets   a log for the test alone with three markets in it; `client` is an application over it
reader    an application over the same three markets, shared by tests that change nothing
played    a generated history behind a real server in a thread, for clients that block
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import api_fixtures
import httpx
import pytest
import recorded_chain as history
from api_fixtures import Log

from zmart import settings, testing


@pytest.fixture
async def log(marts_database: testing.PostgresDatabase) -> AsyncIterator[Log]:
    """An empty log."""
    async with Log.of(marts_database) as found:
        yield found


@pytest.fixture
async def markets(log: Log) -> Log:
    """Three markets: 1 traded, 2 proposed and voted on, 3 known from a trade alone."""
    await log.three_markets()
    return log


@pytest.fixture
async def client(markets: Log) -> AsyncIterator[httpx.AsyncClient]:
    """The application over the three markets of this test."""
    async with api_fixtures.served(markets.settings()) as found:
        yield found


@pytest.fixture(scope="session")
def known_markets(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[settings.Settings]:
    """The three markets, for tests that only read."""

    async def fill(database: testing.PostgresDatabase) -> settings.Settings:
        async with Log.of(database) as found:
            await found.three_markets()
            return found.settings()

    with postgres_server.clone(marts_template) as database:
        yield asyncio.run(fill(database))


@pytest.fixture(scope="session")
def shared_application(known_markets: settings.Settings) -> Iterator[httpx.AsyncBaseTransport]:
    """One application over the shared three markets."""
    with api_fixtures.served_in_thread(known_markets) as found:
        yield found


@pytest.fixture
async def reader(shared_application: httpx.AsyncBaseTransport) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the shared application."""
    async with httpx.AsyncClient(transport=shared_application, base_url="http://api") as found:
        yield found


@pytest.fixture
def unreachable() -> settings.Settings:
    """The configuration of a process whose database is unavailable."""
    return settings.load({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nowhere"})


@pytest.fixture(scope="session")
def played(
    postgres_server: testing.PostgresServer,
    marts_template: testing.PostgresDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[history.RecordedChain]:
    """A generated history behind a real server in a thread, without limits; shared by tests that only add to it."""
    with (
        postgres_server.clone(marts_template) as database,
        history.serve_recorded_chain(database, tmp_path_factory.mktemp("chain")) as found,
    ):
        yield found
