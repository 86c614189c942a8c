"""Defines the manifest of a segment, and the errors of segments. No I/O.

A segment is a folder of Parquet files and `manifest.json`, which is written last: a folder without it is not published.
A segment of the log holds a range of entries and the commits in it. A segment of the marts holds every mart in one
snapshot. Paths below the location have no `name=value`, because readers would add those as columns:

    epoch-EPOCH/log/000000000001-000000100000/entries.parquet, commits.parquet, manifest.json
    epoch-EPOCH/marts/000000100000/trades/part-00000.parquet, ..., manifest.json
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from zmart import errors

VERSION: Final = 1
NAME: Final = "manifest.json"
#: The chain value before the first entry, 64 hex digits.
GENESIS: Final = "0" * 64
_FOLDER = re.compile(r"^epoch-([0-9a-f-]{36})/(log|marts)/(\d{12,})(?:-(\d{12,}))?/")

Dataset = Literal["log", "marts"]


class SegmentDamaged(errors.Conflict):
    """A file of a segment is not the one that was published."""


class SegmentMissing(errors.NotFound):
    """A segment, or a file of it, is not in the store."""


class ForeignSegment(errors.Conflict):
    """A segment belongs to another history than this log."""


class SegmentFile(msgspec.Struct, frozen=True, kw_only=True):
    """One Parquet file of a segment."""

    #: Below the folder of the manifest.
    path: str
    #: `entries`, `commits`, or the name of a mart.
    table: str
    rows: int
    bytes: int
    #: 64 hex digits.
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of `manifest.json`."""

    version: int = VERSION
    dataset: Dataset
    epoch: str
    first_seq: int
    last_seq: int
    #: Entries of a segment of the log; rows of all marts together.
    rows: int
    #: The chain's value before first_seq and at last_seq; null where no append ends there.
    previous_chain_value: str | None
    chain_value: str | None
    program_id: str | None
    genesis_hash: str | None
    exported_at: datetime
    files: tuple[SegmentFile, ...]
    #: marts only: the seq up to which each mart holds the log.
    applied_seqs: dict[str, int] = {}

    @property
    def folder(self) -> str:
        """The folder below the location, with a slash at its end."""
        return folder(self.epoch, self.dataset, self.first_seq, self.last_seq)

    @property
    def path(self) -> str:
        """The path of the manifest below the location."""
        return self.folder + NAME

    @property
    def bytes(self) -> int:
        """The size of its files together."""
        return sum(file.bytes for file in self.files)


def folder(epoch: str, dataset: Dataset, first_seq: int, last_seq: int) -> str:
    """Return the folder of a segment below the location, with a slash at its end."""
    span = f"{first_seq:012d}-{last_seq:012d}" if dataset == "log" else f"{last_seq:012d}"
    return f"epoch-{epoch}/{dataset}/{span}/"


class Place(msgspec.Struct, frozen=True):
    """The segment to which a path belongs."""

    epoch: str
    dataset: Dataset
    first_seq: int
    last_seq: int

    @property
    def folder(self) -> str:
        """The folder of the segment below the location, with a slash at its end."""
        return folder(self.epoch, self.dataset, self.first_seq, self.last_seq)


def place_of(path: str) -> Place | None:
    """Return the segment of a path below the location, or None for any other path."""
    found = _FOLDER.match(path)
    if found is None:
        return None
    first = int(found[3])
    dataset: Dataset = "log" if found[2] == "log" else "marts"
    return Place(found[1], dataset, first, int(found[4] or first))


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of the file: JSON, indented, the same for equal manifests."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def decode(content: bytes, place: Place) -> Manifest:
    """Return the manifest in `content`.

    Raise SegmentDamaged for other content, ForeignSegment where it names another segment or epoch than its place.
    """
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError as error:
        raise SegmentDamaged(f"{place.folder}{NAME} is not a manifest: {error}.") from error
    if manifest.version != VERSION:
        raise SegmentDamaged(
            f"{place.folder}{NAME} has version {manifest.version}; this release reads version {VERSION}."
        )
    if Place(manifest.epoch, manifest.dataset, manifest.first_seq, manifest.last_seq) != place:
        raise ForeignSegment(
            f"{place.folder}{NAME} is of another segment: {manifest.dataset} of epoch {manifest.epoch}, "
            f"entries {manifest.first_seq} to {manifest.last_seq}."
        )
    return manifest


def check_file(manifest: Manifest, file: SegmentFile, content: bytes) -> None:
    """Raise SegmentDamaged where `content` is not the file that was published."""
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise SegmentDamaged(
            f"{manifest.folder}{file.path} has other bytes than its manifest: {len(content):,} bytes, "
            f"published were {file.bytes:,}."
        )


def missing_ranges(covered: Iterable[tuple[int, int]], first: int, last: int) -> Sequence[tuple[int, int]]:
    """Return the ranges of `first` to `last` that no covered range holds, in order.

    Raise SegmentDamaged where two covered ranges overlap: entries would be in the files twice.
    """
    missing: list[tuple[int, int]] = []
    expected, before = first, 0
    for start, end in sorted(covered):
        if start <= before:
            raise SegmentDamaged(f"Two segments hold entry {start}. Remove one of them from the location.")
        before = end
        if end < first or start > last:
            continue
        if start > expected:
            missing.append((expected, start - 1))
        expected = end + 1
    if expected <= last:
        missing.append((expected, last))
    return missing


def require_connected(manifests: Sequence[Manifest]) -> None:
    """Check that segments of the log, in order, follow each other from the first entry.

    Raise SegmentMissing for a gap, ForeignSegment where a segment continues another chain.
    """
    seq, value = 0, GENESIS
    for manifest in manifests:
        if manifest.first_seq != seq + 1:
            raise SegmentMissing(
                f"No segment holds entry {seq + 1}; the next one begins with entry {manifest.first_seq}."
            )
        if manifest.previous_chain_value != value:
            raise ForeignSegment(f"{manifest.folder} does not continue the chain of the segment before it.")
        seq, value = manifest.last_seq, manifest.chain_value or ""
