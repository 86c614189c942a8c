"""Group commit: the end of a batch, the senders' results, and the limit of bytes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_cases import BOUGHT, PROGRAM

from ingest import testing
from ingest.decode.decoder import Decoder
from ingest.records import DeadLetter, TransactionRow
from ingest.store.byte_budget import ByteBudget
from ingest.store.group_commit import BatchLimits, BatchWriter, Pipeline, QueuedDelivery, batch_size
from zmart import errors

LIMITS = BatchLimits(transactions=10, wait_seconds=0.005)


def rows(count: int, first: int = 0) -> list[TransactionRow]:
    """Transactions of one event each."""
    items = [testing.item(PROGRAM, [BOUGHT], number=first + n) for n in range(count)]
    return Decoder(PROGRAM).decode_body(testing.body(*items)).transactions


ONE = rows(1)[0]


class BlockingWriter(testing.MemoryWriter):
    """A writer that waits for permission, and fails on request."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()
        self.batches: list[int] = []
        self.append_started = asyncio.Event()
        self.error: BaseException | None = None

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> testing.MemoryAppendResult:
        """Store the batch, wait for permission, then commit or fail."""
        self.batches.append(len(transactions))
        self.append_started.set()
        await self.released.wait()
        if self.error is not None:
            raise self.error
        return await super().append(transactions, source=source, dead_letters=dead_letters, wanted=wanted)


@pytest.fixture
def writer() -> BlockingWriter:
    """The writer behind the pipeline."""
    return BlockingWriter()


def pipeline_to(writer: BatchWriter, **limits: float) -> Pipeline:
    """A pipeline in front of a writer."""

    async def connect() -> BatchWriter:
        return writer

    return Pipeline(connect, limits=BatchLimits(**limits))  # type: ignore[arg-type]


def queued_delivery(
    row_count: int, arrived_at: float = 0.0, source: str = "webhook", *, is_alone: bool = False
) -> QueuedDelivery:
    """A delivery without a waiting sender."""
    return QueuedDelivery(
        transactions=[ONE] * row_count,
        dead_letters=(),
        wanted=(),
        source=source,
        arrived_at=arrived_at,
        reservation=ByteBudget(0).reserve(),
        future=asyncio.Future(loop=asyncio.new_event_loop()),
        is_alone=is_alone,
    )


@pytest.mark.parametrize(
    ("weights", "now", "expected"),
    [
        ([], 1.0, 0),
        ([1], 0.004, 0),
        ([1], 0.005, 1),
        ([3, 3], 0.004, 0),
        ([3, 3], 0.005, 2),
        ([5, 5], 0.0, 2),
        ([5, 6], 0.0, 1),
        ([9, 1, 1], 0.0, 2),
        ([50], 0.0, 1),
    ],
)
def test_a_batch_closes_when_full_or_when_its_first_has_waited(weights: list[int], now: float, expected: int) -> None:
    """Ten transactions or five milliseconds here, and never a part of a delivery."""
    assert batch_size([queued_delivery(weight) for weight in weights], now, LIMITS) == expected


def test_a_batch_has_one_source() -> None:
    """The log counts sightings by source; another source closes the batch before it."""
    queue = [queued_delivery(1), queued_delivery(1), queued_delivery(1, source="walk"), queued_delivery(1)]
    assert batch_size(queue, 0.0, LIMITS) == 2
    assert batch_size(queue[2:], 0.0, LIMITS) == 1


def test_the_first_of_a_batch_decides_how_long_it_waits() -> None:
    """A delivery that has just arrived delays no other; and one that arrived long ago does not hurry the next."""
    queue = [queued_delivery(1, arrived_at=0.0), queued_delivery(1, arrived_at=0.004)]
    assert batch_size(queue, 0.005, LIMITS) == 2
    assert batch_size(queue[1:], 0.005, LIMITS) == 0


def test_a_delivery_after_a_pause_does_not_wait() -> None:
    """It is committed at once, with what arrived just after it; behind another commit it waits for that one only."""
    queue = [queued_delivery(1, is_alone=True), queued_delivery(1)]
    assert batch_size(queue, 0.0, LIMITS) == 2
    assert batch_size(queue, 0.0, LIMITS, committing=True) == 0
    assert batch_size(queue[1:], 0.0, LIMITS) == 0


def test_closing_commits_queued_deliveries_at_once() -> None:
    """Deliveries queued at a stop are committed at once."""
    assert batch_size([queued_delivery(1)], 0.0, LIMITS, closing=True) == 1


@given(st.lists(st.integers(0, 12), max_size=8), st.floats(0, 0.01))
def test_batches_exceed_the_limit_only_for_a_single_delivery(weights: list[int], now: float) -> None:
    """Whenever a delivery has waited long enough, a batch is taken."""
    taken = batch_size([queued_delivery(weight) for weight in weights], now, LIMITS)
    assert taken <= 1 or sum(weights[:taken]) <= LIMITS.transactions
    assert taken > 0 or not weights or now < LIMITS.wait_seconds


async def test_submit_returns_after_the_commit(writer: BlockingWriter) -> None:
    """Not when it is queued and not when the writer has it."""
    async with pipeline_to(writer) as pipeline:
        waiter = asyncio.create_task(pipeline.submit([ONE]))
        await writer.append_started.wait()
        assert not waiter.done()
        writer.released.set()
        await waiter
        assert list(writer.transactions) == [ONE.signature]


async def test_deliveries_that_arrive_together_share_a_commit(writer: BlockingWriter) -> None:
    """Fifty senders share one commit."""
    writer.released.set()
    async with pipeline_to(writer, wait_seconds=0.05) as pipeline:
        await asyncio.gather(*(pipeline.submit([row]) for row in rows(50)))
    assert writer.batches == [50]


async def test_only_a_delivery_after_a_pause_is_alone(writer: BlockingWriter) -> None:
    """The first is committed before any wait ends; the next ones, right behind it, wait for each other."""
    writer.released.set()
    async with pipeline_to(writer, wait_seconds=600, alone_seconds=300) as pipeline:
        await pipeline.submit(rows(1))
        others = []
        for place in (1, 2):
            others.append(asyncio.create_task(pipeline.submit(rows(1, first=place))))
            for _ in range(20):
                await asyncio.sleep(0)
    await asyncio.gather(*others)
    assert writer.batches == [1, 2]


async def test_deliveries_during_a_commit_wait_for_the_next(writer: BlockingWriter) -> None:
    """One append at a time."""
    async with pipeline_to(writer) as pipeline:
        first = asyncio.create_task(pipeline.submit(rows(1)))
        await writer.append_started.wait()
        rest = [asyncio.create_task(pipeline.submit([row])) for row in rows(3, first=1)]
        await asyncio.sleep(0)
        writer.released.set()
        await asyncio.gather(first, *rest)
    assert writer.batches == [1, 3]


async def test_deliveries_are_committed_in_the_order_they_came(writer: BlockingWriter) -> None:
    """Within a batch and from batch to batch: of two versions of a transaction the log stores the first."""
    writer.released.set()
    async with pipeline_to(writer, transactions=3) as pipeline:
        await asyncio.gather(*(pipeline.submit(rows(1, first=n)) for n in range(7)))
    assert list(writer.transactions) == [row.signature for row in rows(7, first=0)]


async def test_a_large_submission_is_committed_in_parts(writer: BlockingWriter) -> None:
    """No single delivery locks the writer for thousands of transactions."""
    writer.released.set()
    async with pipeline_to(writer, transactions=10) as pipeline:
        await pipeline.submit(rows(25), [DeadLetter(None, None, "malformed", "No.", b"1")])
    assert sum(writer.batches) == len(writer.transactions) == 25
    assert max(writer.batches) <= 10
    assert len(writer.dead_letters) == 1


async def test_nothing_to_commit_is_committed(writer: BlockingWriter) -> None:
    """An empty delivery does not wait."""
    async with pipeline_to(writer) as pipeline:
        await pipeline.submit([])
    assert writer.batches == []


@pytest.mark.parametrize("error", [errors.Unavailable("Postgres is gone."), ValueError("a bug")])
async def test_a_failed_commit_fails_only_its_own_waiters(writer: BlockingWriter, error: Exception) -> None:
    """The next batch is not affected."""
    writer.released.set()
    writer.error = error
    async with pipeline_to(writer, wait_seconds=0.02) as pipeline:
        both = (pipeline.submit([row]) for row in rows(2))
        assert await asyncio.gather(*both, return_exceptions=True) == [error, error]
        assert pipeline.seconds_since_failure is not None
        writer.error = None
        await pipeline.submit(rows(1, first=9))
        assert pipeline.seconds_since_failure is None
        assert pipeline.budget.used_bytes == 0
    assert list(writer.transactions) == [testing.signature(9)]


async def test_a_part_that_fails_fails_the_whole_submission(writer: BlockingWriter) -> None:
    """A sender whose delivery is half committed must deliver it again."""
    async with pipeline_to(writer, transactions=10) as pipeline:
        waiter = asyncio.create_task(pipeline.submit(rows(20)))
        await writer.append_started.wait()
        writer.error = errors.Unavailable("Postgres is gone.")
        writer.released.set()
        with pytest.raises(errors.Unavailable):
            await waiter


async def test_an_unavailable_writer_is_connected_again() -> None:
    """Ingest may start before Postgres; the first batch after Postgres starts is committed."""
    attempts: list[testing.MemoryWriter] = []

    async def connect() -> BatchWriter:
        attempts.append(testing.MemoryWriter())
        if len(attempts) == 1:
            raise errors.Unavailable("Postgres is not up yet.")
        return attempts[-1]

    async with Pipeline(connect) as pipeline:
        with pytest.raises(errors.Unavailable):
            await pipeline.submit([ONE])
        await pipeline.submit([ONE])
        await pipeline.submit([ONE])
    assert len(attempts) == 2
    assert list(attempts[1].transactions) == [ONE.signature]
    assert attempts[1].closed


async def test_a_cancelled_sender_does_not_cancel_its_delivery(writer: BlockingWriter) -> None:
    """Its delivery is committed with the others, and its budget is returned."""
    async with pipeline_to(writer, wait_seconds=0.02) as pipeline:
        gone, stays = (asyncio.create_task(pipeline.submit([row], (), 100)) for row in rows(2))
        await writer.append_started.wait()
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert pipeline.budget.used_bytes == 200
        writer.released.set()
        await stays
        assert len(writer.transactions) == 2
        assert pipeline.budget.used_bytes == 0


async def test_a_delivery_beyond_the_budget_is_overloaded(writer: BlockingWriter) -> None:
    """Bytes count until they are committed; rejected ones do not."""
    async with pipeline_to(writer, budget_bytes=100) as pipeline:
        first = asyncio.create_task(pipeline.submit([ONE], (), 60))
        await writer.append_started.wait()
        with pytest.raises(errors.Overloaded):
            await pipeline.submit([ONE], (), 41)
        assert pipeline.budget.used_bytes == 60
        fits = asyncio.create_task(pipeline.submit([ONE], (), 40))
        await asyncio.sleep(0)
        assert pipeline.budget.used_bytes == 100
        writer.released.set()
        await asyncio.gather(first, fits)
        await pipeline.submit([ONE], (), 100)


async def test_closing_commits_what_is_queued(writer: BlockingWriter) -> None:
    """It accepts no more."""
    writer.released.set()
    pipeline = pipeline_to(writer, wait_seconds=60, alone_seconds=math.inf)
    pipeline.start()
    waiter = asyncio.create_task(pipeline.submit([ONE]))
    await asyncio.sleep(0)
    await pipeline.close()
    await waiter
    assert writer.closed
    with pytest.raises(errors.Unavailable):
        await pipeline.submit([ONE])


async def test_closing_gives_up_after_the_grace_period(writer: BlockingWriter) -> None:
    """A blocked commit is cancelled after the grace period, and all senders are asked to deliver again."""
    pipeline = pipeline_to(writer, transactions=1)
    pipeline.start()
    waiters = [asyncio.create_task(pipeline.submit([row], (), 10)) for row in rows(2)]
    await writer.append_started.wait()
    await pipeline.close(grace_seconds=0.01)
    outcomes = await asyncio.gather(*waiters, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [errors.Unavailable] * 2
    assert pipeline.budget.used_bytes == 0
    assert writer.transactions == {}


async def test_sources_are_appended_separately() -> None:
    """Each append has its source."""
    appended: list[tuple[str, int]] = []

    class RecordingWriter(testing.MemoryWriter):
        async def append(
            self,
            transactions: Sequence[TransactionRow],
            *,
            source: str,
            dead_letters: Sequence[DeadLetter] = (),
            wanted: Sequence[str] = (),
        ) -> testing.MemoryAppendResult:
            appended.append((source, len(transactions)))
            return await super().append(transactions, source=source)

    async with pipeline_to(RecordingWriter(), wait_seconds=0.02) as pipeline:
        await asyncio.gather(pipeline.submit(rows(2)), pipeline.submit(rows(3, first=5), source="walk"))
    assert appended == [("webhook", 2), ("walk", 3)]


async def test_the_counters_count_committed_rows(writer: BlockingWriter) -> None:
    """Transactions, events, duplicates, dead letters and wanted signatures are counted once."""
    writer.released.set()
    dead_letter = DeadLetter(None, None, "malformed", "No.", b"1")
    async with pipeline_to(writer) as pipeline:
        await pipeline.submit(rows(2), [dead_letter], wanted=["s"])
        await pipeline.submit(rows(2))
    text = pipeline.metrics.render().decode()
    for line in (
        'zmart_ingest_transactions_total{source="webhook"} 4.0',
        'zmart_ingest_events_total{source="webhook"} 2.0',
        'zmart_ingest_duplicates_total{source="webhook"} 2.0',
        'zmart_ingest_dead_letters_total{source="webhook"} 1.0',
        'zmart_ingest_wanted_total{source="webhook"} 1.0',
        "zmart_ingest_batch_transactions_count 2.0",
        "zmart_ingest_queue_bytes 0.0",
    ):
        assert line in text


class PreparingWriter(BlockingWriter):
    """A writer that records the batches it prepares, and those it appends."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared_at: list[tuple[int, int]] = []
        self.handed: list[bool] = []
        self.is_refusing = False

    def prepare(self, transactions: Sequence[TransactionRow]) -> Sequence[TransactionRow]:
        """A tuple, to distinguish it from an unprepared batch."""
        self.prepared_at.append((len(transactions), len(self.batches)))
        if self.is_refusing:
            raise ValueError("no column takes this")
        return tuple(transactions)

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> testing.MemoryAppendResult:
        """Record whether it was prepared."""
        self.handed.append(isinstance(transactions, tuple))
        return await super().append(transactions, source=source, dead_letters=dead_letters, wanted=wanted)


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_full_batch_is_prepared_while_another_commits() -> None:
    """Work without the database is done in that time; a batch that is not full waits for more deliveries."""
    writer = PreparingWriter()
    async with pipeline_to(writer, transactions=4, wait_seconds=0.0) as pipeline:
        first = asyncio.create_task(pipeline.submit(rows(1)))
        await writer.append_started.wait()
        second = asyncio.create_task(pipeline.submit(rows(3, first=10)))
        await settle()
        assert writer.prepared_at == []
        third = asyncio.create_task(pipeline.submit(rows(2, first=20)))
        await settle()
        assert writer.prepared_at == [(3, 1)]
        writer.released.set()
        await asyncio.gather(first, second, third)
    assert writer.batches == [1, 3, 2]
    assert writer.handed == [False, True, True]
    assert len(writer.transactions) == 6


async def test_an_unprepared_batch_is_appended_as_it_is() -> None:
    """The writer finds the failing item when it appends; the pipeline continues."""
    writer = PreparingWriter()
    writer.released.set()
    async with pipeline_to(writer) as pipeline:
        await pipeline.submit(rows(1))
        writer.is_refusing = True
        await pipeline.submit(rows(2, first=5))
    assert writer.handed == [False, False]
    assert len(writer.transactions) == 3


async def test_a_batch_waiting_for_a_commit_fails_when_ingest_stops() -> None:
    """It was closed and prepared, and is not committed: its sender gets an error."""
    writer = PreparingWriter()
    pipeline = pipeline_to(writer, transactions=2, wait_seconds=0.0)
    pipeline.start()
    waiting = [asyncio.create_task(pipeline.submit(rows(2)))]
    await writer.append_started.wait()
    waiting += [asyncio.create_task(pipeline.submit(rows(2, first=start))) for start in (10, 20)]
    await settle()
    assert writer.prepared_at == [(2, 1)]
    await pipeline.close(grace_seconds=0.0)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [errors.Unavailable] * 3
    assert pipeline.budget.used_bytes == 0


async def test_a_commit_under_way_is_waited_for_at_the_end() -> None:
    """Closing commits the queue, and returns after the last commit."""
    writer = PreparingWriter()
    pipeline = pipeline_to(writer, wait_seconds=0.0)
    pipeline.start()
    waiting = [asyncio.create_task(pipeline.submit(rows(2, first=start))) for start in (1, 10)]
    await writer.append_started.wait()
    closing = asyncio.create_task(pipeline.close(grace_seconds=30.0))
    await settle()
    assert not closing.done()
    writer.released.set()
    await asyncio.gather(closing, *waiting)
    assert len(writer.transactions) == 4
    assert writer.closed


async def test_the_next_batch_starts_before_the_last_one_is_acknowledged() -> None:
    """A sender that is answered sends more, and Postgres would wait until that is read."""
    writer, story = PreparingWriter(), []
    async with pipeline_to(writer, transactions=2, wait_seconds=0.0) as pipeline:

        async def deliver(first: int) -> None:
            await pipeline.submit(rows(2, first=first))
            story.append((first, len(writer.batches)))

        one = asyncio.create_task(deliver(1))
        await writer.append_started.wait()
        two = asyncio.create_task(deliver(10))
        await settle()
        writer.released.set()
        await asyncio.gather(one, two)
    assert story == [(1, 2), (10, 2)]
