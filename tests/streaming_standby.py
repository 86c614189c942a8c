"""A hot standby that streams from an embedded primary, made with pg_basebackup as an operator makes it."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from zmart import testing
from zmart.run import ports
from zmart.run.postgres import binaries, embedded
from zmart.run.postgres.server_file import ServerFile
from zmart.run.supervisor import process

READY_SECONDS = 120.0
#: Settings that both need.
TUNING = {"wal_level": "replica", "max_wal_senders": "4"}


@contextlib.contextmanager
def streaming_standby(
    primary: embedded.EmbeddedPostgres, *, durable: bool = False
) -> Iterator[embedded.EmbeddedPostgres]:
    """Run a standby of a primary until the block ends; without fsync unless it is durable."""
    with testing.state_dir() as folder:
        (folder / "postgres").mkdir()
        data = folder / "postgres" / "data"
        tool = binaries.find_binaries().folder / "pg_basebackup"
        command = [tool, "-D", data, "-R", "-X", "stream", "-c", "fast", "-d", primary.dsn("postgres")]
        subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=READY_SECONDS)
        record = ServerFile.read(primary.log_file.parent / "server.json")
        assert record is not None
        owner = Path(record.data).stat()
        for path in (data, *data.rglob("*")):
            shutil.chown(path, owner.st_uid, owner.st_gid)
        copy = ServerFile(
            port=ports.find_free_port(), database=record.database, data=str(data), passwords=record.passwords
        )
        copy.write(folder / "postgres" / "server.json")
        server = embedded.EmbeddedPostgres(folder, durable=durable, tuning=TUNING)
        server.initialize()
        with server.log_file.open("ab") as log:
            running = process.start(server.launch(), output=log.fileno())
        try:
            deadline = time.monotonic() + READY_SECONDS
            while not server.is_ready():
                assert running.poll() is None, server.log_file.read_text()
                assert time.monotonic() < deadline, server.log_file.read_text()
                time.sleep(0.02)
            yield server
        finally:
            running.send_signal(server.launch().stop_signal)
            running.wait(READY_SECONDS)


@contextlib.contextmanager
def paused(standby: embedded.EmbeddedPostgres) -> Iterator[None]:
    """Receive from the primary, and replay nothing, until the block ends: a standby that is behind."""
    with psycopg.connect(standby.dsn("postgres"), autocommit=True) as superuser:
        superuser.execute("select pg_wal_replay_pause()")
        deadline = time.monotonic() + READY_SECONDS
        while superuser.execute("select pg_get_wal_replay_pause_state()").fetchone() != ("paused",):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        try:
            yield
        finally:
            superuser.execute("select pg_wal_replay_resume()")
