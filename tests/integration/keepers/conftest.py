"""A keeper stack for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from keeper_stack import KeeperStack, open_keeper_stack

from zmart import testing


@pytest.fixture
async def stack(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[KeeperStack]:
    """A configured program, and a log that contains it."""
    async with open_keeper_stack(tmp_path, marts_database) as stack:
        yield stack
