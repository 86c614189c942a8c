"""Dead letters: listed, shown, tried again, and resolved only when their trouble is gone."""

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


class Desk:
    """A log, and a person with dead letters."""

    def __init__(self, database: testing.PostgresDatabase, notebook: SyncDatabase, writer: Writer) -> None:
        self.database, self.notebook, self.writer = database, notebook, writer

    async def again(self, number: int = 1) -> str:
        """Retry one; what became of it."""
        retry = DeadLetterRetrier(self.notebook, self.writer, Decoder(PROGRAM))
        return await retry.retry(await dead_letters.load_dead_letter(self.notebook, number))

    def ask(self, query: str) -> list[tuple[object, ...]]:
        """Rows of the database."""
        with self.database.connect() as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
async def desk(marts_database: testing.PostgresDatabase) -> AsyncIterator[Desk]:
    """An empty log."""
    notebook = SyncDatabase(marts_database.dsn("zmart_ingest"))
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    yield Desk(marts_database, notebook, writer)
    await writer.close()
    await notebook.close()


async def test_a_rejected_transaction_is_stored_when_it_fits_now(desk: Desk) -> None:
    """The kept bytes are decoded and written; the letter is resolved."""
    item = zlib.compress(msgspec.json.encode(deliveries.item(PROGRAM, [BOUGHT])))
    letter = DeadLetter(deliveries.signature(1), None, "batch_item_rejected", "Postgres refused it.", item)
    await desk.writer.append([], source="webhook", dead_letters=[letter])

    assert await desk.again() == "stored"

    assert desk.ask("select count(*) from raw.events") == [(1,)]
    assert desk.ask("select resolved_at is not null from raw.dead_letters") == [(True,)]


async def test_an_event_that_can_be_read_now_is_appended_anew(desk: Desk) -> None:
    """A transaction stored without an event that today's code reads gets it, and the marts follow."""
    (row,) = (
        Decoder(PROGRAM).decode_items([msgspec.json.encode(deliveries.item(PROGRAM, [BOUGHT, BOUGHT]))]).transactions
    )
    unread = DeadLetter(row.signature, 1, "undecodable", "No event begins with that.", b"x")
    await desk.writer.append([row._replace(events=row.events[:1], dead_letters=(unread,))], source="webhook")

    assert await desk.again() == "read; its events were appended anew"

    assert desk.ask("select ordinal from raw.events where retracted_at is null order by 1") == [(0,), (1,)]
    assert desk.ask("select trades_count from marts.positions") == [(2,)]
    assert desk.ask("select count(*) from raw.dead_letters where resolved_at is null") == [(0,)]


async def test_what_still_cannot_be_used_stays_open(desk: Desk) -> None:
    """A retry that changes nothing says so and leaves the letter for a person."""
    await desk.writer.append(
        [], source="webhook", dead_letters=[DeadLetter(None, None, "malformed", "It is not JSON.", b"{")]
    )

    assert await desk.again() == "still cannot be used"
    assert desk.ask("select retried_at is not null, resolved_at is null from raw.dead_letters") == [(True, True)]


async def test_an_unknown_signature_is_wanted_again(desk: Desk) -> None:
    """It goes back to raw.wanted, with its attempts forgotten."""
    letter = DeadLetter(deliveries.signature(9), None, "unknown", "No node knows it.", None)
    await desk.writer.append([], source="fetch", dead_letters=[letter])

    await desk.again()

    assert desk.ask("select signature, reason, attempts from raw.wanted") == [(deliveries.signature(9), "retry", 0)]


async def test_they_are_listed_and_shown(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """A person sees the number, the kind and the reason, and the bytes of one, opened."""
    letter = DeadLetter(None, None, "malformed", "It is not a transaction.", zlib.compress(b'{"a": 1}'))
    await desk.writer.append([], source="webhook", dead_letters=[letter])

    await dead_letters._list(desk.notebook, 10)
    await dead_letters._show(desk.notebook, 1)

    said = capsys.readouterr().out
    assert "malformed" in said
    assert "It is not a transaction." in said
    assert '{"a": 1}' in said
