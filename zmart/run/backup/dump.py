"""Saves the database: one snapshot, read by pg_dump as the role zmart_backup.

The role reads the rows of every wallet and Dagster's tables. Any other role would either be refused or, where row level
security hides rows from it, leave a file that looks complete.

A backup is written under a temporary name and is renamed when its files are complete, verified and flushed to disk. A
backup that fails (full disk, lost connection, a kill) leaves nothing that `zmart restore` accepts, and the next backup
into the same folder removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql

from zmart import errors
from zmart.db import queries
from zmart.db.connection import SyncConnection, connect_sync, translate_errors

from .. import private_files
from ..postgres import client_programs
from . import manifest
from .manifest import Manifest

_SQL = queries.load("zmart.run.backup", "backup.sql")
#: pg_dump waits for a deployment that changes a table; a deployment takes seconds.
_LOCK_WAIT_SECONDS: Final = 60
_TABLE_BEGINS: Final = re.compile(r'(?:dumping contents of|processing data for) table "([^"]+)"')
_MESSAGE: Final = re.compile(r"^pg_(?:dump|restore): (?:error|fatal|detail|hint): (.*)$")

#: Receives the name of the step, and how much of it is done.
Report = Callable[[str, int, int], None]


def ignore_progress(step: str, done: int, of: int) -> None:
    """Report nothing."""


def save(dsn: str, folder: Path, *, report: Report = ignore_progress) -> tuple[Path, Manifest]:
    """Write a backup of the database at `dsn` into a new folder below `folder`; return its path and its manifest.

    `dsn` logs in as zmart_backup. Raise ConfigurationError where pg_dump is missing or the role cannot read everything,
    Conflict where another backup writes into `folder`, Unavailable where the server does not answer, and Permanent or
    OSError where the disk is full.
    """
    with _locked_folder(folder), translate_errors(), _snapshot(dsn) as (connection, snapshot):
        facts = _describe(connection, report)
        name = f"zmart-{facts.created_at.replace('-', '').replace(':', '')}"
        target = _unused(folder / name)
        partial = folder / f".{target.name}{manifest.PARTIAL}"
        try:
            private_files.make_folder(partial)
            program = client_programs.find_program("pg_dump", server_major=facts.server_major)
            _dump(program, dsn, snapshot, partial / manifest.DUMP, facts, report)
            facts = _complete(partial, facts, program, report)
            manifest.write(partial, facts)
            _flush_folder(partial)
            partial.rename(target)
            _flush_folder(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return target, facts


@contextlib.contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    """Lock the folder for one backup, and remove what interrupted ones left in it."""
    private_files.make_folder(folder)
    with private_files.open_append(folder / ".lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise errors.Conflict(
                f"Another backup is writing into {folder}.", help="Wait for it, or choose another folder: --to FOLDER"
            ) from None
        for leftover in folder.glob(f".zmart-*{manifest.PARTIAL}"):
            shutil.rmtree(leftover)
        yield


@contextlib.contextmanager
def _snapshot(dsn: str) -> Iterator[tuple[SyncConnection, str]]:
    """Open a snapshot that another connection can use while this one stays open; yield both."""
    with connect_sync(dsn, application_name="zmart backup", statement_timeout_seconds=0, autocommit=True) as connection:
        connection.execute(_SQL.disable_timeouts)
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with connection.transaction():
            (name,) = _row(connection, _SQL.export_snapshot)
            yield connection, name


def _row(connection: SyncConnection, statement: str) -> tuple[Any, ...]:
    row = connection.execute(statement).fetchone()
    assert row is not None
    return row


def _describe(connection: SyncConnection, report: Report) -> Manifest:
    """Read everything that the manifest says about the database; the facts about the file are added later."""
    schemas = [name for (name,) in connection.execute(_SQL.schemas)]
    if not {"raw", "zmart_migrations"} <= set(schemas):
        raise errors.ConfigurationError(
            "This database has no log yet, so there is nothing to save.", help="zmart migrate"
        )
    try:
        created_at, epoch, seq, mark = _row(connection, _SQL.identity)
        migrations = connection.execute(_SQL.migrations).fetchall()
        tables = count_rows(connection, schemas, report)
    except psycopg.errors.InsufficientPrivilege as error:
        raise errors.ConfigurationError(
            f"The role {connection.info.user} cannot read everything: {error.diag.message_primary}.",
            help="As an administrator of the server: grant pg_read_all_data to zmart_backup; "
            "alter role zmart_backup bypassrls",
        ) from error
    return Manifest(
        format=manifest.FORMAT,
        created_at=created_at,
        release=_release(),
        server=format_version(_row(connection, _SQL.server_version)[0]),
        program="",
        migrations=[manifest.AppliedFile(version=row[0], name=row[1], checksum=row[2]) for row in migrations],
        epoch=epoch,
        seq=seq,
        mark=mark,
        schemas=schemas,
        tables=tables,
        extensions=dict(connection.execute(_SQL.extensions, {"schemas": schemas}).fetchall()),
        bytes=0,
        sha256="",
    )


def count_rows(connection: SyncConnection, schemas: Sequence[str], report: Report = ignore_progress) -> dict[str, int]:
    """Return the number of rows of each table of some schemas, by `schema.table`."""
    # A policy that hides rows from this login is an error then, and not a smaller number.
    connection.execute("set row_security = off")
    tables = connection.execute(_SQL.tables, {"schemas": list(schemas)}).fetchall()
    found = {}
    for done, (schema, table) in enumerate(tables, start=1):
        statement = sql.SQL("select count(*) from {}").format(sql.Identifier(schema, table))
        found[f"{schema}.{table}"] = (connection.execute(statement).fetchone() or (0,))[0]
        report("counting", done, len(tables))
    return found


def format_version(number: int) -> str:
    """Return a server's version number as text: 180006 is 18.6."""
    return f"{number // 10_000}.{number % 10_000}"


def _release() -> str:
    try:
        return importlib.metadata.version("zmart")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _unused(target: Path) -> Path:
    """Return a path that does not exist: two backups may begin in one second."""
    number = 1
    found = target
    while found.exists():
        number += 1
        found = target.with_name(f"{target.name}-{number}")
    return found


def _dump(
    program: client_programs.ClientProgram, dsn: str, snapshot: str, file: Path, facts: Manifest, report: Report
) -> None:
    options, environ = client_programs.invocation(dsn)
    command = [
        str(program.path),
        "--format=custom",
        f"--file={file}",
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={_LOCK_WAIT_SECONDS}s",
        "--verbose",
        *(f"--schema={schema}" for schema in facts.schemas),
        *options,
    ]
    # Created here, so that it is readable by its owner only from the first byte on.
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    run_program(command, environ, facts.tables, "saving", report)


def run_program(
    command: Sequence[str], environ: Mapping[str, str], tables: Mapping[str, int], step: str, report: Report
) -> None:
    """Run pg_dump or pg_restore and report the rows of the tables that are done.

    Raise Permanent with the program's own first error, and the next step where the disk is full.
    """
    messages: list[str] = []
    done, total = 0, sum(tables.values())
    current: str | None = None
    report(step, 0, total)
    with subprocess.Popen(  # noqa: S603 - our own programs and arguments
        command,
        env={**client_programs.minimal_environment(), **environ, "PGAPPNAME": "zmart backup"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        # A file that reaches the account's limit is an error with a message then, and not the end of the program.
        restore_signals=False,
    ) as child:
        assert child.stderr is not None
        try:
            for line in child.stderr:
                if begins := _TABLE_BEGINS.search(line):
                    done += tables.get(current, 0) if current else 0
                    current = begins[1]
                    report(step, done, total)
                if message := _MESSAGE.match(line.strip()):
                    messages.append(message[1])
        except BaseException:
            child.terminate()
            raise
    if child.returncode != 0:
        raise _failure(Path(command[0]).name, messages or [_describe_end(child.returncode)])
    report(step, total, total)


def _describe_end(status: int) -> str:
    return f"it was ended by signal {-status}" if status < 0 else f"it ended with status {status} and no message"


def _failure(program: str, messages: Sequence[str]) -> errors.Permanent:
    reason = " ".join(messages[0].split()).rstrip(".")
    if any("No space left on device" in message or "File too large" in message for message in messages):
        return errors.Permanent(f"{program} failed: {reason}.", help="Free some disk space, or choose another folder.")
    if any("row-level security" in message or "permission denied" in message for message in messages):
        return errors.ConfigurationError(
            f"{program} failed: {reason}.",
            help="alter role zmart_backup bypassrls; grant pg_read_all_data to zmart_backup",
        )
    return errors.Permanent(f"{program} failed: {reason}.")


def _complete(folder: Path, facts: Manifest, program: client_programs.ClientProgram, report: Report) -> Manifest:
    """Flush the dump to disk, verify that it lists every table, and return the manifest with the facts about it."""
    path = folder / manifest.DUMP
    with path.open("rb") as file:
        os.fsync(file.fileno())
    missing = facts.tables.keys() - listed_tables(path, server_major=facts.server_major)
    if missing:
        raise errors.Permanent(f"The dump lacks {', '.join(sorted(missing))}.", help="Run `zmart backup` again.")
    sha256 = manifest.digest(path, report=lambda done, of: report("verifying", done, of))
    return msgspec.structs.replace(facts, program=program.version, bytes=path.stat().st_size, sha256=sha256)


def listed_tables(dump: Path, *, server_major: int) -> set[str]:
    """Return the tables whose rows a dump contains, by `schema.table`; raise ConfigurationError for a damaged file."""
    program = client_programs.find_program("pg_restore", server_major=server_major)
    done = subprocess.run(  # noqa: S603 - our own program
        [program.path, "--list", dump],
        env=client_programs.minimal_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[0]
        raise errors.ConfigurationError(f"{dump} cannot be read: {reason}.", help="Use another backup.")
    return {f"{found[0]}.{found[1]}" for found in re.findall(r" TABLE DATA (\S+) (\S+) ", done.stdout)}


def _flush_folder(folder: Path) -> None:
    """Flush the entries of a folder to disk, so that a rename survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
