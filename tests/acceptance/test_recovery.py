"""Recovery to a moment by the commands of docs/operating/backup-and-restore.md; the server is lost by `kill -9`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import event_histories
import psycopg
import pytest

from ingest.store.writer import Writer
from zmart import errors, testing
from zmart.db import migrate
from zmart.run import ports
from zmart.run.postgres import client_programs, embedded
from zmart.run.postgres.server_file import ServerFile
from zmart.run.supervisor import process

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.timeout(300)]

PAGE = Path(__file__).parents[2] / "docs" / "operating" / "backup-and-restore.md"
READY_SECONDS = 60.0
DELIVERY_SECONDS = 60.0
#: The archive is behind the server by less.
RECOVERY_POINT_SECONDS = 1.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the server's account can reach."""
    with testing.state_dir() as folder:
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def lost(folder: Path) -> Iterator[embedded.EmbeddedPostgres]:
    """The server that is lost: durable, with an ordinary configuration."""
    (folder / "lost").mkdir()
    with embedded.EmbeddedPostgres(folder / "lost") as server:
        migrate.migrate(server.dsn())
        yield server


def section() -> str:
    """Return the page's section on recovery."""
    return PAGE.read_text().split("## Recovery to a moment")[1].split("\n## ")[0]


def command(name: str, server: embedded.EmbeddedPostgres, folder: Path) -> list[str]:
    """Return the page's call of a program, with this server and these folders."""
    found = re.search(rf"^{name} (.*)$", section(), flags=re.MULTILINE)
    assert found is not None
    options = [option.replace("'", "") for option in re.findall(r"--[\w-]+(?:='[^']*'|=\S+)?", found[1])]
    program = client_programs.find_program(name, server_major=int(server.version.split(".")[0]))
    moved = [option.replace("/srv/", f"{folder}/").replace("NAME", "night") for option in options]
    return [
        str(program.path),
        *(option.replace("user=zmart_wal", f"user=postgres port={server.port}") for option in moved),
    ]


def environ(server: embedded.EmbeddedPostgres) -> dict[str, str]:
    """Return the variables with the password of the superuser."""
    return {"PGPASSWORD": str(psycopg.conninfo.conninfo_to_dict(server.dsn(embedded.SUPERUSER))["password"])}


@contextlib.contextmanager
def archiving(server: embedded.EmbeddedPostgres, folder: Path) -> Iterator[None]:
    """Run pg_receivewal as the page says."""
    (folder / "wal").mkdir()
    (slot,) = re.findall(r"^(select pg_create_physical_replication_slot\(.*\));$", section(), flags=re.MULTILINE)
    with psycopg.connect(server.dsn(embedded.SUPERUSER), autocommit=True) as superuser:
        superuser.execute(slot.encode())
    running = subprocess.Popen(command("pg_receivewal", server, folder), env=environ(server))
    try:
        yield
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(READY_SECONDS)


def until(condition: Callable[[], bool], message: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + READY_SECONDS
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(0.05)


def deliver(server: embedded.EmbeddedPostgres, seed: int) -> int:
    """Append a history; return the last seq, which is committed."""

    async def append() -> int:
        writer = await Writer.connect(server.dsn("zmart_ingest"))
        try:
            return (await writer.append(event_histories.generate(seed), source="webhook")).last_seq
        finally:
            await writer.close()

    deadline = time.monotonic() + DELIVERY_SECONDS
    while True:
        try:
            return asyncio.run(append())
        except errors.Unavailable:
            # A server that was promoted waits for a process that holds its history, then begins a new one.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def scalar(server: embedded.EmbeddedPostgres, statement: str) -> object:
    """Return the first value of a statement as the superuser."""
    with psycopg.connect(server.dsn(embedded.SUPERUSER), autocommit=True) as superuser:
        return (superuser.execute(statement.encode()).fetchone() or (None,))[0]


@contextlib.contextmanager
def recovered(
    lost: embedded.EmbeddedPostgres, folder: Path, *, target: str | None = None
) -> Iterator[embedded.EmbeddedPostgres]:
    """Recover the base backup with the archive, as the page's step 4 says."""
    state = folder / f"recovered-{target is not None}"
    data = state / "postgres" / "data"
    shutil.copytree(folder / "base" / "night", data)
    archive = state / "wal"
    shutil.copytree(folder / "wal", archive)
    for unfinished in archive.glob("*.partial"):
        unfinished.rename(unfinished.with_suffix(""))
    settings = re.search(r"^(restore_command = .*)\n(recovery_target_time = ').*('\n.*)$", section(), re.MULTILINE)
    assert settings is not None
    lines = settings[1].replace("/srv/wal", str(archive))
    if target is not None:
        lines += f"\n{settings[2]}{target}{settings[3]}"
    with (data / "postgresql.conf").open("a") as file:
        file.write(f"\n{lines}\n")
    (data / "recovery.signal").touch()
    record = ServerFile.read(lost.log_file.parent / "server.json")
    assert record is not None
    owner = Path(record.data).stat()
    for path in (state, *state.rglob("*")):
        shutil.chown(path, owner.st_uid, owner.st_gid)
    copy = ServerFile(port=ports.find_free_port(), database=record.database, data=str(data), passwords=record.passwords)
    copy.write(state / "postgres" / "server.json")
    server = embedded.EmbeddedPostgres(state)
    server.initialize()
    with server.log_file.open("ab") as log:
        running = process.start(server.launch(), output=log.fileno())
    try:
        until(server.is_ready, "the recovered server does not answer")
        until(lambda: scalar(server, "select pg_is_in_recovery()") is False, "it does not end its recovery")
        yield server
    finally:
        running.send_signal(server.launch().stop_signal)
        running.wait(READY_SECONDS)


def test_a_lost_server_is_recovered_to_its_last_second(lost: embedded.EmbeddedPostgres, folder: Path) -> None:
    """Its last commit is in the archive within a second; then every process is killed at once."""
    deliver(lost, 1)
    (folder / "base").mkdir()
    with archiving(lost, folder):
        subprocess.run(command("pg_basebackup", lost, folder), env=environ(lost), check=True, capture_output=True)
        deliver(lost, 2)
        before = scalar(lost, "select clock_timestamp()::text")
        middle = scalar(lost, "select max(seq) from raw.feed")
        last = deliver(lost, 3)
        mark = scalar(lost, f"select raw.mark_of({last})")
        epoch = scalar(lost, "select epoch::text from raw.identity")
        committed = time.monotonic()
        end = scalar(lost, "select pg_current_wal_flush_lsn()::text")
        archived = f"select coalesce(min(flush_lsn) >= '{end}', false) from pg_stat_replication"
        until(lambda: scalar(lost, archived) is True, "the archive does not receive the last commit")
        assert time.monotonic() - committed < RECOVERY_POINT_SECONDS
        assert lost.pid is not None
        _kill_all(lost)

    with recovered(lost, folder) as server:
        assert scalar(server, "select max(seq) from raw.feed") == last
        assert scalar(server, f"select raw.mark_of({last})") == mark
        assert scalar(server, "select raw.renew_identity()::text") != epoch
    with recovered(lost, folder, target=str(before)) as server:
        assert scalar(server, "select max(seq) from raw.feed") == middle
        assert deliver(server, 4) > int(str(middle))


def _kill_all(server: embedded.EmbeddedPostgres) -> None:
    """End the server as a power failure does: the postmaster and its processes at once."""
    assert server.pid is not None
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in [server.pid, *map(int, children)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
