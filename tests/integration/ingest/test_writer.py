"""The writer against a real Postgres: once, in order, nothing lost, and never stopped by one bad item."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import pytest
import sessions

from ingest.records import DeadLetter, EventRow, TransactionRow
from ingest.store import arrays, body_compression
from ingest.store.batch import PreparedBatch
from ingest.store.writer import STATISTICS_STEP, Writer
from ingest.testing import address, signature
from zmart import errors, testing
from zmart.db.connection import Connection

MARKET = "11" * 32


def event(ordinal: int = 0, name: str = "SharesBought", **fields: object) -> EventRow:
    """One buy of Alice on the market, with other fields on request."""
    payload = {"outcome": True, "shares": "2000000000", "cost": "1100000000", "new_price_yes": "510000000", **fields}
    return EventRow(
        ordinal=ordinal,
        name=name,
        market_id=MARKET,
        market_account=address(1),
        wallet=address(2),
        clock=1_762_600_000,
        payload=json.dumps(payload).encode(),
        context=None,
    )


def transaction(number: int, *events: EventRow, slot: int = 1000, dead: tuple[DeadLetter, ...] = ()) -> TransactionRow:
    """A transaction with these events; another signature for each number."""
    return TransactionRow(
        signature=signature(number),
        slot=slot,
        index_in_block=number,
        block_time=1_762_600_000,
        err=None,
        fee_lamports=5000,
        body=b"{}",
        digest=hashlib.sha256(str(number).encode()).digest(),
        events=events,
        dead_letters=dead,
    )


@pytest.fixture
async def writer(marts_database: testing.PostgresDatabase) -> AsyncIterator[Writer]:
    """A writer on an empty log with its marts."""
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    yield writer
    await writer.close()


async def test_a_batch_gets_consecutive_seqs_and_is_folded(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """Events of a batch take the next seqs without a gap, and the marts show them when append returns."""
    first = await writer.append([transaction(1, event(0), event(1)), transaction(2, event(0))], source="webhook")
    second = await writer.append([transaction(3, event(0))], source="webhook")

    assert (first.first_seq, first.last_seq, second.first_seq) == (1, 3, 4)
    with marts_database.connect() as connection:
        feed = connection.execute("select seq, kind from raw.feed order by seq").fetchall()
        position = connection.execute("select shares_yes, trades_count from marts.positions").fetchall()
    assert feed == [(1, "event"), (2, "event"), (3, "event"), (4, "event")]
    assert position == [(8_000_000_000, 4)]


async def test_a_duplicate_changes_nothing_but_its_count(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """The same transaction, in one batch or in another, is applied once and counted per source."""
    await writer.append([transaction(1, event()), transaction(1, event())], source="webhook")
    again = await writer.append([transaction(1, event())], source="walk")

    assert (again.first_seq, again.duplicates) == (None, 1)
    with marts_database.connect() as connection:
        assert connection.execute("select count(*) from raw.events").fetchone() == (1,)
        found = connection.execute("select sightings, first_source from log.transactions").fetchone()
        assert found == ({"webhook": 2, "walk": 1}, "webhook")


async def test_differing_delivery_of_a_signature_becomes_a_dead_letter(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """Of two deliveries that differ only one counts; the second becomes a dead letter."""
    await writer.append([transaction(1, event())], source="webhook")
    await writer.append([transaction(1, event())._replace(digest=b"another")], source="webhook")

    with marts_database.connect() as connection:
        assert connection.execute("select reason_code from raw.dead_letters").fetchall() == [("differs",)]
        assert connection.execute("select count(*) from raw.events").fetchone() == (1,)


async def test_rejected_transaction_is_isolated_and_its_neighbours_are_stored(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """An item that Postgres cannot store (U+0000 in jsonb) becomes a dead letter by bisection; others are stored."""
    rows = [transaction(n, event()) for n in range(1, 6)]
    rows[3] = transaction(4, event()._replace(payload=b'{"shares": "\\u0000"}'))

    done = await writer.append(rows, source="webhook")

    assert (done.events, done.dead_letters, done.first_seq, done.last_seq) == (4, 1, 1, 4)
    with marts_database.connect() as connection:
        dead_letters = connection.execute("select signature, reason_code from raw.dead_letters").fetchall()
    assert dead_letters == [(signature(4), "rejected")]


async def test_a_failing_model_is_marked_and_the_log_goes_on(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """A model that fails is behind, names the failing event and the reason; the log and the others are complete."""
    await writer.append([transaction(1, event())], source="webhook")
    bad = event(0, shares="1" + "0" * 60)  # beyond numeric(39, 0)

    done = await writer.append(
        [transaction(2, event()), transaction(3, bad), transaction(4, event())], source="webhook"
    )

    assert done.events == 3
    with marts_database.connect() as connection:
        behind = connection.execute(
            "select name, applied_seq, failed_event from ops.model_status where is_behind order by name"
        ).fetchall()
        healthy = connection.execute("select count(*) from ops.models where applied_seq is null").fetchone()
        alerts = connection.execute("select count(*) from ops.alerts where kind = 'mart_behind'").fetchone()
        kinds = connection.execute("select kind from raw.feed where seq > 4").fetchall()
    assert [(name, applied, failed) for name, applied, failed in behind] == [
        ("candles_1m", 1, 3),
        ("markets", 1, 3),
        ("positions", 1, 3),
        ("priced_trades", 1, 3),
    ]
    assert healthy == (4,)
    assert alerts == (4,)
    assert kinds == []


async def test_dead_letters_with_invalid_text_are_stored(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """A reason with U+0000 or half a surrogate pair cannot stop the batch that contains it."""
    dead_letter = DeadLetter(None, None, "malformed", "it said \x00 and \ud800", b"\x00")

    await writer.append([], source="webhook", dead_letters=[dead_letter, dead_letter])

    with marts_database.connect() as connection:
        assert connection.execute("select sightings from raw.dead_letters").fetchall() == [(2,)]


async def test_truncated_log_raises_an_alert(writer: Writer, marts_database: testing.PostgresDatabase) -> None:
    """A truncated event is a dead letter and one open alert; the transaction's other events count."""
    cut = DeadLetter(signature(1), None, "truncated", "The runtime cut the log.", None)
    await writer.append([transaction(1, event(), dead=(cut,))], source="webhook")

    with marts_database.connect() as connection:
        alerts = connection.execute("select kind, subject, severity from ops.alerts").fetchall()
        assert connection.execute("select count(*) from raw.events").fetchone() == (1,)
    assert alerts == [("dead_letter_truncated", signature(1), "warning")]


async def test_a_claim_before_its_market_is_known_gets_its_id_later(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """WinningsClaimed names the account alone; when the id becomes known, its rows get it, too."""
    claim = EventRow(
        0, "WinningsClaimed", None, address(1), address(2), 1_762_600_000, b'{"outcome": true, "amount": "5"}', None
    )
    await writer.append([transaction(1, claim)], source="webhook")
    await writer.append([transaction(2, event()._replace(wallet=address(3)))], source="webhook")

    with marts_database.connect() as connection:
        ids = connection.execute("select distinct market_id from marts.positions").fetchall()
        markets = connection.execute("select id, is_known from marts.markets").fetchall()
        kinds = connection.execute("select kind, ref from raw.feed order by seq").fetchall()
    assert ids == [(MARKET,)]
    assert markets == [(MARKET, False)]
    assert kinds == [("event", None), ("moved", 1), ("event", None)]


async def test_postgres_down_is_unavailable_and_the_next_append_reconnects(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """A killed connection loses nothing: the batch is rejected as a whole, and the same writer applies it again."""
    with marts_database.connect("postgres") as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'zmart ingest writer'"
            " and datname = current_database()"
        )
    with pytest.raises(errors.Transient):
        await writer.append([transaction(1, event())], source="webhook")

    done = await writer.append([transaction(1, event())], source="webhook")

    assert done.events == 1


async def test_signatures_without_logs_are_wanted_until_they_arrive(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """An enhanced payload's signature is stored, and removed when the transaction arrives with its logs."""
    await writer.append([], source="webhook", wanted=[signature(1), signature(2)])
    await writer.append([transaction(1, event())], source="walk")

    with marts_database.connect() as connection:
        assert connection.execute("select signature from raw.pending_signatures").fetchall() == [(signature(2),)]


async def test_commit_notifies_once(writer: Writer, marts_database: testing.PostgresDatabase) -> None:
    """A listener receives one notification per commit with something new, and none for a duplicate."""
    with marts_database.connect() as listening:
        listening.execute("listen zmart_feed")
        await writer.append([transaction(1, event()), transaction(2, event())], source="webhook")
        await writer.append([transaction(1, event())], source="webhook")
        notifications = list(listening.notifies(timeout=1, stop_after=2))
    assert [notification.payload for notification in notifications] == [""]


async def test_appending_waits_for_the_writers_lock(writer: Writer, marts_database: testing.PostgresDatabase) -> None:
    """While another session appends, a batch waits and takes its seqs after it."""
    with marts_database.connect() as other:
        with other.transaction():
            other.execute("select raw.take_writer()")
            append = asyncio.create_task(writer.append([transaction(1, event())], source="webhook"))
            while other.execute(sessions.WAITING_APPENDS).fetchone() != (1,):  # noqa: ASYNC110 - Postgres has no event for it
                await asyncio.sleep(0)
            other.execute("insert into raw.feed (seq, kind) values (raw.next_seq(), 'metadata')")
        done = await append
    assert (done.first_seq, done.last_seq) == (2, 2)


async def test_two_versions_in_one_batch_are_one_transaction_and_a_dead_letter(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """The first version of a signature counts; the other is stored with its bytes for an operator."""
    other = transaction(1, event())._replace(digest=b"another", body=b"the other body")
    await writer.append([transaction(1, event()), other], source="webhook")

    with marts_database.connect() as connection:
        assert connection.execute("select count(*) from raw.events").fetchone() == (1,)
        dead_letters = connection.execute("select reason_code, bytes from raw.dead_letters").fetchall()
    assert dead_letters == [("differs", b"the other body")]


def bodies(database: testing.PostgresDatabase) -> dict[str, bytes]:
    """Return the stored bytes of each delivery, by signature."""
    statement = (
        "select t.signature, b.content, t.bundle_start, t.bundle_length"
        " from raw.transactions as t inner join raw.bundles as b using (bundle_no)"
    )
    with database.connect() as connection:
        return {name: body_compression.decompress(*ref) for name, *ref in connection.execute(statement).fetchall()}


async def test_delivered_bodies_are_stored_byte_for_byte(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """Every transaction's bytes are restored from the bundles that it shares with its batch."""
    sent = {signature(n): b'{"no": %d, "\x00\xff"' % n * n for n in range(1, 40)}
    await writer.append(
        [transaction(n, event())._replace(body=sent[signature(n)]) for n in range(1, 40)], source="webhook"
    )

    assert bodies(marts_database) == sent


async def test_a_batch_of_known_transactions_stores_no_bytes(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """Repeated deliveries are stored once, also if one item of the batch is new."""
    await writer.append([transaction(1, event())], source="webhook")
    await writer.append([transaction(1, event())], source="webhook")
    await writer.append([transaction(1, event()), transaction(2, event())], source="webhook")

    with marts_database.connect() as connection:
        assert connection.execute("select count(*) from raw.bundles").fetchone() == (2,)
    assert set(bodies(marts_database)) == {signature(1), signature(2)}


async def test_a_refused_dead_letter_or_signature_costs_its_neighbours_nothing(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """An item that Postgres cannot store (U+0000 in text) is found among dead letters and signatures, too."""
    dead_letters = [
        DeadLetter(name, None, "malformed", "odd", b"bytes") for name in (signature(1), "odd\x00", signature(2))
    ]

    done = await writer.append(
        [transaction(3, event())], source="webhook", dead_letters=dead_letters, wanted=[signature(4), "odd\x00"]
    )

    assert (done.events, done.dead_letters) == (1, 4)
    with marts_database.connect() as connection:
        wanted = connection.execute("select signature from raw.pending_signatures").fetchall()
        stored = connection.execute(
            "select signature, reason_code, bytes from raw.dead_letters order by dead_letter_no"
        ).fetchall()
    assert wanted == [(signature(4),)]
    assert stored == [
        (signature(1), "malformed", b"bytes"),
        (None, "rejected", b"bytes"),
        (signature(2), "malformed", b"bytes"),
        (None, "rejected", b"odd\x00"),
    ]


async def test_commit_reports_lock_and_fold_times(writer: Writer, marts_database: testing.PostgresDatabase) -> None:
    """Waiting is not counted as locked time; folds and commit are."""
    done = await writer.append([transaction(1, event())], source="webhook")

    assert done.lock_held_seconds > done.folds_seconds > 0
    assert done.lock_held_seconds >= done.folds_seconds + done.commit_seconds
    assert done.lock_wait_seconds >= 0


async def test_a_commit_is_on_disk_whatever_the_database_prefers(
    marts_database: testing.PostgresDatabase, opened_connections: list[Connection]
) -> None:
    """An acknowledged delivery survives a power failure, also if the database's default is asynchronous commits."""
    with marts_database.connect("postgres") as superuser:
        superuser.execute(f"alter role zmart_ingest in database {marts_database.name} set synchronous_commit = off")
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    try:
        await writer.append([transaction(1, event())], source="webhook")
        (connection,) = opened_connections
        setting = await (await connection.execute("show synchronous_commit")).fetchone()
    finally:
        await writer.close()

    assert setting == ("on",)


async def test_a_young_log_is_given_statistics(marts_database: testing.PostgresDatabase) -> None:
    """A plan made on empty tables is not reused: the writer analyzes tables that have outgrown their statistics."""
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    try:
        await writer.append([transaction(n, event()) for n in range(1, STATISTICS_STEP + 1)], source="file")
    finally:
        await writer.close()

    with marts_database.connect() as connection:
        known = connection.execute(
            "select relname from pg_class where oid in ('raw.events'::regclass, 'marts.priced_trades'::regclass)"
            " and reltuples = %s order by relname",
            (STATISTICS_STEP,),
        ).fetchall()
    assert known == [("events",), ("priced_trades",)]


async def test_columns_of_another_logs_numbers_are_laid_out_again(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """Statements prepared before a lost connection say nothing about the log of the next one."""
    await writer.append([transaction(1, event())], source="webhook")
    others = arrays.NumberCache(markets={address(1): (8, True)}, wallets={address(2): 9})

    appended = await writer.append(PreparedBatch([transaction(2, event())], others), source="webhook")
    same = await writer.append(writer.prepare([transaction(3, event())]), source="webhook")

    assert (appended.events, same.events) == (1, 1)
    with marts_database.connect() as connection:
        numbers = connection.execute("select distinct market_no, wallet_no from raw.events").fetchall()
    assert numbers == [(1, 1)]


async def test_a_poisonous_transaction_is_found_among_prepared_ones(
    writer: Writer, marts_database: testing.PostgresDatabase
) -> None:
    """Halves of a batch have separate columns."""
    rows = [transaction(n, event()) for n in range(1, 6)]
    rows[1] = transaction(2, event()._replace(payload=b'{"shares": "\\u0000"}'))

    done = await writer.append(writer.prepare(rows), source="webhook")

    assert (done.events, done.dead_letters) == (4, 1)
    with marts_database.connect() as connection:
        assert connection.execute("select count(distinct signature) from log.events").fetchone() == (4,)
