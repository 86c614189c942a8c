"""month    a generated month of markets, for tests that only read it"""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from zmart import testing

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def month(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """The generated month, refreshed; do not change it."""
    fill = runpy.run_path(str(ROOT / "analytics" / "sample_data.py"))["fill"]
    with postgres_server.clone(marts_template) as database:
        fill(database.dsn())
        yield database
