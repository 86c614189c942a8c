"""`zmart replay FILE`: webhook bodies from a file, one JSON array a line, through the pipeline without HTTP.

What a line holds goes the way of a delivery: decoded, appended, folded. A line that is no delivery stops the
replay with its number; everything before it is committed, and running the same file again changes nothing,
because known transactions are only counted.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from rich import progress

from zmart import errors, settings

from . import delivery, writer
from .decode import Decoded, Decoder

#: Transactions in a commit; as many as a batch of the live pipeline.
BATCH = 500
SOURCE = "file"


def main(path: Path) -> int:
    """Replay `path`; 0 when every line was taken, 1 with a sentence when one was not."""
    try:
        configured = settings.load()
        total = asyncio.run(replay(path, configured.postgres.dsn("zmart_ingest"), configured.chain.program_id))
    except (errors.ZmartError, OSError) as error:
        print(f"replay: {error}", file=sys.stderr)
        return 1
    print(f"{total.transactions:,} new transactions, {total.duplicates:,} known, {total.dead_letters:,} dead letters")
    return 0


async def replay(path: Path, dsn: str, program_id: str) -> writer.Appended:
    """Write every body of `path` into the log at `dsn`; the sums of what the commits did."""
    decoder = Decoder(program_id)
    appending = await writer.Writer.connect(dsn)
    total = writer.NOTHING
    try:
        with _progress(path) as shown:
            for number, (line, size) in enumerate(_lines(path), start=1):
                decoded = _decoded(decoder, line, number)
                total = total.plus(await _append(appending, decoded))
                shown.advance(shown.task_ids[0], size)
    finally:
        await appending.close()
    return total


def _decoded(decoder: Decoder, line: bytes, number: int) -> Decoded:
    try:
        return decoder.all(delivery.items(line))
    except errors.InvalidInput as error:
        raise errors.InvalidInput(f"Line {number}: {error}") from error


async def _append(appending: writer.Writer, decoded: Decoded) -> writer.Appended:
    """Commit a line in batches; its dead letters and wanted signatures go with the first."""
    rows = decoded.transactions
    total = await appending.append(
        rows[:BATCH], source=SOURCE, dead_letters=decoded.dead_letters, wanted=decoded.wanted
    )
    for start in range(BATCH, len(rows), BATCH):
        total = total.plus(await appending.append(rows[start : start + BATCH], source=SOURCE))
    return total


def _lines(path: Path) -> Iterator[tuple[bytes, int]]:
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield line, len(line)


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
