"""filled    a log of several appends, with ballots, comments and computed scheduled marts, for one test
folder    an empty folder for exported files"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import exported_log
import pytest

from zmart import testing
from zmart.run.export.store import FolderStore


@pytest.fixture(scope="session")
def filled_template(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A log of several appends, with ballots and comments, and computed scheduled marts; never connect to it."""
    with postgres_server.clone(marts_template) as database:
        exported_log.fill(database)
        yield database


@pytest.fixture
def filled(
    postgres_server: testing.PostgresServer, filled_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """The log with ballots and comments, for this test alone."""
    with postgres_server.clone(filled_template) as database:
        yield database


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    """An empty folder for exported files."""
    return FolderStore(tmp_path / "export")
