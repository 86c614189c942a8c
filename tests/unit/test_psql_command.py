"""`zmart psql`: the password reaches psql, and never the process list."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zmart.run.postgres import client_programs

PASSWORD = "p@ss word/of the analyst"
URI = "postgresql://analyst:p%40ss%20word%2Fof%20the%20analyst@db.example:6432/zmart?sslmode=require&keepalives=1"
#: Stands in for psql: prints its arguments and its environment.
_PROGRAM = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
"""


def test_the_password_is_in_the_environment_alone(tmp_path: Path) -> None:
    """psql gets host, role and password by variables, and the arguments of the user."""
    program = tmp_path / "psql"
    program.write_text(_PROGRAM)
    program.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DATABASE_URL": URI, "DATABASE_URL_ANALYST": URI}
    done = subprocess.run(
        [sys.executable, "-m", "zmart.cli", "psql", "analyst", "-c", "select 1"],
        env=environ | {"ZMART_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    arguments, seen = json.loads(done.stdout)
    assert arguments[-2:] == ["-c", "select 1"]
    assert "ss word" not in " ".join(arguments)
    assert "%40ss" not in " ".join(arguments)
    assert (seen["PGPASSWORD"], seen["PGHOST"], seen["PGPORT"]) == (PASSWORD, "db.example", "6432")
    assert (seen["PGUSER"], seen["PGDATABASE"], seen["PGSSLMODE"]) == ("analyst", "zmart", "require")


@pytest.mark.parametrize("uri", [URI, URI + "&sslpassword=hidden", "host=db password=hidden user=x"])
def test_no_secret_is_an_argument(uri: str) -> None:
    """Also one that libpq has no variable for."""
    arguments, _ = client_programs.invocation(uri)
    assert not any(secret in " ".join(arguments) for secret in ("hidden", PASSWORD))
