"""Appends to the log: lock, append, fold, notify, commit. Chain data enters the log only here.

A batch is sent to Postgres as arrays (ingest.store.arrays) and arrives before the lock is taken. Then one statement,
`raw.append`, does the rest under the lock:

    admit      select the transactions that are new; count known ones, make differing ones dead letters
    number     assign integers to markets and wallets that are not yet known
    append     insert events and their feed rows; `seq` continues from the head without a gap
    separate   give each of the transactions that claim one place of a block its own place, independent of the order
               of arrival (raw.resolve_order_conflicts)
    fold       fold the window into every healthy mart (folds.fold; a failing model is marked, the log is not affected)
    notify     NOTIFY, then COMMIT with fsync: only now does `append` return

So a reader of `seq` n has everything up to n, and marts are never behind the log.

Facts that a delivery cannot know are corrected here too, under the same lock and in the same way: a transaction that is
proven absent from the chain (`retract`), the version that the chain decided for (`replace`), an index in the block that
is learned later (`set_block_order`), and the watermark of finality (`finalize`), which moves only when our signatures
of those slots are exactly the chain's. Each correction is written as rows of the feed, and the marts follow before the
commit.

When Postgres refuses a batch because of its contents, the batch is halved until the refused item is alone. That item (a
transaction, a dead letter or a wanted signature) becomes a plain dead letter and its neighbours are stored. A server
that does not answer is a different case: `append` raises `Unavailable`, nothing is committed, and the deliverer tries
again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import struct
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psycopg
import structlog

from zmart import errors
from zmart.db import alerts, feed, queries
from zmart.db.connection import Connection, ReconnectingConnection, translate_all_errors

from ..records import DeadLetter, TransactionRow
from . import arrays, body_compression
from .batch import BatchInput, PreparedBatch, count_sightings
from .dead_letter_rows import (
    conflict_dead_letters,
    differs_dead_letter,
    insert_dead_letters,
    superseded_dead_letter,
)

log = structlog.get_logger()
sql = queries.load("ingest.store", "queries.sql")

#: A window that rebuilds many keys may take long; models that exceed this are behind and catch up in smaller windows
#: (folds.fold). A server that does not answer at all is given up a few seconds later.
STATEMENT_TIMEOUT_SECONDS = 30.0
_CORRECTION_FAILURE = "The log refused a correction"

MAX_INDEX_IN_BLOCK = arrays.MAX_INDEX_IN_BLOCK
#: The writer refreshes the statistics of a log up to this seq; beyond it, autovacuum does.
STATISTICS_UNTIL_SEQ = 2_000_000
#: Statistics are refreshed each time the feed has grown by a quarter, and by at least this much: a plan made for a
#: table of one page is ruinous for one of ten.
STATISTICS_STEP = 500


class AppendResult(NamedTuple):
    """The result of one committed batch."""

    epoch: str
    #: The seqs that it added, or None if everything in it was already known.
    first_seq: int | None
    last_seq: int | None
    transactions: int
    events: int
    duplicates: int
    dead_letters: int
    #: How long it held the lock of the log, the commit included, in seconds.
    lock_held_seconds: float
    #: How long it waited for the lock.
    lock_wait_seconds: float = 0.0
    #: How much of that time the folded marts took.
    folds_seconds: float = 0.0
    #: From COMMIT to the server's confirmation that it is on disk.
    commit_seconds: float = 0.0

    def plus(self, other: AppendResult) -> AppendResult:
        """Return the combined result of this and a later commit."""
        return AppendResult(
            epoch=other.epoch or self.epoch,
            first_seq=other.first_seq if self.first_seq is None else self.first_seq,
            last_seq=self.last_seq if other.last_seq is None else other.last_seq,
            transactions=self.transactions + other.transactions,
            events=self.events + other.events,
            duplicates=self.duplicates + other.duplicates,
            dead_letters=self.dead_letters + other.dead_letters,
            lock_held_seconds=self.lock_held_seconds + other.lock_held_seconds,
            lock_wait_seconds=self.lock_wait_seconds + other.lock_wait_seconds,
            folds_seconds=self.folds_seconds + other.folds_seconds,
            commit_seconds=self.commit_seconds + other.commit_seconds,
        )


EMPTY_RESULT = AppendResult("", None, None, 0, 0, 0, 0, 0.0)


class CoverageProof(NamedTuple):
    """The successful transactions that the chain lists between two slots, both included."""

    source: str
    from_slot: int
    to_slot: int
    successes: int
    #: SHA-256 of the signatures, sorted, one per line.
    digest: bytes


class _RejectedBatch(Exception):
    """Postgres refused the contents of the batch."""


class _AppendRow(NamedTuple):
    """The row that raw.append returns; the fields follow the order of its columns."""

    head: int
    last: int
    events: int
    fresh: Sequence[int] | None
    differing: Sequence[int] | None
    aside: int
    accounts: Sequence[str] | None
    market_nos: Sequence[int] | None
    identified: Sequence[bool] | None
    wallets: Sequence[str] | None
    wallet_nos: Sequence[int] | None
    lock_wait_seconds: float
    folds_seconds: float
    lock_held_seconds: float

    @property
    def assigned(self) -> arrays.AssignedNumbers:
        """The numbers that it returned for markets and wallets."""
        return arrays.AssignedNumbers(
            self.accounts or (), self.market_nos or (), self.identified or (), self.wallets or (), self.wallet_nos or ()
        )


class Writer:
    """A connection that may append. Run one `append` at a time; after a failure the next one reconnects."""

    def __init__(self, dsn: str) -> None:
        self._connection = ReconnectingConnection(
            dsn,
            application_name="zmart ingest writer",
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            autocommit=False,
            on_connect=self._set_up_session,
        )
        self._numbers = arrays.NumberCache()
        #: The end of the log after the last append that was acknowledged; a new connection proves the log with it.
        self._position: feed.FeedPosition | None = None
        #: Statistics are refreshed again from this seq.
        self._next_statistics_seq = STATISTICS_STEP

    @classmethod
    async def connect(cls, dsn: str) -> Writer:
        """Open a writer on the database at `dsn`, as role zmart_ingest. Raises Unavailable."""
        writer = cls(dsn)
        await writer._connection.get()
        return writer

    async def close(self) -> None:
        """Close the connection; an unfinished batch is not committed."""
        await self._connection.close()

    def prepare(self, transactions: Sequence[TransactionRow]) -> PreparedBatch:
        """Return the same transactions with their columns encoded, so that `append` need not do it."""
        return PreparedBatch(transactions, self._numbers)

    async def mark_of(self, seq: int) -> str:
        """Return the mark of the commit that holds a seq; for traces. Raises Unavailable."""
        async with self._closed_if_unavailable("The mark of a commit cannot be read"):
            connection = await self._connection.get()
            row = await (await connection.execute(sql.mark_of, {"seq": seq})).fetchone()
            await connection.rollback()
        assert row is not None
        return str(row[0])

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> AppendResult:
        """Commit a batch and return its result; nothing of it is committed when this raises.

        `source` names the deliverer (webhook, walk, backfill, logs, file). `wanted` are signatures that came without
        logs. Raises Unavailable or Overloaded when Postgres cannot take the batch now.
        """
        own_dead_letters = [*dead_letters, *conflict_dead_letters(transactions)]
        prepared = transactions if isinstance(transactions, PreparedBatch) else None
        sightings = prepared.sightings if prepared else list(count_sightings(transactions))
        appended = await self._store(BatchInput(sightings, own_dead_letters, wanted, source, prepared))
        if appended.duplicates:
            await self._add_rebuilt_events([sighting.row for sighting in sightings], source)
        await self._refresh_statistics(appended.last_seq)
        return appended

    async def retract(self, signatures: Sequence[str]) -> int:
        """Retract transactions that are proven not to be on the chain; return the number of feed rows written.

        They stay in the log, marked as retracted. If one lands again, it is reopened under new seqs. Raises
        Unavailable.
        """
        named = {"signatures": list(signatures)}
        async with self._closed_if_unavailable(_CORRECTION_FAILURE):
            connection = await self._connection.get()
            async with connection.transaction():
                await connection.execute(sql.lock_writer)
                (slots,) = await _fetch_one(connection, sql.slots_of_transactions, named)
                return await _append_feed_rows(connection, sql.retract, named, slots=slots or ())

    async def set_block_order(self, slot: int, indexes: Mapping[str, int]) -> int:
        """Set the index in the block of provisional transactions of `slot`; return the number of feed rows written."""
        valid_indexes = {signature: index for signature, index in indexes.items() if index <= MAX_INDEX_IN_BLOCK}
        parameters = {"slot": slot, "signatures": list(valid_indexes), "indexes": list(valid_indexes.values())}
        async with self._closed_if_unavailable(_CORRECTION_FAILURE):
            connection = await self._connection.get()
            async with connection.transaction():
                await connection.execute(sql.lock_writer)
                head = (await _fetch_one(connection, sql.head))[0]
                if (await connection.execute(sql.set_block_order, parameters)).rowcount == 0:
                    return 0
                await connection.execute(sql.resolve_order_conflicts, {"slots": [slot]})
                return await _fold_and_notify(connection, head)

    async def finalize(self, proof: CoverageProof) -> bool:
        """Move the watermark to the end of `proof` if our successes in its slots are exactly the chain's.

        Return whether they are.
        """
        async with self._closed_if_unavailable(_CORRECTION_FAILURE):
            connection = await self._connection.get()
            async with connection.transaction():
                await connection.execute(sql.lock_writer)
                ours = await _fetch_one(connection, sql.stored_successes, proof._asdict())
                if ours != (proof.successes, proof.digest):
                    return False
                await connection.execute(sql.record_coverage, proof._asdict())
                await _append_feed_rows(connection, sql.append_finality, {"slot": proof.to_slot})
        return True

    async def cover(self, proof: CoverageProof) -> None:
        """Record that nothing in the range of `proof` is missing here. Raises Unavailable."""
        async with self._closed_if_unavailable(_CORRECTION_FAILURE):
            connection = await self._connection.get()
            async with connection.transaction():
                await connection.execute(sql.record_coverage, proof._asdict())

    async def replace(self, row: TransactionRow, *, source: str, force: bool = False) -> bool:
        """Make the version of a transaction that the finalized chain holds the valid one.

        Return whether ours was another version. With `force` the same version counts as another one, because its body
        was decoded differently. The superseded version becomes a dead letter, and the alert about the difference is
        resolved. Raises Unavailable, NotFound if the log does not hold the transaction, and Conflict where Postgres
        refuses the row.
        """
        async with self._closed_if_unavailable(_CORRECTION_FAILURE):
            return await self._replace(row, source, force=force)

    async def _add_rebuilt_events(self, rows: Sequence[TransactionRow], source: str) -> None:
        """Append what a delivery knows of a cut in the log, if the log lacks it: rebuilt events, and later ordinals.

        Lost events move the ordinals of later ones, so the transaction's events are retracted and appended again.
        """
        certain = [row for row in rows if row.knows_what_was_cut]
        if not certain:
            return
        parameters = {
            "signatures": [row.signature for row in certain],
            "digests": [row.digest for row in certain],
            "events": [len(row.events) for row in certain],
            "last_ordinals": [row.events[-1].ordinal if row.events else -1 for row in certain],
        }
        async with self._closed_if_unavailable(_CORRECTION_FAILURE):
            connection = await self._connection.get()
            async with connection.transaction():
                found = await (await connection.execute(sql.poorer_transactions, parameters)).fetchall()
        poorer = {signature for (signature,) in found}
        for row in certain:
            if row.signature in poorer:
                await self.replace(row, source=source, force=True)

    async def _replace(self, row: TransactionRow, source: str, *, force: bool) -> bool:
        connection = await self._connection.get()
        async with connection.transaction():
            await connection.execute(sql.lock_writer)
            head = (await _fetch_one(connection, sql.head))[0]
            cursor = await connection.execute(sql.stored_version, {"signature": row.signature})
            stored = await cursor.fetchone()
            if stored is None:
                raise errors.NotFound(f"The log does not contain transaction {row.signature}.")
            number, digest, content, start, length, is_retracted, index, block_time, fee = stored
            is_other = digest != row.digest or is_retracted or force
            if digest == row.digest:
                # The same transaction: what the log has learned of its place is not lost.
                row = row._replace(
                    index_in_block=index if row.index_in_block is None else row.index_in_block,
                    block_time=block_time if row.block_time is None else row.block_time,
                    fee_lamports=int(fee) if row.fee_lamports is None and fee is not None else row.fee_lamports,
                )
            if is_other:
                await connection.execute(sql.retract, {"signatures": [row.signature]})
                (slots,) = await _fetch_one(connection, sql.slots_of_transactions, {"signatures": [row.signature]})
                parameters = {
                    **row._asdict(),
                    "body": body_compression.compress_one(row.body),
                    "transaction_no": number,
                }
                await connection.execute(sql.replace_transaction, parameters)
                body = None if content is None else body_compression.decompress(content, start, length)
                dead_letters = [
                    *row.dead_letters,
                    *([superseded_dead_letter(row, body)] if digest != row.digest else []),
                ]
                _, *assigned = await _fetch_one(
                    connection,
                    sql.append_events,
                    {
                        "numbers": arrays.int8s([number]),
                        "left": arrays.int8s(slots or ()),
                        **arrays.events([row], self._numbers),
                    },
                )
                await _fold_and_notify(connection, head)
                await insert_dead_letters(connection, dead_letters, source)
                if digest == row.digest and not any(one.ordinal is None for one in row.dead_letters):
                    await connection.execute(sql.close_truncated, {"signature": row.signature})
            if not force:
                await connection.execute(sql.close_recheck, {"signature": row.signature})
                await connection.execute(
                    alerts.sql.resolve_alert, {"kind": "dead_letter_differs", "subject": row.signature}
                )
        if is_other:
            self._numbers.remember(arrays.AssignedNumbers(*(column or () for column in assigned)))
        return bool(is_other)

    @contextlib.asynccontextmanager
    async def _closed_if_unavailable(self, failure: str) -> AsyncIterator[None]:
        """Translate errors, and close the connection to a server that is not available.

        It may have been opened before the server was promoted; a new one proves the log's history.
        """
        try:
            with translate_all_errors(failure):
                yield
        except errors.Unavailable:
            await self._connection.close()
            raise

    async def _store(self, batch_input: BatchInput) -> AppendResult:
        try:
            return await self._commit(batch_input)
        except _RejectedBatch as rejection:
            if batch_input.size <= 1:
                return await self._dead_letter(batch_input, str(rejection))
        first, second = batch_input.split()
        first_result = await self._store(first)
        return first_result.plus(await self._store(second))

    async def _dead_letter(self, batch_input: BatchInput, reason: str) -> AppendResult:
        """Store a refused item as a plain dead letter that Postgres accepts.

        There is no further fallback: raises Unavailable if the dead letter is refused too.
        """
        dead_letter = batch_input.rejection_dead_letter(reason)
        log.error("batch_item_rejected", signature=dead_letter.signature, reason=reason)
        try:
            rejected_input = dataclasses.replace(
                batch_input, sightings=(), dead_letters=(dead_letter,), wanted=(), prepared=None
            )
            return await self._commit(rejected_input)
        except _RejectedBatch as error:
            raise errors.Unavailable(f"The log rejects even a dead letter: {error}") from error

    async def _commit(self, batch_input: BatchInput) -> AppendResult:
        try:
            # An error caused neither by the server nor by a value is in our own SQL: the deliverer keeps the batch.
            async with self._closed_if_unavailable("The log refused a batch"):
                return await self._transact(batch_input)
        except (errors.InvalidInput, errors.Conflict, errors.NotFound, UnicodeError, struct.error) as refused:
            raise _RejectedBatch(str(refused)) from refused

    async def _set_up_session(self, connection: Connection) -> None:
        arrays.register_array_dumper(connection)
        await connection.execute(sql.prepare_session)
        held = self._position
        await connection.execute(
            sql.epoch,
            {
                "epoch": held.epoch if held else None,
                "seq": held.seq if held else None,
                "mark": held.mark if held else None,
            },
        )
        await connection.commit()
        self._numbers = arrays.NumberCache()

    async def _transact(self, batch_input: BatchInput) -> AppendResult:
        connection = await self._connection.get()
        columns = {**batch_input.columns(self._numbers), "wanted": arrays.texts(batch_input.wanted)}
        # BEGIN and the question for the epoch are sent together with the call: one round trip to append, one to commit.
        async with connection.pipeline(), connection.transaction():
            appended = await connection.execute(sql.append, {"source": batch_input.source, **columns})
            position = await connection.execute(sql.current_position)
            append_row = _AppendRow._make(await _read_one(appended))
            answered = time.perf_counter()
            reached = feed.FeedPosition(*await _read_one(position))
            dead_letters = list(_collect_dead_letters(batch_input, append_row))
            await insert_dead_letters(connection, dead_letters, batch_input.source)
            committing = time.perf_counter()
        committed = time.perf_counter()
        self._position = reached
        self._numbers.remember(append_row.assigned)
        fresh = len(append_row.fresh or ())
        return AppendResult(
            epoch=reached.epoch,
            first_seq=append_row.head + 1 if append_row.last > append_row.head else None,
            last_seq=append_row.last if append_row.last > append_row.head else None,
            transactions=fresh,
            events=append_row.events,
            duplicates=sum(sighting.times for sighting in batch_input.sightings) - fresh - append_row.aside,
            dead_letters=len(dead_letters),
            lock_held_seconds=append_row.lock_held_seconds + committed - answered,
            lock_wait_seconds=append_row.lock_wait_seconds,
            folds_seconds=append_row.folds_seconds,
            commit_seconds=committed - committing,
        )

    async def _refresh_statistics(self, last_seq: int | None) -> None:
        """Refresh statistics so that plans stay good while the log is young; errors do not affect the commit."""
        if last_seq is None or not self._next_statistics_seq <= last_seq <= STATISTICS_UNTIL_SEQ:
            return
        self._next_statistics_seq = max(last_seq + STATISTICS_STEP, last_seq + last_seq // 4)
        try:
            connection = await self._connection.get()
            async with connection.transaction():
                await connection.execute(sql.refresh_statistics)
        except (errors.ZmartError, psycopg.Error) as error:
            log.warning("statistics_refresh_failed", reason=str(error))


def _collect_dead_letters(batch_input: BatchInput, append_row: _AppendRow) -> Iterator[DeadLetter]:
    """Yield the dead letters of a batch: its own, one per version that differs, and those of new transactions."""
    yield from batch_input.dead_letters
    for position in append_row.differing or ():
        yield differs_dead_letter(batch_input.sightings[position - 1].row)
    for position in append_row.fresh or ():
        yield from batch_input.sightings[position - 1].row.dead_letters


async def _append_feed_rows(
    connection: Connection, statement: str, parameters: dict[str, Any], *, slots: Sequence[int] = ()
) -> int:
    """Run a statement that writes feed rows, resolve the order of `slots`, fold, notify; return the row count."""
    head = (await _fetch_one(connection, sql.head))[0]
    if (await connection.execute(statement, parameters)).rowcount > 0 and slots:
        await connection.execute(sql.resolve_order_conflicts, {"slots": list(slots)})
    return await _fold_and_notify(connection, head)


async def _fold_and_notify(connection: Connection, head: int) -> int:
    """Fold and notify the feed rows after `head`; return their number."""
    rows: int = (await _fetch_one(connection, sql.head))[0] - head
    if rows:
        await connection.execute(sql.fold, {"from": head, "to": head + rows})
        await connection.execute(sql.notify_feed)
    return rows


async def _fetch_one(
    connection: Connection, statement: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    return await _read_one(await connection.execute(statement, parameters))


async def _read_one(cursor: psycopg.AsyncCursor[tuple[Any, ...]]) -> tuple[Any, ...]:
    row = await cursor.fetchone()
    assert row is not None
    return row
