"""An exported log, imported into an empty database, leads to the same chain and the same marts."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from exported_log import append, deliveries

from zmart import errors, testing
from zmart.run.audit import audit
from zmart.run.deploy import rebuild
from zmart.run.export import exporter, importer, tables
from zmart.run.export import manifest as manifests
from zmart.run.export.manifest import ForeignSegment, SegmentDamaged, SegmentMissing
from zmart.run.export.store import FolderStore

MARTS = "select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind in ('r', 'v') order by 1"


def export(database: testing.PostgresDatabase, store: FolderStore) -> exporter.ExportResult:
    """Export the log in segments of about 100 entries."""
    return exporter.export(database.dsn(), store, exports_marts=False, segment_entries=100)


def replay(database: testing.PostgresDatabase, store: FolderStore, **options: Any) -> importer.ImportResult:
    """Import the log."""
    return importer.replay(database.dsn(), store, report_rebuild=lambda _: None, **options)


def marts(database: testing.PostgresDatabase) -> dict[str, list[str]]:
    """The rows of each mart, sorted. Comments are not in the files: their texts may be erased."""
    with database.connect() as owner:
        names = [str(name) for (name,) in owner.execute(MARTS) if name != "discussions"]
        return {
            name: sorted(str(row) for (row,) in owner.execute(f"select m::text from marts.{name} as m"))  # type: ignore[call-overload] # our own names
            for name in names
        }


def retract_one(database: testing.PostgresDatabase) -> None:
    """Retract the newest buy and move another event, as corrections by the chain do."""
    with database.connect() as owner, owner.transaction():
        owner.execute("select raw.take_writer()")
        row = owner.execute(
            "update raw.events set retracted_at = clock_timestamp() where seq ="
            " (select max(seq) from raw.events where name = 'SharesBought') returning seq, market_no, wallet_no"
        ).fetchone()
        assert row is not None
        owner.execute(
            "update raw.transactions set retracted_at = clock_timestamp() where transaction_no ="
            " (select transaction_no from raw.events where seq = %s)",
            (row[0],),
        )
        owner.execute(
            "select raw.append_entries(array['retracted'], array[%s::bigint], array[%s::int], array[%s::int],"
            " array[null::bytea])",
            row,
        )
        owner.execute("select folds.fold((select max(seq) - 1 from raw.feed), (select max(seq) from raw.feed))")


def test_an_imported_log_has_equal_marts_and_an_equal_chain(
    filled: testing.PostgresDatabase, marts_database: testing.PostgresDatabase, folder: FolderStore
) -> None:
    """With ballots, comments, and an event that was retracted after its segment was exported."""
    export(filled, folder)
    retract_one(filled)
    rebuild.refresh(filled.dsn(), report=lambda _: None)
    export(filled, folder)

    result = replay(marts_database, folder)

    expected = audit.verify(filled.dsn())
    found = audit.verify(marts_database.dsn())
    assert (result.value, result.entries) == (expected.value, expected.entries)
    assert (found.value, found.entries, found.commits, found.unsealed) == (
        expected.value,
        expected.entries,
        expected.commits,
        0,
    )
    before, after = marts(filled), marts(marts_database)
    assert {name: rows for name, rows in after.items() if rows != before[name]} == {}
    assert len(before["ballots"]) > 1
    assert len(before["trades"]) > 50


def test_a_stopped_import_continues(
    filled: testing.PostgresDatabase, database: testing.PostgresDatabase, folder: FolderStore
) -> None:
    """After a stop between two segments the same command imports the rest; a complete one changes nothing."""
    export(filled, folder)
    reached: list[int] = []

    def stop(step: str, done: int, of: int) -> None:
        reached.append(done)
        if len(reached) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replay(database, folder, report=stop)
    result = replay(database, folder)

    assert result.known == reached[0] or result.known == reached[1]
    assert result.value == audit.verify(database.dsn()).value == audit.verify(filled.dsn()).value
    assert replay(database, folder).entries == 0


def test_another_log_is_not_overwritten(
    filled: testing.PostgresDatabase, database: testing.PostgresDatabase, folder: FolderStore
) -> None:
    """A database that holds other entries is refused with the next step."""
    export(filled, folder)
    append(database, deliveries(seed=9, count=4))

    with pytest.raises(errors.Conflict, match=r"already holds a log of .* empty database"):
        replay(database, folder)


def rewrite(store: FolderStore, place: manifests.Place, change: Any) -> None:
    """Replace the entries of a segment and give its manifest the new digest."""
    manifest = manifests.decode(store.get(place.folder + manifests.NAME), place)
    file = manifest.files[0]
    table = change(tables.read_parquet(store.get(manifest.folder + file.path)))
    content = tables.write_parquet(table)
    store.put(manifest.folder + file.path, content)
    changed = msgspec.structs.replace(
        file, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), rows=table.num_rows
    )
    store.put(manifest.path, manifests.encode(msgspec.structs.replace(manifest, files=(changed, *manifest.files[1:]))))


def another_clock(table: pa.Table) -> pa.Table:
    """Return the rows with another time of the first event."""
    clocks = table["clock"].to_pylist()
    first = next(at for at, clock in enumerate(clocks) if clock is not None)
    clocks[first] += 1
    return table.set_column(table.schema.get_field_index("clock"), "clock", pa.array(clocks, pa.int64()))


def test_what_is_wrong_in_the_store_is_named(
    filled: testing.PostgresDatabase, database: testing.PostgresDatabase, folder: FolderStore
) -> None:
    """A changed or lost row, a changed byte, a lost file or segment, a second epoch; nothing is imported."""
    export(filled, folder)
    paths = [path for path in folder.list() if path.endswith("entries.parquet")]
    original = {path: folder.get(path) for path in folder.list()}
    place = manifests.place_of(paths[0])
    assert place is not None

    def put_back() -> None:
        for path, content in original.items():
            folder.put(path, content)

    rewrite(folder, place, another_clock)
    with pytest.raises(SegmentDamaged, match="has another chain value than its entries"):
        replay(database, folder)
    rewrite(folder, place, lambda table: table.slice(1))
    with pytest.raises(SegmentDamaged, match="does not hold each of its entries once"):
        replay(database, folder)
    put_back()
    folder.put(paths[0], original[paths[0]][:-1])
    with pytest.raises(SegmentDamaged, match="other bytes than its manifest"):
        replay(database, folder)
    folder.delete(paths[0])
    with pytest.raises(SegmentMissing, match=r"entries.parquet is not in"):
        replay(database, folder)
    put_back()
    second = manifests.place_of(paths[1])
    assert second is not None
    folder.delete(second.folder + manifests.NAME)
    with pytest.raises(SegmentMissing, match=f"No segment holds entry {second.first_seq};"):
        replay(database, folder)
    put_back()
    other = manifests.decode(folder.get(place.folder + manifests.NAME), place)
    other = msgspec.structs.replace(other, epoch="00000000-0000-0000-0000-000000000000")
    folder.put(other.path, manifests.encode(other))
    with pytest.raises(ForeignSegment, match="several epochs"):
        replay(database, folder)
    with database.connect() as owner:
        assert owner.execute("select count(*) from raw.feed").fetchone() == (0,)
    assert replay(database, folder, epoch=place.epoch).known == 0
