"""Holds a batch to be committed: transactions with their encoded columns, dead letters and pending signatures.

When Postgres refuses a batch, the writer splits it in halves until the refused item is alone, and makes that item a
dead letter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..records import DeadLetter, EventRow, TransactionRow
from . import arrays
from .arrays import Sighting


class PreparedBatch(list[TransactionRow]):
    """Transactions whose columns are already encoded."""

    def __init__(self, transactions: Sequence[TransactionRow], numbers: arrays.NumberCache) -> None:
        super().__init__(transactions)
        self.sightings = list(count_sightings(self))
        #: The cache that the columns were encoded with. The numbers of another cache may name other markets.
        self.numbers = numbers
        self.columns = _columns(self.sightings, numbers)


@dataclass(frozen=True)
class BatchInput:
    """Items to be committed together."""

    sightings: Sequence[Sighting]
    dead_letters: Sequence[DeadLetter]
    wanted: Sequence[str]
    source: str
    prepared: PreparedBatch | None = None

    def columns(self, numbers: arrays.NumberCache) -> dict[str, arrays.Array]:
        """Return the columns of its transactions; reuse the prepared ones if they were encoded with the same cache."""
        if self.prepared is not None and self.prepared.numbers is numbers:
            return self.prepared.columns
        return _columns(self.sightings, numbers)

    @property
    def size(self) -> int:
        """The number of items in it."""
        return len(self.sightings) + len(self.dead_letters) + len(self.wanted)

    def split(self) -> tuple[BatchInput, BatchInput]:
        """Return two halves of about equal size, in order: transactions, dead letters, wanted signatures."""
        middle, n, m = self.size // 2, len(self.sightings), len(self.sightings) + len(self.dead_letters)
        first = dataclasses.replace(
            self,
            prepared=None,
            sightings=self.sightings[:middle],
            dead_letters=self.dead_letters[: max(0, middle - n)],
            wanted=self.wanted[: max(0, middle - m)],
        )
        second = dataclasses.replace(
            self,
            prepared=None,
            sightings=self.sightings[middle:],
            dead_letters=self.dead_letters[max(0, middle - n) :],
            wanted=self.wanted[max(0, middle - m) :],
        )
        return first, second

    def rejection_dead_letter(self, reason: str) -> DeadLetter:
        """Return the dead letter of its only item, which Postgres refused."""
        message = f"Postgres refused it: {reason}"
        for sighting in self.sightings:
            return DeadLetter(sighting.row.signature, None, "rejected", message, sighting.row.body)
        for dead_letter in self.dead_letters:
            return DeadLetter(None, None, "rejected", message, dead_letter.bytes or repr(dead_letter).encode())
        return DeadLetter(None, None, "rejected", message, "".join(self.wanted).encode("utf-8", "surrogatepass"))


def _columns(sightings: Sequence[Sighting], numbers: arrays.NumberCache) -> dict[str, arrays.Array]:
    return {**arrays.transactions(sightings), **arrays.events([sighting.row for sighting in sightings], numbers)}


def count_sightings(transactions: Iterable[TransactionRow]) -> Iterable[Sighting]:
    """Return each signature once, in order of first occurrence, with the number of times that this batch holds it."""
    by_signature: dict[str, Sighting] = {}
    for row in transactions:
        previous = by_signature.get(row.signature)
        by_signature[row.signature] = (
            Sighting(row, 1) if previous is None else Sighting(_fill(previous.row, row), previous.times + 1)
        )
    return by_signature.values()


def _extent(row: TransactionRow) -> tuple[int, int]:
    """Return how many events a delivery has and its last ordinal; one that knows what was cut counts lost events."""
    return len(row.events), row.events[-1].ordinal if row.events else -1


def _identity(row: TransactionRow) -> tuple[EventRow, ...]:
    """Return the events without what their transaction adds to them."""
    return tuple(event._replace(context=None) for event in row.events)


def _has_fuller_contexts(row: TransactionRow, other: TransactionRow) -> bool:
    """Return whether a delivery knows more about the same events than another one, and nothing less."""
    sizes = [
        (len(event.context or b""), len(poorer.context or b""))
        for event, poorer in zip(row.events, other.events, strict=True)
    ]
    return any(size > least for size, least in sizes) and all(size >= least for size, least in sizes)


def _fill(row: TransactionRow, other: TransactionRow) -> TransactionRow:
    """Return a transaction with what another delivery of it adds.

    Contexts are added only if both have the same events under the same ordinals: where a log was cut, a delivery
    without instructions numbers the later events otherwise.
    """
    if row.digest != other.digest or row is other:
        return row
    is_same = _identity(row) == _identity(other)
    if _has_fuller_contexts(other, row) if is_same else _extent(other) > _extent(row):
        row, other = other, row
    filled = row._replace(
        index_in_block=other.index_in_block if row.index_in_block is None else row.index_in_block,
        block_time=other.block_time if row.block_time is None else row.block_time,
        fee_lamports=other.fee_lamports if row.fee_lamports is None else row.fee_lamports,
    )
    if not is_same:
        return filled
    return filled._replace(
        events=tuple(
            event._replace(context=max(event.context, same.context, key=lambda given: len(given or b"")))
            for event, same in zip(row.events, other.events, strict=True)
        )
    )
