"""Commits many deliveries in one transaction and acknowledges each delivery only after its commit is durable.

A commit costs about the same for one transaction as for ten. So deliveries that follow each other closely wait a few
milliseconds for others, are passed to the writer together, and every sender receives the outcome of the commit that its
own delivery was part of. A delivery after a pause is committed at once:

    submit -> [delivery delivery delivery] -- batch_size > 0 --> Writer.append -> committed -> submit returns
                    ^ deliveries that arrive meanwhile wait for the next batch

A batch is closed as late as possible, when the writer is free, and is then as large as it can be. Only a batch that is
already full is closed while another one commits; its compression and the encoding of its columns then run during that
commit.

The decision when to close a batch is a pure function of the queue and the clock (`batch_size`); the waiting is done
elsewhere.

Memory is limited in bytes, not in deliveries, and counts from the first byte read until the commit (`ByteBudget`). A
delivery beyond the limit is rejected with Overloaded, and its sender retries it. A commit that fails fails only the
deliveries in it. A sender that disconnects changes nothing: its delivery is committed all the same, because it may have
been the last attempt.
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
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import structlog

from zmart import errors, tracing
from zmart.tasks import cancel_until_done
from zmart.tracing import CommitTrace, CommitTracer

from ..metrics import CommitCounts, Metrics
from ..records import DeadLetter, TransactionRow
from .byte_budget import ByteBudget, Reservation

if TYPE_CHECKING:
    from .writer import AppendResult, Writer

log = structlog.get_logger()

STOPPED_MESSAGE = "Ingest stopped before this was committed."
#: Sources that report every transaction as it happens, body included.
PUSHING_SOURCES = frozenset({"webhook", "grpc"})
#: Delay of the responses for a batch when the next batch is ready. Without it, these responses and the requests that
#: follow them would delay sending the next batch, while Postgres is idle.
HEAD_START_SECONDS = 0.003


class BatchWriter(Protocol):
    """A writer that appends to the log: durable when it returns, one call at a time."""

    def prepare(self, transactions: Sequence[TransactionRow]) -> Sequence[TransactionRow]:
        """Return the same transactions after all work that needs no database; pass the result to `append`."""
        ...

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> CommitCounts:
        """Commit the batch. Raises a ZmartError if that fails."""
        ...

    async def close(self) -> None:
        """Close the database connection."""
        ...


#: The measured parts of a commit that its trace has, by the field of AppendResult.
_TRACED_PARTS = ("lock_wait_seconds", "lock_held_seconds", "folds_seconds", "commit_seconds")
#: Creates the writer of a pipeline: called at the first batch, and again after it failed.
ConnectWriter: TypeAlias = Callable[[], Awaitable[BatchWriter]]


@dataclass(frozen=True, kw_only=True)
class BatchLimits:
    """Limits that decide when a batch closes and how many bytes may be uncommitted."""

    transactions: int = 500
    #: How long the first delivery of a batch waits for others.
    wait_seconds: float = 0.005
    #: A delivery that arrives this long after the one before it is alone: no others are expected, and it does not wait.
    alone_seconds: float = 0.02
    #: Enough for two deliveries of the maximum size (ingest.webhook.app.BODY_LIMIT_BYTES).
    budget_bytes: int = 64 << 20


@dataclass(kw_only=True, eq=False)
class QueuedDelivery:
    """A unit that is committed as a whole, with the future that its submitter awaits."""

    transactions: Sequence[TransactionRow]
    dead_letters: Sequence[DeadLetter]
    wanted: Sequence[str]
    source: str
    #: Seconds on the event loop's clock.
    arrived_at: float
    reservation: Reservation
    future: asyncio.Future[None] = field(repr=False)
    #: The traceback of the error that its commit raised.
    traceback: TracebackType | None = field(default=None, repr=False)
    #: When its request arrived, on the clock of time.monotonic(); 0 while tracing is off.
    received_at: float = 0.0
    #: Whether none arrived for a while before it.
    is_alone: bool = False

    @property
    def row_count(self) -> int:
        """The number of rows to be written."""
        return len(self.transactions) + len(self.dead_letters) + len(self.wanted)

    def resolve(self, error: BaseException | None) -> None:
        """Set the result of the future and release the bytes."""
        self.reservation.release()
        self.traceback = None if error is None else error.__traceback__
        if not self.future.done():
            self.future.set_result(None) if error is None else self.future.set_exception(error)


def batch_size(
    queue: Iterable[QueuedDelivery], now: float, limits: BatchLimits, *, closing: bool = False, committing: bool = False
) -> int:
    """Return how many deliveries from the front of the queue make a batch now; 0 to wait.

    A batch has one source and never splits a delivery. It closes when the next delivery would exceed the limit, when
    the first one has waited long enough, or at once while `closing` or when the first one is alone. While another batch
    is `committing`, it closes only when it is full.
    """
    count = row_count = 0
    first: QueuedDelivery | None = None
    for delivery in queue:
        first = first or delivery
        if delivery.source != first.source:
            return 0 if committing else count
        if count and row_count + delivery.row_count > limits.transactions:
            return count
        count, row_count = count + 1, row_count + delivery.row_count
    if first is None:
        return 0
    has_waited = not committing and (closing or first.is_alone or now - first.arrived_at >= limits.wait_seconds)
    return count if has_waited or row_count >= limits.transactions else 0


class Pipeline:
    """The queue in front of one writer. Use it as an async context manager, or call `start` and `close`."""

    def __init__(
        self, connect: ConnectWriter, *, limits: BatchLimits | None = None, metrics: Metrics | None = None
    ) -> None:
        self.limits = limits or BatchLimits()
        self.metrics = metrics or Metrics()
        self.budget = ByteBudget(self.limits.budget_bytes)
        #: Time of the last commit of transactions of PUSHING_SOURCES, on the monotonic clock.
        self.delivered_at: float | None = None
        #: Set by every commit with transactions; the sync task clears it.
        self.has_committed = asyncio.Event()
        #: Writes the trace of each commit; None while tracing is off.
        self.tracer: CommitTracer | None = None
        #: Called after each commit.
        self.on_commit: Callable[[], None] = lambda: None
        #: The writer has one user at a time: a batch, or the caller of `exclusive_writer`.
        self._writer_lock = asyncio.Lock()
        #: Time of the last commit if it failed, on the monotonic clock; None after a success.
        self._failed_at: float | None = None
        #: Since when something uses the writer or waits for it, on the monotonic clock.
        self._busy_since: float | None = None
        self._users = 0
        self._connect = connect
        self._writer: BatchWriter | None = None
        self._queue: deque[QueuedDelivery] = deque()
        self._queued_rows = 0
        #: Time of the last delivery, on the event loop's clock.
        self._arrived_at = float("-inf")
        self._wake = asyncio.Event()
        self._closing = False
        #: Batches whose commit has ended, each with its error or None.
        self._finished_batches: deque[tuple[Sequence[QueuedDelivery], BaseException | None]] = deque()
        #: Whether a batch waits for the commit that is under way.
        self._next_is_ready = False
        self._task: asyncio.Task[None] | None = None
        self.metrics.register_byte_gauge(
            "queue_bytes", "Bytes received but not committed.", lambda: self.budget.used_bytes
        )

    async def __aenter__(self) -> Pipeline:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def is_open(self) -> bool:
        """Whether the pipeline accepts submissions."""
        return not self._closing and self._task is not None and not self._task.done()

    @property
    def busy_seconds(self) -> float:
        """Seconds since the current use of the writer was requested, with the wait for it; 0 without one."""
        return 0.0 if self._busy_since is None else time.monotonic() - self._busy_since

    @property
    def seconds_since_failure(self) -> float | None:
        """Seconds since the last commit if it failed; else None."""
        return None if self._failed_at is None else time.monotonic() - self._failed_at

    def start(self) -> None:
        """Start the task that commits."""
        self._task = asyncio.create_task(self._run(), name="ingest pipeline")

    async def submit(
        self,
        transactions: Sequence[TransactionRow],
        dead_letters: Sequence[DeadLetter] = (),
        size_bytes: int = 0,
        *,
        wanted: Sequence[str] = (),
        source: str = "webhook",
        reservation: Reservation | None = None,
    ) -> None:
        """Return once everything is committed; raise the error of the first part that is not.

        `size_bytes` is the size of the rows in memory, beyond the bytes that `reservation` already counts. Raises
        Overloaded if the budget has no space, Unavailable while closing, and the errors of the writer. After an error a
        part may be committed: submit everything again; known transactions are counted as duplicates.
        """
        if not self.is_open:
            raise errors.Unavailable("Ingest is stopping.", help="Deliver again shortly.")
        self.metrics.race.record(source, (row.signature for row in transactions), wanted)
        reservation = self._reservation(reservation)
        try:
            reservation.grow(size_bytes)
            deliveries = list(self._split(transactions, dead_letters, wanted, source, reservation))
        finally:
            reservation.release()
        self._enqueue(deliveries)
        outcomes = await asyncio.gather(*(delivery.future for delivery in deliveries), return_exceptions=True)
        for delivery, outcome in zip(deliveries, outcomes, strict=True):
            if outcome is not None:
                # One error fails many deliveries; without this each traceback would contain the frames of the others
                # too.
                raise outcome.with_traceback(delivery.traceback)

    @contextlib.asynccontextmanager
    async def exclusive_writer(self) -> AsyncIterator[Writer]:
        """Lend the writer that `connect` returned, for work that is not a delivery. Batches wait until it is returned.

        Raises Unavailable while closing, and the error of a failed connect.
        """
        if not self.is_open:
            raise errors.Unavailable("Ingest is stopping.")
        with self._counting_use():
            async with self._writer_lock:
                # Every writer of the product is a Writer; tests of the pipeline alone use a smaller one.
                yield cast("Writer", await self._get_writer())

    async def close(self, grace_seconds: float = 2.0) -> None:
        """Commit the queue for at most `grace_seconds`, fail the rest, then close the writer."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=grace_seconds)
            await cancel_until_done(self._task)
        self._resolve_finished()
        _resolve_batch(self._dequeue(len(self._queue)), errors.Unavailable(STOPPED_MESSAGE))
        if self._writer is not None:
            await self._writer.close()
            self._writer = None

    def _reservation(self, reservation: Reservation | None) -> Reservation:
        if reservation is None:
            return self.budget.reserve()
        reservation.add_owner()
        return reservation

    def _split(
        self,
        transactions: Sequence[TransactionRow],
        dead_letters: Sequence[DeadLetter],
        wanted: Sequence[str],
        source: str,
        reservation: Reservation,
    ) -> Iterator[QueuedDelivery]:
        """Split a submission into parts no larger than a batch, so that the lock is never held long."""
        loop, size = asyncio.get_running_loop(), self.limits.transactions
        received_at = 0.0 if self.tracer is None else tracing.received_at.get() or time.monotonic()
        longest = max(len(transactions), len(dead_letters), len(wanted))
        for start in range(0, longest, size):
            part = slice(start, start + size)
            reservation.add_owner()
            yield QueuedDelivery(
                transactions=transactions[part],
                dead_letters=dead_letters[part],
                wanted=wanted[part],
                source=source,
                arrived_at=loop.time(),
                reservation=reservation,
                future=loop.create_future(),
                received_at=received_at,
            )

    def _enqueue(self, deliveries: Sequence[QueuedDelivery]) -> None:
        was_idle = not self._queue
        if deliveries:
            # The others of this submission, and all that arrive before it is taken, are committed with the first one.
            deliveries[0].is_alone = deliveries[0].arrived_at - self._arrived_at > self.limits.alone_seconds
            self._arrived_at = deliveries[0].arrived_at
        self._queue.extend(deliveries)
        self._queued_rows += sum(delivery.row_count for delivery in deliveries)
        if was_idle or self._queued_rows >= self.limits.transactions:
            self._wake.set()

    def _dequeue(self, count: int) -> list[QueuedDelivery]:
        deliveries = [self._queue.popleft() for _ in range(count)]
        self._queued_rows -= sum(delivery.row_count for delivery in deliveries)
        return deliveries

    async def _run(self) -> None:
        committing: asyncio.Task[None] | None = None
        try:
            while self._queue or not self._closing:
                committing = await self._step(committing)
            if committing is not None:
                await asyncio.wait([committing])
        finally:
            if committing is not None:
                # A cancelled commit still resolves the futures of its deliveries.
                committing.cancel()
                await asyncio.wait([committing])

    async def _step(self, committing: asyncio.Task[None] | None) -> asyncio.Task[None] | None:
        """Begin a batch or wait until one may be due; return the commit that is then under way."""
        if committing is not None and committing.done():
            committing = None
        now, is_busy = asyncio.get_running_loop().time(), committing is not None
        count = batch_size(self._queue, now, self.limits, closing=self._closing, committing=is_busy)
        if not count:
            await self._wait(is_busy=is_busy)
            return committing
        batch = self._dequeue(count)
        transactions = self._prepare(batch)
        if committing is not None:
            self._next_is_ready = True
            try:
                await asyncio.wait([committing])
            except asyncio.CancelledError:
                _resolve_batch(batch, errors.Unavailable(STOPPED_MESSAGE))
                raise
            finally:
                self._next_is_ready = False
        begun = asyncio.create_task(self._commit(batch, transactions), name="ingest commit")
        begun.add_done_callback(lambda _: self._wake.set())
        return begun

    def _prepare(self, batch: Sequence[QueuedDelivery]) -> Sequence[TransactionRow]:
        rows = list(itertools.chain.from_iterable(delivery.transactions for delivery in batch))
        if self._writer is None:
            return rows
        try:
            return self._writer.prepare(rows)
        except Exception:
            # `append` meets the same error again; it isolates the faulty item and stores the others.
            return rows

    async def _wait(self, *, is_busy: bool) -> None:
        """Wait until something arrives, a commit ends, or the first delivery in the queue has waited long enough."""
        self._wake.clear()
        due = self._queue[0].arrived_at + self.limits.wait_seconds if self._queue and not is_busy else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._wake.wait()

    async def _commit(self, batch: Sequence[QueuedDelivery], transactions: Sequence[TransactionRow]) -> None:
        error: BaseException | None = errors.Unavailable(STOPPED_MESSAGE)
        try:
            await self._append(batch, transactions)
            error = None
        except Exception as exc:
            # The error goes to every waiting submitter; nothing else can handle it.
            error = exc
            self.metrics.failures.inc()
        finally:
            self._failed_at = None if error is None else time.monotonic()
            self._finished_batches.append((batch, error))
            if self._next_is_ready and not self._closing:
                asyncio.get_running_loop().call_later(HEAD_START_SECONDS, self._resolve_finished)
            else:
                self._resolve_finished()

    def _resolve_finished(self) -> None:
        """Resolve the deliveries whose commit has ended, in the order of commits."""
        while self._finished_batches:
            _resolve_batch(*self._finished_batches.popleft())

    async def _append(self, batch: Sequence[QueuedDelivery], transactions: Sequence[TransactionRow]) -> None:
        wanted = list(itertools.chain.from_iterable(delivery.wanted for delivery in batch))
        began = time.perf_counter()
        with self._counting_use():
            async with self._writer_lock:
                writer = await self._get_writer()
                appended = await writer.append(
                    transactions,
                    source=batch[0].source,
                    dead_letters=list(itertools.chain.from_iterable(delivery.dead_letters for delivery in batch)),
                    wanted=wanted,
                )
        self.on_commit()
        if self.tracer is not None:
            # Every writer of the product is a Writer; tests of the pipeline alone use a smaller one.
            await self._trace(self.tracer, batch, cast("AppendResult", appended), time.perf_counter() - began)
        if transactions:
            self.has_committed.set()
        if transactions and batch[0].source in PUSHING_SOURCES:
            self.delivered_at = time.monotonic()
        self.metrics.count_commit(
            batch[0].source,
            transactions=len(transactions),
            wanted=len(wanted),
            result=appended,
            seconds=time.perf_counter() - began,
        )

    async def _trace(
        self, tracer: CommitTracer, batch: Sequence[QueuedDelivery], appended: AppendResult, append_seconds: float
    ) -> None:
        """Write the trace of a commit that added entries; a failure is logged, because the batch is committed."""
        if appended.first_seq is None or appended.last_seq is None:
            return
        try:
            async with self._writer_lock:
                mark = await cast("Writer", await self._get_writer()).mark_of(appended.last_seq)
            now = time.monotonic()
            commit = CommitTrace(
                epoch=appended.epoch,
                mark=mark,
                source=batch[0].source,
                first_seq=appended.first_seq,
                last_seq=appended.last_seq,
                transactions=appended.transactions,
                events=appended.events,
                delivery_seconds=[now - delivery.received_at for delivery in batch],
                append_seconds=append_seconds,
                parts={name: getattr(appended, name) for name in _TRACED_PARTS},
            )
            tracer.trace_commit(commit)
        except Exception:
            log.exception("commit_not_traced")

    @contextlib.contextmanager
    def _counting_use(self) -> Iterator[None]:
        """Record since when the writer is used without a pause of any user's success."""
        self._users += 1
        if self._busy_since is None:
            self._busy_since = time.monotonic()
        try:
            yield
        finally:
            self._users -= 1
            # A use that ended shows that the writer is not stuck: the next one is measured from here.
            self._busy_since = time.monotonic() if self._users else None

    async def _get_writer(self) -> BatchWriter:
        if self._writer is None:
            self._writer = await self._connect()
        return self._writer


def _resolve_batch(batch: Iterable[QueuedDelivery], error: BaseException | None) -> None:
    """Resolve all deliveries of a batch."""
    for delivery in batch:
        delivery.resolve(error)
