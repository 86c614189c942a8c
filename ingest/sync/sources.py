"""Where transactions come from: any number of sources, one decoder, one writer.

A source knows how to get at transactions and nothing of what is in them. It brings either of two things to the
`Intake`:

    items    transactions as a node or a webhook gives them, one JSON object each: decoded, committed, durable on return
    hints    signatures without their logs: noted in raw.wanted and fetched from the chain

Order, repetition and gaps do not matter: what is known is counted, what is late takes its place, what is missing is
found by the walk. So a source needs no memory and no cursor of its own. It says what it cannot do by raising: a
`Transient` is tried again under its `Patience`, anything `Permanent` ends the source and tells a person. That is all
there is to it:

    class Source(Protocol):
        name: str                                       # what raw.transactions.sightings counts it under
        async def run(self, intake: Intake) -> None     # bring what there is; return when there is no more

The webhook, the walk and the backfill bring their items through the same `Intake`; the first is driven by its
caller, the others by the clock and by a person, so they have no `run` of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from zmart import errors

from ..decode.decoder import DecodedDelivery, Decoder
from ..store.group_commit import Pipeline, Reservation
from .database import SyncDatabase

log = structlog.get_logger()


@dataclass(frozen=True)
class Intake:
    """The one way in. Everything it takes is committed with fsync when its methods return.

    All of them raise Overloaded or Unavailable where the log cannot take it now; bring it again, known things are only
    counted.
    """

    decoder: Decoder
    pipeline: Pipeline

    async def submit_items(self, items: Iterable[bytes], *, source: str) -> DecodedDelivery:
        """Take transactions, one JSON object each; what became of them."""
        decoded = self.decoder.decode_items(items)
        await self.submit_decoded(decoded, source=source)
        return decoded

    async def submit_decoded(
        self, decoded: DecodedDelivery, *, source: str, reservation: Reservation | None = None
    ) -> None:
        """Take what was decoded already; `hold` has counted its bytes."""
        await self.pipeline.submit(
            decoded.transactions, decoded.dead_letters, wanted=decoded.wanted, source=source, reservation=reservation
        )

    async def submit_signatures(self, signatures: Sequence[str], *, source: str) -> None:
        """Have transactions fetched that are known by their signatures alone."""
        await self.pipeline.submit([], wanted=signatures, source=source)


class Source(Protocol):
    """Something that brings transactions."""

    @property
    def name(self) -> str:
        """Under which name the log counts what it brings."""
        ...

    async def run(self, intake: Intake) -> None:
        """Bring what there is, until there is no more or the task is cancelled.

        A Transient means: run again later. Anything Permanent: not before a person has done something.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """When to run a source again that could not go on."""

    first_seconds: float = 0.5
    max_seconds: float = 30.0
    #: A run that lasted as long as this ends the history of failures.
    reset_after_seconds: float = 60.0
    #: How long a source may be away before a person is told.
    alert_after_seconds: float = 60.0

    def pause_seconds(self, failures: int, error: errors.Transient) -> float:
        """How long to wait after so many failures in a row: twice as long each time, or as the trouble wants."""
        doubled = self.first_seconds * 2.0 ** min(failures - 1, 30)
        requested = error.retry_after_seconds if failures > 1 else 0.0
        return min(max(doubled, requested), self.max_seconds)


async def run_with_retries(
    source: Source, intake: Intake, database: SyncDatabase | None = None, *, backoff: Backoff | None = None
) -> None:
    """Run a source until it is done or refused, through as many transient troubles as there are."""
    backoff = backoff or Backoff()
    failures, failing_since = 0, 0.0
    while True:
        began = time.monotonic()
        try:
            async with _alert_resolution(database, source, backoff):
                await source.run(intake)
        except errors.Transient as error:
            now = time.monotonic()
            is_reset = not failures or now - began >= backoff.reset_after_seconds
            failures, failing_since = (1, now) if is_reset else (failures + 1, failing_since)
            log.warning("source_interrupted", source=source.name, failures=failures, reason=str(error))
            if now - failing_since >= backoff.alert_after_seconds:
                await _raise_alert(database, source, f"The source {source.name} brings nothing: {error}")
            await asyncio.sleep(backoff.pause_seconds(failures, error))
        except errors.Permanent as refusal:
            log.error("source_stopped", source=source.name, reason=str(refusal))
            await _raise_alert(database, source, f"The source {source.name} has stopped: {refusal}")
            return
        else:
            return


async def _raise_alert(database: SyncDatabase | None, source: Source, message: str) -> None:
    if database is not None:
        with contextlib.suppress(errors.ZmartError):
            await database.alert("source_stopped", message, subject=source.name)


@contextlib.asynccontextmanager
async def _alert_resolution(database: SyncDatabase | None, source: Source, backoff: Backoff) -> AsyncIterator[None]:
    """Around a run: one that has lasted, or has come to its end, takes back what a person was told."""
    resolution = asyncio.create_task(_resolve_alert(database, source, after_seconds=backoff.reset_after_seconds))
    try:
        yield
    finally:
        resolution.cancel()
        await asyncio.wait([resolution])
    await _resolve_alert(database, source)


async def _resolve_alert(database: SyncDatabase | None, source: Source, *, after_seconds: float = 0.0) -> None:
    await asyncio.sleep(after_seconds)
    if database is not None:
        with contextlib.suppress(errors.ZmartError):
            await database.resolve("source_stopped", source.name)


@contextlib.asynccontextmanager
async def run_sources(
    sources: Sequence[Source], intake: Intake, database: SyncDatabase | None = None
) -> AsyncIterator[None]:
    """Run sources beside whatever happens inside; they end with it."""
    tasks = [asyncio.create_task(run_with_retries(one, intake, database), name=f"source {one.name}") for one in sources]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if database is not None and sources:
            await database.close()
