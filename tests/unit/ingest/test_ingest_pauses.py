"""What is away is asked, and logged, less and less often."""

from __future__ import annotations

import itertools

import pytest

from ingest import testing as deliveries
from ingest.store import mart_retries
from ingest.store.group_commit import BatchWriter, Pipeline
from ingest.sync.database import SyncDatabase
from ingest.sync.task import LONGEST_PAUSE_SECONDS, Intervals, SyncTask, pause_seconds
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


@pytest.mark.parametrize(
    ("is_awaiting", "until_walk", "pause"),
    [(False, -9.0, 1.0), (True, -9.0, 0.4), (True, 0.0, 0.4), (True, 0.03, 0.03), (True, 0.7, 0.7), (True, 3.0, 1.0)],
)
def test_finality_is_awaited_at_slot_pace(is_awaiting: bool, until_walk: float, pause: float) -> None:
    """A quiet log is looked at once a second. Before the next walk is allowed nothing is asked, and it is not late."""
    intervals = Intervals(idle_seconds=1.0, poll_seconds=0.25)
    assert pause_seconds(intervals, is_awaiting=is_awaiting, until_walk=until_walk, slot_seconds=0.4) == pause


def test_no_node_is_polled_faster_than_its_limit_allows() -> None:
    """Slots may become shorter than the pause between two polls."""
    assert pause_seconds(Intervals(poll_seconds=0.25), is_awaiting=True, until_walk=0.0, slot_seconds=0.1) == 0.25
