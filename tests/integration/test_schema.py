"""The schema that all migrations make, as one file that a person can read, and a proof that it is that."""

from __future__ import annotations

import os
import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from zmart import testing
from zmart.run.postgres import binaries

SNAPSHOT = Path(str(resources.files("zmart.db").joinpath("schema.sql")))
#: Set this to write the snapshot anew after a migration was added.
RENEW = "ZMART_WRITE_SCHEMA"
MAJOR = 18


def test_migrations_make_the_schema_of_the_snapshot(database: testing.PostgresDatabase) -> None:
    """Applying every migration gives exactly zmart/db/schema.sql."""
    with database.connect() as connection:
        major = connection.info.server_version // 10_000
    if major != MAJOR:
        pytest.skip(f"the snapshot is written by PostgreSQL {MAJOR}; this is {major}")
    dump = dumped(database)
    if os.environ.get(RENEW):
        SNAPSHOT.write_text(dump)

    assert SNAPSHOT.read_text() == dump, f"run: {RENEW}=1 pytest {__file__}"


def dumped(database: testing.PostgresDatabase) -> str:
    """The schema by pg_dump, without what differs from run to run."""
    program = binaries.find_binaries().folder / "pg_dump"
    done = subprocess.run(
        [str(program), "--schema-only", "--no-owner", "--restrict-key=snapshot", database.dsn("postgres")],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [
        line for line in done.stdout.splitlines() if not line.startswith(("-- Dumped", "\\restrict", "\\unrestrict"))
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"
