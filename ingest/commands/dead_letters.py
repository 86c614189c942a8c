"""Implements `zmart dead-letters list|show|retry`: lists, shows and retries the data that could not be used.

The effect of a retry depends on the kind of the dead letter:

    bytes of an item (malformed, rejected)   decoded and written by today's code
    a stored transaction (undecodable ...)   its stored body is decoded again; if more can be decoded now, its events
                                             are retracted and appended again, so that the marts follow
    a signature alone (unknown)              noted as queued for fetching; a running ingest fetches it
    two versions (differs)                   the finalized chain is asked again

A dead letter is resolved when its cause is gone, and stays open otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from zmart import errors, exit_status, settings

from ..decode.decoder import Decoder
from ..records import TransactionRow
from ..store import body_compression
from ..store.writer import Writer
from ..sync.database import SyncDatabase, sql
from ..sync.fetch import DIFFERS

SOURCE = "retry"
#: Maximum number of bytes shown; the rest is omitted.
SHOWN_BYTES = 2_000
#: Reason codes whose cause may be gone when the stored body is decoded again.
REDECODABLE = frozenset({"undecodable", "truncated", "beyond"})


class StoredDeadLetter(NamedTuple):
    """A dead letter; `body` is the stored body of its transaction (see ingest.store.body_compression), or None."""

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
    """Run a command; return 0 on success, 1 after printing the reason otherwise."""
    options = parser().parse_args(arguments)
    try:
        configured = settings.load()
        return asyncio.run(_run(configured, options))
    except errors.ZmartError as error:
        print(f"dead-letters: {error}", file=sys.stderr)
        return exit_status.of_error(error)


async def _run(configured: settings.Settings, options: argparse.Namespace) -> int:
    dsn = configured.postgres.dsn("zmart_ingest")
    database = SyncDatabase(dsn)
    try:
        match options.command:
            case "list":
                return await list_dead_letters(database, options.limit)
            case "show":
                return await show_dead_letter(database, options.number)
        writer = await Writer.connect(dsn)
        try:
            return await _retry(
                DeadLetterRetrier(database, writer, Decoder(configured.chain.program_id)), database, options.numbers
            )
        finally:
            await writer.close()
    finally:
        await database.close()


async def list_dead_letters(database: SyncDatabase, limit: int) -> int:
    """Print the newest open dead letters, one per line."""
    rows = await database.fetch_all(sql.open_dead_letters, limit=limit)
    if not rows:
        print("No dead letters.")
    for number, code, signature, sightings, last_seen_at, reason in rows:
        print(
            f"{number:>6}  {last_seen_at:%Y-%m-%d %H:%M}  {sightings:>4} x  {code:<12}  {signature[:16]:<16}  {reason}"
        )
    return 0


async def show_dead_letter(database: SyncDatabase, number: int) -> int:
    """Print one dead letter with its bytes."""
    dead_letter = await load_dead_letter(database, number)
    for name, value in dead_letter._asdict().items():
        if name not in ("content", "body", "body_start", "body_length") and value is not None:
            print(f"{name:<14} {value}")
    if dead_letter.content is not None:
        print(f"{'bytes':<14} {render_content(dead_letter.content)}")
    return 0


async def _retry(retrier: DeadLetterRetrier, database: SyncDatabase, numbers: Sequence[int]) -> int:
    chosen = numbers or [number for (number,) in await database.fetch_all(sql.open_dead_letter_numbers)]
    for number in chosen:
        print(f"{number:>6}  {await retrier.retry(await load_dead_letter(database, number))}")
    return 0


async def load_dead_letter(database: SyncDatabase, number: int) -> StoredDeadLetter:
    """Return one dead letter. Raises NotFound if there is none of that number."""
    rows = await database.fetch_all(sql.dead_letter, number=number)
    if not rows:
        raise errors.NotFound(f"There is no dead letter {number}.", help="See: zmart dead-letters list")
    return StoredDeadLetter(*rows[0])


def render_content(content: bytes) -> str:
    """Return the bytes as text, decompressed first if they are compressed, and shortened to SHOWN_BYTES."""
    decompressed = decompress_content(content)
    text = decompressed[:SHOWN_BYTES].decode("utf-8", "backslashreplace")
    return f"{text} ... ({len(decompressed):,} bytes)" if len(decompressed) > SHOWN_BYTES else text


def decompress_content(content: bytes) -> bytes:
    """Return an item's bytes, decompressed if they are compressed."""
    try:
        return zlib.decompress(content)
    except zlib.error:
        return content


class DeadLetterRetrier:
    """Retries dead letters."""

    def __init__(self, database: SyncDatabase, writer: Writer, decoder: Decoder) -> None:
        self._database = database
        self._writer = writer
        self._decoder = decoder

    async def retry(self, dead_letter: StoredDeadLetter) -> str:
        """Retry one dead letter; return the result in words."""
        if dead_letter.resolved_at is not None:
            return "was resolved before"
        if dead_letter.reason_code == DIFFERS and dead_letter.signature:
            return await self._request_fetch(dead_letter, DIFFERS)
        if dead_letter.reason_code in REDECODABLE and dead_letter.body is not None:
            return await self._redecode(dead_letter, dead_letter.body)
        if dead_letter.reason_code in ("malformed", "rejected") and dead_letter.content is not None:
            return await self._write(dead_letter, dead_letter.content)
        if dead_letter.signature:
            return await self._request_fetch(dead_letter, SOURCE)
        return "cannot be retried: neither bytes nor a signature"

    async def _request_fetch(self, dead_letter: StoredDeadLetter, reason: str) -> str:
        await self._database.execute(sql.request_fetch, signature=dead_letter.signature, reason=reason)
        is_pending = dead_letter.reason_code == DIFFERS
        await self._mark_retried(dead_letter, is_resolved=not is_pending)
        return "queued for fetching; a running ingest fetches it"

    async def _write(self, dead_letter: StoredDeadLetter, content: bytes) -> str:
        outcome = self._decoder.decode_item(decompress_content(content))
        if not isinstance(outcome, TransactionRow):
            await self._mark_retried(dead_letter, is_resolved=False)
            return "still cannot be used"
        result = await self._writer.append([outcome], source=SOURCE)
        is_stored = result.transactions + result.duplicates > 0 and result.dead_letters == 0
        await self._mark_retried(dead_letter, is_resolved=is_stored)
        return "stored" if is_stored else "rejected again"

    async def _redecode(self, dead_letter: StoredDeadLetter, body: bytes) -> str:
        outcome = self._decoder.decode_item(
            body_compression.decompress(body, dead_letter.body_start, dead_letter.body_length)
        )
        if not isinstance(outcome, TransactionRow) or _has_same_problem(dead_letter, outcome):
            await self._mark_retried(dead_letter, is_resolved=False)
            return "still cannot be decoded"
        await self._writer.replace(outcome, source=SOURCE, force=True)
        await self._mark_retried(dead_letter, is_resolved=True)
        return "decoded; its events were appended again"

    async def _mark_retried(self, dead_letter: StoredDeadLetter, *, is_resolved: bool) -> None:
        await self._database.execute(sql.mark_retried, number=dead_letter.number, is_resolved=is_resolved)


def _has_same_problem(dead_letter: StoredDeadLetter, row: TransactionRow) -> bool:
    return any(
        (one.ordinal, one.reason_code) == (dead_letter.ordinal, dead_letter.reason_code) for one in row.dead_letters
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of the commands of `zmart dead-letters` and their options."""
    top = argparse.ArgumentParser(prog="zmart dead-letters", description="List, show and retry dead letters.")
    commands = top.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="list open dead letters")
    listing.add_argument("--limit", type=int, default=50, help="maximum, newest first")
    show = commands.add_parser("show", help="show one dead letter with its bytes")
    show.add_argument("number", type=int, help="number of the dead letter")
    retry = commands.add_parser("retry", help="retry dead letters")
    retry.add_argument("numbers", type=int, nargs="*", help="their numbers (default: all open ones)")
    return top
