"""What is away is asked, and logged, less and less often."""

from __future__ import annotations

import itertools

import pytest

from ingest import testing as deliveries
from ingest.store import mart_retries
from ingest.store.group_commit import BatchWriter, Pipeline
from ingest.sync.database import SyncDatabase
from ingest.sync.task import LONGEST_PAUSE_SECONDS, SyncTask
from zmart import errors
from zmart.chain import rpc_errors
from zmart.chain.rpc import RpcClient
from zmart.settings import Cluster


async def _connect() -> BatchWriter:
    return deliveries.MemoryWriter()


async def test_a_node_that_is_away_is_asked_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its errors suggest a second; the pauses double up to half a minute."""

    async def nothing(*_: object, **__: object) -> int:
        raise errors.Unavailable("Postgres is away, too.")

    monkeypatch.setattr(SyncDatabase, "execute", nothing)
    monkeypatch.setattr(SyncDatabase, "fetch_all", nothing)
    task = SyncTask(
        RpcClient(["http://127.0.0.1:1"]),
        SyncDatabase("postgresql://127.0.0.1:1/nowhere"),
        Pipeline(_connect),
        cluster=Cluster.LOCALNET,
        program_id="program",
    )
    pauses = [await task.on_error(rpc_errors.Unreachable("No node can be reached.")) for _ in range(8)]
    assert pauses == sorted(pauses)
    assert all(later >= min(2 * earlier, LONGEST_PAUSE_SECONDS) for earlier, later in itertools.pairwise(pauses))
    assert pauses[-1] == LONGEST_PAUSE_SECONDS


def test_a_database_that_is_away_is_asked_less_and_less_often() -> None:
    """By the task that retries marts, which otherwise looks every second."""
    assert [mart_retries.pause_seconds(failures) for failures in (0, 1, 2, 3, 6, 60)] == [
        1.0,
        1.0,
        2.0,
        4.0,
        30.0,
        30.0,
    ]
