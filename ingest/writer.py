"""The one way into the log: lock, append, fold, ring, commit.

A batch travels to Postgres before the lock is taken (`inbox`, a temporary table). Under the lock, in one transaction:

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

A batch that Postgres refuses because of what is in it is halved until the culprit stands alone; the culprit becomes a
dead letter and its neighbours are stored. A server that is not answering is another matter: that is `Unavailable`,
nothing is committed, and the deliverer will try again.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
import structlog

from zmart import errors
from zmart.db import pool, queries
from zmart.domain import ids

from .records import DeadLetter, EventRow, TransactionRow

log = structlog.get_logger()
sql = queries.load("ingest", "queries.sql")

#: A window that rebuilds many keys may take long; a stuck one must still end.
STATEMENT_TIMEOUT_SECONDS = 120.0

#: Numbers remembered between batches; 44 characters a key, so some tens of megabytes at the most.
REMEMBERED = 200_000

#: Anchor's logs end long before this many lines fit (protocol.md 1.7, truncation); the order key has nine bits.
MAX_ORDINAL = 511
MAX_INDEX_IN_BLOCK = 32_767
MAX_SLOT = 2**39 - 1

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
    #: How long others had to wait for the log, in seconds.
    lock_held_seconds: float

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


class _Sighting(NamedTuple):
    row: TransactionRow
    times: int


class _Poison(Exception):
    """Postgres refused what is in the batch."""


@dataclass(slots=True)
class _Numbers:
    """Integers of markets and wallets, remembered once they are committed."""

    markets: dict[str, tuple[int, bool]] = field(default_factory=dict)
    wallets: dict[str, int] = field(default_factory=dict)

    def remember(self, learned: _Numbers) -> None:
        for memory, news in ((self.markets, learned.markets), (self.wallets, learned.wallets)):
            if len(memory) > REMEMBERED:
                memory.clear()
            memory.update(news)  # type: ignore[arg-type]

    def market(self, learned: _Numbers, account: str) -> tuple[int, bool] | None:
        return learned.markets.get(account) or self.markets.get(account)

    def wallet(self, learned: _Numbers, wallet: str) -> int | None:
        return learned.wallets.get(wallet) or self.wallets.get(wallet)


class Writer:
    """A connection that may append. One `append` at a time; after a failure the next one reconnects."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: pool.Connection | None = None
        self._numbers = _Numbers()
        self._epoch = ""

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
        sightings = list(_sightings(transactions))
        return await self._store(sightings, [*dead_letters, *_conflicting(transactions)], wanted, source)

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
        connection, learned = await self._connected(), _Numbers()
        async with connection.transaction():
            await connection.execute(sql.take_writer)
            head = (await _one(connection, sql.head))[0]
            cursor = await connection.execute(sql.stored_version, {"signature": row.signature})
            stored = await cursor.fetchone()
            if stored is None:
                raise errors.NotFound(f"The log does not hold transaction {row.signature}.")
            number, digest, body, is_retracted = stored
            is_other = digest != row.digest or is_retracted or anew
            if is_other:
                await connection.execute(sql.retract, {"signatures": [row.signature]})
                (slots,) = await _one(connection, sql.slots_of, {"signatures": [row.signature]})
                await connection.execute(sql.replace_transaction, {**row._asdict(), "transaction_no": number})
                letters = [*row.dead_letters, *([_losing(row, body)] if digest != row.digest else [])]
                await self._append_events(connection, [(row, number)], head, learned, left=slots)
                await _bury_all(connection, letters, source)
            await connection.execute(sql.decided, {"signature": row.signature})
            await connection.execute(sql.end_doubt, {"signature": row.signature})
        self._numbers.remember(learned)
        return bool(is_other)

    async def _append_events(
        self,
        connection: pool.Connection,
        fresh: Sequence[tuple[TransactionRow, int]],
        head: int,
        learned: _Numbers,
        *,
        left: Sequence[int] = (),
    ) -> tuple[int, int]:
        """Number, append, announce, separate, fold and ring; how many events, and the last seq.

        `left` are slots that lost a transaction in the same commit: others may stand where it stood.
        """
        await self._number(connection, [event for row, _ in fresh for event in row.events], learned)
        first = (await _one(connection, sql.head))[0] + 1
        events = await self._copy_events(connection, fresh, first, learned)
        last = first + events - 1
        if last > head:
            await connection.execute(sql.announce_events, {"after": first - 1})
            (colliding,) = await _one(connection, sql.colliding, {"after": first - 1})
            if left or colliding:
                await connection.execute(sql.separate, {"slots": [*left, *(colliding or ())]})
            last = head + await _follow(connection, head)
        return events, last

    async def _store(
        self, sightings: list[_Sighting], letters: list[DeadLetter], wanted: Sequence[str], source: str
    ) -> Appended:
        try:
            return await self._commit(sightings, letters, wanted, source)
        except _Poison as poison:
            if len(sightings) <= 1:
                return await self._bury(sightings, letters, wanted, source, poison)
        middle = len(sightings) // 2
        first = await self._store(sightings[:middle], [], (), source)
        second = await self._store(sightings[middle:], letters, wanted, source)
        return first.plus(second)

    async def _bury(
        self,
        sightings: list[_Sighting],
        letters: list[DeadLetter],
        wanted: Sequence[str],
        source: str,
        poison: _Poison,
    ) -> Appended:
        rejected = [
            DeadLetter(s.row.signature, None, "rejected", f"Postgres refused it: {poison}", s.row.body)
            for s in sightings
        ]
        log.error("transaction_rejected", signatures=[s.row.signature for s in sightings], reason=str(poison))
        return await self._commit([], [*letters, *rejected], wanted, source)

    async def _commit(
        self, sightings: list[_Sighting], letters: list[DeadLetter], wanted: Sequence[str], source: str
    ) -> Appended:
        try:
            with pool.translated():
                return await self._transact(sightings, letters, wanted, source)
        except (errors.InvalidInput, errors.Conflict, errors.NotFound) as refused:
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
            with pool.translated():
                await self._connection.execute(sql.prepare_session)
                await self._connection.execute(sql.create_inbox)
                identity = await (await self._connection.execute(sql.epoch)).fetchone()
                if identity is None:
                    raise errors.ConfigurationError(
                        "This database has a log without an identity.", help="Deploy it first: zmart migrate"
                    )
                self._epoch = identity[0]
                await self._connection.commit()
            self._numbers = _Numbers()
        return self._connection

    async def _transact(
        self, sightings: list[_Sighting], letters: list[DeadLetter], wanted: Sequence[str], source: str
    ) -> Appended:
        connection = await self._connected()
        learned = _Numbers()
        async with connection.transaction():
            await _fill_inbox(connection, sightings)
            await connection.execute(sql.take_writer)
            taken = time.perf_counter()
            head = (await _one(connection, sql.head))[0]
            wanted = [*wanted, *await _set_aside(connection, source)]
            became = await _admit(connection, source)
            fresh = [(sightings[p].row, no) for p, no, what in became if what in ("new", "reopened")]
            differing = [sightings[p].row for p, _, what in became if what == "differs"]
            letters = [*letters, *map(_differing, differing)]
            letters += [letter for row, _ in fresh for letter in row.dead_letters]
            # What lands again keeps the place that is known of it, which this delivery may not know.
            again = {sightings[p].row.slot for p, _, what in became if what == "reopened"}
            events, last = await self._append_events(connection, fresh, head, learned, left=sorted(again))
            await _bury_all(connection, letters, source)
            if wanted:
                await connection.execute(
                    sql.want, {"signatures": list(wanted), "reason": f"named by {source} without logs"}
                )
        self._numbers.remember(learned)
        return Appended(
            epoch=self._epoch,
            first_seq=head + 1 if last > head else None,
            last_seq=last if last > head else None,
            transactions=len(fresh),
            events=events,
            duplicates=sum(s.times for s in sightings) - len(fresh),
            dead_letters=len(letters),
            lock_held_seconds=time.perf_counter() - taken,
        )

    async def _number(self, connection: pool.Connection, events: Sequence[EventRow], learned: _Numbers) -> None:
        """Make sure every market and wallet of these events has a number."""
        accounts: dict[str, str | None] = {}
        for event in events:
            if event.market_account is not None:
                accounts[event.market_account] = event.market_id or accounts.get(event.market_account)
        unknown = [a for a in accounts if self._numbers.market(learned, a) is None]
        if unknown:
            await _learn_markets(connection, {a: accounts[a] for a in unknown}, learned)
        for account, market_id in accounts.items():
            known = self._numbers.market(learned, account)
            if market_id is not None and known is not None and not known[1]:
                learned.markets[account] = await _identify(connection, account, market_id, known[0])
        wallets = {e.wallet for e in events if e.wallet is not None and self._numbers.wallet(learned, e.wallet) is None}
        if wallets:
            await _learn_wallets(connection, sorted(wallets), learned)

    async def _copy_events(
        self, connection: pool.Connection, fresh: Sequence[tuple[TransactionRow, int]], first: int, learned: _Numbers
    ) -> int:
        seq = first
        if not any(row.events for row, _ in fresh):
            return 0
        async with connection.cursor() as cursor, cursor.copy(sql.copy_events) as copy:
            for row, transaction_no in fresh:
                index = row.index_in_block if row.index_in_block is not None else provisional_index(row.signature)
                for event in row.events:
                    market = self._numbers.market(learned, event.market_account) if event.market_account else None
                    wallet_no = self._numbers.wallet(learned, event.wallet) if event.wallet else None
                    await copy.write_row(
                        (
                            seq,
                            ids.order_key(ids.Slot(row.slot), index, event.ordinal),
                            transaction_no,
                            event.ordinal,
                            event.name,
                            market[0] if market else None,
                            wallet_no,
                            event.clock,
                            row.signature,
                            event.payload.decode(),
                            event.context.decode() if event.context else None,
                        )
                    )
                    seq += 1
        return seq - first


def provisional_index(signature: str) -> int:
    """Stand-in for an unknown index in the block: the same for every delivery, as raw.provisional_index has it."""
    return int.from_bytes(hashlib.sha256(signature.encode()).digest()[:2], "big") & MAX_INDEX_IN_BLOCK


def _sightings(transactions: Iterable[TransactionRow]) -> Iterable[_Sighting]:
    """Each signature once, in order of first sight, with how often this batch holds it."""
    seen: dict[str, _Sighting] = {}
    for row in transactions:
        known = seen.get(row.signature)
        seen[row.signature] = _Sighting(row, 1) if known is None else _Sighting(known.row, known.times + 1)
    return seen.values()


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
        with pool.translated():
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


async def _set_aside(connection: pool.Connection, source: str) -> list[str]:
    """Signatures of deliveries that are too late to be believed without asking the chain."""
    if source != "webhook":
        return []
    return [signature for (signature,) in await (await connection.execute(sql.set_aside)).fetchall()]


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


async def _fill_inbox(connection: pool.Connection, sightings: Sequence[_Sighting]) -> None:
    if not sightings:
        return
    async with connection.cursor() as cursor, cursor.copy(sql.fill_inbox) as copy:
        for position, (row, times) in enumerate(sightings):
            await copy.write_row(
                (
                    position,
                    row.signature,
                    row.slot,
                    row.index_in_block,
                    None if row.block_time is None else datetime.fromtimestamp(row.block_time, UTC),
                    row.err,
                    row.fee_lamports,
                    row.body,
                    row.digest,
                    times,
                )
            )


async def _admit(connection: pool.Connection, source: str) -> list[tuple[int, int, str]]:
    """(position in the inbox, transaction_no, what became of it), in order of position."""
    cursor = await connection.execute(sql.admit, {"source": source})
    return sorted(await cursor.fetchall())


async def _learn_markets(connection: pool.Connection, accounts: dict[str, str | None], learned: _Numbers) -> None:
    cursor = await connection.execute(sql.known_markets, {"accounts": list(accounts)})
    for account, market_no, is_identified in await cursor.fetchall():
        learned.markets[account] = (market_no, is_identified)
    new = [a for a in accounts if a not in learned.markets]
    if new:
        cursor = await connection.execute(sql.number_markets, {"accounts": new, "ids": [accounts[a] for a in new]})
        for account, market_no in await cursor.fetchall():
            learned.markets[account] = (market_no, accounts[account] is not None)


async def _identify(connection: pool.Connection, account: str, market_id: str, market_no: int) -> tuple[int, bool]:
    cursor = await connection.execute(sql.identify_market, {"account": account, "market_id": market_id})
    if await cursor.fetchone() is not None:
        await connection.execute(sql.move_events_of_market, {"market_no": market_no})
    return market_no, True


async def _learn_wallets(connection: pool.Connection, wallets: Sequence[str], learned: _Numbers) -> None:
    cursor = await connection.execute(sql.known_wallets, {"wallets": list(wallets)})
    learned.wallets.update(dict(await cursor.fetchall()))
    new = [w for w in wallets if w not in learned.wallets]
    if new:
        cursor = await connection.execute(sql.number_wallets, {"wallets": new})
        learned.wallets.update(dict(await cursor.fetchall()))


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
