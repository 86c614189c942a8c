"""month_template  a generated month of markets, to clone; nothing connects to it
month           a clone of it, for tests that only read
"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from zmart import testing

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def month_template(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """The generated month, refreshed. Readers of other libraries keep connections open, so they get a clone."""
    fill = runpy.run_path(str(ROOT / "analytics" / "sample_data.py"))["fill"]
    with postgres_server.clone(marts_template) as database:
        fill(database.dsn())
        yield database


@pytest.fixture(scope="session")
def month(
    postgres_server: testing.PostgresServer, month_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """The generated month; do not change it."""
    with postgres_server.clone(month_template) as database:
        yield database
