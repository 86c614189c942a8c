"""`zmart backfill --from-slot A --to-slot B`: bring what the chain lists between two slots and we do not hold.

The list comes newest first and the log wants oldest first, so the work has two parts: page by page, what is missing is
noted in raw.wanted (and the page in ops.cursors); then what was noted is fetched, the oldest slot first. Either part
can be stopped at any moment, by Ctrl-C, an error or the request budget; the same command goes on where it stood.

A node that wants fewer requests is obeyed; one that fails is asked again a few times.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from psycopg.types.json import Jsonb
from rich import progress
from rich.console import Console

from zmart import errors, settings
from zmart.chain import client as chain
from zmart.chain import rpc_errors
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient

from ..decode.decoder import Decoder
from ..store.group_commit import Pipeline
from ..store.writer import Proof, Writer
from ..sync import task as sync_task
from ..sync.block_order import Order
from ..sync.database import Notebook, sql
from ..sync.fetch import Fetcher

SOURCE = "backfill"
#: Failures of the node in a row after which a person should decide.
PATIENCE = 8

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Range:
    """Slots, both ends included."""

    from_slot: int
    to_slot: int

    @property
    def cursor(self) -> str:
        """Under which name its progress is kept."""
        return f"backfill {self.from_slot}-{self.to_slot}"


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a backfill did."""

    listed: int
    fetched: int
    #: Signatures that no node gave yet; ingest goes on asking.
    left: int


def main(arguments: Sequence[str]) -> int:
    """Run it; 0 when the range is complete, 1 with a sentence when it is not yet."""
    asked = _parser().parse_args(arguments)
    try:
        if asked.to_slot < asked.from_slot:
            raise errors.InvalidInput("--to-slot is before --from-slot.")
        configured = settings.load()
        slots = Range(from_slot=asked.from_slot, to_slot=asked.to_slot)
        telling = None if asked.tell_every is None else Telling(every_seconds=asked.tell_every)
        done = asyncio.run(
            run(configured, slots, per_second=asked.per_second, requests=asked.requests, telling=telling)
        )
    except errors.Overloaded as spent:
        print(f"backfill: {spent} The same command goes on from here.", file=sys.stderr)
        return 1
    except (errors.ZmartError, OSError) as error:
        print(f"backfill: {error}", file=sys.stderr)
        return 1
    print(f"{done.listed:,} listed, {done.fetched:,} fetched, {done.left:,} still wanted")
    return 0 if done.left == 0 else 1


@dataclass(frozen=True, kw_only=True)
class Telling:
    """Lines instead of a bar, for whoever reads them later."""

    every_seconds: float

    async def follow(self, shown: progress.Progress, pace: RequestPacer) -> None:
        """Print how far each part is, until cancelled."""
        while True:
            await asyncio.sleep(self.every_seconds)
            for task in shown.tasks:
                total = "" if task.total is None else f" of {task.total:,.0f}"
                print(f"{task.description} {task.completed:,.0f}{total}, {pace.spent:,} requests", flush=True)


async def run(
    configured: settings.Settings,
    slots: Range,
    *,
    per_second: float,
    requests: int | None = None,
    telling: Telling | None = None,
) -> Done:
    """Fill `slots` through the configured node and into the configured log."""
    dsn = configured.postgres.dsn("zmart_ingest")
    notebook = Notebook(dsn)

    async def connect() -> Writer:
        return await Writer.connect(dsn)

    pace = RequestPacer(per_second=per_second, burst=20, total=requests)
    try:
        async with RpcClient.of(configured.chain, pacer=pace) as client, Pipeline(connect) as pipeline:
            program_id = configured.chain.program_id
            await sync_task.identify(client, notebook, cluster=configured.chain.cluster, program_id=program_id)
            with _progress(is_shown=telling is None) as shown:
                told = asyncio.create_task(_quietly(telling, shown, pace))
                try:
                    return await Backfill(client, program_id, pipeline, notebook, shown).fill(slots)
                finally:
                    told.cancel()
    finally:
        await notebook.close()


async def _quietly(telling: Telling | None, shown: progress.Progress, pace: RequestPacer) -> None:
    if telling is not None:
        await telling.follow(shown, pace)


class Backfill:
    """Fills ranges, one at a time."""

    def __init__(
        self,
        client: chain.ChainClient,
        program_id: str,
        pipeline: Pipeline,
        notebook: Notebook,
        shown: progress.Progress,
        *,
        page: int = chain.MAX_SIGNATURES,
    ) -> None:
        self._client = client
        self._program_id = program_id
        self._pipeline = pipeline
        self._notebook = notebook
        self._shown = shown
        self._page = page
        self._fetcher = Fetcher(client, Decoder(program_id), pipeline, notebook)
        self._order = Order(client, pipeline, notebook)

    async def fill(self, slots: Range) -> Done:
        """List, fetch, settle; safe to be cancelled and called again. InvalidInput for slots that are yet to come."""
        await self._require_past(slots)
        listed = await self._list(slots)
        fetched = await self._fetch(slots)
        await _patiently(lambda: self._order.settle(slots.from_slot, slots.to_slot))
        left = await self._left(slots)
        if left == 0:
            await self._write_down(slots)
        return Done(listed=listed, fetched=fetched, left=left)

    async def _require_past(self, slots: Range) -> None:
        """Coverage of a slot that is yet to come would be a lie by the time it has come."""
        top = await _patiently(lambda: self._client.slot(commitment="confirmed"))
        if slots.to_slot > top:
            raise errors.InvalidInput(
                f"The chain is at slot {top}; nothing can be said of slots after it.",
                help=f"Choose --to-slot {top} or less.",
            )

    async def _list(self, slots: Range) -> int:
        """Note what is missing, from above the range down to its beginning."""
        bar = self._shown.add_task("listing", total=None)
        before, is_done, listed = await self._stood(slots)
        while not is_done:
            page = await _patiently(lambda before=before: self._ask(before))  # type: ignore[misc]
            inside = [one for one in page if slots.from_slot <= one.slot <= slots.to_slot]
            await self._want(inside)
            listed += len(inside)
            is_done = not page or page[-1].slot < slots.from_slot
            before = page[-1].signature if page else before
            await self._keep(slots, before, is_done, listed)
            self._shown.update(bar, completed=listed)
        self._shown.update(bar, total=max(listed, 1), completed=max(listed, 1))
        return listed

    async def _ask(self, before: str | None) -> tuple[chain.SignatureInfo, ...]:
        page = await self._client.signatures_for_address(
            self._program_id, commitment="confirmed", before=before, limit=self._page
        )
        if not page and before is not None:
            statuses = await self._client.signature_statuses([before], search_history=True)
            if statuses.value[0] is None:
                raise rpc_errors.NodeBehind("The node does not know where the list stood.")
        return page

    async def _want(self, page: Sequence[chain.SignatureInfo]) -> None:
        successes = [one for one in page if one.err is None]
        await self._notebook.all(
            sql.want_for_backfill,
            signatures=[one.signature for one in successes],
            slots=[one.slot for one in successes],
        )

    async def _stood(self, slots: Range) -> tuple[str | None, bool, int]:
        kept = await self._notebook.all(sql.cursor, name=slots.cursor)
        if kept and not kept[0][0]["is_done"]:
            return kept[0][0]["before"], False, kept[0][0]["listed"]
        above = await self._notebook.all(sql.nearest_above, slot=slots.to_slot)
        return (above[0][0] if above else None), False, 0

    async def _keep(self, slots: Range, before: str | None, is_done: bool, listed: int) -> None:
        value = {"before": before, "is_done": is_done, "listed": listed}
        await self._notebook.do(sql.keep_cursor, name=slots.cursor, value=Jsonb(value))

    async def _fetch(self, slots: Range) -> int:
        """Bring what was noted; a running ingest may do a part of it."""
        bar = self._shown.add_task("fetching", total=await self._left(slots) or 1)
        fetched = 0
        while written := await _patiently(self._fetcher.round):
            fetched += written
            self._shown.update(bar, advance=written)
        self._shown.update(bar, completed=self._shown.tasks[bar].total)
        return fetched

    async def _left(self, slots: Range) -> int:
        (left,) = await self._notebook.one(sql.count_backfill, from_slot=slots.from_slot, to_slot=slots.to_slot)
        return int(left)

    async def _write_down(self, slots: Range) -> None:
        count, digest = await self._notebook.one(sql.own_range, from_slot=slots.from_slot, to_slot=slots.to_slot)
        async with self._pipeline.borrowed() as writer:
            await writer.cover(Proof(SOURCE, slots.from_slot, slots.to_slot, count, digest))


async def _patiently(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Ask until there is an answer, waiting as long as the node wants; the last trouble after PATIENCE."""
    for attempt in range(1, PATIENCE + 1):
        try:
            return await ask()
        except rpc_errors.NodeError as trouble:
            if attempt == PATIENCE:
                raise
            await asyncio.sleep(trouble.retry_after_seconds)
    raise AssertionError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="zmart backfill")
    parser.add_argument("--from-slot", type=int, required=True)
    parser.add_argument("--to-slot", type=int, required=True)
    parser.add_argument("--per-second", type=float, default=sync_task.REQUESTS_PER_SECOND)
    parser.add_argument("--requests", type=int, default=None)
    parser.add_argument("--tell-every", type=float, default=None, metavar="SECONDS", help="Lines instead of a bar.")
    return parser


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
