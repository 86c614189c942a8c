"""Old runs of Dagster are deleted with everything that belongs to them; failures stay longer."""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import datetime
from pathlib import Path

import dagster as dg
import pytest

from orchestration import retention


@pytest.fixture
def instance(tmp_path: Path) -> dg.DagsterInstance:
    """A Dagster that remembers, with the output of runs in files."""
    return dg.DagsterInstance.local_temp(str(tmp_path))


@dg.op
def speak(context: dg.OpExecutionContext) -> None:
    """Print, or fail."""
    print("a line")
    if context.run.tags.get("fails"):
        raise dg.Failure("as wanted")


@dg.job
def speaking() -> None:
    """Run it."""
    speak()


def _run(instance: dg.DagsterInstance, *, fails: bool = False) -> str:
    tags = {"fails": "yes"} if fails else {}
    return str(speaking.execute_in_process(instance=instance, tags=tags, raise_on_error=False).run_id)


def test_runs_are_deleted_after_their_time(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    """A run goes with its events and its output; a failed one only after three months; more than a batch go at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retention, "BATCH_RUNS", 2)
        worked, failed = [_run(instance) for _ in range(3)], _run(instance, fails=True)
        now = datetime.datetime.now(datetime.UTC)

        def left_after(days: int) -> set[str]:
            retention.delete_runs_before(instance, now + datetime.timedelta(days=days))
            return {run.run_id for run in instance.get_runs()}

        assert left_after(13) == {*worked, failed}
        assert list(tmp_path.rglob(worked[0]))
        assert left_after(15) == {failed}
        assert left_after(91) == set()
        for run_id in (*worked, failed):
            assert instance.get_records_for_run(run_id).records == []
            assert not list(tmp_path.rglob(run_id))


def test_a_purge_ends_and_goes_on_the_next_time(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first purge of a large history must not hold its place for hours."""
    monkeypatch.setattr(retention, "LONGEST_SECONDS", -1.0)
    runs = {_run(instance) for _ in range(2)}
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=15)
    assert [retention.delete_runs_before(instance, later) for _ in range(3)] == [1, 1, 0]
    assert not runs & {run.run_id for run in instance.get_runs()}
