"""A batch as Postgres takes it: one array per column, in the server's own binary form.

`raw.append` has a parameter per column. Arrays in binary cost Postgres no parsing and Python one join per column; a
body of a kilobyte travels as a kilobyte, where text would make two of it. An array is

    dimensions (0 or 1), whether it holds nulls, type of the elements, length, first index (1), then the elements

and an element is its length (-1 for null) and its bytes, integers big-endian (array_recv of PostgreSQL).

Markets and wallets are integers in the log. The writer remembers those it has seen (`Numbers`); an event of a market or
wallet that it does not know carries the text, and the database answers with the number.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import adapt, pq

from zmart.domain import ids

from ..records import EventRow, TransactionRow
from . import body_compression

#: Numbers remembered between batches; 44 characters a key, so some tens of megabytes at the most.
CACHE_SIZE = 200_000
MAX_INDEX_IN_BLOCK = 32_767

_V = TypeVar("_V")
#: Types of elements, by their numbers in pg_type.
_BYTEA, _INT8, _INT4, _TEXT, _JSONB = 17, 20, 23, 25, 3802
_NULL = b"\xff\xff\xff\xff"
_HEADER = struct.Struct("!iiIii")
_length = struct.Struct("!i").pack
_int4 = struct.Struct("!ii").pack
_int8 = struct.Struct("!iq").pack
#: The version of jsonb's binary form, which is text behind it.
_json = struct.Struct("!ib").pack


class Sighting(NamedTuple):
    """A transaction, and how often its batch holds it."""

    row: TransactionRow
    times: int


class Array(NamedTuple):
    """One column."""

    data: bytes


class ArrayDumper(adapt.Dumper):
    """Hands a column over as it is; the statement's cast says of what type it is."""

    format = pq.Format.BINARY

    def dump(self, obj: Array) -> bytes:
        """The bytes."""
        return obj.data


def register_array_dumper(connection: psycopg.AsyncConnection[Any]) -> None:
    """Let a connection take columns as parameters."""
    connection.adapters.register_dumper(Array, ArrayDumper)


def int4s(values: Sequence[int | None]) -> Array:
    """A column of int."""
    return _array(_INT4, values, lambda value: _int4(4, value))


def int8s(values: Sequence[int | None]) -> Array:
    """A column of bigint."""
    return _array(_INT8, values, lambda value: _int8(8, value))


def texts(values: Sequence[str | None]) -> Array:
    """A column of text."""
    return byteas([None if value is None else value.encode() for value in values], kind=_TEXT)


def byteas(values: Sequence[bytes | None], *, kind: int = _BYTEA) -> Array:
    """A column of bytea."""
    return _array(kind, values, lambda value: _length(len(value)) + value)


def jsonbs(values: Sequence[bytes | None]) -> Array:
    """A column of jsonb, of JSON texts in UTF-8."""
    return _array(_JSONB, values, lambda value: _json(len(value) + 1, 1) + value)


def _array(kind: int, values: Sequence[_V | None], element: Callable[[_V], bytes]) -> Array:
    if not values:
        return Array(_HEADER.pack(0, 0, kind, 0, 0)[:12])
    elements = [_NULL if value is None else element(value) for value in values]
    return Array(_HEADER.pack(1, 1, kind, len(values), 1) + b"".join(elements))


@dataclass(slots=True)
class NumberCache:
    """Integers of markets and wallets; true for good once they are committed."""

    #: Account to number, and whether its market_id is known.
    markets: dict[str, tuple[int, bool]] = field(default_factory=dict)
    wallets: dict[str, int] = field(default_factory=dict)

    def remember(self, assigned: AssignedNumbers) -> None:
        """Keep what a committed batch has taught."""
        for cache in (self.markets, self.wallets):
            if len(cache) > CACHE_SIZE:
                cache.clear()
        if assigned.accounts:
            market_values = zip(assigned.market_nos, assigned.identified, strict=True)
            self.markets.update(zip(assigned.accounts, market_values, strict=True))
        if assigned.wallets:
            self.wallets.update(zip(assigned.wallets, assigned.wallet_nos, strict=True))


class AssignedNumbers(NamedTuple):
    """Numbers a batch came upon; each field is None where there were none."""

    accounts: Sequence[str]
    market_nos: Sequence[int]
    identified: Sequence[bool]
    wallets: Sequence[str]
    wallet_nos: Sequence[int]


def transactions(sightings: Sequence[Sighting]) -> dict[str, Array]:
    """The columns of transactions."""
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
    """The columns of the events of these transactions, in their order; `owners` counts transactions from 1."""
    entries = [(owner, row, event) for owner, row in enumerate(rows, start=1) for event in row.events]
    event_rows = [event for _, _, event in entries]
    markets = [_market(event, numbers) for event in event_rows]
    wallets = [None if event.wallet is None else numbers.wallets.get(event.wallet) for event in event_rows]
    return {
        "owners": int4s([owner for owner, _, _ in entries]),
        "event_signatures": texts([row.signature for _, row, _ in entries]),
        "order_keys": int8s([order_key(row, event) for _, row, event in entries]),
        "ordinals": int4s([event.ordinal for event in event_rows]),
        "names": texts([event.name for event in event_rows]),
        "clocks": int8s([event.clock for event in event_rows]),
        "payloads": jsonbs([event.payload for event in event_rows]),
        "contexts": jsonbs([event.context for event in event_rows]),
        "market_nos": int4s([number for number, _, _ in markets]),
        "accounts": texts([account for _, account, _ in markets]),
        "market_ids": texts([market_id for _, _, market_id in markets]),
        "wallet_nos": int4s(wallets),
        "wallets": texts(
            [event.wallet if number is None else None for event, number in zip(event_rows, wallets, strict=True)]
        ),
    }


def _market(event: EventRow, numbers: NumberCache) -> tuple[int | None, str | None, str | None]:
    """Number, account, market_id: the last two only where they may be news."""
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
    """Where an event stands on chain, as far as its transaction knows."""
    index = provisional_index(row.signature) if row.index_in_block is None else row.index_in_block
    return ids.order_key(ids.Slot(row.slot), index, event.ordinal)


def provisional_index(signature: str) -> int:
    """Stand-in for an unknown index in the block: the same for every delivery, as raw.provisional_index has it."""
    return int.from_bytes(hashlib.sha256(signature.encode()).digest()[:2], "big") & MAX_INDEX_IN_BLOCK
