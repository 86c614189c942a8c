"""Sources: their deliveries, their retries, and the documented example."""

from __future__ import annotations

import asyncio
import json
import re
import types
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from ingest_cases import BOUGHT, PROGRAM

from ingest import testing
from ingest.commands.replay import FileSource
from ingest.decode.decoder import Decoder
from ingest.store.group_commit import BatchLimits, Pipeline
from ingest.sync.database import SyncDatabase
from ingest.sync.sources import Backoff, Intake, run_sources, run_with_retries
from zmart import errors
from zmart.chain import rpc_errors

DOCUMENT = Path(__file__).parents[3] / "docs" / "ingest.md"
NO_BACKOFF = Backoff(first_seconds=0.0, max_seconds=0.0)


@pytest.fixture
def writer() -> testing.MemoryWriter:
    """The sink of the sources' transactions."""
    return testing.MemoryWriter()


@pytest.fixture
async def intake(writer: testing.MemoryWriter) -> AsyncIterator[Intake]:
    """The intake."""

    async def connect() -> testing.MemoryWriter:
        return writer

    async with Pipeline(connect, limits=BatchLimits(wait_seconds=0.0)) as pipeline:
        yield Intake(Decoder(PROGRAM), pipeline)


def bodies(count: int) -> list[bytes]:
    """Deliveries of one transaction each."""
    return [testing.body(testing.item(PROGRAM, [BOUGHT], number=number)) for number in range(count)]


async def test_items_are_committed_and_signatures_are_pending(intake: Intake, writer: testing.MemoryWriter) -> None:
    """Both are in the log when the call returns; the results of the items are returned."""
    item = json.dumps(testing.item(PROGRAM, [BOUGHT], number=1)).encode()
    decoded = await intake.submit_items([item, b"nothing"], source="test")
    await intake.submit_signatures([testing.signature(2)], source="test")

    assert [row.signature for row in decoded.transactions] == list(writer.transactions) == [testing.signature(1)]
    assert [dead_letter.reason_code for dead_letter in writer.dead_letters] == ["malformed"]
    assert writer.wanted == {testing.signature(2)}


async def test_the_documented_source_works(intake: Intake, writer: testing.MemoryWriter, tmp_path: Path) -> None:
    """The example of docs/ingest.md, unchanged, delivers the files of its folder, and only once."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), namespace)
    for number, body in enumerate(bodies(3)):
        (tmp_path / f"{number}.json").write_bytes(body)

    await run_with_retries(namespace["Folder"](tmp_path), intake)

    assert set(writer.transactions) == {testing.signature(number) for number in range(3)}
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def test_a_file_is_a_source(intake: Intake, writer: testing.MemoryWriter, tmp_path: Path) -> None:
    """One body per line; empty lines are skipped."""
    file = tmp_path / "bodies.jsonl"
    file.write_bytes(b"\n\n".join(bodies(2)))

    await run_with_retries(FileSource(file), intake)

    assert len(writer.transactions) == 2


class FlakySource:
    """A source that raises these errors before it is done."""

    name = "unsteady"

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.runs = 0

    async def run(self, intake: Intake) -> None:
        """Fail, or report a signature."""
        self.runs += 1
        if self.failures:
            raise self.failures.pop(0)
        await intake.submit_signatures(["done"], source=self.name)


async def test_a_transient_error_is_retried(intake: Intake, writer: testing.MemoryWriter) -> None:
    """Any number of times."""
    source = FlakySource(rpc_errors.Unreachable("gone"), rpc_errors.RateLimited("slower"), errors.Unavailable("no log"))
    await run_with_retries(source, intake, backoff=NO_BACKOFF)
    assert (source.runs, writer.wanted) == (4, {"done"})


async def test_a_rejection_is_not_retried(intake: Intake, writer: testing.MemoryWriter) -> None:
    """Until an operator acts."""
    source = FlakySource(rpc_errors.Unreachable("gone"), rpc_errors.ApiKeyRejected("not you"))
    await run_with_retries(source, intake, backoff=NO_BACKOFF)
    assert (source.runs, writer.wanted) == (2, set())


class RecordingSyncDatabase(SyncDatabase):
    """A database that stores the calls, or is unavailable."""

    def __init__(self, *, is_away: bool = False) -> None:
        super().__init__("nowhere")
        self.calls: list[tuple[str, ...]] = []
        self.is_away = is_away
        self.was_called = asyncio.Event()

    async def alert(self, kind: str, message: str, *, subject: str = "", severity: str = "warning") -> None:
        """Store the call."""
        self._record(kind, subject, message)

    async def resolve(self, kind: str, subject: str = "") -> None:
        """Store the call."""
        self._record(kind, subject)

    def _record(self, *call: str) -> None:
        self.calls.append(call)
        self.was_called.set()
        if self.is_away:
            raise errors.Unavailable("no log")


class TimedSource(FlakySource):
    """Runs with durations on their own clock: (seconds, end) of each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *runs: tuple[float, Exception]) -> None:
        super().__init__(*(error for _, error in runs))
        self.lengths = [seconds for seconds, _ in runs]
        self.now = 1_000.0
        monkeypatch.setattr("ingest.sync.sources.time", types.SimpleNamespace(monotonic=lambda: self.now))

    async def run(self, intake: Intake) -> None:
        """Advance the clock, then fail or finish."""
        self.now += self.lengths.pop(0) if self.lengths else 0.0
        await super().run(intake)


GONE = rpc_errors.Unreachable("gone")


@pytest.mark.parametrize(
    ("runs", "alerts"),
    [
        ((0.0, 59.9), 0),
        ((0.0, 59.9, 0.1), 1),
        ((0.0, 30.0, 30.0, 5.0), 2),
        # A run of a minute ends the series of failures: a later one starts a new one.
        ((0.0, 59.0, 60.0, 59.0), 0),
    ],
)
async def test_a_source_failing_for_a_minute_raises_an_alert(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, runs: tuple[float, ...], alerts: int
) -> None:
    """From the first failure that counts on, each time again: the database counts; a success resolves it."""
    database = RecordingSyncDatabase()
    source = TimedSource(monkeypatch, *((seconds, GONE) for seconds in runs))

    await run_with_retries(source, intake, database, backoff=NO_BACKOFF)

    expected_alert = ("source_stopped", "unsteady", "The source unsteady fails: gone")
    assert database.calls == [expected_alert] * alerts + [("source_stopped", "unsteady")]


async def test_a_rejection_raises_an_alert_at_once(intake: Intake) -> None:
    """It stays open: nothing resolves it."""
    database = RecordingSyncDatabase()
    await run_with_retries(FlakySource(rpc_errors.ApiKeyRejected("not you")), intake, database, backoff=NO_BACKOFF)
    assert database.calls == [("source_stopped", "unsteady", "The source unsteady has stopped: not you")]


async def test_a_recovered_source_resolves_its_alert(intake: Intake) -> None:
    """While it runs, once it has run long enough; a start alone proves nothing."""

    class HangingSource(FlakySource):
        async def run(self, intake: Intake) -> None:
            await super().run(intake)
            is_running.set()
            await asyncio.Event().wait()

    for lasting_seconds, expected_calls in ((0.0, [("source_stopped", "unsteady")]), (3_600.0, [])):
        is_running = asyncio.Event()
        database, source = RecordingSyncDatabase(), HangingSource(GONE)
        backoff = Backoff(first_seconds=0.0, max_seconds=0.0, reset_after_seconds=lasting_seconds)
        going_on = asyncio.create_task(run_with_retries(source, intake, database, backoff=backoff))
        await asyncio.wait_for((database.was_called if expected_calls else is_running).wait(), 5.0)
        going_on.cancel()
        await asyncio.wait([going_on])
        assert (source.runs, database.calls) == (2, expected_calls)


async def test_an_unavailable_database_does_not_stop_a_source(intake: Intake, writer: testing.MemoryWriter) -> None:
    """The alert cannot be stored; the source continues."""
    backoff = Backoff(first_seconds=0.0, max_seconds=0.0, alert_after_seconds=0.0)
    database = RecordingSyncDatabase(is_away=True)
    await run_with_retries(FlakySource(GONE, GONE), intake, database, backoff=backoff)
    assert (len(database.calls), writer.wanted) == (3, {"done"})


async def test_sources_end_with_the_server(intake: Intake) -> None:
    """A stop cancels them, and one that is done affects no other."""

    class CancellableSource:
        name = "endless"

        def __init__(self) -> None:
            self.is_running = asyncio.Event()
            self.was_cancelled = False

        async def run(self, intake: Intake) -> None:
            self.is_running.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.was_cancelled = True
                raise

    endless = CancellableSource()
    async with run_sources([FlakySource(), endless], intake):
        await endless.is_running.wait()
    assert endless.was_cancelled


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (10_000, 30.0)])
def test_backoff_doubles_up_to_a_bound(failures: int, seconds: float) -> None:
    """For any duration, it tries again twice a minute."""
    assert Backoff().pause_seconds(failures, errors.Unavailable()) == seconds


def test_backoff_obeys_retry_after() -> None:
    """But not beyond the limit, and not the first time."""
    error = rpc_errors.RateLimited("slower", retry_after_seconds=12.0)
    assert [Backoff().pause_seconds(failures, error) for failures in (1, 2, 9)] == [0.5, 12.0, 30.0]
