"""Manifests of exported segments: paths, damage, gaps and overlaps."""

from __future__ import annotations

import datetime
import hashlib

import msgspec
import pytest

from zmart.run.export import manifest as manifests
from zmart.run.export.manifest import ForeignSegment, Manifest, SegmentDamaged, SegmentFile, SegmentMissing

EPOCH = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"
CONTENT = b"the content"
FILE = SegmentFile(
    path="entries.parquet", table="entries", rows=5, bytes=11, sha256=hashlib.sha256(CONTENT).hexdigest()
)


def segment(first: int, last: int, before: str = manifests.GENESIS, value: str = "1" * 64) -> Manifest:
    """A segment of the log."""
    return Manifest(
        dataset="log",
        epoch=EPOCH,
        first_seq=first,
        last_seq=last,
        rows=last - first + 1,
        previous_chain_value=before,
        chain_value=value,
        program_id="program",
        genesis_hash=None,
        exported_at=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        files=(FILE,),
    )


def test_a_path_names_its_segment() -> None:
    """Both kinds of segments, also with more digits than the padding; other paths are of no segment."""
    for dataset, first, last in (("log", 1, 100), ("marts", 7, 7), ("log", 10**13, 10**13 + 5)):
        folder = manifests.folder(EPOCH, dataset, first, last)  # type: ignore[arg-type] # one of both
        place = manifests.place_of(folder + "trades/part-00000.parquet")
        assert place == manifests.Place(EPOCH, dataset, first, last)  # type: ignore[arg-type]
        assert place.folder == folder
    for path in ("", "manifest.json", f"epoch-{EPOCH}/other/000000000001/manifest.json", f"epoch-{EPOCH}/log/1-2/x"):
        assert manifests.place_of(path) is None


def test_a_manifest_is_read_as_it_was_written() -> None:
    """And nothing else is: other content, another version, another place."""
    written = segment(1, 5)
    place = manifests.Place(EPOCH, "log", 1, 5)
    content = manifests.encode(written)
    assert manifests.decode(content, place) == written
    for damaged in (b"", b"{}", b"[1]", content[:-20], content.replace(b'"rows": 5', b'"rows": "5"')):
        with pytest.raises(SegmentDamaged, match="is not a manifest"):
            manifests.decode(damaged, place)
    with pytest.raises(SegmentDamaged, match="has version 2"):
        manifests.decode(manifests.encode(msgspec.structs.replace(written, version=2)), place)
    with pytest.raises(ForeignSegment, match="is of another segment"):
        manifests.decode(content, manifests.Place(EPOCH, "log", 1, 6))


def test_other_bytes_are_damage() -> None:
    """One byte more, less or other."""
    manifests.check_file(segment(1, 5), FILE, CONTENT)
    for other in (CONTENT + b"x", CONTENT[:-1], b"The content"):
        with pytest.raises(SegmentDamaged, match=r"entries\.parquet has other bytes"):
            manifests.check_file(segment(1, 5), FILE, other)


def test_missing_ranges_are_what_no_segment_holds() -> None:
    """Before, between and after; overlapping segments are refused."""
    assert manifests.missing_ranges([], 1, 9) == [(1, 9)]
    assert manifests.missing_ranges([(1, 9)], 1, 9) == []
    assert manifests.missing_ranges([(7, 8), (3, 4)], 1, 9) == [(1, 2), (5, 6), (9, 9)]
    assert manifests.missing_ranges([(1, 4), (9, 12)], 3, 10) == [(5, 8)]
    assert manifests.missing_ranges([(1, 4), (20, 30)], 5, 9) == [(5, 9)]
    assert manifests.missing_ranges([], 1, 0) == []
    with pytest.raises(SegmentDamaged, match="Two segments hold entry 4"):
        manifests.missing_ranges([(1, 4), (4, 6)], 1, 9)


def test_segments_follow_each_other() -> None:
    """From the first entry, without a gap, each continuing the chain of the one before."""
    first, second = segment(1, 4), segment(5, 9, before="1" * 64, value="2" * 64)
    manifests.require_connected([first, second])
    with pytest.raises(SegmentMissing, match="No segment holds entry 1; the next one begins with entry 5"):
        manifests.require_connected([second])
    with pytest.raises(SegmentMissing, match="No segment holds entry 5"):
        manifests.require_connected([first, segment(6, 9, before="1" * 64)])
    with pytest.raises(ForeignSegment, match="does not continue the chain"):
        manifests.require_connected([first, segment(5, 9, before="3" * 64)])
