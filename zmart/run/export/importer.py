"""Imports an exported log into an empty database, so that anybody can compute the exchange again.

Every file is compared with its manifest, and every value of the chain is computed again from the rows: by Python from
the files, and by Postgres when the entries are appended (raw.append_entries). The entries have the same seq, numbers
and appends as in the exporting database, so its chain value is reached exactly, and the marts follow by a rebuild.

A segment is imported in one transaction. An import that was stopped continues after the last imported segment. Of
ballots that were cast through the API the files hold the vote, not the signed text; comments are entries of the log
without their text, because texts may be erased.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from zmart import errors
from zmart.db import queries
from zmart.db.connection import SyncConnection, connect_sync, translate_errors
from zmart.run.audit import leaves
from zmart.run.deploy import rebuild

from . import manifest as manifests
from . import tables
from .exporter import Report, read_identity
from .manifest import ForeignSegment, Manifest, SegmentDamaged, SegmentMissing
from .store import ExportStore

if TYPE_CHECKING:
    from pyarrow import Table

sql = queries.load("zmart.run.export", "import.sql")
STATEMENT_SECONDS = 600.0


@dataclass(frozen=True, kw_only=True)
class ImportResult:
    """What the log holds after an import."""

    #: The epoch of the exported log; the importing database has its own.
    source_epoch: str
    entries: int
    #: Entries that an earlier, stopped import had imported.
    known: int
    #: The value of the chain, 64 hex digits: the same as in the exporting database.
    value: str


def find_segments(store: ExportStore, epoch: str | None = None) -> Sequence[Manifest]:
    """Return the manifests of the log's segments, in order and connected.

    Raise SegmentMissing where there are none or one is missing, ForeignSegment where several epochs are in the store
    and none is chosen, or where a segment belongs to another history.
    """
    places = {
        place
        for path in store.list()
        if path.endswith("/" + manifests.NAME) and (place := manifests.place_of(path)) and place.dataset == "log"
    }
    epochs = sorted({place.epoch for place in places})
    if epoch is None and len(epochs) > 1:
        raise ForeignSegment(
            f"{store.location} holds logs of several epochs: {', '.join(epochs)}.", help="Choose one with --epoch."
        )
    chosen = sorted(
        (place for place in places if epoch in (None, place.epoch)), key=lambda place: (place.first_seq, place.last_seq)
    )
    if not chosen:
        raise SegmentMissing(f"{store.location} holds no segment of the log{f' of epoch {epoch}' if epoch else ''}.")
    found = [manifests.decode(store.get(place.folder + manifests.NAME), place) for place in chosen]
    manifests.require_connected(found)
    return found


def replay(
    dsn: str,
    store: ExportStore,
    *,
    epoch: str | None = None,
    report: Report = lambda step, done, of: None,
    report_rebuild: Callable[[str], None] = print,
) -> ImportResult:
    """Import the log in `store` into the database at `dsn` (the owner's login), then rebuild the marts.

    Raise Conflict where the database holds another log, SegmentDamaged, SegmentMissing and ForeignSegment for what is
    wrong in the store, Unavailable when Postgres or the store does not answer.
    """
    segments = find_segments(store, epoch)
    end = segments[-1]
    with translate_errors(), _connect(dsn) as connection:
        known = _imported_through(connection, segments)
        for segment in segments:
            if segment.last_seq > known:
                _import_segment(connection, store, segment)
            report("import", segment.last_seq, end.last_seq)
        connection.commit()
        connection.autocommit = True
        connection.execute("analyze")
    rebuild.rebuild(dsn, report=report_rebuild)
    return ImportResult(
        source_epoch=end.epoch, entries=end.last_seq - known, known=known, value=end.chain_value or manifests.GENESIS
    )


def _connect(dsn: str) -> SyncConnection:
    connection = connect_sync(dsn, application_name="zmart replay", statement_timeout_seconds=STATEMENT_SECONDS)
    tables.set_formats(connection)
    connection.commit()
    return connection


def _imported_through(connection: SyncConnection, segments: Sequence[Manifest]) -> int:
    """Return the last entry that an earlier import reached; raise Conflict where the log is another one."""
    log = read_identity(connection)
    row = connection.execute(sql.last_value).fetchone()
    connection.commit()
    if row is None and log.head == 0:
        return 0
    for segment in segments:
        if row is not None and (segment.last_seq, segment.chain_value) == (log.head, row[1]):
            return log.head
    raise errors.Conflict(
        f"This database already holds a log of {log.head:,} entries, which is not the beginning of the exported one.",
        help="Replay an exported log into an empty database: set ZMART_STATE_DIR or DATABASE_URL to a new one and run "
        "`zmart migrate`.",
    )


def _import_segment(connection: SyncConnection, store: ExportStore, segment: Manifest) -> None:
    entries = _read(store, segment, "entries", tables.entries_schema())
    commits = _read(store, segment, "commits", tables.commits_schema())
    digests = _verify_chain(segment, entries.to_pylist(), commits.to_pylist())
    with connection.transaction():
        connection.execute(sql.lock_log)
        connection.execute(sql.create_imported)
        loaded = entries.append_column("leaf_digest", pa.array(digests, pa.string()))
        _copy_in(connection, sql.copy_entries_in, loaded)
        for statement in (sql.add_markets, sql.add_wallets, sql.correct_events, sql.add_transactions, sql.add_events):
            connection.execute(statement)
        _add_ballots(connection)
        for commit in commits.to_pylist():
            connection.execute(sql.append_entries, {"first": commit["first_seq"], "last": commit["last_seq"]})
        connection.execute(sql.set_times)
        row = connection.execute(sql.last_value).fetchone()
        if row is None or tuple(row) != (segment.last_seq, segment.chain_value):
            raise SegmentDamaged(f"{segment.folder} leads to another chain value in Postgres than its manifest has.")
        connection.execute(sql.drop_imported)


def _read(store: ExportStore, segment: Manifest, name: str, schema: Any) -> Table:
    files = [file for file in segment.files if file.table == name]
    if not files:
        raise SegmentMissing(f"{segment.folder}{manifests.NAME} names no file of {name}.")
    contents = []
    for file in files:
        content = store.get(segment.folder + file.path)
        manifests.check_file(segment, file, content)
        contents.append(tables.read_parquet(content))
    table = pa.concat_tables(contents)
    if table.schema.names != schema.names:
        raise SegmentDamaged(f"{segment.folder}: the columns of {name} are not those of this release.")
    return table


def _verify_chain(segment: Manifest, entries: Sequence[dict[str, Any]], commits: Sequence[dict[str, Any]]) -> list[str]:
    """Return the digest of each entry, in hex; raise SegmentDamaged where they do not lead to the chain's values."""
    if [row["seq"] for row in entries] != list(range(segment.first_seq, segment.last_seq + 1)):
        raise SegmentDamaged(f"{segment.folder} does not hold each of its entries once.")
    leaf_list = [leaves.leaf(_stored_entry(row)) for row in entries]
    value, expected = bytes.fromhex(segment.previous_chain_value or manifests.GENESIS), segment.first_seq
    for commit in commits:
        first, last = commit["first_seq"], commit["last_seq"]
        own = leaf_list[first - segment.first_seq : last - segment.first_seq + 1]
        value = leaves.chain_value(value, own)
        if first != expected or value.hex() != commit["value"]:
            raise SegmentDamaged(
                f"{segment.folder}: the append of entries {first} to {last} has another chain value than its entries."
            )
        expected = last + 1
    if value.hex() != segment.chain_value:
        raise SegmentDamaged(f"{segment.folder}: its entries lead to another chain value than its manifest has.")
    # The last 32 bytes of a leaf are the digest.
    return [each[-32:].hex() for each in leaf_list]


def _stored_entry(row: dict[str, Any]) -> leaves.StoredEntry:
    is_event = row["kind"] == "event"
    context = row["context"] or ""
    is_rebuilt = is_event and '"rebuilt_from"' in context and "rebuilt_from" in json.loads(context)
    return leaves.StoredEntry(
        seq=row["seq"],
        kind=row["kind"],
        ref=row["ref"],
        digest=None if row["digest"] is None else bytes.fromhex(row["digest"]),
        signature=row["signature"],
        ordinal=row["ordinal"],
        name=row["name"],
        # As in the audit: an event that was rebuilt from an instruction has no id in its bytes.
        market_id=row["market_id"] if not is_rebuilt or row["name"] == "MarketCreated" else None,
        market_account=row["market_account"],
        wallet=row["wallet"],
        clock=row["clock"],
        payload=json.loads(row["payload"]) if row["payload"] else None,
        text=None,
    )


def _copy_in(connection: SyncConnection, statement: str, table: Table) -> None:
    from pyarrow import csv

    buffer = io.BytesIO()
    # Valid values are quoted and nulls are nothing, which is how COPY tells an empty text from null.
    csv.write_csv(table, buffer, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(buffer.getvalue())


def _add_ballots(connection: SyncConnection) -> None:
    for seq, wallet in connection.execute(sql.ballots).fetchall():
        # The policy of the table lets only the wallet's own row be inserted.
        connection.execute("select set_config('zmart.wallet', %s, true)", (wallet,))
        connection.execute(sql.add_ballot, {"seq": seq})
