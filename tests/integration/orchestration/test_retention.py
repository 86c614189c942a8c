"""Old runs and expired sessions are deleted with everything that belongs to them; bodies are kept."""

# No `from __future__ import annotations` here: Dagster compares the annotation of `context` with its classes.

import datetime
from pathlib import Path

import dagster as dg
import pytest

from orchestration import retention
from orchestration.resources import DatabaseResource
from zmart import testing
from zmart.run.postgres.embedded import SUPERUSER


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


def _insert_expired(database: testing.PostgresDatabase, hours: float, count: int) -> None:
    """Insert sessions, each replaced by the one before, and nonces that expired so many hours ago."""
    with database.connect(SUPERUSER) as superuser:
        superuser.execute("insert into raw.wallets_seen values (1, 'a wallet') on conflict do nothing")
        for number in range(count):
            name = f"{hours} {number}"
            superuser.execute(
                "insert into app.sessions (wallet_no, refresh_hash, expires_at, replaced_by) values"
                " (1, sha256(%s), now() - %s * interval '1 hour', (select session_id from app.sessions limit 1))",
                [name.encode(), hours],
            )
            superuser.execute(
                "insert into app.redeemed_nonces (nonce, wallet_no, expires_at)"
                " values (%s, 1, now() - %s * interval '1 hour')",
                [name, hours],
            )


def test_the_asset_says_what_it_deleted_and_what_it_keeps(
    database: testing.PostgresDatabase,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sessions and nonces go an hour after they expired, more than a batch of them too; bodies stay."""
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(retention, "BATCH_ROWS", 2)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "api.log").write_text("12345")
    _insert_expired(database, 2, 5)
    _insert_expired(database, 0.5, 3)
    with database.connect(SUPERUSER) as superuser:
        superuser.execute("insert into raw.bundles values (1, 'a body')")

    done = dg.materialize(
        retention.assets(), instance=instance, resources={"database": DatabaseResource(dsn_of=database.dsn)}
    )

    (event,) = done.get_asset_materialization_events()
    figures = {name: value.value for name, value in event.materialization.metadata.items()}
    assert figures.pop("bodies bytes") > 0
    assert figures == {
        "runs deleted": 0,
        "sessions deleted": 5,
        "nonces deleted": 5,
        "bodies (estimated bundles)": 0,
        "bodies deleted": 0,
        "bodies kept because": "no record of verified files covers them",
        "log bytes": 5,
    }
    with database.connect(SUPERUSER) as superuser:
        counts = [
            superuser.execute(f"select count(*) from {table}").fetchone()
            for table in ("app.sessions", "app.redeemed_nonces", "raw.bundles")
        ]
    assert counts == [(3,), (3,), (1,)]
