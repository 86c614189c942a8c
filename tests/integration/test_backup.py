"""`zmart backup` saves everything in one snapshot, `zmart restore` restores exactly that, and neither leaves a half."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import event_histories
import msgspec
import psycopg
import pytest
from psycopg import sql

from ingest.store.writer import Writer
from zmart import errors, testing
from zmart import settings as configuration
from zmart.db import migrate
from zmart.run.audit import audit
from zmart.run.backup import dump, manifest, restore
from zmart.run.backup.restore import Target
from zmart.run.supervisor import state_file

UPGRADE = Path(__file__).parents[1] / "data" / "upgrade"
#: Rows that a restore changes on purpose.
CHANGED = {"raw.identity", "ops.cursors", "ops.audit"}


@pytest.fixture(scope="module")
def source(postgres_server: testing.PostgresServer) -> Iterator[testing.PostgresDatabase]:
    """A log with events, ballots, comments, sessions and an open intent, and a table of Dagster; read only."""
    database = postgres_server.create()
    migrate.prepare(database.dsn("postgres"))
    text = gzip.decompress((UPGRADE / "0027.sql.gz").read_bytes()).decode()
    with database.connect("postgres") as connection:
        connection.execute(re.sub(r"^\\.*$", "", text, flags=re.MULTILINE))
    migrate.migrate(database.dsn())
    audit.seal_history(database.dsn())
    with database.connect("zmart_keeper") as keeper:
        keeper.execute("create table dagster.runs_of_a_test (id serial primary key, body text)")
        keeper.execute(
            "insert into dagster.runs_of_a_test (body) select repeat('x', n) from generate_series(1, 50) as n"
        )
    yield database
    postgres_server.drop(database)


@pytest.fixture(scope="module")
def saved(source: testing.PostgresDatabase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of `source`; copy it before changing it."""
    path, _ = dump.save(source.dsn("zmart_backup"), tmp_path_factory.mktemp("backups"))
    return path


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    """A copy of the backup that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / saved.name))


def target(database: testing.PostgresDatabase) -> Target:
    """The database as a target of a restore."""
    return Target(admin_dsn=database.dsn("postgres"), owner_dsn=database.dsn())


def rows(database: testing.PostgresDatabase, table: str) -> list[str]:
    """Every row of a table as text, in order, as the superuser reads it."""
    with database.connect("postgres") as connection:
        name = sql.Identifier(*table.split(".", 1))
        return [
            str(row) for (row,) in connection.execute(sql.SQL("select t::text from {} as t order by 1").format(name))
        ]


def schemas(database: testing.PostgresDatabase) -> list[object]:
    """Our schemas in a database."""
    with database.connect("postgres") as connection:
        found = connection.execute(
            "select nspname from pg_namespace where nspname !~ '^(pg_|information_schema|public)' order by 1"
        )
        return [name for (name,) in found]


def definition(database: testing.PostgresDatabase) -> list[str]:
    """The schema by pg_dump: every line, in order of its text."""
    options, environ = dump.client_programs.invocation(database.dsn("postgres"))
    program = dump.client_programs.find_program("pg_dump", server_major=18)
    done = subprocess.run(
        [program.path, "--schema-only", "--restrict-key=x", *options],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(line for line in done.stdout.splitlines() if line and not line.startswith("--"))


def test_a_restored_database_has_every_row_of_the_source(
    source: testing.PostgresDatabase, saved: Path, empty_database: testing.PostgresDatabase
) -> None:
    """Table by table and row by row, ballots, sessions and Dagster's tables included; the schema is the same, too."""
    result = restore.restore(saved, target(empty_database))

    tables = result.manifest.tables
    assert {name: len(rows(source, name)) for name in tables} == tables
    private = ("app.ballots", "app.sessions", "app.flags", "ops.intents", "raw.events", "dagster.runs_of_a_test")
    assert min(tables[name] for name in private) > 0
    for name in sorted(tables.keys() - CHANGED):
        assert rows(source, name) == rows(empty_database, name), name
    assert definition(source) == definition(empty_database)
    assert result.missing == []


def test_a_restored_log_begins_an_epoch(
    source: testing.PostgresDatabase, saved: Path, empty_database: testing.PostgresDatabase
) -> None:
    """Once; the chain of the log is unbroken, ingest goes on after its end, and the restore is on record."""
    before = manifest.read(saved)
    result = restore.restore(saved, target(empty_database))

    with empty_database.connect() as owner:
        (epoch,) = owner.execute("select epoch::text from raw.identity").fetchone() or ("",)
        recorded = owner.execute(
            "select action, subject, details ->> 'epoch' from ops.audit order by audit_no"
        ).fetchall()
        (own,) = owner.execute("select raw.renew_identity()::text").fetchone() or ("",)
    assert epoch == own == result.epoch != before.epoch
    assert recorded[-1] == ("restore", before.position, epoch)
    assert audit.verify(empty_database.dsn()).position.seq == before.seq > 0

    # Also where the server repeats every identifier that the stored identity has, as this one does now.
    with empty_database.connect() as owner:
        repeated = restore.begin_epoch(owner, before)
    assert repeated not in {epoch, before.epoch}

    appended = asyncio.run(_append(empty_database))
    assert appended.first_seq == before.seq + 1
    assert str(appended.epoch) == repeated
    assert migrate.pending_migrations(empty_database.dsn()) == []


async def _append(database: testing.PostgresDatabase) -> Any:
    log = Writer(database.dsn("zmart_ingest"))
    try:
        return await log.append(event_histories.generate(23), source="webhook")
    finally:
        await log.close()


def test_the_manifest_describes_the_backup(source: testing.PostgresDatabase, saved: Path) -> None:
    """Position, counts and SHA-256; only the account that made it can read it."""
    facts = restore.check(saved)
    with source.connect() as owner:
        (end,) = owner.execute(
            "select i.epoch || ':' || max(f.seq) || ':' || raw.mark_of(max(f.seq))"
            " from raw.identity as i, raw.feed as f group by i.epoch"
        ).fetchone() or ("",)
    assert facts.position == end
    assert {path.name for path in saved.iterdir()} == {manifest.DUMP, manifest.MANIFEST}
    assert {path.stat().st_mode & 0o777 for path in saved.iterdir()} == {0o600}
    assert saved.stat().st_mode & 0o777 == 0o700


def test_the_backup_is_one_snapshot(
    source: testing.PostgresDatabase,
    postgres_server: testing.PostgresServer,
    empty_database: testing.PostgresDatabase,
    tmp_path: Path,
) -> None:
    """A delivery that commits before pg_dump reads the first table is in none of the tables."""
    with postgres_server.clone(source) as busy:
        before = len(rows(busy, "raw.events"))

        def deliver(step: str, done: int, of: int) -> None:
            if step == "saving" and done == 0 and len(rows(busy, "raw.events")) == before:
                asyncio.run(_append(busy))

        path, facts = dump.save(busy.dsn("zmart_backup"), tmp_path, report=deliver)
        assert len(rows(busy, "raw.events")) > before

    restore.restore(path, target(empty_database))
    assert len(rows(empty_database, "raw.events")) == facts.tables["raw.events"] == before


# --- the role ---------------------------------------------------------------------------------


def test_the_backup_role_reads_everything_and_writes_nothing(source: testing.PostgresDatabase) -> None:
    """Ballots and sessions of every wallet and Dagster's tables; no table of ours can be written by it."""
    with source.connect("zmart_backup") as role:
        role.execute("set row_security = off")
        for table in ("app.ballots", "app.sessions", "app.redeemed_nonces", "dagster.runs_of_a_test", "raw.events"):
            assert role.execute(f"select count(*) > 0 from {table}".encode()).fetchone() == (True,), table
        role.execute("set default_transaction_read_only = off")
        names = role.execute(
            "select schemaname || '.' || tablename from pg_tables where tableowner ~ '^zmart'"
        ).fetchall()
        assert len(names) > 40
        for (name,) in names:
            for statement in ("delete from", "truncate"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    role.execute(f"{statement} {name}".encode())
        for statement in ("select pg_notify('x', '')", "create table public.x ()", "set role zmart_owner"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                role.execute(statement.encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            role.execute("select raw.renew_identity()")


@pytest.mark.parametrize("role", ["zmart_owner", "zmart_api", "analyst"])
def test_a_role_that_cannot_read_everything_saves_nothing(
    source: testing.PostgresDatabase, tmp_path: Path, role: str
) -> None:
    """It is refused with the next step, instead of leaving a smaller dump."""
    with pytest.raises(errors.ZmartError, match=r"cannot read everything.*alter role zmart_backup bypassrls"):
        dump.save(source.dsn(role), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


# --- refusals ---------------------------------------------------------------------------------


def truncate(folder: Path) -> None:
    """Cut the end of the dump."""
    file = folder / manifest.DUMP
    os.truncate(file, file.stat().st_size - 1)


def flip(folder: Path) -> None:
    """Change one bit of the dump."""
    file = folder / manifest.DUMP
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def change(**values: object) -> Callable[[Path], None]:
    """Change values of the manifest."""

    def write(folder: Path) -> None:
        facts = json.loads((folder / manifest.MANIFEST).read_text())
        (folder / manifest.MANIFEST).write_text(json.dumps(facts | values))

    return write


NEWER = {"version": 9999, "name": "9999_later.sql", "checksum": "0" * 64}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / manifest.MANIFEST).unlink(), "not a complete backup"),
        (lambda folder: (folder / manifest.MANIFEST).write_text("{"), "is damaged"),
        (lambda folder: (folder / manifest.DUMP).unlink(), "only half a backup"),
        (truncate, "bytes; the manifest has"),
        (flip, "differs from its SHA-256"),
        (change(format=2), "newer release"),
        (change(migrations=[NEWER]), "9999_later.sql, which this release does not contain"),
        (change(server="99.1"), "The backup is from Postgres 99|no pg_restore for Postgres 99"),
    ],
    ids=[
        "no manifest",
        "damaged manifest",
        "no dump",
        "truncated",
        "one bit",
        "newer form",
        "newer schema",
        "newer server",
    ],
)
def test_a_backup_that_is_not_right_changes_nothing(
    copy: Path, empty_database: testing.PostgresDatabase, damage: Callable[[Path], None], message: str
) -> None:
    """Half a backup, a changed byte, a newer release or server: one sentence, and the database stays empty."""
    damage(copy)
    with pytest.raises(errors.ZmartError, match=message):
        restore.restore(copy, target(empty_database))
    assert schemas(empty_database) == []


def test_wrong_counts_leave_an_empty_database(copy: Path, empty_database: testing.PostgresDatabase) -> None:
    """The restored tables are counted; a difference removes them again."""
    facts = manifest.read(copy)
    manifest.write(copy, msgspec.structs.replace(facts, tables={**facts.tables, "raw.events": 1}))
    with pytest.raises(errors.Permanent, match=r"differ from the manifest \(raw.events\)"):
        restore.restore(copy, target(empty_database))
    assert schemas(empty_database) == []


def test_a_database_that_is_not_empty_is_refused(saved: Path, database: testing.PostgresDatabase) -> None:
    """Its log stays what it was."""
    before = rows(database, "raw.identity")
    with pytest.raises(errors.Conflict, match="The database is not empty: it has the schemas app, dagster"):
        restore.restore(saved, target(database))
    assert rows(database, "raw.identity") == before


def test_connected_processes_are_refused(saved: Path, empty_database: testing.PostgresDatabase) -> None:
    """They would see the log appear below them."""
    with (
        psycopg.connect(empty_database.dsn("postgres"), application_name="zmart ingest writer"),
        pytest.raises(errors.Conflict, match=r"connected to this database: zmart ingest writer \(1\)"),
    ):
        restore.restore(saved, target(empty_database))
    assert schemas(empty_database) == []


def test_a_failure_within_the_restore_leaves_an_empty_database(
    saved: Path, empty_database: testing.PostgresDatabase
) -> None:
    """The rows are restored in one transaction: a lost connection in the middle restores none."""

    def end_it(step: str, done: int, of: int) -> None:
        if step == "restoring" and 0 < done < of:
            with empty_database.connect("postgres") as superuser:
                superuser.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'zmart backup'"
                    " and datname = current_database()"
                )

    with pytest.raises(errors.Permanent, match="pg_restore failed"):
        restore.restore(saved, target(empty_database), report=end_it)
    assert schemas(empty_database) == []


# --- the commands -----------------------------------------------------------------------------


def run(database: testing.PostgresDatabase, state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `zmart` with the database's logins."""
    environ = {
        **os.environ,
        "DATABASE_URL": database.dsn("postgres"),
        "DATABASE_URL_BACKUP": database.dsn("zmart_backup"),
        "ZMART_STATE_DIR": str(state),
    }
    command = [sys.executable, "-m", "zmart.cli", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=120)


def test_the_commands_save_check_and_restore(
    source: testing.PostgresDatabase, empty_database: testing.PostgresDatabase, tmp_path: Path
) -> None:
    """The last line of `zmart backup` is the folder that `zmart restore` takes."""
    done = run(source, tmp_path / "state", "backup")
    assert done.returncode == 0, done.stderr
    folder = done.stdout.splitlines()[-1]
    assert Path(folder).parent == tmp_path / "state" / "backups"

    checked = run(source, tmp_path / "state", "restore", folder, "--check")
    assert checked.stdout.startswith("complete: "), checked.stderr

    restored = run(empty_database, tmp_path / "other", "restore", folder)
    assert restored.returncode == 0, restored.stderr
    assert rows(empty_database, "app.ballots") == rows(source, "app.ballots")


@pytest.mark.drill
def test_a_state_directory_is_a_target(source: testing.PostgresDatabase, saved: Path) -> None:
    """Its embedded server runs for the restore only; meanwhile neither `zmart up` nor a second restore can use it."""
    configured = configuration.load({"ZMART_STATE_DIR": "/nowhere", "DATABASE_URL": source.dsn("postgres")})
    with testing.state_dir() as folder:
        with (
            state_file.hold_lock(folder),
            pytest.raises(errors.Conflict, match="zmart is already running here"),
            restore.open_target(configured, str(folder)),
        ):
            pytest.fail("a running supervisor does not prevent the restore")
        with restore.open_target(configured, str(folder)) as into:
            assert state_file.running_pid(folder) == os.getpid()
            restore.restore(saved, into)
        with restore.open_target(configured, str(folder)) as into:
            with pytest.raises(errors.Conflict, match="The database is not empty"):
                restore.restore(saved, into)
            with psycopg.connect(into.owner_dsn) as owner:
                assert owner.execute("select count(*) > 0 from raw.events").fetchone() == (True,)
        assert state_file.running_pid(folder) is None


def test_a_password_in_the_target_is_refused(
    saved: Path, empty_database: testing.PostgresDatabase, tmp_path: Path
) -> None:
    """The process list shows arguments to every account."""
    done = run(empty_database, tmp_path, "restore", str(saved), "--into", "postgresql://me:hidden@127.0.0.1:1/zmart")
    assert done.returncode == 2
    assert "--into has a password" in done.stderr
    assert "hidden" not in done.stderr


def test_no_password_is_in_the_process_list(source: testing.PostgresDatabase, tmp_path: Path) -> None:
    """Neither pg_dump nor pg_restore gets one as an argument."""
    seen: set[str] = set()
    ended = threading.Event()

    def watch() -> None:
        while not ended.is_set():
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = entry.read_bytes().decode(errors="replace")
                except OSError:
                    continue
                if "pg_dump" in line and str(tmp_path) in line:
                    seen.add(line)
            time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        dump.save(source.dsn("zmart_backup"), tmp_path)
    finally:
        ended.set()
        watcher.join()
    password = psycopg.conninfo.conninfo_to_dict(source.dsn("zmart_backup"))["password"]
    assert len(seen) >= 1
    assert not [line for line in seen if str(password) in line]


# --- a full disk ------------------------------------------------------------------------------


def _limit_files() -> None:
    """Let no file of this process grow beyond 64 KiB; without the signal, a write fails as on a full disk."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))


def test_a_disk_that_takes_no_more_leaves_nothing(source: testing.PostgresDatabase, tmp_path: Path) -> None:
    """One sentence with the reason; no folder remains, and the next backup succeeds."""
    environ = {**os.environ, "DATABASE_URL": source.dsn("postgres"), "DATABASE_URL_BACKUP": source.dsn("zmart_backup")}
    done = subprocess.run(
        [sys.executable, "-m", "zmart.cli", "backup", "--to", str(tmp_path)],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_limit_files,
    )
    assert done.returncode == 1
    reason = r"\s*zmart: pg_dump failed: could not write .*: File too large\. Free some disk space, or choose .*\n"
    # Coverage, where it is measured, meets the same limit and says so after our sentence.
    assert re.match(reason, done.stderr)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.drill
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_leaves_nothing(source: testing.PostgresDatabase, tmp_path: Path) -> None:
    """On a real file system without space: one sentence, no folder of a backup; with space the next one succeeds."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", disk], check=True)
    try:
        environ = {**os.environ, "DATABASE_URL_BACKUP": source.dsn("zmart_backup"), "ZMART_STATE_DIR": str(tmp_path)}
        command = [sys.executable, "-m", "zmart.cli", "backup", "--to", str(disk)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        reason = r"\s*zmart: pg_dump failed: .*No space left on device\. Free some disk space, or choose .*\n"
        assert re.fullmatch(reason, done.stderr)
        assert [path.name for path in disk.iterdir()] == [".lock"]
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        assert subprocess.run(command, env=environ, capture_output=True, check=False).returncode == 0
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_killed_backup_is_no_backup(source: testing.PostgresDatabase, tmp_path: Path) -> None:
    """What it leaves is refused by a restore and removed by the next backup; two at a time are refused."""
    leftover = tmp_path / ".zmart-20260101T000000Z.partial"
    leftover.mkdir()
    (leftover / manifest.DUMP).write_text("half")
    with pytest.raises(errors.ConfigurationError, match="not a complete backup"):
        restore.check(leftover)

    def save_again(step: str, done: int, of: int) -> None:
        if step == "saving" and done == of:
            with pytest.raises(errors.Conflict, match="Another backup is writing"):
                dump.save(source.dsn("zmart_backup"), tmp_path)

    path, _ = dump.save(source.dsn("zmart_backup"), tmp_path, report=save_again)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".lock", path.name]
