"""Exports the log and the marts to a store, segment by segment, and verifies what is published.

A segment is published by its manifest, which is written after its files were read back and are equal, row by row. A
run that is killed leaves at most files without a manifest; the next run deletes them and continues. A segment whose
manifest is in the store but not in ops.exports is verified and recorded. So a range of entries is exported once,
whoever asks for it and however often.

The log is exported in ranges of whole appends, so that each segment ends with a value of the chain. Its columns never
change, except those that a later entry of kind `moved` or `retracted` holds again. The marts are exported in one
snapshot. One process at a time exports (a lock on ops.exports, held by a connection of its own).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import psycopg

from zmart import errors
from zmart.db import queries
from zmart.db.connection import SyncConnection, connect_sync, translate_errors

from . import manifest as manifests
from . import tables
from .manifest import Manifest, Place, SegmentDamaged, SegmentFile, SegmentMissing
from .pace import Pace
from .segment_reader import SegmentContent, SegmentReader, read_chain_value
from .store import ExportStore

if TYPE_CHECKING:
    import pyarrow

sql = queries.load("zmart.run.export", "export.sql")
#: Entries of a segment: about 10 MB of Parquet and a second of work.
SEGMENT_ENTRIES: Final = 100_000
#: Copying a mart of a large log takes minutes; a stuck statement must still end.
STATEMENT_SECONDS: Final = 3_600.0
LOCK_SECONDS: Final = 3
#: The snapshot of the marts may wait for the store for so long, between two statements and within a COPY.
IDLE_SECONDS: Final = 300

#: Receives the step, and how many of how many entries, rows or files of it are done.
Report = Callable[[str, int, int], None]


class ExportRunning(errors.Conflict):
    """Another export is running."""


@dataclass(frozen=True, kw_only=True)
class LogIdentity:
    """The history that is exported."""

    epoch: str
    program_id: str | None
    genesis_hash: str | None
    #: The last entry in the chain: the log is exported up to here.
    last_sealed: int
    head: int


@dataclass(kw_only=True)
class ExportResult:
    """What one run published."""

    epoch: str
    #: The entry up to which the log is exported and verified without a gap.
    through: int = 0
    #: Entries at the end of the log that are not in the chain yet, and so not exported.
    unsealed: int = 0
    published: list[Manifest] = field(default_factory=list)
    #: Segments that an earlier run published and did not record.
    adopted: int = 0

    @property
    def entries(self) -> int:
        """Entries of the log that were exported."""
        return sum(each.rows for each in self.published if each.dataset == "log")

    @property
    def mart_rows(self) -> int:
        """Rows of marts that were exported."""
        return sum(each.rows for each in self.published if each.dataset == "marts")

    @property
    def bytes(self) -> int:
        """The size of all files that were written."""
        return sum(each.bytes for each in self.published)


def _ignore(step: str, done: int, of: int) -> None:
    del step, done, of


def export(
    dsn: str,
    store: ExportStore,
    *,
    span: tuple[int, int] | None = None,
    exports_log: bool = True,
    exports_marts: bool = True,
    segment_entries: int = SEGMENT_ENTRIES,
    pace: Pace | None = None,
    report: Report = _ignore,
) -> ExportResult:
    """Export what is not exported yet of the log at `dsn` (the owner's login), and a new snapshot of the marts.

    `span` limits the log to these entries, both included; parts that are exported already are skipped. `pace` says
    how much of its time the export works (default: all of it). Raise
    ExportRunning while another process exports, SegmentDamaged, SegmentMissing and ForeignSegment for what is wrong in
    the store, ValueTooLarge for a value of a mart, Unavailable when Postgres or the store does not answer.
    """
    with translate_errors(), hold_exports(dsn) as lock, connect(dsn) as connection:
        run = _Run(connection, lock, store, pace or Pace(), report)
        run.adopt()
        if exports_log:
            with connect(dsn) as reading:
                run.export_log(reading, span, segment_entries)
        if exports_marts:
            run.export_marts()
        run.result.through = _exported_through(connection)
        return run.result


@contextlib.contextmanager
def hold_exports(dsn: str) -> Iterator[SyncConnection]:
    """Hold the right to export on a connection of its own. Raise ExportRunning where another process has it."""
    with connect_sync(dsn, application_name="zmart export lock") as connection:
        connection.execute("set idle_in_transaction_session_timeout = 0")
        connection.commit()
        try:
            # A free lock is taken at once. Autovacuum of the table gives way within a second.
            connection.execute(f"set local lock_timeout = '{LOCK_SECONDS}s'")
            connection.execute(sql.lock_exports)
        except psycopg.errors.LockNotAvailable:
            connection.rollback()
            raise _describe_holder(connection) from None
        yield connection


def _describe_holder(connection: SyncConnection) -> ExportRunning:
    row = connection.execute(sql.lock_holder).fetchone()
    holder = "" if row is None else f" (pid {row[0]} of Postgres, since {row[2]:%Y-%m-%d %H:%M:%S} UTC)"
    return ExportRunning(
        f"Another export is running{holder}. One at a time exports.",
        help="Wait until it has ended, then run `zmart export` again.",
    )


@contextlib.contextmanager
def connect(dsn: str) -> Iterator[SyncConnection]:
    """Open the session that reads; it may pause in the middle of a COPY for as long as the store needs."""
    with connect_sync(
        dsn, application_name="zmart export", statement_timeout_seconds=STATEMENT_SECONDS, autocommit=True
    ) as connection:
        connection.execute(f"set idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
        # While the store writes, or the export rests, nobody reads what Postgres sends. After the 10 s of other
        # sessions the kernel would take us for dead and end the COPY.
        connection.execute(f"set tcp_user_timeout = '{IDLE_SECONDS}s'")
        tables.set_formats(connection)
        yield connection


def read_identity(connection: SyncConnection) -> LogIdentity:
    """Return the identity of the log. Raise Unavailable where there is no log."""
    row = connection.execute(sql.identity).fetchone()
    if row is None:
        raise errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
    return LogIdentity(epoch=row[0], program_id=row[1], genesis_hash=row[2], last_sealed=row[3], head=row[4])


def _exported_through(connection: SyncConnection) -> int:
    row = connection.execute(sql.exported_through).fetchone()
    assert row is not None
    return int(row[0])


class _Run:
    """One run of the exporter."""

    def __init__(
        self, connection: SyncConnection, lock: SyncConnection, store: ExportStore, pace: Pace, report: Report
    ) -> None:
        self._connection = connection
        self._lock = lock
        self._store = store
        self._pace = pace
        self._report = report
        self._log = read_identity(connection)
        self._covered: list[tuple[int, int]] = []
        self.result = ExportResult(epoch=self._log.epoch, unsealed=self._log.head - self._log.last_sealed)

    def adopt(self) -> None:
        """Compare the store with ops.exports: verify and record segments, delete files without a manifest."""
        paths = self._store.list(f"epoch-{self._log.epoch}/")
        published = {place for path in paths if path.endswith("/" + manifests.NAME) and (place := _place(path))}
        for path in paths:
            if (place := _place(path)) is not None and place not in published:
                self._report("delete unfinished files", 0, 1)
                self._store.delete(path)
        recorded = self._recorded()
        for place, is_damaged in recorded.items():
            if place not in published and place.dataset == "marts":
                self._forget(place)
            elif place not in published and not is_damaged:
                raise SegmentMissing(
                    f"{place.folder} is recorded as exported and is not in {self._store.location}.",
                    help="Put it back, or run `zmart export --verify`, which records it as missing, then `zmart "
                    "export`, which writes it again.",
                )
        for place in sorted(published - recorded.keys(), key=lambda each: (each.dataset, each.first_seq)):
            self._adopt_one(place)
        damaged = {place for place, is_damaged in recorded.items() if is_damaged}
        self._covered = sorted(
            (place.first_seq, place.last_seq) for place in published - damaged if place.dataset == "log"
        )

    def _adopt_one(self, place: Place) -> None:
        found = verify_segment(self._store, place)
        if place.dataset == "log":
            self._check_chain(found)
        self._record(found, manifests.encode(found))
        self.result.adopted += 1

    def _check_chain(self, found: Manifest) -> None:
        if found.chain_value != read_chain_value(self._connection, found.last_seq):
            raise manifests.ForeignSegment(
                f"{found.folder} has another chain value than this log at entry {found.last_seq}: it was made of "
                "another history.",
                help="Choose another EXPORT_URL, or remove that folder.",
            )

    def _recorded(self) -> dict[Place, bool]:
        rows = self._connection.execute(sql.recorded, {"location": self._store.location, "epoch": self._log.epoch})
        return {Place(self._log.epoch, dataset, first, last): damaged for dataset, first, last, _, damaged in rows}

    def _forget(self, place: Place) -> None:
        arguments = {"location": self._store.location, "epoch": place.epoch, "last": place.last_seq}
        self._connection.execute(sql.forget, arguments)

    def export_log(self, reading: SyncConnection, span: tuple[int, int] | None, segment_entries: int) -> None:
        """Publish the entries that no segment holds, in segments of whole appends."""
        first, last = span or (1, self._log.last_sealed)
        if last > self._log.last_sealed:
            raise errors.InvalidInput(
                f"The log can be exported up to entry {self._log.last_sealed}; entry {last} was asked for."
            )
        ranges = manifests.missing_ranges(self._covered, first, last)
        self._report("read", 0, 1)
        for content in SegmentReader(reading, self._pace).read(ranges, size=segment_entries):
            self._publish_log(content)
            self._pace.rest()
            self._report("export log", content.last, last)

    def _publish_log(self, content: SegmentContent) -> None:
        folder = manifests.folder(self._log.epoch, "log", content.first, content.last)
        files = (
            self._write(folder, "entries", "entries.parquet", content.entries),
            self._write(folder, "commits", "commits.parquet", content.commits),
        )
        self._publish(
            Manifest(
                dataset="log",
                epoch=self._log.epoch,
                first_seq=content.first,
                last_seq=content.last,
                rows=content.entries.num_rows,
                previous_chain_value=content.previous_chain_value,
                chain_value=content.chain_value,
                program_id=self._log.program_id,
                genesis_hash=self._log.genesis_hash,
                exported_at=datetime.now(UTC),
                files=files,
            )
        )

    def export_marts(self) -> None:
        """Publish every mart in one snapshot; nothing where this snapshot is published already or the log is empty."""
        with self._connection.transaction():
            self._connection.execute("set transaction isolation level repeatable read read only")
            log = read_identity(self._connection)
            place = Place(log.epoch, "marts", log.head, log.head)
            if log.head == 0 or place in self._recorded():
                return
            published = self._write_marts(log, place.folder)
        self._publish(published)

    def _write_marts(self, log: LogIdentity, folder: str) -> Manifest:
        marts = self._connection.execute(sql.marts).fetchall()
        files: list[SegmentFile] = []
        for done, (mart, columns, types) in enumerate(marts):
            self._report("export marts", done, len(marts))
            files += self._write_mart(folder, mart, columns, types)
        applied = {str(name): int(seq) for name, seq in self._connection.execute(sql.applied_seqs)}
        return Manifest(
            dataset="marts",
            epoch=log.epoch,
            first_seq=log.head,
            last_seq=log.head,
            rows=sum(file.rows for file in files),
            previous_chain_value=None,
            chain_value=read_chain_value(self._connection, log.head),
            program_id=log.program_id,
            genesis_hash=log.genesis_hash,
            exported_at=datetime.now(UTC),
            files=tuple(files),
            applied_seqs={mart: applied.get(mart, log.head) for mart, _, _ in marts},
        )

    def _write_mart(
        self, folder: str, mart: str, columns: Sequence[str], types: Sequence[str]
    ) -> Iterator[SegmentFile]:
        import pyarrow as pa

        schema = tables.mart_schema(mart, columns, types)
        written = 0
        try:
            for content in tables.copy_rows(self._connection, self._pace, tables.mart_select(mart, columns, types)):
                table = tables.parse(content, schema)
                yield self._write(folder, mart, f"{mart}/part-{written:05d}.parquet", table)
                self._pace.rest()
                written += 1
        except pa.ArrowInvalid as error:
            raise tables.find_unfit(self._connection, mart, columns, types, error) from error
        if written == 0:
            # A query of the files finds the columns of an empty mart, too.
            yield self._write(folder, mart, f"{mart}/part-00000.parquet", schema.empty_table())

    def _write(self, folder: str, table_name: str, name: str, table: pyarrow.Table) -> SegmentFile:
        """Write one file, read it back and compare bytes and rows."""
        content = tables.write_parquet(table)
        digest = hashlib.sha256(content).hexdigest()
        self._report("write", 0, 1)
        self._store.put(folder + name, content)
        self._report("verify", 0, 1)
        returned = self._store.get(folder + name)
        if hashlib.sha256(returned).hexdigest() != digest or not tables.read_parquet(returned).equals(table):
            raise SegmentDamaged(
                f"{self._store.location} returns other bytes for {folder}{name} than were written.",
                help="Nothing of this segment is published. Check the store, then run `zmart export` again.",
            )
        return SegmentFile(path=name, table=table_name, rows=table.num_rows, bytes=len(content), sha256=digest)

    def _publish(self, manifest: Manifest) -> None:
        content = manifests.encode(manifest)
        self._require_lock()
        self._report("publish", 0, 1)
        self._store.put(manifest.path, content)
        if self._store.get(manifest.path) != content:
            raise SegmentDamaged(f"{self._store.location} returns another manifest for {manifest.folder} than written.")
        self._report("record", 0, 1)
        self._record(manifest, content)
        self.result.published.append(manifest)

    def _require_lock(self) -> None:
        row = self._lock.execute(sql.still_locked).fetchone()
        if row is None or not row[0]:
            raise errors.Unavailable("The connection that holds the right to export was lost.")

    def _record(self, manifest: Manifest, content: bytes) -> None:
        self._connection.execute(
            sql.record,
            {
                "location": self._store.location,
                "epoch": manifest.epoch,
                "dataset": manifest.dataset,
                "first_seq": manifest.first_seq,
                "last_seq": manifest.last_seq,
                "rows": manifest.rows,
                "bytes": manifest.bytes,
                "path": manifest.path,
                "sha256": hashlib.sha256(content).hexdigest(),
                "chain_value": manifest.chain_value,
                "files": json.dumps([_file_row(file) for file in manifest.files]),
                "exported_at": manifest.exported_at,
            },
        )


def _file_row(file: SegmentFile) -> dict[str, str | int]:
    return {
        "path": file.path,
        "table": file.table,
        "rows": file.rows,
        "bytes": file.bytes,
        "sha256": file.sha256,
    }


def _place(path: str) -> Place | None:
    return manifests.place_of(path)


def verify_segment(store: ExportStore, place: Place, *, expected_sha256: str | None = None) -> Manifest:
    """Read every file of a published segment and compare; return its manifest.

    Raise SegmentMissing, SegmentDamaged or ForeignSegment with the file.
    """
    content = store.get(place.folder + manifests.NAME)
    if expected_sha256 not in (None, hashlib.sha256(content).hexdigest()):
        raise SegmentDamaged(f"{place.folder}{manifests.NAME} has other bytes than were published.")
    manifest = manifests.decode(content, place)
    for file in manifest.files:
        manifests.check_file(manifest, file, store.get(manifest.folder + file.path))
    return manifest


@dataclass(frozen=True, kw_only=True)
class VerifyResult:
    """The result of reading every published segment again."""

    segments: int
    bytes: int
    #: The first sentence of each segment that is missing or differs.
    damages: tuple[str, ...]
    through: int


def verify(dsn: str, store: ExportStore, *, report: Report = _ignore) -> VerifyResult:
    """Read every recorded segment of this epoch again and compare digests and chain; record what is damaged.

    Raise ExportRunning while another process exports.
    """
    with translate_errors(), hold_exports(dsn), connect(dsn) as connection:
        log = read_identity(connection)
        span = {"location": store.location, "epoch": log.epoch}
        rows = connection.execute(sql.recorded, span).fetchall()
        found: list[Manifest] = []
        damages: list[str] = []
        for done, (dataset, first, last, sha256, _) in enumerate(rows):
            report("verify", done, len(rows))
            try:
                found.append(verify_segment(store, Place(log.epoch, dataset, first, last), expected_sha256=sha256))
            except (SegmentMissing, SegmentDamaged, manifests.ForeignSegment) as error:
                damages.append(str(error))
                arguments = {**span, "dataset": dataset, "first": first, "last": last, "damage": str(error)}
                connection.execute(sql.record_damage, arguments)
        return VerifyResult(
            segments=len(rows),
            bytes=sum(each.bytes for each in found),
            damages=tuple(damages),
            through=_exported_through(connection),
        )
