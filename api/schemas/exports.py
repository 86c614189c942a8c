"""Defines the schemas of exported files."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from .answer import AsOf, Instant

Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", description="SHA-256, 64 hexadecimal digits.")]


class ExportedFile(Struct, kw_only=True):
    """One Parquet file."""

    table: Annotated[str, Meta(description="entries, commits, or the name of a mart.")]
    rows: int
    bytes: int
    sha256: Digest
    url: Annotated[str, Meta(description="Path of this server. It returns the file, or redirects to its store.")]


class ExportedSegment(Struct, kw_only=True):
    """Files that were published together, after they had been read back."""

    dataset: Literal["log", "marts"]
    first_seq: Annotated[int, Meta(description="log: its first entry. marts: the same as last_seq.")]
    last_seq: Annotated[int, Meta(description="The last entry of the log that its rows hold.")]
    rows: int
    bytes: int
    chain_value: Annotated[
        str | None, Meta(description="The chain of the log at last_seq; null where no append ends there.")
    ]
    manifest: Annotated[str, Meta(description="Path of this server: the manifest of the files.")]
    manifest_sha256: Digest
    exported_at: Instant
    verified_at: Annotated[Instant, Meta(description="When the files were last read and had their digests.")]
    files: list[ExportedFile]


class Exports(Struct, kw_only=True):
    """A page of segments."""

    epoch: Annotated[str, Meta(description="The history of the log that the files hold.")]
    exported_through: Annotated[
        int, Meta(description="Every entry up to this one is in verified files; 0 without any.")
    ]
    segments: list[ExportedSegment]
    count: int
    next_after: Annotated[int | None, Meta(description="`after` of the next page; null on the last one.")]
    as_of: AsOf
