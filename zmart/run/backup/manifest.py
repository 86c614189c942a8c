"""Describes one backup: `manifest.json` beside the dump.

A backup is a folder with two files:

    database.dump   pg_dump's custom format
    manifest.json   what the dump contains, and its SHA-256

The folder gets its name when both files are complete and on disk. Until then the name begins with a dot and ends in
`.partial`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from zmart import errors

DUMP: Final = "database.dump"
MANIFEST: Final = "manifest.json"
PARTIAL: Final = ".partial"
#: The version of this file's form; a restore refuses a greater one.
FORMAT: Final = 1
_BLOCK_BYTES: Final = 1 << 20
_TAKE_ANOTHER: Final = "Take another backup: zmart backup"


class AppliedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One migration that the database had."""

    version: int
    name: str
    checksum: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The content of manifest.json."""

    format: int
    #: ISO 8601, UTC: the time of the snapshot.
    created_at: str
    #: The version of this product, for example "0.1.0".
    release: str
    #: The server's version and pg_dump's, for example "18.6".
    server: str
    program: str
    #: The database's migrations, oldest first.
    migrations: list[AppliedFile]
    epoch: str
    #: The last entry of the log, and the mark of its position; the mark is None where the entry has no chain yet.
    seq: int
    mark: str | None
    #: The schemas in the dump, and the number of rows of each table, by `schema.table`.
    schemas: list[str]
    tables: dict[str, int]
    #: The schema of each extension that our objects use; a dump of schemas does not contain extensions.
    extensions: dict[str, str]
    #: Of the dump.
    bytes: int
    sha256: str

    @property
    def position(self) -> str:
        """Return the position at which the backup ends, as the API writes positions."""
        return f"{self.epoch}:{self.seq}" + (f":{self.mark}" if self.mark else "")

    @property
    def rows(self) -> int:
        """Return the number of rows of all tables."""
        return sum(self.tables.values())

    @property
    def server_major(self) -> int:
        """Return the major version of the server: 18 for 18.6."""
        return int(self.server.split(".")[0])


def write(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json with mode 0600 and flush it to disk; raise OSError."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    descriptor = os.open(folder / MANIFEST, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path) -> Manifest:
    """Read the manifest of a backup; raise ConfigurationError where the folder is not a complete backup."""
    if not folder.is_dir():
        raise errors.NotFound(f"There is no folder {folder}.", help="Give the folder that `zmart backup` printed.")
    if folder.name.endswith(PARTIAL) or not (folder / MANIFEST).exists():
        raise errors.ConfigurationError(
            f"{folder} is not a complete backup: it was interrupted before its {MANIFEST} was written.",
            help="Use another backup.",
        )
    text = (folder / MANIFEST).read_bytes()
    try:
        version = msgspec.json.decode(text)["format"]
        if version > FORMAT:
            raise errors.ConfigurationError(
                f"{folder} was written by a newer release (form {version}; this release reads {FORMAT}).",
                help="Restore it with that release.",
            )
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, LookupError, TypeError) as error:
        raise errors.ConfigurationError(
            f"{folder / MANIFEST} is damaged: {error}.", help="Use another backup."
        ) from error


def check_dump(folder: Path, manifest: Manifest, *, report: Callable[[int, int], None] = lambda done, of: None) -> None:
    """Compare the dump with the manifest; raise ConfigurationError where a byte is missing or differs."""
    path = folder / DUMP
    if not path.exists():
        raise errors.ConfigurationError(f"{folder} is only half a backup: {DUMP} is missing.", help=_TAKE_ANOTHER)
    size = path.stat().st_size
    if size != manifest.bytes:
        raise errors.ConfigurationError(
            f"{path} has {size:,} bytes; the manifest has {manifest.bytes:,}.", help="Use another backup."
        )
    if digest(path, report=report) != manifest.sha256:
        raise errors.ConfigurationError(
            f"{path} differs from its SHA-256 in the manifest: the file was changed or damaged.",
            help="Use another backup.",
        )


def digest(path: Path, *, report: Callable[[int, int], None] = lambda done, of: None) -> str:
    """Return the SHA-256 of a file as 64 hex digits, reporting bytes read and bytes in all."""
    found, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            found.update(block)
            done += len(block)
            report(done, size)
    return found.hexdigest()
