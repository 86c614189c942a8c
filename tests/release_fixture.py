"""Saves a small database of this release for the upgrade tests of the next: `python -m tests.release_fixture`.

It restores the newest one below tests/data/upgrade, upgrades it to this release, and saves it beside it under the
number of its newest migration. The form is that of `zmart backup`, but compressed by xz, and without the comments of
columns, which a deployment writes again: that makes a fifth of the size.
"""

from __future__ import annotations

import lzma
import shutil
import tempfile
from pathlib import Path
from unittest import mock

from zmart import testing
from zmart.run.audit import audit
from zmart.run.backup import dump, manifest, restore
from zmart.run.deploy import rebuild

FOLDER = Path(__file__).parent / "data" / "upgrade"
COMPRESSED = f"{manifest.DUMP}.xz"


def fixtures() -> list[Path]:
    """Return the folders of the saved releases, oldest first."""
    return sorted(path.parent for path in FOLDER.glob(f"[0-9]*/{manifest.MANIFEST}"))


def load(fixture: Path, database: testing.PostgresDatabase) -> restore.Restored:
    """Restore a saved release into an empty database."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(fixture / manifest.MANIFEST, folder)
        (Path(folder) / manifest.DUMP).write_bytes(lzma.decompress((fixture / COMPRESSED).read_bytes()))
        into = restore.Target(admin_dsn=database.dsn("postgres"), owner_dsn=database.dsn())
        return restore.restore(Path(folder), into)


def save(database: testing.PostgresDatabase) -> Path:
    """Save a database as the fixture of this release; return its folder."""
    run_program = dump.run_program

    def run_uncompressed(command: list[str], *arguments: object) -> None:
        run_program([command[0], "--compress=none", "--no-comments", *command[1:]], *arguments)  # type: ignore[arg-type]

    with tempfile.TemporaryDirectory() as folder:
        with mock.patch.object(dump, "run_program", run_uncompressed):
            path, facts = dump.save(database.dsn("zmart_backup"), Path(folder))
        target = FOLDER / f"{facts.migrations[-1].version:04}"
        target.mkdir(exist_ok=True)
        shutil.copy(path / manifest.MANIFEST, target)
        text = (path / manifest.DUMP).read_bytes()
        (target / COMPRESSED).write_bytes(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    for file in target.iterdir():
        file.chmod(0o644)
    return target


def main() -> None:
    """Upgrade the newest saved release to this one and save it."""
    with testing.server() as server:
        database = server.create()
        load(fixtures()[-1], database)
        testing.apply_migrations(database)
        rebuild.deploy(database.dsn())
        audit.seal_history(database.dsn())
        print(save(database))


if __name__ == "__main__":
    main()
