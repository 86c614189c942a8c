"""The `zmart` command as its users run it: output, streams and exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from zmart import testing
from zmart.run.supervisor import state_file

pytestmark = pytest.mark.acceptance

ZMART = [sys.executable, "-m", "zmart.cli"]


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    """An environment with a separate state directory and no other setting of ours."""
    with testing.state_dir() as folder:
        yield {"PATH": os.environ["PATH"], "ZMART_STATE_DIR": str(folder)}


def zmart(environ: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command and wait for its end."""
    return subprocess.run([*ZMART, *arguments], env=dict(environ), capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (["dsn"], "There is no database yet. Start one with `zmart up`", 2),
        (["ps"], "zmart is not running. Start it with `zmart up`.", 1),
        (["restart", "api"], "zmart is not running", 1),
        (["logs", "api"], "There is no log of 'api'", 2),
        (["up", "--only", "apy"], "There is no service 'apy'", 2),
        (["status"], "does not answer", 1),
    ],
)
def test_errors_are_one_sentence(environ: dict[str, str], arguments: list[str], message: str, status: int) -> None:
    """The status is 1 if the same command may succeed later, otherwise 2; there is neither output nor a traceback."""
    done = zmart({**environ, "API_PORT": "1"}, *arguments)

    assert done.returncode == status
    assert done.stdout == ""
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["openapi"], ["logs", "api", "-n", "100000"]])
def test_a_closed_pipe_is_not_an_error(environ: dict[str, str], arguments: list[str]) -> None:
    """`zmart ... | head` prints nothing on standard error, for the command itself and for a command that it runs."""
    logs = Path(environ["ZMART_STATE_DIR"]) / "logs"
    logs.mkdir(parents=True)
    (logs / "api.log").write_text("a line of the log\n" * 50_000)
    with subprocess.Popen(
        [*ZMART, *arguments], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == ""


def test_services_without_a_database_fail_at_once(environ: dict[str, str]) -> None:
    """A missing service is reported at once, with the next step."""
    for more in ({}, {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/z"}):
        done = zmart({**environ, **more}, "up", "--only", "api,ws")

        assert done.returncode == 1
        assert "api, ws: Postgres does not answer" in done.stderr
        assert "zmart up --only api,postgres,ws" in done.stderr
        assert "Ready" not in done.stdout


def test_debug_prints_the_traceback(environ: dict[str, str]) -> None:
    """--debug prints the traceback."""
    assert "Traceback" in zmart(environ, "--debug", "ps").stderr


def test_a_mistyped_command_is_status_two(environ: dict[str, str]) -> None:
    """The exit status distinguishes a usage error from a failure."""
    assert zmart(environ, "upp").returncode == 2
    assert zmart(environ, "dsn", "root").returncode == 2


def test_statements_of_the_api_are_printed_without_a_database(environ: dict[str, str]) -> None:
    """`zmart sql show` prints the same list as `zmart sql list`, a named statement, or similar names with status 2."""
    assert zmart(environ, "sql", "show").stdout == zmart(environ, "sql", "list").stdout != ""
    shown = zmart(environ, "sql", "show", "wallet_stats")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("\\set wallet '")
    unknown = zmart(environ, "sql", "show", "wallet_stat")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "There is no statement wallet_stat. Similar: wallet_stats" in unknown.stderr


def test_an_invalid_variable_is_named_in_the_error(environ: dict[str, str]) -> None:
    """A wrong configuration is rejected at the start."""
    done = zmart({**environ, "API_PORT": "http"}, "up")

    assert done.returncode == 2
    assert done.stderr.startswith("zmart: API_PORT must be a whole number")


def test_dsn_prints_one_uri_and_nothing_else(environ: dict[str, str]) -> None:
    """The URI of `zmart dsn` works for every role."""
    environ["DATABASE_URL"] = "postgresql://u:p@db/z"

    assert zmart(environ, "dsn", "analyst").stdout == ("postgresql://u:p@db/z?options=-c%20role%3Danalyst\n")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_up_and_down(environ: dict[str, str]) -> None:
    """From an empty directory to a migrated database that answers, and back to no process at all."""
    folder = Path(environ["ZMART_STATE_DIR"])
    up = subprocess.Popen(
        [*ZMART, "up", "--only", "postgres"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output = _read_until_ready(up)
        with psycopg.connect(zmart(environ, "dsn").stdout.strip()) as connection:
            marts = connection.execute("select count(*) from marts.markets").fetchone()
        shown = zmart(environ, "ps").stdout
        second = zmart(environ, "up")
        verdict = zmart(environ, "rebuild", "--verify")
        up.send_signal(signal.SIGTERM)
        last, _ = up.communicate(timeout=60)
    finally:
        if up.poll() is None:
            up.kill()
            up.communicate()

    assert "Ready after" in output
    assert marts == (0,)
    assert "postgres  ready" in shown
    assert f"already running here (pid {up.pid})" in second.stderr
    assert (second.returncode, verdict.returncode) == (1, 0)
    assert up.returncode == 0
    # The background task ends when it likes.
    others = [line for line in last.splitlines() if not line.startswith("history")]
    assert others[1:] == ["All services have stopped."]
    assert "Stopping. Waiting for postgres" in last
    assert state_file.running_pid(folder) is None
    assert _remaining_commands(folder) == []


def _read_until_ready(up: subprocess.Popen[str]) -> str:
    """The output up to the last line of its overview."""
    assert up.stdout is not None
    output = ""
    for line in up.stdout:
        output += line
        if line.startswith("  logs"):
            up.stdout.readline()
            return output
    return pytest.fail(output)


def _remaining_commands(folder: Path) -> list[str]:
    """The command lines that contain the folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_migrate_works_on_an_external_server(
    environ: dict[str, str], postgres_server: testing.PostgresServer, empty_database: testing.PostgresDatabase
) -> None:
    """One administrator's URL is enough, and all created objects belong to zmart_owner."""
    environ["DATABASE_URL"] = empty_database.dsn("postgres")

    done = zmart(environ, "migrate")
    with empty_database.connect("postgres") as connection:
        owners = connection.execute("select distinct tableowner from pg_tables where schemaname = 'marts'").fetchall()

    assert done.returncode == 0, done.stderr
    assert "deployed the models" in done.stdout
    assert owners == [("zmart_owner",)]
