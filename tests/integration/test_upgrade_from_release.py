"""A backup of each earlier release is restored by this one, upgraded in place, and loses nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import event_histories
import pytest
import release_fixture

from ingest.store.writer import Writer
from zmart import testing
from zmart.db import migrate
from zmart.run.audit import audit
from zmart.run.backup import manifest
from zmart.run.deploy import rebuild

RELEASES = release_fixture.fixtures()
#: Rows of these tables exist nowhere else: the chain cannot give them back.
OFF_CHAIN = ("app.ballots", "app.comments", "app.comment_edits", "app.market_metadata", "app.sessions", "ops.intents")
LARGEST_BYTES = 200_000


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def release(request: pytest.FixtureRequest, postgres_server: testing.PostgresServer) -> Path:
    """One saved release; one of a newer server cannot be restored into an older one."""
    facts = manifest.read(request.param)
    with postgres_server_version(postgres_server) as major:
        if major < facts.server_major:
            pytest.skip(f"the release was saved by Postgres {facts.server_major}, and this server is {major}")
    return Path(request.param)


def postgres_server_version(server: testing.PostgresServer) -> object:
    raise NotImplementedError
