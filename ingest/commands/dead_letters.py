"""`zmart dead-letters list|show|retry`: what could not be used, why, and another try.

What a retry does depends on what the letter is:

    bytes of an item (malformed, rejected)   decoded and written by today's code
    a stored transaction (undecodable ...)   its kept body is read again; where more can be read now, its events are
                                             withdrawn and appended anew, so that the marts follow
    a signature alone (unknown)              wanted again; a running ingest fetches it
    two versions (differs)                   the finalized chain is asked again

A letter is resolved when its trouble is gone, and stays open otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from zmart import errors, settings

from ..decode.decoder import Decoder
from ..records import TransactionRow
from ..store import body_compression
from ..store.writer import Writer
from ..sync.database import Notebook, sql
from ..sync.fetch import DIFFERS

SOURCE = "retry"
#: Bytes shown before the rest is left out.
SHOWN_BYTES = 2_000
#: Whose trouble may be gone when the kept body is read again.
READ_AGAIN = frozenset({"undecodable", "truncated", "beyond"})


class Letter(NamedTuple):
    """A dead letter; `body` holds its transaction's, as ingest.bundle packs it, where that is stored."""

    number: int
    signature: str | None
    ordinal: int | None
    reason_code: str
    reason: str
    source: str
    content: bytes | None
    sightings: int
    first_seen_at: Any
    last_seen_at: Any
    retried_at: Any
    resolved_at: Any
    body: bytes | None
    body_start: int
    body_length: int | None


def main(arguments: Sequence[str]) -> int:
    """Run a command; 0 when it did what was asked, 1 with a sentence when not."""
    asked = _parser().parse_args(arguments)
    try:
        configured = settings.load()
        return asyncio.run(_run(configured, asked))
    except errors.ZmartError as error:
        print(f"dead-letters: {error}", file=sys.stderr)
        return 1


async def _run(configured: settings.Settings, asked: argparse.Namespace) -> int:
    dsn = configured.postgres.dsn("zmart_ingest")
    notebook = Notebook(dsn)
    try:
        match asked.command:
            case "list":
                return await _list(notebook, asked.limit)
            case "show":
                return await _show(notebook, asked.number)
        writer = await Writer.connect(dsn)
        try:
            return await _retry(Retry(notebook, writer, Decoder(configured.chain.program_id)), notebook, asked.numbers)
        finally:
            await writer.close()
    finally:
        await notebook.close()


async def _list(notebook: Notebook, limit: int) -> int:
    rows = await notebook.all(sql.open_letters, limit=limit)
    if not rows:
        print("No dead letters.")
    for number, code, signature, sightings, last_seen_at, reason in rows:
        print(
            f"{number:>6}  {last_seen_at:%Y-%m-%d %H:%M}  {sightings:>4} x  {code:<12}  {signature[:16]:<16}  {reason}"
        )
    return 0


async def _show(notebook: Notebook, number: int) -> int:
    letter = await find(notebook, number)
    for name, value in letter._asdict().items():
        if name not in ("content", "body", "body_start", "body_length") and value is not None:
            print(f"{name:<14} {value}")
    if letter.content is not None:
        print(f"{'bytes':<14} {readable(letter.content)}")
    return 0


async def _retry(retry: Retry, notebook: Notebook, numbers: Sequence[int]) -> int:
    chosen = numbers or [number for (number,) in await notebook.all(sql.open_letter_numbers)]
    for number in chosen:
        print(f"{number:>6}  {await retry.again(await find(notebook, number))}")
    return 0


async def find(notebook: Notebook, number: int) -> Letter:
    """One dead letter; NotFound where there is none of that number."""
    rows = await notebook.all(sql.letter, number=number)
    if not rows:
        raise errors.NotFound(f"There is no dead letter {number}.", help="See: zmart dead-letters list")
    return Letter(*rows[0])


def readable(content: bytes) -> str:
    """Bytes as text where they are text, the compressed ones opened; long ones cut."""
    opened = unpacked(content)
    text = opened[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return f"{text} ... ({len(opened):,} bytes)" if len(opened) > SHOWN_BYTES else text


def unpacked(content: bytes) -> bytes:
    """An item's bytes, compressed by us or not."""
    try:
        return zlib.decompress(content)
    except zlib.error:
        return content


class Retry:
    """Tries dead letters again."""

    def __init__(self, notebook: Notebook, writer: Writer, decoder: Decoder) -> None:
        self._notebook = notebook
        self._writer = writer
        self._decoder = decoder

    async def again(self, letter: Letter) -> str:
        """Try one; what became of it, in words."""
        if letter.resolved_at is not None:
            return "was resolved before"
        if letter.reason_code == DIFFERS and letter.signature:
            return await self._want(letter, DIFFERS)
        if letter.reason_code in READ_AGAIN and letter.body is not None:
            return await self._read_again(letter, letter.body)
        if letter.reason_code in ("malformed", "rejected") and letter.content is not None:
            return await self._write(letter, letter.content)
        if letter.signature:
            return await self._want(letter, SOURCE)
        return "cannot be retried: neither bytes nor a signature"

    async def _want(self, letter: Letter, reason: str) -> str:
        await self._notebook.do(sql.want_again, signature=letter.signature, reason=reason)
        is_asked_only = letter.reason_code == DIFFERS
        await self._mark(letter, is_resolved=not is_asked_only)
        return "wanted again; a running ingest fetches it"

    async def _write(self, letter: Letter, content: bytes) -> str:
        outcome = self._decoder.item(unpacked(content))
        if not isinstance(outcome, TransactionRow):
            await self._mark(letter, is_resolved=False)
            return "still cannot be used"
        done = await self._writer.append([outcome], source=SOURCE)
        is_stored = done.transactions + done.duplicates > 0 and done.dead_letters == 0
        await self._mark(letter, is_resolved=is_stored)
        return "stored" if is_stored else "refused again"

    async def _read_again(self, letter: Letter, body: bytes) -> str:
        outcome = self._decoder.item(body_compression.opened(body, letter.body_start, letter.body_length))
        if not isinstance(outcome, TransactionRow) or _is_still_so(letter, outcome):
            await self._mark(letter, is_resolved=False)
            return "still cannot be read"
        await self._writer.replace(outcome, source=SOURCE, anew=True)
        await self._mark(letter, is_resolved=True)
        return "read; its events were appended anew"

    async def _mark(self, letter: Letter, *, is_resolved: bool) -> None:
        await self._notebook.do(sql.mark_retried, number=letter.number, is_resolved=is_resolved)


def _is_still_so(letter: Letter, row: TransactionRow) -> bool:
    return any((one.ordinal, one.reason_code) == (letter.ordinal, letter.reason_code) for one in row.dead_letters)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zmart dead-letters")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list")
    listing.add_argument("--limit", type=int, default=50)
    commands.add_parser("show").add_argument("number", type=int)
    commands.add_parser("retry").add_argument("numbers", type=int, nargs="*")
    return parser
