"""Implements `zmart backfill --from-slot A --to-slot B`: fetches listed transactions that the log lacks.

The chain lists the newest transactions first and the log needs the oldest first, so the work has two parts. First, page
by page, the missing transactions are noted in raw.pending_signatures (and the page in ops.cursors). Then the noted
transactions are fetched, the oldest slot first. Either part can be stopped at any moment, by Ctrl-C, an error or the
request budget; the same command continues where it stopped.

When a node asks for fewer requests, the command waits as long as it asks; a node that fails is retried a few times.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog
from psycopg.types.json import Jsonb
from rich import progress
from rich.console import Console

from zmart import errors, exit_status, os_errors, settings
from zmart.chain import client as chain
from zmart.chain import rpc_errors
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient

from ..decode.decoder import Decoder
from ..store.group_commit import Pipeline
from ..store.writer import CoverageProof, Writer
from ..sync import task as sync_task
from ..sync.block_order import BlockOrderResolver
from ..sync.database import SyncDatabase, sql
from ..sync.fetch import Fetcher

log = structlog.get_logger()

SOURCE = "backfill"
#: Consecutive failures of the node after which the command stops and the operator decides.
MAX_NODE_FAILURES = 8
#: Consecutive answers "unknown signature" after which the list begins at its top again.
MAX_CURSOR_FAILURES = 3
#: How often a list begins again before the command stops.
MAX_RESTARTS = 3

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class SlotRange:
    """A range of slots, both ends included."""

    from_slot: int
    to_slot: int

    @property
    def cursor(self) -> str:
        """The name of the cursor that stores its progress."""
        return f"backfill {self.from_slot}-{self.to_slot}"


@dataclass(frozen=True, kw_only=True)
class BackfillResult:
    """The result of a backfill."""

    listed: int
    fetched: int
    #: Signatures that no node has served yet; ingest continues to request them.
    pending: int


def main(arguments: Sequence[str]) -> int:
    """Run the command; return 0 when the range is complete, 1 after printing the reason when it is not yet."""
    options = parser().parse_args(arguments)
    try:
        if options.to_slot < options.from_slot:
            raise errors.InvalidInput("--to-slot is before --from-slot.")
        configured = settings.load()
        slots = SlotRange(from_slot=options.from_slot, to_slot=options.to_slot)
        printer = None if options.progress_every is None else ProgressPrinter(every_seconds=options.progress_every)
        result = asyncio.run(
            run(configured, slots, per_second=options.per_second, requests=options.requests, printer=printer)
        )
    except errors.Overloaded as spent:
        print(f"backfill: {spent} Run the same command again to continue.", file=sys.stderr)
        return 1
    except OSError as error:
        return _print_error(os_errors.translate(error))
    except errors.ZmartError as error:
        return _print_error(error)
    print(f"{result.listed:,} listed, {result.fetched:,} fetched, {result.pending:,} still to fetch")
    return 0 if result.pending == 0 else 1


def _print_error(error: errors.ZmartError) -> int:
    print(f"backfill: {error}", file=sys.stderr)
    return exit_status.of_error(error)


@dataclass(frozen=True, kw_only=True)
class ProgressPrinter:
    """Prints lines instead of a progress bar, for output that is read later."""

    every_seconds: float

    async def print_progress(self, progress_bars: progress.Progress, pacer: RequestPacer) -> None:
        """Print the progress of each part, until cancelled."""
        while True:
            await asyncio.sleep(self.every_seconds)
            for task in progress_bars.tasks:
                total = "" if task.total is None else f" of {task.total:,.0f}"
                print(f"{task.description} {task.completed:,.0f}{total}, {pacer.spent:,} requests", flush=True)


async def run(
    configured: settings.Settings,
    slots: SlotRange,
    *,
    per_second: float,
    requests: int | None = None,
    printer: ProgressPrinter | None = None,
) -> BackfillResult:
    """Fill `slots` from the configured node into the configured log."""
    dsn = configured.postgres.dsn("zmart_ingest")
    database = SyncDatabase(dsn)

    async def connect() -> Writer:
        return await Writer.connect(dsn)

    pacer = RequestPacer(per_second=per_second, burst=20, total=requests)
    try:
        async with RpcClient.of(configured.chain, pacer=pacer) as client, Pipeline(connect) as pipeline:
            program_id = configured.chain.program_id
            await sync_task.identify(client, database, cluster=configured.chain.cluster, program_id=program_id)
            with _progress(is_shown=printer is None) as progress_bars:
                printing = asyncio.create_task(_print_progress(printer, progress_bars, pacer))
                try:
                    return await Backfill(client, program_id, pipeline, database, progress_bars).fill(slots)
                finally:
                    printing.cancel()
    finally:
        await database.close()


async def _print_progress(
    printer: ProgressPrinter | None, progress_bars: progress.Progress, pacer: RequestPacer
) -> None:
    if printer is not None:
        await printer.print_progress(progress_bars, pacer)


class Backfill:
    """Fills ranges, one at a time."""

    def __init__(
        self,
        client: chain.ChainClient,
        program_id: str,
        pipeline: Pipeline,
        database: SyncDatabase,
        progress_bars: progress.Progress,
        *,
        page: int = chain.MAX_SIGNATURES,
    ) -> None:
        self._client = client
        self._program_id = program_id
        self._pipeline = pipeline
        self._database = database
        self._progress_bars = progress_bars
        self._page = page
        self._fetcher = Fetcher(client, Decoder(program_id), pipeline, database)
        #: Reads ranges in pages, where a node offers that.
        self.body_pages = self._fetcher.pages
        self._block_order = BlockOrderResolver(client, pipeline, database)

    async def fill(self, slots: SlotRange) -> BackfillResult:
        """List, fetch and resolve order; safe to cancel and to call again. Raises InvalidInput for future slots."""
        await self._require_past(slots)
        listed = await self._list(slots)
        fetched = await self._fetch(slots)
        await _retry_on_node_error(lambda: self._block_order.resolve(slots.from_slot, slots.to_slot))
        pending = await self._count_pending(slots)
        if pending == 0:
            await self._record_coverage(slots)
        return BackfillResult(listed=listed, fetched=fetched, pending=pending)

    async def _require_past(self, slots: SlotRange) -> None:
        """Raise InvalidInput for future slots: a recorded coverage would be wrong once they exist."""
        commitment = await self._client.read_commitment()
        top = await _retry_on_node_error(lambda: self._client.slot(commitment=commitment))
        (bound,) = await self._database.fetch_one(sql.newest_possible_slot)
        # A node that once reports a slot far ahead must not make a range of the future look complete.
        last = int(top) if bound is None else min(int(top), int(bound))
        if slots.to_slot > last:
            raise errors.InvalidInput(
                f"The chain is at slot {last}; later slots do not exist yet.",
                help=f"Choose --to-slot {last} or less.",
            )

    async def _list(self, slots: SlotRange) -> int:
        """Note the missing transactions, from above the range down to its beginning; return how many were listed."""
        bar = self._progress_bars.add_task("listing", total=None)
        before, is_done, listed = await self._load_position(slots)
        restarts = 0
        while not is_done:
            try:
                page = await _retry_on_node_error(lambda before=before: self._list_page(before))  # type: ignore[misc]
            except rpc_errors.CursorUnknown as error:
                restarts += 1
                if restarts > MAX_RESTARTS:
                    raise
                # The chain lost this signature, or the node's history does not reach it. The top of the list does.
                log.warning("backfill_list_restarted", reason=str(error))
                before, listed = None, 0
                continue
            inside = [one for one in page if slots.from_slot <= one.slot <= slots.to_slot]
            await self._request_missing(inside)
            listed += len(inside)
            is_done = not page or page[-1].slot < slots.from_slot
            before = page[-1].signature if page else before
            await self._save_position(slots, before, is_done, listed)
            self._progress_bars.update(bar, completed=listed)
        self._progress_bars.update(bar, total=max(listed, 1), completed=max(listed, 1))
        return listed

    async def _list_page(self, before: str | None) -> tuple[chain.SignatureInfo, ...]:
        page = await self._client.signatures_for_address(
            self._program_id, commitment=await self._client.read_commitment(), before=before, limit=self._page
        )
        if not page and before is not None:
            statuses = await self._client.signature_statuses([before], search_history=True)
            if statuses.value[0] is None:
                raise rpc_errors.CursorUnknown("The node does not know the signature at which the list ended.")
        return page

    async def _request_missing(self, page: Sequence[chain.SignatureInfo]) -> None:
        successes = [one for one in page if one.err is None]
        await self._database.fetch_all(
            sql.request_for_backfill,
            signatures=[one.signature for one in successes],
            slots=[one.slot for one in successes],
        )

    async def _load_position(self, slots: SlotRange) -> tuple[str | None, bool, int]:
        saved = await self._database.fetch_all(sql.load_cursor, name=slots.cursor)
        if saved and not saved[0][0]["is_done"]:
            return saved[0][0]["before"], False, saved[0][0]["listed"]
        above = await self._database.fetch_all(sql.nearest_above, slot=slots.to_slot)
        return (above[0][0] if above else None), False, 0

    async def _save_position(self, slots: SlotRange, before: str | None, is_done: bool, listed: int) -> None:
        value = {"before": before, "is_done": is_done, "listed": listed}
        await self._database.execute(sql.save_cursor, name=slots.cursor, value=Jsonb(value))

    async def _fetch(self, slots: SlotRange) -> int:
        """Fetch the noted transactions; a running ingest may do a part of it. Return how many were fetched."""
        bar = self._progress_bars.add_task("fetching", total=await self._count_pending(slots) or 1)
        fetched = 0
        while written := await _retry_on_node_error(self._fetcher.fetch_due):
            fetched += written
            self._progress_bars.update(bar, advance=written)
        self._progress_bars.update(bar, completed=self._progress_bars.tasks[bar].total)
        return fetched

    async def _count_pending(self, slots: SlotRange) -> int:
        (pending,) = await self._database.fetch_one(
            sql.count_pending_in_range, from_slot=slots.from_slot, to_slot=slots.to_slot
        )
        return int(pending)

    async def _record_coverage(self, slots: SlotRange) -> None:
        count, digest = await self._database.fetch_one(
            sql.stored_range, from_slot=slots.from_slot, to_slot=slots.to_slot
        )
        async with self._pipeline.exclusive_writer() as writer:
            await writer.cover(CoverageProof(SOURCE, slots.from_slot, slots.to_slot, count, digest))


async def _retry_on_node_error(call: Callable[[], Awaitable[_T]]) -> _T:
    """Call until it succeeds, waiting as long as the node asks; raise the error after MAX_NODE_FAILURES attempts."""
    for attempt in range(1, MAX_NODE_FAILURES + 1):
        try:
            return await call()
        except rpc_errors.NodeError as error:
            if attempt == (MAX_CURSOR_FAILURES if isinstance(error, rpc_errors.CursorUnknown) else MAX_NODE_FAILURES):
                raise
            await asyncio.sleep(error.retry_after_seconds)
    raise AssertionError


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options of `zmart backfill`."""
    top = argparse.ArgumentParser(prog="zmart backfill", description="Fetch missing transactions between slots.")
    top.add_argument("--from-slot", type=int, required=True, help="the first slot")
    top.add_argument("--to-slot", type=int, required=True, help="the last slot")
    top.add_argument(
        "--per-second",
        type=float,
        default=sync_task.REQUESTS_PER_SECOND,
        help="RPC requests per second (public node: 8)",
    )
    top.add_argument("--requests", type=int, default=None, help="stop after this many RPC requests")
    top.add_argument(
        "--progress-every", type=float, default=None, metavar="SECONDS", help="print progress lines every SECONDS"
    )
    return top


def _progress(*, is_shown: bool) -> progress.Progress:
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        disable=not is_shown,
    )
