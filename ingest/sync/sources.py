"""Connects any number of transaction sources to the one decoder and the one writer.

A source can obtain transactions and knows nothing of their contents. It submits either of two things to the `Intake`:

    items        transactions as a node or a webhook sends them, one JSON object each: decoded, committed, durable on
                 return
    signatures   signatures without their logs: noted in raw.pending_signatures and fetched from the chain

Order, repetition and gaps do not matter: known transactions are counted, late ones are put in their place, missing ones
are found by the walk. So a source needs no memory and no cursor of its own. It reports a failure by raising: a
`Transient` is retried under its `Backoff`, a `Permanent` ends the source and raises an alert. The whole interface is:

    class Source(Protocol):
        name: str                                       # what raw.transactions.sightings counts it under
        async def run(self, intake: Intake) -> None     # submit what there is; return when there is no more

The webhook, the walk and the backfill submit their items through the same `Intake`. The webhook is driven by its
sender, the others by the clock and by an operator, so they have no `run` of their own.
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
from zmart.tasks import cancel_until_done

from ..decode.decoder import DecodedDelivery, Decoder
from ..store.byte_budget import Reservation
from ..store.group_commit import Pipeline
from .database import SyncDatabase

log = structlog.get_logger()


@dataclass(frozen=True)
class Intake:
    """The common entry for transactions. Everything submitted is committed with fsync when its methods return.

    All of them raise Overloaded or Unavailable where the log cannot accept it now; submit it again, because known
    transactions are only counted.
    """

    decoder: Decoder
    pipeline: Pipeline

    async def submit_items(self, items: Iterable[bytes], *, source: str) -> DecodedDelivery:
        """Decode and commit transactions, one JSON object each; return the decoded delivery."""
        decoded = self.decoder.decode_items(items)
        await self.submit_decoded(decoded, source=source)
        return decoded

    async def submit_decoded(
        self, decoded: DecodedDelivery, *, source: str, reservation: Reservation | None = None
    ) -> None:
        """Commit a decoded delivery; `reservation` already counts its bytes."""
        await self.pipeline.submit(
            decoded.transactions, decoded.dead_letters, wanted=decoded.wanted, source=source, reservation=reservation
        )

    async def submit_signatures(self, signatures: Sequence[str], *, source: str) -> None:
        """Note transactions that are known by their signatures alone, so that they are fetched."""
        await self.pipeline.submit([], wanted=signatures, source=source)


class Source(Protocol):
    """A source of transactions."""

    @property
    def name(self) -> str:
        """The name under which the log counts what it submits."""
        ...

    async def run(self, intake: Intake) -> None:
        """Submit transactions until there are no more or the task is cancelled.

        Raises Transient to be run again later, and Permanent if it cannot continue before an operator acts.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """Decides when to run an interrupted source again."""

    first_seconds: float = 0.5
    max_seconds: float = 30.0
    #: A run that lasted this long resets the count of failures.
    reset_after_seconds: float = 60.0
    #: How long a source may fail before an alert is raised.
    alert_after_seconds: float = 60.0

    def pause_seconds(self, failures: int, error: errors.Transient) -> float:
        """Return the delay in seconds after `failures` failures in a row.

        It doubles with each failure up to `max_seconds`. From the second failure on, a longer delay that the error asks
        for is used, up to the same limit.
        """
        doubled = self.first_seconds * 2.0 ** min(failures - 1, 30)
        requested = error.retry_after_seconds if failures > 1 else 0.0
        return min(max(doubled, requested), self.max_seconds)


async def run_with_retries(
    source: Source, intake: Intake, database: SyncDatabase | None = None, *, backoff: Backoff | None = None
) -> None:
    """Run a source until it ends or raises a Permanent error; retry it after every Transient error."""
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
                await _raise_alert(database, source, f"The source {source.name} fails: {error}")
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
    """Resolve the alert of a source once its run has lasted for a while or has ended without an error."""
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
    """Run sources while the body of the context manager runs; cancel them when it ends."""
    tasks = [asyncio.create_task(run_with_retries(one, intake, database), name=f"source {one.name}") for one in sources]
    try:
        yield
    finally:
        await asyncio.gather(*(cancel_until_done(task) for task in tasks))
        if database is not None and sources:
            await database.close()
