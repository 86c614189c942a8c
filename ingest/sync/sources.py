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

from ..decode.decoder import Decoded, Decoder
from ..store.group_commit import Hold, Pipeline
from .database import Notebook

log = structlog.get_logger()


@dataclass(frozen=True)
class Intake:
    """The one way in. Everything it takes is committed with fsync when its methods return.

    All of them raise Overloaded or Unavailable where the log cannot take it now; bring it again, known things are only
    counted.
    """

    decoder: Decoder
    pipeline: Pipeline

    async def items(self, items: Iterable[bytes], *, source: str) -> Decoded:
        """Take transactions, one JSON object each; what became of them."""
        decoded = self.decoder.all(items)
        await self.take(decoded, source=source)
        return decoded

    async def take(self, decoded: Decoded, *, source: str, hold: Hold | None = None) -> None:
        """Take what was decoded already; `hold` has counted its bytes."""
        await self.pipeline.submit(
            decoded.transactions, decoded.dead_letters, wanted=decoded.wanted, source=source, hold=hold
        )

    async def hints(self, signatures: Sequence[str], *, source: str) -> None:
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
class Patience:
    """When to run a source again that could not go on."""

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    #: A run that lasted as long as this ends the history of failures.
    forgiven_after_seconds: float = 60.0
    #: How long a source may be away before a person is told.
    told_after_seconds: float = 60.0

    def pause_seconds(self, failures: int, trouble: errors.Transient) -> float:
        """How long to wait after so many failures in a row: twice as long each time, or as the trouble wants."""
        doubled = self.first_seconds * 2.0 ** min(failures - 1, 30)
        wanted = trouble.retry_after_seconds if failures > 1 else 0.0
        return min(max(doubled, wanted), self.longest_seconds)


async def keep_running(
    source: Source, intake: Intake, notebook: Notebook | None = None, *, patience: Patience | None = None
) -> None:
    """Run a source until it is done or refused, through as many transient troubles as there are."""
    patience = patience or Patience()
    failures, away_since = 0, 0.0
    while True:
        began = time.monotonic()
        try:
            async with _back(notebook, source, patience):
                await source.run(intake)
        except errors.Transient as trouble:
            now = time.monotonic()
            is_forgiven = not failures or now - began >= patience.forgiven_after_seconds
            failures, away_since = (1, now) if is_forgiven else (failures + 1, away_since)
            log.warning("source interrupted", source=source.name, failures=failures, reason=str(trouble))
            if now - away_since >= patience.told_after_seconds:
                await _tell(notebook, source, f"The source {source.name} brings nothing: {trouble}")
            await asyncio.sleep(patience.pause_seconds(failures, trouble))
        except errors.Permanent as refusal:
            log.error("source refused", source=source.name, reason=str(refusal))
            await _tell(notebook, source, f"The source {source.name} has stopped: {refusal}")
            return
        else:
            return


async def _tell(notebook: Notebook | None, source: Source, message: str) -> None:
    if notebook is not None:
        with contextlib.suppress(errors.ZmartError):
            await notebook.alert("source_stopped", message, subject=source.name)


@contextlib.asynccontextmanager
async def _back(notebook: Notebook | None, source: Source, patience: Patience) -> AsyncIterator[None]:
    """Around a run: one that has lasted, or has come to its end, takes back what a person was told."""
    lasting = asyncio.create_task(_untell(notebook, source, after_seconds=patience.forgiven_after_seconds))
    try:
        yield
    finally:
        lasting.cancel()
        await asyncio.wait([lasting])
    await _untell(notebook, source)


async def _untell(notebook: Notebook | None, source: Source, *, after_seconds: float = 0.0) -> None:
    await asyncio.sleep(after_seconds)
    if notebook is not None:
        with contextlib.suppress(errors.ZmartError):
            await notebook.resolve("source_stopped", source.name)


@contextlib.asynccontextmanager
async def running(sources: Sequence[Source], intake: Intake, notebook: Notebook | None = None) -> AsyncIterator[None]:
    """Run sources beside whatever happens inside; they end with it."""
    tasks = [asyncio.create_task(keep_running(one, intake, notebook), name=f"source {one.name}") for one in sources]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if notebook is not None and sources:
            await notebook.close()
