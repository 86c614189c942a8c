"""Implements `zmart replay FILE`: commits the webhook bodies of a file, one JSON array per line, without HTTP.

Each line is processed like a delivery: decoded, appended, folded. A line that is not a delivery stops the replay with
its line number. Everything before it is committed, and running the same file again changes nothing, because known
transactions are only counted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import progress

from zmart import errors, exit_status, os_errors, settings

from ..decode import delivery_body
from ..decode.decoder import Decoder
from ..records import DeadLetter, TransactionRow
from ..store import writer
from ..store.group_commit import BatchLimits, Pipeline
from ..sync.sources import Intake

#: Nothing else delivers meanwhile, so waiting for more would only cost time.
LIMITS = BatchLimits(wait_seconds=0.0)


def main(path: Path) -> int:
    """Replay `path`; return OK when every line was accepted, else the exit status of the error that is printed."""
    try:
        configured = settings.load()
        total = asyncio.run(replay(path, configured.postgres.dsn("zmart_ingest"), configured.chain.program_id))
    except OSError as error:
        return _print_error(os_errors.translate(error))
    except errors.ZmartError as error:
        return _print_error(error)
    print(f"{total.transactions:,} new transactions, {total.duplicates:,} known, {total.dead_letters:,} dead letters")
    return 0


def _print_error(error: errors.ZmartError) -> int:
    print(f"replay: {error}", file=sys.stderr)
    return exit_status.of_error(error)


async def replay(path: Path, dsn: str, program_id: str) -> writer.AppendResult:
    """Write every body of `path` into the log at `dsn`; return the sum of the results of all commits."""
    counted = CountingWriter(await writer.Writer.connect(dsn))

    async def connect() -> CountingWriter:
        return counted

    async with Pipeline(connect, limits=LIMITS) as pipeline:
        await FileSource(path).run(Intake(Decoder(program_id), pipeline))
    return counted.total


class FileSource:
    """A `sources.Source` that submits the bodies of a file, in its order."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    async def run(self, intake: Intake) -> None:
        """Submit every line. Raises InvalidInput that names the first line that is not a delivery."""
        with _progress(self._path) as shown:
            for number, line in enumerate(_lines(self._path), start=1):
                if line.strip():
                    await intake.submit_items(_split_line(line, number), source=self.name)
                shown.advance(shown.task_ids[0], len(line))


class CountingWriter:
    """A writer that adds up the results of its commits."""

    def __init__(self, inner: writer.Writer) -> None:
        self._writer = inner
        self.total = writer.EMPTY_RESULT

    def prepare(self, transactions: Sequence[TransactionRow]) -> Sequence[TransactionRow]:
        """Return the batch as the inner writer prepares it."""
        return self._writer.prepare(transactions)

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> writer.AppendResult:
        """Commit the batch and add its result to the total."""
        result = await self._writer.append(transactions, source=source, dead_letters=dead_letters, wanted=wanted)
        self.total = self.total.plus(result)
        return result

    async def close(self) -> None:
        """Close the database connection."""
        await self._writer.close()


def _split_line(line: bytes, number: int) -> list[bytes]:
    try:
        return delivery_body.split_items(line)
    except errors.InvalidInput as error:
        raise errors.InvalidInput(f"Line {number}: {error}") from error


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _progress(path: Path) -> progress.Progress:
    shown = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TimeRemainingColumn(),
        transient=True,
    )
    shown.add_task(path.name, total=path.stat().st_size)
    return shown
