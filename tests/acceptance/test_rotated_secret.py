"""A secret that is rotated in `.env` stops being accepted with the restart of its service."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.auth import keys, tokens
from zmart import settings, testing
from zmart.run import ports

pytestmark = pytest.mark.acceptance

OLD, NEW = "old" * 12, "new" * 12
WALLET = "11111111111111111111111111111112"
ZMART = [sys.executable, "-m", "zmart.cli"]


@pytest.fixture
def environment(marts_database: testing.PostgresDatabase, tmp_path: Path) -> Iterator[dict[str, str]]:
    """An API that `zmart up` runs from a folder with a `.env`; the environment for further commands."""
    port = ports.find_free_port()
    _write(tmp_path, marts_database, port, OLD)
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
    running = subprocess.Popen([*ZMART, "up", "--only", "api"], cwd=tmp_path, env=environ)
    try:
        _wait_until_ready(port)
        yield environ
    finally:
        running.terminate()
        running.wait(timeout=60)


def _write(folder: Path, database: testing.PostgresDatabase, port: int, secret: str) -> None:
    values = {
        "DATABASE_URL": database.dsn(),
        "DATABASE_URL_API": database.dsn("zmart_api"),
        "API_PORT": port,
        "JWT_SECRET": secret,
        "ZMART_STATE_DIR": folder / "state",
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def _wait_until_ready(port: int) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    pytest.fail("the API did not become ready")


def test_a_rotated_secret_stops_being_accepted(
    environment: dict[str, str], marts_database: testing.PostgresDatabase, tmp_path: Path
) -> None:
    """The token of before is refused, the new secret's is accepted."""
    port = int(dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())["API_PORT"])
    assert [_status(port, secret) for secret in (OLD, NEW)] == [200, 401]

    _write(tmp_path, marts_database, port, NEW)
    subprocess.run([*ZMART, "restart", "api"], cwd=tmp_path, env=environment, check=True, timeout=200)

    assert [_status(port, secret) for secret in (OLD, NEW)] == [401, 200]


def _status(port: int, secret: str) -> int:
    token = tokens.Tokens(keys.SigningKeys([settings.Secret(secret)], "access")).issue(WALLET)
    return httpx.get(
        f"http://127.0.0.1:{port}/api/users/me", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ).status_code
