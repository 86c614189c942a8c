"""Dead letters: listed, shown, retried, and resolved only when their cause is gone."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from ingest import testing as deliveries
from ingest.commands import dead_letters
from ingest.commands.dead_letters import DeadLetterRetrier
from ingest.decode.decoder import Decoder
from ingest.records import DeadLetter
from ingest.store.writer import Writer
from ingest.sync.database import SyncDatabase
from zmart import settings, testing
from zmart.domain import events

PROGRAM = settings.DEFAULT_PROGRAM_ID
BOUGHT = events.SharesBought(b"\1" * 32, deliveries.address(1), True, 1_000, 999_928_380, 500_000_000, 1_762_600_000)


class RetryHarness:
    """A log with dead letters, and their commands."""

    def __init__(self, database: testing.PostgresDatabase, sync_database: SyncDatabase, writer: Writer) -> None:
        self.database, self.sync_database, self.writer = database, sync_database, writer

    async def retry_one(self, number: int = 1) -> str:
        """Retry one; return the outcome."""
        retry = DeadLetterRetrier(self.sync_database, self.writer, Decoder(PROGRAM))
        return await retry.retry(await dead_letters.load_dead_letter(self.sync_database, number))

    def fetch_all(self, query: str) -> list[tuple[object, ...]]:
        """Rows of the database."""
        with self.database.connect() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
async def harness(marts_database: testing.PostgresDatabase) -> AsyncIterator[RetryHarness]:
    """An empty log."""
    sync_database = SyncDatabase(marts_database.dsn("zmart_ingest"))
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    yield RetryHarness(marts_database, sync_database, writer)
    await writer.close()
    await sync_database.close()


async def test_a_rejected_transaction_is_stored_when_it_fits_now(harness: RetryHarness) -> None:
    """The stored bytes are decoded and written; the dead letter is resolved."""
    item = zlib.compress(msgspec.json.encode(deliveries.item(PROGRAM, [BOUGHT])))
    dead_letter = DeadLetter(deliveries.signature(1), None, "rejected", "Postgres refused it.", item)
    await harness.writer.append([], source="webhook", dead_letters=[dead_letter])

    assert await harness.retry_one() == "stored"

    assert harness.fetch_all("select count(*) from raw.events") == [(1,)]
    assert harness.fetch_all("select resolved_at is not null from raw.dead_letters") == [(True,)]


async def test_event_that_can_be_read_now_is_appended(harness: RetryHarness) -> None:
    """A transaction stored without an event that the current code decodes gets it, and the marts follow."""
    (row,) = (
        Decoder(PROGRAM).decode_items([msgspec.json.encode(deliveries.item(PROGRAM, [BOUGHT, BOUGHT]))]).transactions
    )
    unread = DeadLetter(row.signature, 1, "undecodable", "No event begins with that.", b"x")
    await harness.writer.append([row._replace(events=row.events[:1], dead_letters=(unread,))], source="webhook")

    assert await harness.retry_one() == "decoded; its events were appended again"

    assert harness.fetch_all("select ordinal from raw.events where retracted_at is null order by 1") == [(0,), (1,)]
    assert harness.fetch_all("select trades_count from marts.positions") == [(2,)]
    assert harness.fetch_all("select count(*) from raw.dead_letters where resolved_at is null") == [(0,)]


async def test_what_still_cannot_be_used_stays_open(harness: RetryHarness) -> None:
    """A retry that changes nothing reports so and leaves the dead letter open."""
    await harness.writer.append(
        [], source="webhook", dead_letters=[DeadLetter(None, None, "malformed", "It is not JSON.", b"{")]
    )

    assert await harness.retry_one() == "still cannot be used"
    assert harness.fetch_all("select retried_at is not null, resolved_at is null from raw.dead_letters") == [
        (True, True)
    ]


async def test_an_unknown_signature_is_wanted_again(harness: RetryHarness) -> None:
    """It returns to raw.pending_signatures, with its attempts reset."""
    dead_letter = DeadLetter(deliveries.signature(9), None, "unknown", "No node knows it.", None)
    await harness.writer.append([], source="fetch", dead_letters=[dead_letter])

    await harness.retry_one()

    assert harness.fetch_all("select signature, reason, attempts from raw.pending_signatures") == [
        (deliveries.signature(9), "retry", 0)
    ]


async def test_they_are_listed_and_shown(harness: RetryHarness, capsys: pytest.CaptureFixture[str]) -> None:
    """The list has number, kind and reason; one is shown with its bytes, decompressed."""
    dead_letter = DeadLetter(None, None, "malformed", "It is not a transaction.", zlib.compress(b'{"a": 1}'))
    await harness.writer.append([], source="webhook", dead_letters=[dead_letter])

    await dead_letters.list_dead_letters(harness.sync_database, 10)
    await dead_letters.show_dead_letter(harness.sync_database, 1)

    output = capsys.readouterr().out
    assert "malformed" in output
    assert "It is not a transaction." in output
    assert '{"a": 1}' in output
