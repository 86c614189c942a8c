"""A village for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from keeper_stack import Village, built

from zmart import testing


@pytest.fixture
async def village(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[Village]:
    """A configured program, and a log that knows it."""
    async with built(tmp_path, marts_database) as village:
        yield village
