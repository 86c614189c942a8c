"""docs/operating/install.md on a server of its own: roles, logins, and each service with its own file only."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg import sql

from zmart import testing
from zmart.run import ports
from zmart.run.postgres import embedded

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.timeout(400)]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operating" / "install.md"
UNITS = ROOT / "deploy" / "systemd"
#: Stands for every CHANGE of the templates that is no password.
SECRET = "s" * 40
PASSWORD = "p" * 30
READY_SECONDS = 90.0


class Host:
    """The host of the page: a Postgres server, and the files in /etc/zmart."""

    def __init__(self, server: embedded.EmbeddedPostgres, folder: Path) -> None:
        self.server = server
        self.folder = folder

    def environment(self, *names: str) -> dict[str, str]:
        """Return what systemd passes to a service: the lines of its environment files, filled in."""
        values: dict[str, str] = {}
        for name in names:
            text = (UNITS / "environment" / f"{name}.env").read_text()
            for line in text.splitlines():
                if line and not line.startswith("#"):
                    variable, value = line.split("=", 1)
                    values[variable] = self._fill(value)
        state = self.folder / "-".join(names)
        return {"PATH": os.environ["PATH"], "HOME": "/", "ZMART_STATE_DIR": str(state), **values}

    def _fill(self, value: str) -> str:
        if value.startswith("postgresql:"):
            return value.replace("CHANGE", PASSWORD).replace(":5432/", f":{self.server.port}/")
        # No node is asked: its address answers nothing.
        return value.replace("CHANGE", SECRET).replace("https://api.devnet.solana.com", "http://127.0.0.1:9")

    def run(self, *arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run `zmart` outside the checkout, whose `.env` is not that of the host."""
        command = [sys.executable, "-m", "zmart.cli", *arguments]
        environ = {**environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, check=False, timeout=300
        )


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """The host after step 2 of the page: migrated by the superuser, with the login of deployments and passwords."""
    with testing.state_dir() as folder, embedded.EmbeddedPostgres(folder / "server") as server:
        superuser = server.dsn(embedded.SUPERUSER, database="postgres")
        with psycopg.connect(superuser, autocommit=True) as connection:
            connection.execute("drop database zmart with (force)")
            connection.execute("create database zmart")
        host = Host(server, folder)
        first = {"PATH": os.environ["PATH"], "DATABASE_URL": server.dsn(embedded.SUPERUSER)}
        done = host.run("migrate", environ={**first, "ZMART_STATE_DIR": str(folder / "install")})
        assert done.returncode == 0, done.stderr
        assert "deployed the models" in done.stdout
        text = PAGE.read_text()
        (statement,) = re.findall(r"^```sql\n(.*?)```", text, flags=re.MULTILINE | re.DOTALL)
        (named,) = re.findall(r"^Set a password for (.*?) if ANALYST_SQL", text, flags=re.MULTILINE | re.DOTALL)
        with psycopg.connect(server.dsn(embedded.SUPERUSER), autocommit=True) as connection:
            connection.execute(statement.encode())
            for role in re.findall(r"`(\w+)`", named):
                change = sql.SQL("alter role {} password {}").format(sql.Identifier(role), PASSWORD)
                connection.execute(change)
        yield host


def test_doctor_finds_every_role_and_the_schema(host: Host) -> None:
    """With all files, as the page asks before the first start; only the node is missing here."""
    (files,) = re.findall(r"^set -a; (.*); set \+a$", PAGE.read_text(), flags=re.MULTILINE)
    done = host.run("doctor", environ=host.environment(*re.findall(r"/etc/zmart/(\w+)\.env", files)))
    lines = {line.split()[1]: line.split()[0] for line in done.stdout.splitlines() if len(line.split()) > 1}
    found = {name: lines.get(name) for name in ("postgres", "roles", "migrations", "models")}
    assert found == dict.fromkeys(found, "yes"), done.stdout
    assert {name for name, answer in lines.items() if answer == "no"} == {"chain"}, done.stdout


def test_a_deployment_acts_through_its_own_login(host: Host) -> None:
    """`zmart migrate` needs no superuser afterwards."""
    done = host.run("migrate", environ=host.environment("common", "dagster"))
    assert done.returncode == 0, done.stderr
    assert "applied" not in done.stdout


@pytest.mark.parametrize(
    ("module", "file", "variable"),
    [(["ingest"], "ingest", "INGEST_PORT"), (["api"], "api", "API_PORT"), (["api", "ws"], "api", "WS_PORT")],
    ids=["ingest", "api", "ws"],
)
def test_a_service_starts_with_its_own_file_alone(host: Host, module: list[str], file: str, variable: str) -> None:
    """It serves as its role, and no other login is in its environment."""
    port = ports.find_free_port()
    environ = {**host.environment("common", file), variable: str(port), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *module]
    with (host.folder / f"{file}.log").open("w+") as log:
        running = subprocess.Popen(command, cwd=host.folder, env=environ, stdout=log, stderr=log)
        try:
            # No node answers: ingest accepts deliveries all the same, and proves them later.
            deadline = time.monotonic() + READY_SECONDS
            while _status(port, "/ready") != 200:
                assert running.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < deadline, Path(log.name).read_text()
                time.sleep(0.1)
        finally:
            running.terminate()
            running.wait(timeout=60)


def _status(port: int, path: str) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=10).status_code
    except httpx.TransportError:
        return 0


def test_the_first_backup(host: Host) -> None:
    """As the unit's command, with its own file only; the restore of it has every table."""
    done = host.run("backup", "--to", str(host.folder / "backups"), environ=host.environment("backup"))
    assert done.returncode == 0, done.stderr
    checked = host.run("restore", done.stdout.splitlines()[-1], "--check", environ=host.environment("backup"))
    assert checked.stdout.startswith("complete: "), checked.stderr
