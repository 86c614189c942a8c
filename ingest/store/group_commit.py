"""Group commit: many deliveries, one transaction, and nobody is answered before it is durable.

A commit costs about the same for one transaction as for five hundred. So what arrives waits a few
milliseconds for company, is handed to the writer together, and every sender learns the outcome of
the commit its own piece was in:

    submit -> [piece piece piece] -- ripe? --> Writer.append -> committed -> submit returns
                    ^ meanwhile, what arrives waits for the next

A batch is closed as late as possible, when the writer is free, and is then as large as it can be. Only one that is full
already is closed while another commits: compressing it and laying out its columns is then done in that time.

When to close a batch is a pure function of the queue and the clock (`ripe`); waiting is elsewhere.

Memory is bounded by bytes, not by pieces, and counts from the first byte read to the commit
(`Room`): beyond the bound a delivery is refused with Overloaded, which its sender retries. A commit
that fails fails those who were in it, and no other. A sender that goes away changes nothing: its
piece is committed all the same, because it may have been its last attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, TypeAlias

import structlog

from zmart import errors

from ..metrics import Appended, Metrics
from ..records import DeadLetter, TransactionRow

log = structlog.get_logger()

#: A room this full has no place for most deliveries.
FULL = 0.9
STOPPED = "Ingest stopped before this was committed."
#: How much later those of a batch are answered when the next one is ready: their answers, and what they send next,
#: would keep this process from sending it, while Postgres has nothing to do.
HEAD_START_SECONDS = 0.003
#: For so long after a refusal a room counts as full.
REFUSED_SECONDS = 5.0


class Writer(Protocol):
    """What appends to the log: durable when it returns, one call at a time."""

    def prepared(self, transactions: Sequence[TransactionRow]) -> Sequence[TransactionRow]:
        """The same transactions, with everything done that needs no database: for `append`, later."""
        ...

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> Appended:
        """Commit; a ZmartError where it could not."""
        ...

    async def close(self) -> None:
        """Let go of the database."""
        ...


#: How a pipeline gets its writer, at the first batch and after a failure to get one.
Connect: TypeAlias = Callable[[], Awaitable[Writer]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a batch closes, and how much may be in hand."""

    transactions: int = 500
    #: How long the first of a batch waits for others.
    wait_seconds: float = 0.005
    #: Room for two of the greatest deliveries (ingest.app.BODY_LIMIT_BYTES).
    room_bytes: int = 64 << 20


class Room:
    """How many bytes may be in hand at once."""

    def __init__(self, limit_bytes: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._clock = clock
        self._refused_at = float("-inf")

    @property
    def is_full(self) -> bool:
        """Whether what comes now may well be refused: little is left, or something was refused a moment ago."""
        return self.used_bytes >= FULL * self.limit_bytes or self._clock() - self._refused_at < REFUSED_SECONDS

    def hold(self) -> Hold:
        """A share of the room, empty at first."""
        return Hold(self)

    def take(self, count: int) -> None:
        """Use `count` bytes more; Overloaded where there is no room for them."""
        if self.used_bytes + count > self.limit_bytes:
            self._refused_at = self._clock()
            raise errors.Overloaded(
                "Ingest holds as many uncommitted bytes as it may.",
                help="Deliver again in a moment; if this lasts, look whether Postgres is slow.",
            )
        self.used_bytes += count

    def give(self, count: int) -> None:
        """Hand `count` bytes back."""
        self.used_bytes -= count


class Hold:
    """Bytes in hand on behalf of several owners; given back when the last lets go."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._bytes = 0
        self._owners = 1

    def grow(self, count: int) -> None:
        """Hold `count` bytes more; Overloaded where there is no room."""
        self._room.take(count)
        self._bytes += count

    def share(self) -> None:
        """One owner more."""
        self._owners += 1

    def release(self) -> None:
        """One owner less."""
        self._owners -= 1
        if self._owners == 0:
            self._room.give(self._bytes)
            self._bytes = 0


@dataclass(kw_only=True, eq=False)
class Piece:
    """What is committed as a whole, and who waits for it."""

    transactions: Sequence[TransactionRow]
    dead_letters: Sequence[DeadLetter]
    wanted: Sequence[str]
    source: str
    #: Seconds on the event loop's clock.
    arrived: float
    hold: Hold
    done: asyncio.Future[None] = field(repr=False)
    #: Where its commit failed.
    trace: TracebackType | None = field(default=None, repr=False)

    @property
    def weight(self) -> int:
        """Rows to be written."""
        return len(self.transactions) + len(self.dead_letters) + len(self.wanted)

    def settle(self, error: BaseException | None) -> None:
        """Tell whoever still waits, and let the bytes go."""
        self.hold.release()
        self.trace = None if error is None else error.__traceback__
        if not self.done.done():
            self.done.set_result(None) if error is None else self.done.set_exception(error)


def ripe(queue: Iterable[Piece], now: float, limits: Limits, *, closing: bool = False, committing: bool = False) -> int:
    """How many pieces from the front make a batch now; 0 while it is better to wait.

    A batch has one source, never splits a piece, and closes when the next piece would be too much,
    when the first has waited long enough, or at once while `closing`. While another one is
    `committing`, it closes only when it is full.
    """
    count = weight = 0
    first: Piece | None = None
    for piece in queue:
        first = first or piece
        if piece.source != first.source:
            return 0 if committing else count
        if count and weight + piece.weight > limits.transactions:
            return count
        count, weight = count + 1, weight + piece.weight
    if first is None:
        return 0
    waited = not committing and (closing or now - first.arrived >= limits.wait_seconds)
    return count if waited or weight >= limits.transactions else 0


class Pipeline:
    """The queue in front of one writer. Use as an async context manager, or start and close."""

    def __init__(self, connect: Connect, *, limits: Limits | None = None, metrics: Metrics | None = None) -> None:
        self.limits = limits or Limits()
        self.metrics = metrics or Metrics()
        self.room = Room(self.limits.room_bytes)
        #: When a webhook's transactions were last committed, on the monotonic clock.
        self.delivered_at: float | None = None
        #: Told after each commit, where somebody wants to hear of it at once.
        self.on_commit: Callable[[], None] = lambda: None
        #: One user of the writer at a time: a batch, or whoever borrowed it.
        self._turn = asyncio.Lock()
        #: When the last commit failed, on the monotonic clock; None after a success.
        self._failed_at: float | None = None
        self._connect = connect
        self._writer: Writer | None = None
        self._queue: deque[Piece] = deque()
        self._weight = 0
        self._stir = asyncio.Event()
        self._closing = False
        #: Batches whose commit is over, with what became of them.
        self._unanswered: deque[tuple[Sequence[Piece], BaseException | None]] = deque()
        #: Whether a batch waits for the commit that is under way.
        self._next_is_ready = False
        self._task: asyncio.Task[None] | None = None
        self.metrics.watch_room("queue_bytes", "Bytes read but not committed.", lambda: self.room.used_bytes)

    async def __aenter__(self) -> Pipeline:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def is_open(self) -> bool:
        """Whether what is submitted has a chance."""
        return not self._closing and self._task is not None and not self._task.done()

    @property
    def seconds_since_failure(self) -> float | None:
        """How long ago the last commit failed; None where it did not."""
        return None if self._failed_at is None else time.monotonic() - self._failed_at

    def start(self) -> None:
        """Begin to commit."""
        self._task = asyncio.create_task(self._run(), name="ingest pipeline")

    async def submit(
        self,
        transactions: Sequence[TransactionRow],
        dead_letters: Sequence[DeadLetter] = (),
        size_bytes: int = 0,
        *,
        wanted: Sequence[str] = (),
        source: str = "webhook",
        hold: Hold | None = None,
    ) -> None:
        """Return once everything is committed; else raise what kept a part of it from that.

        `size_bytes` is what the rows weigh in memory, beyond what `hold` has counted already.
        Overloaded when there is no room, Unavailable while closing; the rest is the writer's. After
        an error some of it may be committed: submit it all again, what is known is a duplicate.
        """
        if not self.is_open:
            raise errors.Unavailable("Ingest is stopping.", help="Deliver again in a moment.")
        hold = self._held(hold)
        try:
            hold.grow(size_bytes)
            pieces = list(self._pieces(transactions, dead_letters, wanted, source, hold))
        finally:
            hold.release()
        self._enqueue(pieces)
        outcomes = await asyncio.gather(*(piece.done for piece in pieces), return_exceptions=True)
        for piece, outcome in zip(pieces, outcomes, strict=True):
            if outcome is not None:
                # One error fails many; without this each would show the others' frames too.
                raise outcome.with_traceback(piece.trace)

    @contextlib.asynccontextmanager
    async def borrowed(self) -> AsyncIterator[Any]:
        """The writer as `connect` gave it, for what is no delivery; batches wait meanwhile, so be brief.

        Unavailable while closing; else what kept the writer from connecting.
        """
        if not self.is_open:
            raise errors.Unavailable("Ingest is stopping.")
        async with self._turn:
            yield await self._connected()

    async def close(self, grace_seconds: float = 2.0) -> None:
        """Commit what is queued, for at most `grace_seconds`; fail the rest, close the writer."""
        self._closing = True
        self._stir.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=grace_seconds)
            self._task.cancel()
            await asyncio.wait([self._task])
        self._answer()
        _settle(self._take(len(self._queue)), errors.Unavailable(STOPPED))
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    def _held(self, hold: Hold | None) -> Hold:
        if hold is None:
            return self.room.hold()
        hold.share()
        return hold

    def _pieces(
        self,
        transactions: Sequence[TransactionRow],
        dead_letters: Sequence[DeadLetter],
        wanted: Sequence[str],
        source: str,
        hold: Hold,
    ) -> Iterator[Piece]:
        """A submission in pieces no greater than a batch, so that the lock is never held long."""
        loop, size = asyncio.get_running_loop(), self.limits.transactions
        longest = max(len(transactions), len(dead_letters), len(wanted))
        for start in range(0, longest, size):
            part = slice(start, start + size)
            hold.share()
            yield Piece(
                transactions=transactions[part],
                dead_letters=dead_letters[part],
                wanted=wanted[part],
                source=source,
                arrived=loop.time(),
                hold=hold,
                done=loop.create_future(),
            )

    def _enqueue(self, pieces: Sequence[Piece]) -> None:
        was_idle = not self._queue
        self._queue.extend(pieces)
        self._weight += sum(piece.weight for piece in pieces)
        if was_idle or self._weight >= self.limits.transactions:
            self._stir.set()

    def _take(self, count: int) -> list[Piece]:
        taken = [self._queue.popleft() for _ in range(count)]
        self._weight -= sum(piece.weight for piece in taken)
        return taken

    async def _run(self) -> None:
        committing: asyncio.Task[None] | None = None
        try:
            while self._queue or not self._closing:
                committing = await self._step(committing)
            if committing is not None:
                await asyncio.wait([committing])
        finally:
            if committing is not None:
                # Where we are cancelled it still tells everyone who waits for it.
                committing.cancel()
                await asyncio.wait([committing])

    async def _step(self, committing: asyncio.Task[None] | None) -> asyncio.Task[None] | None:
        """Begin a batch or wait for a reason to; the commit that is under way afterwards."""
        if committing is not None and committing.done():
            committing = None
        now, is_busy = asyncio.get_running_loop().time(), committing is not None
        count = ripe(self._queue, now, self.limits, closing=self._closing, committing=is_busy)
        if not count:
            await self._wait(is_busy=is_busy)
            return committing
        batch = self._take(count)
        transactions = self._prepared(batch)
        if committing is not None:
            self._next_is_ready = True
            try:
                await asyncio.wait([committing])
            except asyncio.CancelledError:
                _settle(batch, errors.Unavailable(STOPPED))
                raise
            finally:
                self._next_is_ready = False
        begun = asyncio.create_task(self._commit(batch, transactions), name="ingest commit")
        begun.add_done_callback(lambda _: self._stir.set())
        return begun

    def _prepared(self, batch: Sequence[Piece]) -> Sequence[TransactionRow]:
        rows = list(itertools.chain.from_iterable(piece.transactions for piece in batch))
        if self._writer is None:
            return rows
        try:
            return self._writer.prepared(rows)
        except Exception:
            # What cannot be laid out is for `append` to come upon: it finds the culprit and keeps the others.
            return rows

    async def _wait(self, *, is_busy: bool) -> None:
        """Until something arrives, a commit ends, or the first in the queue has waited long enough."""
        self._stir.clear()
        due = self._queue[0].arrived + self.limits.wait_seconds if self._queue and not is_busy else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._stir.wait()

    async def _commit(self, batch: Sequence[Piece], transactions: Sequence[TransactionRow]) -> None:
        error: BaseException | None = errors.Unavailable(STOPPED)
        try:
            await self._append(batch, transactions)
            error = None
        except Exception as exc:
            # It goes to everyone who waits; nobody else can do anything about it.
            error = exc
            self.metrics.failures.inc()
        finally:
            self._failed_at = None if error is None else time.monotonic()
            self._unanswered.append((batch, error))
            if self._next_is_ready and not self._closing:
                asyncio.get_running_loop().call_later(HEAD_START_SECONDS, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        """Tell those whose commit is over, in the order of commits."""
        while self._unanswered:
            _settle(*self._unanswered.popleft())

    async def _append(self, batch: Sequence[Piece], transactions: Sequence[TransactionRow]) -> None:
        wanted = list(itertools.chain.from_iterable(piece.wanted for piece in batch))
        began = time.perf_counter()
        async with self._turn:
            writer = await self._connected()
            appended = await writer.append(
                transactions,
                source=batch[0].source,
                dead_letters=list(itertools.chain.from_iterable(piece.dead_letters for piece in batch)),
                wanted=wanted,
            )
        self.on_commit()
        if transactions and batch[0].source == "webhook":
            self.delivered_at = time.monotonic()
        self.metrics.count_commit(
            batch[0].source,
            transactions=len(transactions),
            wanted=len(wanted),
            done=appended,
            seconds=time.perf_counter() - began,
        )

    async def _connected(self) -> Writer:
        if self._writer is None:
            self._writer = await self._connect()
        return self._writer


def _settle(batch: Iterable[Piece], error: BaseException | None) -> None:
    """Tell all who wait for a batch."""
    for piece in batch:
        piece.settle(error)
