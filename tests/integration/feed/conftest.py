"""A log to read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from feed_log import FeedLog

from zmart import testing


@pytest.fixture
def feed_log(database: testing.PostgresDatabase) -> Iterator[FeedLog]:
    """A migrated database with an empty feed."""
    with database.connect("postgres") as owner:
        owner.execute("select raw.renew_identity()")
        yield FeedLog(owner=owner, dsn=database.dsn("zmart_api"))
