"""The export writes what the database holds, once, and publishes nothing that it has not read back."""

from __future__ import annotations

import decimal
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from exported_log import append, deliveries

from zmart import errors, testing
from zmart.db import connection
from zmart.run.export import exporter, tables
from zmart.run.export import manifest as manifests
from zmart.run.export.manifest import ForeignSegment, SegmentDamaged, SegmentMissing
from zmart.run.export.pace import GENTLE_SHARE, Pace
from zmart.run.export.store import FolderStore


def export(database: testing.PostgresDatabase, store: Any, **options: Any) -> exporter.ExportResult:
    """Export in segments of about 50 entries."""
    return exporter.export(database.dsn(), store, **{"segment_entries": 50, **options})


def head(database: testing.PostgresDatabase) -> int:
    """The last entry of the log."""
    with database.connect() as owner:
        row = owner.execute("select max(seq) from raw.feed").fetchone()
    assert row is not None
    return int(str(row[0]))


def read(store: FolderStore, manifest: manifests.Manifest, table: str) -> list[dict[str, Any]]:
    """The rows of a table of a segment."""
    files = [file for file in manifest.files if file.table == table]
    return [row for file in files for row in tables.read_parquet(store.get(manifest.folder + file.path)).to_pylist()]


def published(store: FolderStore) -> list[str]:
    """The paths of the manifests in the store."""
    return [path for path in store.list() if path.endswith(manifests.NAME)]


def test_files_hold_the_log_and_the_marts(filled: testing.PostgresDatabase, folder: FolderStore) -> None:
    """Every entry is in one segment, the chain connects them, and every value of every mart is the database's."""
    result = export(filled, folder)

    segments = [each for each in result.published if each.dataset == "log"]
    (marts,) = (each for each in result.published if each.dataset == "marts")
    assert len(segments) > 3
    manifests.require_connected(segments)
    assert result.through == segments[-1].last_seq == head(filled)
    entries = [row for each in segments for row in read(folder, each, "entries")]
    with filled.connect() as owner:
        events = owner.execute(
            "select seq, name, payload::text, signature, wallet, market_id, position from log.events order by seq"
        ).fetchall()
        columns = ("seq", "name", "payload", "signature", "wallet", "market_id", "position")
        assert [tuple(row[name] for name in columns) for row in entries if row["kind"] == "event"] == events
        assert [row["seq"] for row in entries] == list(range(1, head(filled) + 1))
        names = [
            str(name)
            for (name,) in owner.execute(
                "select relname from pg_class where relnamespace = 'marts'::regnamespace and relkind in ('r', 'v')"
            )
        ]
        assert {file.table for file in marts.files} == set(names)
        for name in ("trades", "portfolio", "leaderboard", "markets", "vote_tallies"):
            cursor = owner.execute(f"select * from marts.{name}")  # type: ignore[call-overload] # our own names
            assert cursor.description is not None
            expected = [dict(zip([c.name for c in cursor.description], row, strict=True)) for row in cursor]
            found = read(folder, marts, name)
            assert sorted(found, key=str) == sorted(expected, key=str)
            assert expected


def test_exporting_again_writes_only_what_is_new(filled: testing.PostgresDatabase, folder: FolderStore) -> None:
    """A second run publishes nothing; after more appends, only those; files of before do not change."""
    export(filled, folder)
    before = {path: folder.get(path) for path in folder.list()}

    assert export(filled, folder).published == []

    last = head(filled)
    append(filled, deliveries(seed=8, count=20))
    result = export(filled, folder, exports_marts=False)
    assert [each.first_seq for each in result.published] == [last + 1]
    assert result.through == head(filled)
    assert {path: folder.get(path) for path in before} == before


def test_a_range_is_exported_once_whoever_asks(filled: testing.PostgresDatabase, folder: FolderStore) -> None:
    """A range that other segments hold in part is completed; one that splits an append is refused."""
    with filled.connect() as owner:
        ends = [int(str(row[0])) for row in owner.execute("select last_seq from raw.commits order by 1")]
    middle = ends[3]
    export(filled, folder, span=(1, middle), exports_marts=False)
    result = export(filled, folder, span=(1, ends[6]), exports_marts=False)

    assert result.published[0].first_seq == middle + 1
    assert result.through == ends[6]
    with pytest.raises(errors.InvalidInput, match="no whole appends"):
        export(filled, folder, span=(ends[6] + 1, ends[7] - 1), exports_marts=False)
    with pytest.raises(errors.InvalidInput, match="can be exported up to entry"):
        export(filled, folder, span=(1, head(filled) + 1))


KILLED = """
import os, signal, sys
from zmart.run.export import exporter, store
from pathlib import Path
left = int(sys.argv[3])
def report(step, done, of):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
exporter.export(sys.argv[1], store.FolderStore(Path(sys.argv[2])), segment_entries=150, report=report)
"""


@pytest.mark.drill
def test_a_killed_run_leaves_nothing_half_published(filled: testing.PostgresDatabase, tmp_path: Path) -> None:
    """Whatever step a run is killed at, each manifest in the store is complete, and the next run finishes the rest."""
    root = tmp_path / "killed"
    store = FolderStore(root)
    # Each run passes more steps than the one before, so that one is killed at each kind of step.
    for steps in (0, 1, 2, 4, 5, 6, 12, 40):
        command = [sys.executable, "-c", KILLED, filled.dsn(), str(root), str(steps)]
        process = subprocess.run(command, timeout=120, check=False)
        assert process.returncode == -signal.SIGKILL
        for path in published(store):
            place = manifests.place_of(path)
            assert place is not None
            exporter.verify_segment(store, place)

    result = export(filled, store)
    assert result.through == head(filled)
    assert exporter.verify(filled.dsn(), store).damages == ()
    assert [p for p in store.list() if p.endswith(".unfinished")] == []


def test_a_published_segment_without_a_record_is_adopted(filled: testing.PostgresDatabase, folder: FolderStore) -> None:
    """A run that was killed between manifest and record is completed by the next run, which writes nothing again."""
    export(filled, folder)
    with filled.connect() as owner:
        owner.execute("delete from ops.exports where dataset = 'log'")

    result = export(filled, folder)

    assert result.adopted > 3
    assert result.published == []
    assert result.through == head(filled)


def test_a_second_exporter_is_refused(filled: testing.PostgresDatabase, folder: FolderStore) -> None:
    """While one exports, another one fails with a sentence that names the first, and changes nothing."""
    refusals: list[str] = []

    def report(step: str, done: int, of: int) -> None:
        if step == "publish" and not refusals:
            with pytest.raises(exporter.ExportRunning) as raised:
                export(filled, folder)
            refusals.append(str(raised.value))

    result = export(filled, folder, report=report)

    assert result.through == head(filled)
    assert "Another export is running (pid " in refusals[0]


def damage_bytes(store: FolderStore, path: str) -> None:
    """Change one byte."""
    content = bytearray(store.get(path))
    content[len(content) // 2] ^= 1
    store.put(path, bytes(content))


DAMAGES: list[tuple[str, Callable[[FolderStore, str], None], str]] = [
    ("entries.parquet", damage_bytes, "has other bytes than its manifest"),
    ("entries.parquet", lambda store, path: store.delete(path), "is not in"),
    ("manifest.json", lambda store, path: store.delete(path), "is not in"),
    ("manifest.json", lambda store, path: store.put(path, b"{}"), "has other bytes"),
]


@pytest.mark.parametrize(("name", "change", "found"), DAMAGES)
def test_a_damaged_segment_is_found_and_written_again(
    filled: testing.PostgresDatabase,
    folder: FolderStore,
    name: str,
    change: Callable[[FolderStore, str], None],
    found: str,
) -> None:
    """`--verify` names the file and records it, the log counts as exported only before it, and an export repairs it."""
    export(filled, folder, exports_marts=False)
    second = [path for path in folder.list() if path.endswith("/" + name)][1]
    place = manifests.place_of(second)
    assert place is not None
    change(folder, second)

    result = exporter.verify(filled.dsn(), folder)

    assert len(result.damages) == 1
    assert found in result.damages[0]
    assert place.folder in result.damages[0]
    assert result.through == place.first_seq - 1
    repaired = export(filled, folder, exports_marts=False)
    assert [each.first_seq for each in repaired.published] == [place.first_seq]
    assert repaired.through == head(filled)
    assert exporter.verify(filled.dsn(), folder).damages == ()


def test_a_missing_segment_stops_the_export(filled: testing.PostgresDatabase, folder: FolderStore) -> None:
    """A recorded segment that is no longer in the store is named; nothing is written over the gap."""
    export(filled, folder, exports_marts=False)
    for path in folder.list():
        if "/000000000001-" in path:
            folder.delete(path)

    with pytest.raises(SegmentMissing, match=r"/000000000001-.* is recorded as exported"):
        export(filled, folder)


def test_a_segment_of_another_history_is_refused(filled: testing.PostgresDatabase, folder: FolderStore) -> None:
    """A segment whose manifest has another epoch or another chain value is a named error."""
    export(filled, folder, exports_marts=False)
    first = published(folder)[0]
    place = manifests.place_of(first)
    assert place is not None
    original = manifests.decode(folder.get(first), place)
    with filled.connect() as owner:
        owner.execute("delete from ops.exports")
    import msgspec

    changes: list[tuple[dict[str, Any], str]] = [
        ({"chain_value": "1" * 64}, "another chain value"),
        ({"epoch": "00000000-0000-0000-0000-000000000000"}, "of another segment"),
    ]
    for change, found in changes:
        folder.put(first, manifests.encode(msgspec.structs.replace(original, **change)))
        with pytest.raises(ForeignSegment, match=found):
            export(filled, folder)


class OtherBytes(FolderStore):
    """A store that loses the last byte of what it is given."""

    def get(self, path: str) -> bytes:
        """Return the file without its last byte."""
        return super().get(path)[:-1]


def test_a_store_that_returns_other_bytes_gets_no_manifest(filled: testing.PostgresDatabase, tmp_path: Path) -> None:
    """The file is named, and nothing is published or recorded."""
    store = OtherBytes(tmp_path / "other")

    with pytest.raises(SegmentDamaged, match=r"returns other bytes for .*entries.parquet"):
        export(filled, store)

    assert published(store) == []
    with filled.connect() as owner:
        assert owner.execute("select count(*) from ops.exports").fetchone() == (0,)


def test_a_gentle_export_rests_and_writes_the_same(filled: testing.PostgresDatabase, tmp_path: Path) -> None:
    """The files of both paces have the same digests; only the gentle one rests, after each segment at least."""
    rests: list[float] = []
    fast = export(filled, FolderStore(tmp_path / "fast"), exports_marts=False)
    with filled.connect() as owner:
        owner.execute("delete from ops.exports")
    gentle = export(
        filled, FolderStore(tmp_path / "gentle"), exports_marts=False, pace=Pace(GENTLE_SHARE, sleep=rests.append)
    )

    assert [one.files for one in gentle.published] == [one.files for one in fast.published]
    assert len(rests) >= len(gentle.published) > 1
    assert min(rests) >= 0.0


def test_postgres_waits_while_nobody_reads_a_copy(
    filled: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store may take longer for a file than other sessions give a silent peer (here one second instead of ten)."""
    monkeypatch.setattr(connection, "SESSION", {**connection.SESSION, "tcp_user_timeout": "1000"})
    monkeypatch.setattr(tables, "CHUNK_BYTES", 1 << 20)
    # More than the buffers of both ends of a connection hold.
    statement = "copy (select repeat('x', 1000) from generate_series(1, 40000)) to stdout"
    with exporter.connect(filled.dsn()) as session:
        pieces = tables.copy_rows(session, Pace(), statement)
        size = len(next(pieces))
        # The fault itself: the kernel gives a peer up after one second without progress.
        time.sleep(4.0)
        size += sum(len(piece) for piece in pieces)

    assert size == 40_000 * 1_001


@pytest.mark.parametrize(
    ("value", "is_refused"), [("9" * 38, False), ("1" + "0" * 38, True), ("0.5", True), ("'NaN'", True)]
)
def test_a_value_beyond_38_digits_is_named(
    filled: testing.PostgresDatabase, folder: FolderStore, value: str, is_refused: bool
) -> None:
    """The export of marts fails with table, column and row, and publishes nothing; the greatest that fits is exact."""
    with filled.connect("postgres") as superuser:
        superuser.execute(
            "create view marts.too_large as select 7 as market_no, 3::bigint as seq, (" + value + ")::numeric as amount"
        )
        superuser.execute("grant select on marts.too_large to zmart_owner")
    if not is_refused:
        (marts,) = export(filled, folder, exports_log=False).published
        assert read(folder, marts, "too_large") == [{"market_no": 7, "seq": 3, "amount": decimal.Decimal("9" * 38)}]
        return
    with pytest.raises(tables.ValueTooLarge, match=r"marts\.too_large\.amount is .* market_no 7, seq 3"):
        export(filled, folder, exports_log=False)
    assert published(folder) == []
