"""Sources: what they hand over, when they are tried again, and the one that the documentation shows."""

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
AT_ONCE = Backoff(first_seconds=0.0, max_seconds=0.0)


@pytest.fixture
def writer() -> testing.MemoryWriter:
    """What the sources' transactions end in."""
    return testing.MemoryWriter()


@pytest.fixture
async def intake(writer: testing.MemoryWriter) -> AsyncIterator[Intake]:
    """The way in."""

    async def connect() -> testing.MemoryWriter:
        return writer

    async with Pipeline(connect, limits=BatchLimits(wait_seconds=0.0)) as pipeline:
        yield Intake(Decoder(PROGRAM), pipeline)


def bodies(count: int) -> list[bytes]:
    """Deliveries of one transaction each."""
    return [testing.body(testing.item(PROGRAM, [BOUGHT], number=number)) for number in range(count)]


async def test_items_are_committed_and_hints_are_wanted(intake: Intake, writer: testing.MemoryWriter) -> None:
    """Both are in the log when the call returns; what an item became is told."""
    item = json.dumps(testing.item(PROGRAM, [BOUGHT], number=1)).encode()
    decoded = await intake.submit_items([item, b"nothing"], source="test")
    await intake.submit_signatures([testing.signature(2)], source="test")

    assert [row.signature for row in decoded.transactions] == list(writer.transactions) == [testing.signature(1)]
    assert [letter.reason_code for letter in writer.dead_letters] == ["malformed"]
    assert writer.wanted == {testing.signature(2)}


async def test_the_documented_source_works(intake: Intake, writer: testing.MemoryWriter, tmp_path: Path) -> None:
    """The example of docs/ingest.md, word for word, brings what lies in its folder, and only once."""
    (code,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    told: dict[str, Any] = {}
    exec(compile(code, str(DOCUMENT), "exec"), told)
    for number, body in enumerate(bodies(3)):
        (tmp_path / f"{number}.json").write_bytes(body)

    await run_with_retries(told["Folder"](tmp_path), intake)

    assert set(writer.transactions) == {testing.signature(number) for number in range(3)}
    assert not await asyncio.to_thread(lambda: list(tmp_path.iterdir()))


async def test_a_file_is_a_source(intake: Intake, writer: testing.MemoryWriter, tmp_path: Path) -> None:
    """One body a line; empty lines are nothing."""
    file = tmp_path / "bodies.jsonl"
    file.write_bytes(b"\n\n".join(bodies(2)))

    await run_with_retries(FileSource(file), intake)

    assert len(writer.transactions) == 2


class Unsteady:
    """A source that goes through these troubles before it is done."""

    name = "unsteady"

    def __init__(self, *troubles: Exception) -> None:
        self.troubles = list(troubles)
        self.runs = 0

    async def run(self, intake: Intake) -> None:
        """Fail, or hint at something."""
        self.runs += 1
        if self.troubles:
            raise self.troubles.pop(0)
        await intake.submit_signatures(["done"], source=self.name)


async def test_a_transient_trouble_is_waited_out(intake: Intake, writer: testing.MemoryWriter) -> None:
    """As often as it takes."""
    source = Unsteady(rpc_errors.Unreachable("gone"), rpc_errors.RateLimited("slower"), errors.Unavailable("no log"))
    await run_with_retries(source, intake, backoff=AT_ONCE)
    assert (source.runs, writer.wanted) == (4, {"done"})


async def test_a_refusal_is_final(intake: Intake, writer: testing.MemoryWriter) -> None:
    """Until a person has done something."""
    source = Unsteady(rpc_errors.Unreachable("gone"), rpc_errors.ApiKeyRejected("not you"))
    await run_with_retries(source, intake, backoff=AT_ONCE)
    assert (source.runs, writer.wanted) == (2, set())


class Heard(SyncDatabase):
    """A notebook that keeps what it is told, or has no database."""

    def __init__(self, *, is_away: bool = False) -> None:
        super().__init__("nowhere")
        self.said: list[tuple[str, ...]] = []
        self.is_away = is_away
        self.was_told = asyncio.Event()

    async def alert(self, kind: str, message: str, *, subject: str = "", severity: str = "warning") -> None:
        """Keep it."""
        self._hear(kind, subject, message)

    async def resolve(self, kind: str, subject: str = "") -> None:
        """Keep it."""
        self._hear(kind, subject)

    def _hear(self, *words: str) -> None:
        self.said.append(words)
        self.was_told.set()
        if self.is_away:
            raise errors.Unavailable("no log")


class Timed(Unsteady):
    """Runs that take time, on a clock of their own: (seconds, how it ended) each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *runs: tuple[float, Exception]) -> None:
        super().__init__(*(trouble for _, trouble in runs))
        self.lengths = [seconds for seconds, _ in runs]
        self.now = 1_000.0
        monkeypatch.setattr("ingest.sync.sources.time", types.SimpleNamespace(monotonic=lambda: self.now))

    async def run(self, intake: Intake) -> None:
        """Let time pass, then fail or be done."""
        self.now += self.lengths.pop(0) if self.lengths else 0.0
        await super().run(intake)


GONE = rpc_errors.Unreachable("gone")


@pytest.mark.parametrize(
    ("runs", "alerts"),
    [
        ((0.0, 59.9), 0),
        ((0.0, 59.9, 0.1), 1),
        ((0.0, 30.0, 30.0, 5.0), 2),
        # A minute's run ends the history of failures: what comes after it is a new one.
        ((0.0, 59.0, 60.0, 59.0), 0),
    ],
)
async def test_a_person_is_told_of_a_source_that_is_away_for_a_minute(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, runs: tuple[float, ...], alerts: int
) -> None:
    """From the first trouble on, not before, and each time again: the database counts; its end takes it back."""
    heard = Heard()
    source = Timed(monkeypatch, *((seconds, GONE) for seconds in runs))

    await run_with_retries(source, intake, heard, backoff=AT_ONCE)

    told = ("source_stopped", "unsteady", "The source unsteady brings nothing: gone")
    assert heard.said == [told] * alerts + [("source_stopped", "unsteady")]


async def test_a_person_is_told_of_a_refusal_at_once(intake: Intake) -> None:
    """And it stays told: nobody takes it back."""
    heard = Heard()
    await run_with_retries(Unsteady(rpc_errors.ApiKeyRejected("not you")), intake, heard, backoff=AT_ONCE)
    assert heard.said == [("source_stopped", "unsteady", "The source unsteady has stopped: not you")]


async def test_a_source_that_runs_again_takes_the_alert_back(intake: Intake) -> None:
    """While it runs, once it has run for long enough; a start alone proves nothing."""

    class Endless(Unsteady):
        async def run(self, intake: Intake) -> None:
            await super().run(intake)
            is_running.set()
            await asyncio.Event().wait()

    for lasting_seconds, said in ((0.0, [("source_stopped", "unsteady")]), (3_600.0, [])):
        is_running = asyncio.Event()
        heard, source = Heard(), Endless(GONE)
        patience = Backoff(first_seconds=0.0, max_seconds=0.0, reset_after_seconds=lasting_seconds)
        going_on = asyncio.create_task(run_with_retries(source, intake, heard, backoff=patience))
        await asyncio.wait_for((heard.was_told if said else is_running).wait(), 5.0)
        going_on.cancel()
        await asyncio.wait([going_on])
        assert (source.runs, heard.said) == (2, said)


async def test_a_database_that_is_away_does_not_stop_a_source(intake: Intake, writer: testing.MemoryWriter) -> None:
    """Nobody can be told; the source goes on."""
    patience = Backoff(first_seconds=0.0, max_seconds=0.0, alert_after_seconds=0.0)
    heard = Heard(is_away=True)
    await run_with_retries(Unsteady(GONE, GONE), intake, heard, backoff=patience)
    assert (len(heard.said), writer.wanted) == (3, {"done"})


async def test_sources_end_with_what_they_run_beside(intake: Intake) -> None:
    """A stop takes them along, and one that is done disturbs nobody."""

    class Endless:
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

    endless = Endless()
    async with run_sources([Unsteady(), endless], intake):
        await endless.is_running.wait()
    assert endless.was_cancelled


@pytest.mark.parametrize(("failures", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (7, 30.0), (10_000, 30.0)])
def test_patience_doubles_up_to_a_bound(failures: int, seconds: float) -> None:
    """However long it lasts, somebody looks again twice a minute."""
    assert Backoff().pause_seconds(failures, errors.Unavailable()) == seconds


def test_patience_obeys_a_node_that_says_how_long() -> None:
    """But not beyond the bound, and not the first time."""
    told = rpc_errors.RateLimited("slower", retry_after_seconds=12.0)
    assert [Backoff().pause_seconds(failures, told) for failures in (1, 2, 9)] == [0.5, 12.0, 30.0]
