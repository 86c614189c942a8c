"""The doctor on a real database and a real chain."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from zmart import testing
from zmart.run import ports
from zmart.run.doctor import doctor, doctor_checks
from zmart.run.doctor.doctor_checks import Finding

SECRET = "a-proof-of-thirty-two-characters"


def findings(environ: dict[str, str]) -> dict[str, list[Finding]]:
    """Return the doctor's findings, by check."""
    by_check: dict[str, list[Finding]] = {}
    for finding in doctor.examine_settings(environ, {}):
        by_check.setdefault(finding.check, []).append(finding)
    return by_check


def answers(found: dict[str, list[Finding]], check: str) -> list[str]:
    """Return the answers of one check."""
    return [finding.answer for finding in found[check]]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings with free ports and nothing else."""
    names = ("API_PORT", "WS_PORT", "INGEST_PORT", "DAGSTER_PORT", "DAGSTER_METRICS_PORT", "DEVCHAIN_PORT")
    taken = dict(zip(names, map(str, ports.find_free_ports(len(names))), strict=True))
    return {"ZMART_STATE_DIR": str(tmp_path), **taken}


def _listening(port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(8)
    return listener


@pytest.fixture
def yours(environ: dict[str, str], marts_database: testing.PostgresDatabase) -> dict[str, str]:
    """A server with everything deployed, through one administrator's address."""
    return {**environ, "DATABASE_URL": marts_database.dsn("postgres")}


def test_before_the_first_start(environ: dict[str, str]) -> None:
    """On a fresh machine no check fails: the services of `zmart up` do not run yet."""
    found = findings(environ)

    assert doctor_checks.has_no_failure(finding for each in found.values() for finding in each)
    assert answers(found, "postgres") == answers(found, "chain") == ["warn"]
    assert answers(found, "models") == ["skip"]


def test_a_deployed_database(yours: dict[str, str], marts_database: testing.PostgresDatabase) -> None:
    """Roles, migrations and models pass; a test server without synchronous commits is reported."""
    found = findings(yours)

    assert [answers(found, check) for check in ("roles", "migrations", "models")] == [["yes"]] * 3
    with marts_database.connect("postgres") as connection:
        fsync = connection.execute("show fsync").fetchone()
    assert ("no" in answers(found, "postgres")) == (fsync == ("off",))


def test_what_was_done_to_a_database(yours: dict[str, str], marts_database: testing.PostgresDatabase) -> None:
    """A right too many, an edited migration, a stale model: each is found, with its next step."""
    with marts_database.connect("postgres") as connection:
        connection.execute("grant insert on raw.events to zmart_api")
        connection.execute("update zmart_migrations.applied set checksum = 'x' where version = 34")
        connection.execute(
            "update ops.models set stale_since = now(), applied_seq = 0, reason = 'overflow'"
            " where name = 'priced_trades'"
        )
    found = findings(yours)

    assert [finding.step for finding in found["roles"]] == ["revoke INSERT on raw.events from zmart_api;"]
    assert "0034_plain_names.sql was edited" in found["migrations"][0].message
    assert found["models"][0].message == "priced_trades stopped following the log: overflow"
    assert answers(found, "roles") == answers(found, "migrations") == answers(found, "models") == ["no"]


def test_an_empty_database(environ: dict[str, str], empty_database: testing.PostgresDatabase) -> None:
    """All migrations are pending, and the doctor reports that."""
    found = findings({**environ, "DATABASE_URL": empty_database.dsn("postgres")})

    assert found["migrations"][0].step == found["models"][0].step == "zmart migrate" or answers(found, "models") == [
        "skip"
    ]
    assert answers(found, "migrations") == ["no"]


def test_a_server_that_is_not_there(environ: dict[str, str]) -> None:
    """A configured server that does not answer is a no, without its password in the message."""
    found = findings({**environ, "DATABASE_URL": "postgresql://u:hidden-word@127.0.0.1:1/z"})

    assert answers(found, "postgres") == ["no"]
    assert "hidden-word" not in str(found)


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.2\r\n"])
def test_a_taken_port(environ: dict[str, str], greeting: bytes) -> None:
    """Another program on one of our ports is found, with or without HTTP."""
    with _listening(int(environ["API_PORT"])) as listener:
        closing = threading.Thread(target=_hang_up_on_one, args=(listener, greeting), daemon=True)
        closing.start()
        found = findings(environ)
        closing.join(10)

    assert answers(found, "ports") == ["no"]
    assert f"API_PORT {environ['API_PORT']} is in use" in found["ports"][0].message


def _hang_up_on_one(listener: socket.socket, greeting: bytes) -> None:
    connection, _ = listener.accept()
    # Read first, because closing with unread bytes would reset the connection before the response is read.
    connection.recv(65_536)
    connection.sendall(greeting)
    connection.close()


def test_open_secrets(environ: dict[str, str], tmp_path: Path) -> None:
    """Demo secrets that other users can read are a no."""
    (tmp_path / "secrets.json").write_text("{}")
    (tmp_path / "secrets.json").chmod(0o644)
    assert answers(findings(environ), "state") == ["no"]


def test_settings_that_cannot_be_read(environ: dict[str, str]) -> None:
    """The first invalid variable is named, and no other value is guessed."""
    found = findings({**environ, "API_PORT": "http"})
    assert list(found) == ["environment"]
    assert "API_PORT must be" in found["environment"][0].message


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[str]:
    """A development chain that has run for a while, in a separate thread; returns its URL."""
    from devchain import testing as devchain
    from devchain.service import Options

    begun, ended, urls = threading.Event(), asyncio.Event(), []

    async def serve() -> None:
        async with devchain.serve(tmp_path / "devchain", Options(past_hours=0.1)) as node:
            urls.append(node.url)
            begun.set()
            await ended.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert begun.wait(60)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(30)
        loop.close()


def test_a_chain(environ: dict[str, str], chain: str, tmp_path: Path) -> None:
    """The right cluster with a configured program passes, and its keys are compared with the configuration."""
    keys = tmp_path / "devchain" / "keys"
    yours = {**environ, "SOLANA_RPC_URL": chain, "SOLANA_CLUSTER": "localnet", "HELIUS_AUTH_HEADER": SECRET}
    good = findings({**yours, "BACKEND_KEYPAIR_PATH": str(keys / "backend.json")})
    wrong_key = findings({**yours, "BACKEND_KEYPAIR_PATH": str(keys / "admin.json")})
    wrong_cluster = findings({**yours, "SOLANA_CLUSTER": "devnet"})
    other = "4fuUiYxTQ6QCrdSq9ouBYcTM7bqSwYTSyLueGZLTy4T4"
    no_program = findings({**yours, "SOLANA_PROGRAM_ID_CORE": other})

    assert [answers(good, check) for check in ("chain", "clock", "webhook", "state")] == [["yes"]] * 4
    assert "is not the program's backend_authority" in wrong_key["chain"][0].message
    assert "SOLANA_CLUSTER is devnet, but the node is on localnet" in wrong_cluster["chain"][0].message
    assert f"The program {other} has no configuration" in no_program["chain"][0].message


def test_the_command(environ: dict[str, str]) -> None:
    """A readable list, status 0 if no check is a no, 1 otherwise."""

    def run(**more: str) -> subprocess.CompletedProcess[str]:
        words = {"PATH": os.environ["PATH"], **environ, **more}
        command = [sys.executable, "-m", "zmart.cli", "doctor"]
        return subprocess.run(command, env=words, capture_output=True, text=True, check=False)

    well, ill = run(), run(SOLANA_RPC_URL="http://127.0.0.1:1", REDIS_URL="redis://hidden-word@h")

    assert (well.returncode, well.stderr) == (0, ""), well.stdout
    assert [line.split()[:2] for line in well.stdout.splitlines() if "->" not in line][:2] == [
        ["yes", "python"],
        ["yes", "environment"],
    ]
    assert ill.returncode == 1
    assert "REDIS_URL is no longer used" in ill.stdout
    assert "127.0.0.1:1 cannot be reached" in ill.stdout
    assert "hidden-word" not in ill.stdout
