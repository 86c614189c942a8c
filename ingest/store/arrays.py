"""Encodes a batch for Postgres: one array per column, in the server's own binary form.

`raw.append` has a parameter per column. Arrays in binary cost Postgres no parsing and Python one join per column. A
body of a kilobyte is sent as a kilobyte, where its text form would take two. An array consists of

    dimensions (0 or 1), whether it holds nulls, type of the elements, length, first index (1), then the elements

and an element consists of its length (-1 for null) and its bytes, integers big-endian (array_recv of PostgreSQL).

Markets and wallets are integers in the log. The writer caches the numbers that it has received (`NumberCache`). An
event of a market or wallet that is not in the cache carries the text, and the database returns the number.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import adapt, pq

from zmart.chain import event_digests
from zmart.domain import ids

from ..records import EventRow, TransactionRow
from . import body_compression

#: Numbers cached between batches; a key has 44 characters, so the cache takes some tens of megabytes at most.
CACHE_SIZE = 200_000
MAX_INDEX_IN_BLOCK = 32_767

_V = TypeVar("_V")
#: Element types, by their numbers in pg_type.
_BYTEA, _INT8, _INT4, _TEXT, _JSONB = 17, 20, 23, 25, 3802
_NULL = b"\xff\xff\xff\xff"
_HEADER = struct.Struct("!iiIii")
_length = struct.Struct("!i").pack
_int4 = struct.Struct("!ii").pack
_int8 = struct.Struct("!iq").pack
#: The version byte of jsonb's binary form; the JSON text follows it.
_json = struct.Struct("!ib").pack


class Sighting(NamedTuple):
    """A transaction, and the number of times that its batch holds it."""

    row: TransactionRow
    times: int


class Array(NamedTuple):
    """One encoded column."""

    data: bytes


class ArrayDumper(adapt.Dumper):
    """Passes a column on unchanged; the cast in the statement sets its type."""

    format = pq.Format.BINARY

    def dump(self, obj: Array) -> bytes:
        """Return the encoded bytes."""
        return obj.data


def register_array_dumper(connection: psycopg.AsyncConnection[Any]) -> None:
    """Register the dumper, so that a connection accepts columns as parameters."""
    connection.adapters.register_dumper(Array, ArrayDumper)


def int4s(values: Sequence[int | None]) -> Array:
    """Return a column of int."""
    return _array(_INT4, values, lambda value: _int4(4, value))


def int8s(values: Sequence[int | None]) -> Array:
    """Return a column of bigint."""
    return _array(_INT8, values, lambda value: _int8(8, value))


def texts(values: Sequence[str | None]) -> Array:
    """Return a column of text."""
    return byteas([None if value is None else value.encode() for value in values], kind=_TEXT)


def byteas(values: Sequence[bytes | None], *, kind: int = _BYTEA) -> Array:
    """Return a column of bytea."""
    return _array(kind, values, lambda value: _length(len(value)) + value)


def jsonbs(values: Sequence[bytes | None]) -> Array:
    """Return a column of jsonb, made from JSON texts in UTF-8."""
    return _array(_JSONB, values, lambda value: _json(len(value) + 1, 1) + value)


def _array(kind: int, values: Sequence[_V | None], element: Callable[[_V], bytes]) -> Array:
    if not values:
        return Array(_HEADER.pack(0, 0, kind, 0, 0)[:12])
    elements = [_NULL if value is None else element(value) for value in values]
    return Array(_HEADER.pack(1, 1, kind, len(values), 1) + b"".join(elements))


@dataclass(slots=True)
class NumberCache:
    """Caches the integers of markets and wallets; a number never changes once it is committed."""

    #: Account to number, and whether its market_id is known.
    markets: dict[str, tuple[int, bool]] = field(default_factory=dict)
    wallets: dict[str, int] = field(default_factory=dict)

    def remember(self, assigned: AssignedNumbers) -> None:
        """Store the numbers that a committed batch returned."""
        for cache in (self.markets, self.wallets):
            if len(cache) > CACHE_SIZE:
                cache.clear()
        if assigned.accounts:
            market_values = zip(assigned.market_nos, assigned.identified, strict=True)
            self.markets.update(zip(assigned.accounts, market_values, strict=True))
        if assigned.wallets:
            self.wallets.update(zip(assigned.wallets, assigned.wallet_nos, strict=True))


class AssignedNumbers(NamedTuple):
    """Numbers that a batch looked up or assigned; each field is empty where there were none."""

    accounts: Sequence[str]
    market_nos: Sequence[int]
    identified: Sequence[bool]
    wallets: Sequence[str]
    wallet_nos: Sequence[int]


def transactions(sightings: Sequence[Sighting]) -> dict[str, Array]:
    """Return the columns of the transactions."""
    rows = [sighting.row for sighting in sightings]
    bundles = body_compression.compress(row.body for row in rows)
    return {
        "signatures": texts([row.signature for row in rows]),
        "slots": int8s([row.slot for row in rows]),
        "indexes": int4s([row.index_in_block for row in rows]),
        "block_times": int8s([row.block_time for row in rows]),
        "errs": texts([row.err for row in rows]),
        "fees": texts([None if row.fee_lamports is None else str(row.fee_lamports) for row in rows]),
        "bundles": byteas(bundles.contents),
        "bundled": int4s([ref.bundle for ref in bundles.refs]),
        "starts": int4s([ref.start for ref in bundles.refs]),
        "lengths": int4s([ref.length for ref in bundles.refs]),
        "digests": byteas([row.digest for row in rows]),
        "sightings": int4s([sighting.times for sighting in sightings]),
    }


def events(rows: Iterable[TransactionRow], numbers: NumberCache) -> dict[str, Array]:
    """Return the columns of the events of these transactions, in their order; `owners` counts transactions from 1."""
    entries = [(owner, row, event) for owner, row in enumerate(rows, start=1) for event in row.events]
    event_rows = [event for _, _, event in entries]
    markets = [_market(event, numbers) for event in event_rows]
    wallets = [None if event.wallet is None else numbers.wallets.get(event.wallet) for event in event_rows]
    return {
        "owners": int4s([owner for owner, _, _ in entries]),
        "order_keys": int8s([order_key(row, event) for _, row, event in entries]),
        "ordinals": int4s([event.ordinal for event in event_rows]),
        "names": texts([event.name for event in event_rows]),
        "clocks": int8s([event.clock for event in event_rows]),
        "payloads": jsonbs([event.payload for event in event_rows]),
        "contexts": jsonbs([event.context for event in event_rows]),
        "market_nos": int4s([number for number, _, _ in markets]),
        "accounts": texts([account for _, account, _ in markets]),
        "market_ids": texts([market_id for _, _, market_id in markets]),
        "event_digests": byteas(
            [event_digests.digest(row.signature, event.ordinal, event.logged) for _, row, event in entries]
        ),
        "wallet_nos": int4s(wallets),
        "wallets": texts(
            [event.wallet if number is None else None for event, number in zip(event_rows, wallets, strict=True)]
        ),
    }


def _market(event: EventRow, numbers: NumberCache) -> tuple[int | None, str | None, str | None]:
    """Return number, account and market_id; the last two only where the database may not know them yet."""
    if event.market_account is None:
        return None, None, None
    cached = numbers.markets.get(event.market_account)
    if cached is None:
        return None, event.market_account, event.market_id
    number, is_identified = cached
    if is_identified or event.market_id is None:
        return number, None, None
    return number, event.market_account, event.market_id


def order_key(row: TransactionRow, event: EventRow) -> int:
    """Return the order key of an event, as far as its transaction knows its place on chain."""
    index = provisional_index(row.signature) if row.index_in_block is None else row.index_in_block
    return ids.order_key(ids.Slot(row.slot), index, event.ordinal)


def provisional_index(signature: str) -> int:
    """Return a stand-in for an unknown index in the block.

    It is the same for every delivery and equal to the result of the SQL function raw.provisional_index.
    """
    return int.from_bytes(hashlib.sha256(signature.encode()).digest()[:2], "big") & MAX_INDEX_IN_BLOCK
