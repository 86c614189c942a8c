"""The one way into the log: lock, append, fold, ring, commit.

A batch travels to Postgres as arrays (ingest.batch), and is there before the lock is taken. Then one statement,
`raw.append`, does the rest under the lock:

    admit      which transactions are new; known ones are counted, differing ones become dead letters
    number     integers for markets and wallets never named before
    append     events and their feed rows, `seq` counting on from the head without a gap
    separate   transactions that claim one place of a block get one each, whichever came first (raw.separate)
    fold       every healthy mart takes the window (folds.fold; a failing model is marked, never the log)
    ring       NOTIFY, then COMMIT with fsync: only now does `append` return

So whoever reads `seq` n has everything up to n, and marts are never behind the log.

What a delivery cannot know is corrected here too, under the same lock and in the same way: a transaction that is proven
gone (`retract`), the version the chain decided for (`replace`), a place in the block learned later (`settle`), and the
watermark of finality (`finalize`), which moves only when our signatures of those slots are exactly the chain's. Each
correction is rows of the feed, and the marts follow before the commit.

A batch that Postgres refuses because of what is in it is halved until the culprit stands alone; the culprit, be it a
transaction, a dead letter or a wanted signature, becomes a plain dead letter and its neighbours are stored. A server
that is not answering is another matter: that is `Unavailable`, nothing is committed, and the deliverer will try again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import psycopg
import structlog

from zmart import errors
from zmart.db import pool, queries

from ..records import DeadLetter, TransactionRow
from . import arrays, body_compression
from .arrays import Sighting

log = structlog.get_logger()
sql = queries.load("ingest.store", "queries.sql")

#: A window that rebuilds many keys may take long; a stuck one must still end.
STATEMENT_TIMEOUT_SECONDS = 120.0

MAX_INDEX_IN_BLOCK = arrays.MAX_INDEX_IN_BLOCK
#: A log this young gets statistics by and by from its writer; later autovacuum sees to them.
YOUNG = 2_000_000
#: Statistics are looked after each time the feed is longer by a quarter, and by this much at least: a table of a page
#: has a plan that is ruinous for one of ten.
FIRST_LOOK = 500

#: Dead letters that a person should hear of: the others are looked at when there is time.
ALERTING = frozenset({"differs", "truncated", "rejected"})


class Appended(NamedTuple):
    """What one committed batch did."""

    epoch: str
    #: The seqs it added, or None when everything in it was known already.
    first_seq: int | None
    last_seq: int | None
    transactions: int
    events: int
    duplicates: int
    dead_letters: int
    #: How long others had to wait for the log, the commit included, in seconds.
    lock_held_seconds: float
    #: How long it waited for others itself.
    lock_wait_seconds: float = 0.0
    #: How long the folded marts took of it.
    folds_seconds: float = 0.0
    #: From COMMIT to the server's word that it is on disk.
    commit_seconds: float = 0.0

    def plus(self, other: Appended) -> Appended:
        """What this and a later commit did together."""
        return Appended(
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


NOTHING = Appended("", None, None, 0, 0, 0, 0, 0.0)


class Proof(NamedTuple):
    """What the chain lists as successful between two slots, both included."""

    source: str
    from_slot: int
    to_slot: int
    successes: int
    #: SHA-256 of the signatures, sorted, one a line.
    digest: bytes


class _Poison(Exception):
    """Postgres refused what is in the batch."""


class Prepared(list[TransactionRow]):
    """Transactions whose columns are laid out already."""

    def __init__(self, transactions: Sequence[TransactionRow], numbers: arrays.Numbers) -> None:
        super().__init__(transactions)
        self.sightings = list(_sightings(self))
        #: The memory that the columns were made with: another one's numbers are other markets.
        self.numbers = numbers
        self.columns = _columns(self.sightings, numbers)


@dataclass(frozen=True)
class _Load:
    """What is to be committed together."""

    sightings: Sequence[Sighting]
    letters: Sequence[DeadLetter]
    wanted: Sequence[str]
    source: str
    prepared: Prepared | None = None

    def columns(self, numbers: arrays.Numbers) -> dict[str, arrays.Array]:
        """The columns of its transactions, laid out beforehand where that still holds."""
        if self.prepared is not None and self.prepared.numbers is numbers:
            return self.prepared.columns
        return _columns(self.sightings, numbers)

    @property
    def weight(self) -> int:
        """How many things it holds."""
        return len(self.sightings) + len(self.letters) + len(self.wanted)

    def halves(self) -> tuple[_Load, _Load]:
        """Two of about the same size, in order: transactions before letters before wanted signatures."""
        middle, n, m = self.weight // 2, len(self.sightings), len(self.sightings) + len(self.letters)
        first = dataclasses.replace(
            self,
            prepared=None,
            sightings=self.sightings[:middle],
            letters=self.letters[: max(0, middle - n)],
            wanted=self.wanted[: max(0, middle - m)],
        )
        second = dataclasses.replace(
            self,
            prepared=None,
            sightings=self.sightings[middle:],
            letters=self.letters[max(0, middle - n) :],
            wanted=self.wanted[max(0, middle - m) :],
        )
        return first, second

    def letter(self, reason: str) -> DeadLetter:
        """What stays of the only thing in it."""
        said = f"Postgres refused it: {reason}"
        for sighting in self.sightings:
            return DeadLetter(sighting.row.signature, None, "rejected", said, sighting.row.body)
        for letter in self.letters:
            return DeadLetter(None, None, "rejected", said, letter.bytes or repr(letter).encode())
        return DeadLetter(None, None, "rejected", said, "".join(self.wanted).encode("utf-8", "surrogatepass"))


class _Answer(NamedTuple):
    """What raw.append says; its columns in their order."""

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
    def learned(self) -> arrays.Learned:
        """Numbers of newcomers."""
        return arrays.Learned(
            self.accounts or (), self.market_nos or (), self.identified or (), self.wallets or (), self.wallet_nos or ()
        )


class Writer:
    """A connection that may append. One `append` at a time; after a failure the next one reconnects."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: pool.Connection | None = None
        self._numbers = arrays.Numbers()
        self._epoch = ""
        #: From which seq on statistics are looked after again.
        self._next_look = FIRST_LOOK

    @classmethod
    async def connect(cls, dsn: str) -> Writer:
        """Open a writer on the database at `dsn`, as role zmart_ingest. Raises Unavailable."""
        writer = cls(dsn)
        await writer._connected()
        return writer

    async def close(self) -> None:
        """Give the connection back; an unfinished batch is not committed."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def prepared(self, transactions: Sequence[TransactionRow]) -> Prepared:
        """The same transactions with their columns laid out, which `append` then need not do."""
        return Prepared(transactions, self._numbers)

    async def append(
        self,
        transactions: Sequence[TransactionRow],
        *,
        source: str,
        dead_letters: Sequence[DeadLetter] = (),
        wanted: Sequence[str] = (),
    ) -> Appended:
        """Commit a batch and return what it did; nothing of it is committed when this raises.

        `source` is who delivered it (webhook, walk, backfill, logs, file). `wanted` are signatures named without logs.
        Raises Unavailable or Overloaded when Postgres cannot take it now.
        """
        letters = [*dead_letters, *_conflicting(transactions)]
        prepared = transactions if isinstance(transactions, Prepared) else None
        sightings = prepared.sightings if prepared else list(_sightings(transactions))
        appended = await self._store(_Load(sightings, letters, wanted, source, prepared))
        await self._keep_statistics(appended.last_seq)
        return appended

    async def retract(self, signatures: Sequence[str]) -> int:
        """Take transactions out that are proven not to be on the chain; how many feed rows say so.

        They stay in the log, marked. Landing again reopens them under new seqs. Raises Unavailable.
        """
        named = {"signatures": list(signatures)}
        with _said_plainly():
            connection = await self._connected()
            async with connection.transaction():
                await connection.execute(sql.take_writer)
                (slots,) = await _one(connection, sql.slots_of, named)
                return await _announce(connection, sql.retract, named, slots=slots or ())

    async def settle(self, slot: int, indexes: Mapping[str, int]) -> int:
        """Give provisional transactions of `slot` their index in the block; how many feed rows say what moved."""
        known = {signature: index for signature, index in indexes.items() if index <= MAX_INDEX_IN_BLOCK}
        said = {"slot": slot, "signatures": list(known), "indexes": list(known.values())}
        with _said_plainly():
            connection = await self._connected()
            async with connection.transaction():
                await connection.execute(sql.take_writer)
                head = (await _one(connection, sql.head))[0]
                if (await connection.execute(sql.settle_order, said)).rowcount == 0:
                    return 0
                await connection.execute(sql.separate, {"slots": [slot]})
                return await _follow(connection, head)

    async def finalize(self, proof: Proof) -> bool:
        """Move the watermark to the end of `proof` if our successes in its slots are the chain's; whether they are."""
        with _said_plainly():
            connection = await self._connected()
            async with connection.transaction():
                await connection.execute(sql.take_writer)
                ours = await _one(connection, sql.own_successes, proof._asdict())
                if ours != (proof.successes, proof.digest):
                    return False
                await connection.execute(sql.cover, proof._asdict())
                await _announce(connection, sql.announce_finality, {"slot": proof.to_slot})
        return True

    async def cover(self, proof: Proof) -> None:
        """Write down that nothing of `proof` is missing here. Raises Unavailable."""
        with _said_plainly():
            connection = await self._connected()
            async with connection.transaction():
                await connection.execute(sql.cover, proof._asdict())

    async def replace(self, row: TransactionRow, *, source: str, anew: bool = False) -> bool:
        """Let the version the finalized chain gives of a transaction be the one that counts; whether ours was another.

        With `anew` the same version counts as another: what it says was read differently.
        The version that loses becomes a dead letter, open alerts about it a fact. Raises Unavailable, and Conflict
        where Postgres refuses the row.
        """
        with _said_plainly():
            return await self._replace(row, source, anew=anew)

    async def _replace(self, row: TransactionRow, source: str, *, anew: bool) -> bool:
        connection = await self._connected()
        async with connection.transaction():
            await connection.execute(sql.take_writer)
            head = (await _one(connection, sql.head))[0]
            cursor = await connection.execute(sql.stored_version, {"signature": row.signature})
            stored = await cursor.fetchone()
            if stored is None:
                raise errors.NotFound(f"The log does not hold transaction {row.signature}.")
            number, digest, content, start, length, is_retracted = stored
            is_other = digest != row.digest or is_retracted or anew
            if is_other:
                await connection.execute(sql.retract, {"signatures": [row.signature]})
                (slots,) = await _one(connection, sql.slots_of, {"signatures": [row.signature]})
                said = {**row._asdict(), "body": body_compression.alone(row.body), "transaction_no": number}
                await connection.execute(sql.replace_transaction, said)
                body = None if content is None else body_compression.opened(content, start, length)
                letters = [*row.dead_letters, *([_losing(row, body)] if digest != row.digest else [])]
                _, *learned = await _one(
                    connection,
                    sql.append_events,
                    {
                        "numbers": arrays.int8s([number]),
                        "left": arrays.int8s(slots or ()),
                        **arrays.events([row], self._numbers),
                    },
                )
                await _follow(connection, head)
                await _bury_all(connection, letters, source)
            await connection.execute(sql.decided, {"signature": row.signature})
            await connection.execute(sql.end_doubt, {"signature": row.signature})
        if is_other:
            self._numbers.remember(arrays.Learned(*(column or () for column in learned)))
        return bool(is_other)

    async def _store(self, load: _Load) -> Appended:
        try:
            return await self._commit(load)
        except _Poison as poison:
            if load.weight <= 1:
                return await self._bury(load, str(poison))
        first, second = load.halves()
        done = await self._store(first)
        return done.plus(await self._store(second))

    async def _bury(self, load: _Load, reason: str) -> Appended:
        """Keep what was refused in a form that is not; it is the end of the road, so no letter is tried twice."""
        letter = load.letter(reason)
        log.error("rejected", signature=letter.signature, reason=reason)
        try:
            alone = dataclasses.replace(load, sightings=(), letters=(letter,), wanted=(), prepared=None)
            return await self._commit(alone)
        except _Poison as again:
            raise errors.Unavailable(f"The log refuses even a dead letter: {again}") from again

    async def _commit(self, load: _Load) -> Appended:
        try:
            with pool.translate_errors():
                return await self._transact(load)
        except (errors.InvalidInput, errors.Conflict, errors.NotFound, UnicodeError, struct.error) as refused:
            raise _Poison(str(refused)) from refused
        except psycopg.Error as bug:
            # Neither the server's condition nor a value: our own SQL. The batch is kept by its deliverer.
            raise errors.Unavailable(f"The log refused a batch: {bug.diag.message_primary or bug}.") from bug

    async def _connected(self) -> pool.Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = await pool.connect(
                self._dsn,
                application_name="zmart ingest writer",
                statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            )
            arrays.adapted(self._connection)
            with pool.translate_errors():
                await self._connection.execute(sql.prepare_session)
                identity = await (await self._connection.execute(sql.epoch)).fetchone()
                if identity is None:
                    raise errors.ConfigurationError(
                        "This database has a log without an identity.", help="Deploy it first: zmart migrate"
                    )
                self._epoch = identity[0]
                await self._connection.commit()
            self._numbers = arrays.Numbers()
        return self._connection

    async def _transact(self, load: _Load) -> Appended:
        connection = await self._connected()
        columns = {**load.columns(self._numbers), "wanted": arrays.texts(load.wanted)}
        # BEGIN travels with the call: one journey to append, one to commit.
        async with connection.pipeline(), connection.transaction():
            answer = _Answer._make(await _one(connection, sql.append, {"source": load.source, **columns}))
            answered = time.perf_counter()
            letters = list(_letters(load, answer))
            await _bury_all(connection, letters, load.source)
            committing = time.perf_counter()
        committed = time.perf_counter()
        self._numbers.remember(answer.learned)
        fresh = len(answer.fresh or ())
        return Appended(
            epoch=self._epoch,
            first_seq=answer.head + 1 if answer.last > answer.head else None,
            last_seq=answer.last if answer.last > answer.head else None,
            transactions=fresh,
            events=answer.events,
            duplicates=sum(sighting.times for sighting in load.sightings) - fresh - answer.aside,
            dead_letters=len(letters),
            lock_held_seconds=answer.lock_held_seconds + committed - answered,
            lock_wait_seconds=answer.lock_wait_seconds,
            folds_seconds=answer.folds_seconds,
            commit_seconds=committed - committing,
        )

    async def _keep_statistics(self, last_seq: int | None) -> None:
        """Keep plans good while the log is young; what was committed stays so, whatever comes of this."""
        if last_seq is None or not self._next_look <= last_seq <= YOUNG:
            return
        self._next_look = max(last_seq + FIRST_LOOK, last_seq + last_seq // 4)
        try:
            connection = await self._connected()
            async with connection.transaction():
                await connection.execute(sql.keep_statistics)
        except (errors.ZmartError, psycopg.Error) as trouble:
            log.warning("statistics not kept", reason=str(trouble))


def _columns(sightings: Sequence[Sighting], numbers: arrays.Numbers) -> dict[str, arrays.Array]:
    return {**arrays.transactions(sightings), **arrays.events([sighting.row for sighting in sightings], numbers)}


def _sightings(transactions: Iterable[TransactionRow]) -> Iterable[Sighting]:
    """Each signature once, in order of first sight, with how often this batch holds it."""
    seen: dict[str, Sighting] = {}
    for row in transactions:
        known = seen.get(row.signature)
        seen[row.signature] = Sighting(row, 1) if known is None else Sighting(known.row, known.times + 1)
    return seen.values()


def _letters(load: _Load, answer: _Answer) -> Iterator[DeadLetter]:
    """Those of the batch: its own, one per version that differs, and those of transactions that count now."""
    yield from load.letters
    for position in answer.differing or ():
        yield _differing(load.sightings[position - 1].row)
    for position in answer.fresh or ():
        yield from load.sightings[position - 1].row.dead_letters


def _conflicting(transactions: Iterable[TransactionRow]) -> Iterable[DeadLetter]:
    digests: dict[str, bytes] = {}
    for row in transactions:
        if digests.setdefault(row.signature, row.digest) != row.digest:
            yield _differing(row)


def _differing(row: TransactionRow) -> DeadLetter:
    reason = "Another delivery of this signature has another slot, error or log."
    return DeadLetter(row.signature, None, "differs", reason, row.body)


def _losing(row: TransactionRow, body: bytes | None) -> DeadLetter:
    reason = "The finalized chain holds another version of this transaction; this one was withdrawn."
    return DeadLetter(row.signature, None, "superseded", reason, body)


@contextlib.contextmanager
def _said_plainly() -> Iterator[None]:
    """Errors of ours out of the driver's; a mistake in our own SQL is nothing a caller can help."""
    try:
        with pool.translate_errors():
            yield
    except psycopg.Error as bug:
        raise errors.Unavailable(f"The log refused a correction: {bug.diag.message_primary or bug}.") from bug


async def _announce(
    connection: pool.Connection, statement: str, parameters: dict[str, Any], *, slots: Sequence[int] = ()
) -> int:
    """Run a statement that writes rows of the feed, place `slots` anew, let everything follow; how many rows."""
    head = (await _one(connection, sql.head))[0]
    if (await connection.execute(statement, parameters)).rowcount > 0 and slots:
        await connection.execute(sql.separate, {"slots": list(slots)})
    return await _follow(connection, head)


async def _follow(connection: pool.Connection, head: int) -> int:
    """Fold and ring for what the feed has after `head`; how many rows that is."""
    rows: int = (await _one(connection, sql.head))[0] - head
    if rows:
        await connection.execute(sql.fold, {"from": head, "to": head + rows})
        await connection.execute(sql.ring)
    return rows


async def _bury_all(connection: pool.Connection, letters: Sequence[DeadLetter], source: str) -> None:
    """Keep dead letters; ask the chain where two versions stand, and tell a person where that is due."""
    if not letters:
        return
    async with connection.cursor() as cursor:
        await cursor.executemany(sql.bury, [_buried(letter, source) for letter in letters])
    doubtful = sorted({letter.signature for letter in letters if letter.reason_code == "differs" and letter.signature})
    if doubtful:
        await connection.execute(sql.doubt, {"signatures": doubtful})
    for code in sorted(ALERTING & {letter.reason_code for letter in letters}):
        about = next(letter for letter in letters if letter.reason_code == code)
        await connection.execute(
            sql.alert,
            {
                "kind": f"dead_letter_{code}",
                "subject": about.signature or source,
                "severity": "warning",
                "message": f"{about.reason} See: zmart dead-letters list",
            },
        )


async def _one(
    connection: pool.Connection, statement: str, parameters: dict[str, Any] | None = None
) -> tuple[Any, ...]:
    cursor = await connection.execute(statement, parameters)
    row = await cursor.fetchone()
    assert row is not None
    return row


def _buried(letter: DeadLetter, source: str) -> dict[str, Any]:
    return {
        "signature": letter.signature,
        "ordinal": letter.ordinal,
        "reason_code": letter.reason_code,
        # Postgres text cannot hold U+0000 or half a surrogate pair; the bytes beside it keep everything.
        "reason": letter.reason.replace("\x00", "\\0").encode("utf-8", "replace").decode(),
        "source": source,
        "bytes": letter.bytes,
        "digest": hashlib.sha256(letter.bytes or letter.reason.encode("utf-8", "replace")).digest(),
    }
