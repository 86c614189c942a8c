"""Who uses the log while hosts die: a sender, a reader, a client of the stream; and waits for them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import httpx

from bench import history
from ingest.store.writer import Writer
from zmart import errors
from zmart.db import feed

DEADLINE_SECONDS = 120.0

Found = TypeVar("Found")


class LogAppender:
    """Appends transactions one after another, and remembers what was acknowledged, and when."""

    def __init__(self, dsn: str, seed: int) -> None:
        self._dsn = dsn
        rows = history.transactions(1_000_000, seed=seed)
        # Trades only: the history begins with thousands of other events.
        self._rows = (row for row in rows if row.events[0].name.startswith("Shares"))
        #: The time before the append, its seq and the signatures.
        self.acknowledged: list[tuple[float, int, tuple[str, ...]]] = []
        self.epochs: set[str] = set()
        self.attempts = 0
        self.is_over = threading.Event()

    async def run(self) -> None:
        """Append until cancelled or over; a batch that fails is sent again."""
        writer = Writer(self._dsn)
        try:
            while not self.is_over.is_set():
                batch = list(itertools.islice(self._rows, 2))
                while not self.is_over.is_set():
                    if await self._append(writer, batch):
                        break
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.01)
        finally:
            await writer.close()

    async def _append(self, writer: Writer, batch: Sequence[Any]) -> bool:
        began = time.monotonic()
        self.attempts += 1
        try:
            result = await writer.append(batch, source="drill")
        except errors.Transient:
            return False
        self.epochs.add(result.epoch)
        signatures = tuple(row.signature for row in batch)
        self.acknowledged.append((began, result.last_seq or 0, signatures))
        return True

    @property
    def signatures(self) -> set[str]:
        """The signatures of all transactions that were acknowledged."""
        return {signature for _, _, signatures in self.acknowledged for signature in signatures}

    def has_stored_since(self, moment: float) -> bool:
        """Return whether an append that began later was acknowledged."""
        return bool(self.acknowledged) and self.acknowledged[-1][0] > moment

    async def more(self, count: int) -> None:
        """Wait for further acknowledged appends."""
        wanted = len(self.acknowledged) + count
        await until(lambda: len(self.acknowledged) >= wanted)


class FeedReader:
    """Follows the log as the API's change signal does."""

    def __init__(self, dsn: str, epoch: str) -> None:
        self.listener = feed.FeedListener(dsn, after=feed.FeedPosition(epoch, 0))
        self.seqs: list[int] = []
        self.foreign: feed.ForeignPosition | None = None

    async def run(self) -> None:
        """Read until the log is another one."""
        try:
            async for batch in self.listener:
                self.seqs.extend(entry.seq for entry in batch.entries)
        except feed.ForeignPosition as error:
            self.foreign = error
        finally:
            await self.listener.close()


class StreamFollower:
    """A client of `GET /api/stream` that connects again, from its last position."""

    def __init__(self, url: str, position: str) -> None:
        self._url = f"{url}/api/stream?topics=trades"
        self._position = position
        #: The seq and the text of each message.
        self.messages: list[tuple[int, str]] = []
        self.resyncs = 0

    def has_reached(self, seq: int) -> bool:
        """Return whether the message of an entry, or a later one, was received."""
        return bool(self.messages) and self.messages[-1][0] >= seq

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            with contextlib.suppress(httpx.HTTPError):
                await self._follow()
            await asyncio.sleep(0.1)

    async def _follow(self) -> None:
        name = ""
        async with (
            httpx.AsyncClient(trust_env=False, timeout=DEADLINE_SECONDS) as client,
            client.stream("GET", self._url, headers={"Last-Event-ID": self._position}) as response,
        ):
            response.raise_for_status()
            async for line in response.aiter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    self._receive(name or "message", json.loads(line[6:]))
                elif not line:
                    name = ""

    def _receive(self, name: str, data: dict[str, Any]) -> None:
        if name == "message":
            self.messages += [(data["seq"], json.dumps(message, sort_keys=True)) for message in data["messages"]]
            self._position = data["position"]
        elif name == "resync":
            self.resyncs += 1
            self._position = data.get("position") or data["data"]["position"]


async def until(
    condition: Callable[[], bool], describe: Callable[[], object] = str, seconds: float = DEADLINE_SECONDS
) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, describe()
        await asyncio.sleep(0.05)


async def insist(act: Callable[[], Awaitable[Found]]) -> Found:
    """Return the result of an act that fails while a host is away."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            return await act()
        except errors.Transient:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def running(*work: Any) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run until the block ends; raise the error of what failed."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield tasks
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
