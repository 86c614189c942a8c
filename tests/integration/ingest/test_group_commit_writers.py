"""One suite over the writer on Postgres and over its double: the behaviour that a pipeline relies on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest

from ingest import testing as deliveries
from ingest.decode.decoder import DecodedDelivery, Decoder
from ingest.records import DeadLetter
from ingest.store.group_commit import BatchLimits, BatchWriter, Pipeline
from ingest.store.writer import Writer as PostgresWriter
from zmart import settings, testing
from zmart.domain import events

PROGRAM = settings.DEFAULT_PROGRAM_ID
BOUGHT = events.SharesBought(b"\1" * 32, deliveries.address(1), True, 1_000, 999_928_380, 500_000_000, 1_762_600_000)
RECORDINGS = Path(__file__).parents[2] / "recordings"


class LogReader(Protocol):
    """Reads the rows that a writer appended to a log."""

    def events(self) -> list[tuple[str, int, str]]:
        """Return signature, ordinal and name of every event, in order of seq."""
        ...

    def dead_letters(self) -> list[tuple[str | None, str]]:
        """Signature and reason code of every dead letter."""
        ...

    def wanted(self) -> set[str]:
        """Return the signatures to fetch."""
        ...


@dataclass(frozen=True)
class MemoryLog:
    """The double's rows."""

    writer: deliveries.MemoryWriter

    def events(self) -> list[tuple[str, int, str]]:
        """Return them in the order of arrival."""
        rows = self.writer.transactions.values()
        return [(row.signature, event.ordinal, event.name) for row in rows for event in row.events]

    def dead_letters(self) -> list[tuple[str | None, str]]:
        """Return them in the order of arrival."""
        return [(dead_letter.signature, dead_letter.reason_code) for dead_letter in self.writer.dead_letters]

    def wanted(self) -> set[str]:
        """Return all of them."""
        return self.writer.wanted


@dataclass(frozen=True)
class PostgresLog:
    """The rows in Postgres."""

    database: testing.PostgresDatabase

    def events(self) -> list[tuple[str, int, str]]:
        """In order of seq."""
        return self._rows("select signature, ordinal, name from log.events order by seq")

    def dead_letters(self) -> list[tuple[str | None, str]]:
        """Return them in the order of arrival."""
        return self._rows("select signature, reason_code from raw.dead_letters order by dead_letter_no")

    def wanted(self) -> set[str]:
        """Return all of them."""
        return {row[0] for row in self._rows("select signature from raw.pending_signatures")}

    def _rows(self, statement: str) -> list[tuple[object, ...]]:  # type: ignore[type-arg]
        with self.database.connect() as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]


Under = tuple[Callable[[], "asyncio.Future[BatchWriter]"], LogReader]


@pytest.fixture(params=["double", "postgres"])
def under(request: pytest.FixtureRequest) -> Iterator[tuple[object, LogReader]]:
    """The way to connect a writer, and the log behind it."""
    if request.param == "double":
        writer = deliveries.MemoryWriter()

        async def double() -> BatchWriter:
            return writer

        yield double, MemoryLog(writer)
        return
    database = request.getfixturevalue("marts_database")

    async def postgres() -> BatchWriter:
        return await PostgresWriter.connect(database.dsn("zmart_ingest"))

    yield postgres, PostgresLog(database)


@pytest.fixture
async def pipeline(under: tuple[Callable[[], object], LogReader]) -> AsyncIterator[Pipeline]:
    """A running pipeline in front of the writer."""
    async with Pipeline(under[0], limits=BatchLimits(transactions=50)) as pipeline:  # type: ignore[arg-type]
        yield pipeline


@pytest.fixture
def log(under: tuple[object, LogReader]) -> LogReader:
    """The log behind the pipeline."""
    return under[1]


def delivery(*numbers: int) -> DecodedDelivery:
    """A delivery of one buy per number."""
    items = [deliveries.item(PROGRAM, [BOUGHT], number=n, slot=400_000_000 + n) for n in numbers]
    return Decoder(PROGRAM).decode_body(deliveries.body(*items))


async def submit(pipeline: Pipeline, decoded: DecodedDelivery, source: str = "webhook") -> None:
    """Submit a whole delivery."""
    await pipeline.submit(decoded.transactions, decoded.dead_letters, wanted=decoded.wanted, source=source)


async def test_what_submit_returned_from_is_in_the_log(pipeline: Pipeline, log: LogReader) -> None:
    """Many senders at once; each finds its own events."""

    async def sender(number: int) -> None:
        await submit(pipeline, delivery(number))
        assert (deliveries.signature(number), 0, "SharesBought") in log.events()

    await asyncio.gather(*(sender(number) for number in range(8)))
    assert len(log.events()) == 8


async def test_a_delivery_greater_than_a_batch_is_all_there(pipeline: Pipeline, log: LogReader) -> None:
    """In any number of commits."""
    await submit(pipeline, delivery(*range(130)))
    assert {row[0] for row in log.events()} == {deliveries.signature(n) for n in range(130)}


async def test_duplicates_are_applied_once(pipeline: Pipeline, log: LogReader) -> None:
    """In one body, in two bodies of one commit, in two commits, and from another source."""
    both = [submit(pipeline, delivery(1, 1)), submit(pipeline, delivery(1))]
    await asyncio.gather(*both)
    await submit(pipeline, delivery(1))
    await submit(pipeline, delivery(1), source="walk")
    assert log.events() == [(deliveries.signature(1), 0, "SharesBought")]


async def test_dead_letters_and_pending_signatures_are_stored(pipeline: Pipeline, log: LogReader) -> None:
    """With other transactions and alone."""
    lonely = DeadLetter(None, None, "malformed", "The item has no signature.", b"{}")
    await pipeline.submit([], [lonely])
    await pipeline.submit([], wanted=[deliveries.signature(9)])
    await pipeline.submit([], wanted=[deliveries.signature(9)])
    assert log.dead_letters() == [(None, "malformed")]
    assert log.wanted() == {deliveries.signature(9)}


async def test_a_dead_letter_may_hold_any_byte_and_its_reason_any_sign(pipeline: Pipeline, log: LogReader) -> None:
    """U+0000, halves of surrogate pairs and bytes that are not UTF-8 are stored like the rest."""
    await pipeline.submit([], [DeadLetter(None, 3, "undecodable", "A \0 and \ud800.", b"\0\xff")])
    assert log.dead_letters() == [(None, "undecodable")]


@pytest.mark.parametrize("name", ["lifecycle", "versions", "hostile"])
async def test_recorded_deliveries_are_stored(pipeline: Pipeline, log: LogReader, name: str) -> None:
    """Real formats from the decoder to the log: every event once, every dead letter once."""
    decoded = Decoder(PROGRAM).decode_body((RECORDINGS / f"{name}.json").read_bytes())
    await submit(pipeline, decoded)
    rows = {row.signature: row for row in decoded.transactions}.values()
    assert log.events() == [(row.signature, event.ordinal, event.name) for row in rows for event in row.events]
    dead_letters = [*decoded.dead_letters, *itertools.chain.from_iterable(r.dead_letters for r in rows)]
    assert sorted(map(repr, log.dead_letters())) == sorted(
        repr((dead_letter.signature, dead_letter.reason_code)) for dead_letter in dead_letters
    )
    assert log.wanted() == set(decoded.wanted)
