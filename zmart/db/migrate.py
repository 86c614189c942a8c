"""Migrates the schema with numbered SQL files, each applied once, in order, and never edited afterwards.

`zmart_migrations.applied` records every file with the checksum of its text. It is in a schema of its own, so that it
can record changes to all other schemas. A separate connection holds its lock, so that two deployments do not run at the
same time. Each file is one transaction, so a failing file leaves no changes and the next run starts with it.

The role `zmart_owner` creates everything, whichever user connects: `prepare` creates the roles where the connection is
allowed to, and `migrate` changes to the owner's role and applies the new files.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import psycopg

from zmart import errors

from . import queries
from .connection import SyncConnection, connect_sync, translate_errors

OWNER = "zmart_owner"
OLDEST_SERVER = 15
_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_SQL = queries.load("zmart.db", "history.sql")


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One migration file."""

    version: int
    #: The file's name.
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the text with normalized line ends, as 64 hex digits."""
        return hashlib.sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class AppliedMigration:
    """One row of the history of migrations."""

    version: int
    name: str
    checksum: str


def migrate(dsn: str, *, directory: Path | None = None) -> list[str]:
    """Apply the new files and return their names in order.

    Raise ConfigurationError when the server is too old, the owner's role is missing, a file fails, or the history and
    the files disagree; raise Unavailable when the server does not answer.
    """
    files = read_migrations(directory)
    with translate_errors(), _deployment_lock(dsn) as connection:
        todo = plan_migrations(files, _applied_migrations(connection))
        for migration in todo:
            _apply(connection, migration)
    return [migration.name for migration in todo]


def pending_migrations(dsn: str, *, directory: Path | None = None) -> list[str]:
    """Return the names of the files that `migrate` would apply, without applying them."""
    with (
        translate_errors(),
        connect_sync(dsn, application_name="zmart migrate", autocommit=True) as connection,
    ):
        has_history = connection.execute(_SQL.has_history).fetchone() == (True,)
        history = _applied_migrations(connection) if has_history else []
    return [migration.name for migration in plan_migrations(read_migrations(directory), history)]


def prepare(dsn: str) -> list[str]:
    """Create roles and grants as far as the connection may; return the missing ones as SQL."""
    text = resources.files("zmart.db").joinpath("roles.sql").read_text(encoding="utf-8")
    missing: list[str] = []
    with (
        translate_errors(),
        connect_sync(dsn, application_name="zmart migrate", autocommit=True) as connection,
    ):
        connection.add_notice_handler(lambda notice: missing.append(notice.message_primary or ""))
        connection.execute(_SQL.disable_timeouts)
        connection.execute(text)
    return missing


def plan_migrations(files: Sequence[Migration], history: Sequence[AppliedMigration]) -> list[Migration]:
    """Return the files to apply; raise ConfigurationError for a history that does not match the files."""
    by_version = {migration.version: migration for migration in files}
    for row in history:
        _check_unchanged(row, by_version.get(row.version))
    newest = max((row.version for row in history), default=0)
    applied = {row.version for row in history}
    todo = [migration for migration in files if migration.version not in applied]
    for migration in todo:
        if migration.version < newest:
            raise errors.ConfigurationError(
                f"{migration.name} is new, but this database is already at {newest:04}.",
                help="Rename it to the next free number.",
            )
    return todo


def read_migrations(directory: Path | None = None) -> list[Migration]:
    """Read the migration files in order; raise ConfigurationError for invalid names and duplicate numbers."""
    folder = directory or resources.files("zmart.db").joinpath("migrations")
    files = [
        _parse_migration(entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    files.sort(key=lambda migration: (migration.version, migration.name))
    for earlier, later in itertools.pairwise(files):
        if earlier.version == later.version:
            raise errors.ConfigurationError(
                f"{earlier.name} and {later.name} have the same number.",
                help="Rename the newer file to the next free number.",
            )
    return files


def _parse_migration(name: str, text: str) -> Migration:
    match = _FILE_NAME.fullmatch(name)
    if match is None:
        raise errors.ConfigurationError(f"{name} is not named like 0001_what_it_does.sql.", help="Rename it.")
    return Migration(version=int(match[1]), name=name, text=text)


def _check_unchanged(row: AppliedMigration, migration: Migration | None) -> None:
    if migration is None:
        raise errors.ConfigurationError(
            f"This database has {row.name}, which this release does not contain.",
            help="Use the newer release that applied it, or another database.",
        )
    if migration.checksum != row.checksum:
        raise errors.ConfigurationError(
            f"{migration.name} was edited after it had been applied to this database.",
            help="Restore the file and put the change into a new migration.",
        )


@contextmanager
def _deployment_lock(dsn: str) -> Iterator[SyncConnection]:
    with _owner_connection(dsn) as guard, _owner_connection(dsn) as connection:
        _create_history(guard)
        with guard.transaction():
            guard.execute(_SQL.lock_deployments)
            yield connection


@contextmanager
def _owner_connection(dsn: str) -> Iterator[SyncConnection]:
    with connect_sync(dsn, autocommit=True, application_name="zmart migrate") as connection:
        _check_server(connection)
        connection.execute(_SQL.disable_timeouts)
        _become_owner(connection)
        yield connection


def _create_history(connection: SyncConnection) -> None:
    try:
        connection.execute(_SQL.create_history)
    except (psycopg.errors.UniqueViolation, psycopg.errors.DuplicateTable):
        # Another deployment created it at the same moment: `if not exists` looks before it creates.
        connection.execute(_SQL.create_history)


def _check_server(connection: SyncConnection) -> None:
    major = connection.info.server_version // 10_000
    if major < OLDEST_SERVER:
        raise errors.ConfigurationError(
            f"The server is Postgres {major}.",
            help=f"Use {OLDEST_SERVER} or newer: MERGE needs it.",
        )


def _become_owner(connection: SyncConnection) -> None:
    try:
        connection.execute(_SQL.become_owner)
    except (psycopg.errors.InvalidParameterValue, psycopg.errors.InsufficientPrivilege) as error:
        user = connection.info.user
        raise errors.ConfigurationError(
            f"The user {user} cannot act as the role {OWNER}, which owns all objects.",
            help=f"As an administrator of the server: create role {OWNER} login (if missing); grant {OWNER} to {user}.",
        ) from error


def _applied_migrations(connection: SyncConnection) -> list[AppliedMigration]:
    rows = connection.execute(_SQL.history)
    return [AppliedMigration(version=row[0], name=row[1], checksum=row[2]) for row in rows]


def _apply(connection: SyncConnection, migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(migration.text)
            connection.execute(_SQL.record_migration, _history_row(migration))
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError) as error:
        raise errors.ConfigurationError(
            f"{migration.name} failed and was rolled back: {error}",
            help="Correct the file, or the data that it failed on, and run `zmart migrate` again.",
        ) from error


def _history_row(migration: Migration) -> dict[str, object]:
    return {
        "version": migration.version,
        "name": migration.name,
        "checksum": migration.checksum,
    }
