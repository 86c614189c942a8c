"""Finds the client programs of Postgres (psql, pg_dump, pg_restore) and calls them without a secret in an argument.

The arguments of a process are in the process list, which every account of the machine can read. The environment of a
process is readable by its own account only, so that the password is there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq
from psycopg.conninfo import make_conninfo

from zmart import errors

from . import binaries


@dataclass(frozen=True, kw_only=True)
class ClientProgram:
    """One installed program."""

    path: Path
    #: For example "18.6".
    version: str

    @property
    def major(self) -> int:
        """Return the major version: 18 for 18.6."""
        return int(self.version.split(".")[0])


def find_psql() -> str | None:
    """Return the system's psql, else the one beside the embedded server, else None."""
    beside = [found.folder / "psql" for found in binaries.find_all()]
    return shutil.which("psql") or next((str(path) for path in beside if path.exists()), None)


def find_program(name: str, *, server_major: int) -> ClientProgram:
    """Return the oldest `name` that works with a server of this major version, which is the matching one if installed.

    pg_dump and pg_restore refuse a server that is newer than they are. Raise ConfigurationError when there is none.
    """
    usable = [program for program in _installed(name) if program.major >= server_major]
    if usable:
        return min(usable, key=lambda program: program.major)
    raise errors.ConfigurationError(
        f"There is no {name} for Postgres {server_major} on this machine.",
        help=f"Install it: apt-get install postgresql-client-{server_major}",
    )


def _installed(name: str) -> Iterator[ClientProgram]:
    candidates = [found.folder / name for found in binaries.find_all()]
    candidates += sorted(Path("/usr/lib/postgresql").glob(f"[0-9]*/bin/{name}"))
    on_path = shutil.which(name)
    for path in dict.fromkeys([*candidates, *([Path(on_path)] if on_path else [])]):
        version = _read_version(path)
        if version is not None:
            yield ClientProgram(path=path, version=version)


def _read_version(path: Path) -> str | None:
    try:
        output = subprocess.run(  # noqa: S603 - fixed arguments
            [path, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    match = re.search(r"\) (\d+(?:\.\d+)*)", output)
    return match[1] if match else None


def invocation(dsn: str) -> tuple[list[str], dict[str, str]]:
    """Return the arguments and the variables that lead a client program to `dsn`; no secret is among the arguments."""
    given = [(option, option.val.decode()) for option in pq.Conninfo.parse(dsn.encode()) if option.val]
    environ = {option.envvar.decode(): value for option, value in given if option.envvar}
    # libpq marks secrets with a star; psql asks for one that has no variable, which is the password of a TLS key.
    others = {
        option.keyword.decode(): value for option, value in given if not option.envvar and option.dispchar != b"*"
    }
    return (["--dbname", make_conninfo("", **others)] if others else []), environ


def minimal_environment() -> dict[str, str]:
    """Return the variables of this process that a client program needs; none of our secrets is among them."""
    names = ("PATH", "HOME", "TZ", "PGPASSFILE", "PGPASSWORD", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "TMPDIR")
    return {name: os.environ[name] for name in names if name in os.environ} | {"LC_ALL": "C"}
