"""A numbered migration does not change after it was merged: databases record its checksum and refuse another text."""

from __future__ import annotations

from pathlib import Path

from zmart.db import schema_files

#: One line for each migration: its SHA-256 and its name.
CHECKSUMS = Path(__file__).parents[2] / "data" / "migration_checksums.txt"


def test_no_migration_was_edited() -> None:
    """Each migration has the recorded checksum. A new one needs a line; a change of an old one needs a new file."""
    recorded = dict(line.split()[::-1] for line in CHECKSUMS.read_text(encoding="utf-8").splitlines())
    assert recorded == {file.name: file.checksum for file in schema_files.read_files().migrations}
