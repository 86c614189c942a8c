"""Migrates the database: tables by numbered files, functions by one file each, all in one transaction.

A new database gets `schema.sql`. An older one gets the numbered migrations that it lacks. Then every function whose
text has changed is applied again, and the policies. A failure at any step leaves the database as it was.

`zmart_migrations` records each file with the checksum of its text, in a schema of its own, so that it can record
changes to all other schemas. A separate connection holds its lock, so that two deployments do not run at the same time.

The role `zmart_owner` creates everything, whichever user connects: `prepare` creates the roles where the connection is
allowed to, and `migrate` changes to the owner's role and applies the files.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

import psycopg

from zmart import errors

from . import queries
from .connection import SyncConnection, connect_sync, translate_errors
from .schema_files import Migration, SchemaFiles, SqlFile, read_files

OWNER = "zmart_owner"
OLDEST_SERVER = 15
#: How long a migration tries to get its locks, and how long others can work between two attempts.
LOCKS_WITHIN_SECONDS = 600.0
LOCK_PAUSE_SECONDS = 2.0
#: More functions than this are reported by their number.
_NAMED_FUNCTIONS = 5

_SQL = queries.load("zmart.db", "history.sql")


@dataclass(frozen=True, kw_only=True)
class AppliedMigration:
    """One row of the history of migrations."""

    version: int
    name: str
    checksum: str


@dataclass(frozen=True, kw_only=True)
class MigrationPlan:
    """The files that bring one database up to these sources."""

    #: For a new database; its migrations are recorded as applied.
    schema: SqlFile | None = None
    migrations: Sequence[Migration] = ()
    functions: Sequence[SqlFile] = ()
    #: Why the earlier history needs a look at the schema itself; None where its checksums agree.
    doubt: str | None = None

    @property
    def names(self) -> list[str]:
        """Return the names of the files, functions as their number where there are many."""
        tables = [self.schema.name] if self.schema else [migration.name for migration in self.migrations]
        functions = [file.name for file in self.functions]
        if len(functions) > _NAMED_FUNCTIONS:
            functions = [f"{len(functions)} functions"]
        return tables + functions


def migrate(
    dsn: str, *, directory: Traversable | None = None, report: Callable[[str], None] = lambda _: None
) -> list[str]:
    """Apply the files that the database lacks and return their names in order; see `MigrationPlan.names`.

    A lock that a long transaction holds is tried for three seconds at a time, so that readers and writers do not queue
    behind the migration; `report` receives a sentence for each attempt.

    Raise ConfigurationError when the server is too old, the owner's role is missing, a file fails, or the history and
    the files disagree; raise Unavailable when the server does not answer or a lock is not free within ten minutes.
    """
    files = read_files(directory)
    with translate_errors(), _deployment_lock(dsn) as connection:
        plan = plan_migrations(files, _applied_migrations(connection), _applied_functions(connection))
        if plan.doubt is not None:
            _check_earlier_schema(connection, files, plan.doubt)
        _apply_when_locks_are_free(connection, files, plan, report)
    return plan.names


def _apply_when_locks_are_free(
    connection: SyncConnection, files: SchemaFiles, plan: MigrationPlan, report: Callable[[str], None]
) -> None:
    stops_services = any(migration.stops_services for migration in plan.migrations)
    ends_at = time.monotonic() + LOCKS_WITHIN_SECONDS
    while True:
        try:
            if stops_services:
                _refuse_running_services(connection)
            with connection.transaction():
                connection.execute(_SQL.limit_lock_waits)
                _apply(connection, files, plan)
                _check_functions(connection, files)
                if stops_services:
                    # One may have connected meanwhile. Later ones wait for the locks of this transaction.
                    _refuse_running_services(connection)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as busy:
            sessions = ", ".join(name for (name,) in connection.execute(_SQL.blocking_sessions)) or "a session"
            if time.monotonic() >= ends_at:
                raise errors.Unavailable(
                    f"The tables are in use, so nothing was changed. Open transactions: {sessions}.",
                    help="End these transactions, and run `zmart migrate` again.",
                ) from busy
            report(f"The tables are in use. Trying again while these transactions are open: {sessions}.")
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return


def check_history(history: Sequence[AppliedMigration], *, directory: Traversable | None = None) -> None:
    """Raise ConfigurationError for a history of migrations that this release cannot continue, as a newer release's."""
    plan_migrations(read_files(directory), history, {})


def pending_migrations(dsn: str, *, directory: Traversable | None = None) -> list[str]:
    """Return the names of the files that `migrate` would apply, without applying them."""
    with (
        translate_errors(),
        connect_sync(dsn, application_name="zmart migrate", statement_timeout_seconds=0, autocommit=True) as connection,
    ):
        history = _applied_migrations(connection) if _exists(connection, _SQL.has_history) else []
        functions = _applied_functions(connection) if _exists(connection, _SQL.has_function_history) else {}
    return plan_migrations(read_files(directory), history, functions).names


def prepare(dsn: str) -> list[str]:
    """Create roles and grants as far as the connection may; return the missing ones as SQL."""
    text = resources.files("zmart.db").joinpath("roles.sql").read_text(encoding="utf-8")
    missing: list[str] = []
    with (
        translate_errors(),
        connect_sync(dsn, application_name="zmart migrate", statement_timeout_seconds=0, autocommit=True) as connection,
    ):
        connection.add_notice_handler(lambda notice: missing.append(notice.message_primary or ""))
        connection.execute(_SQL.disable_timeouts)
        connection.execute(text)
    return missing


def plan_migrations(
    files: SchemaFiles, history: Sequence[AppliedMigration], functions: Mapping[str, str]
) -> MigrationPlan:
    """Choose the files to apply; raise ConfigurationError for a history that does not match the files.

    `functions` holds the checksum of each function file that was applied, by name.
    """
    changed = [file for file in files.functions if functions.get(file.name) != file.checksum]
    if not history and files.schema is not None:
        return MigrationPlan(schema=files.schema, functions=changed)
    earlier = [row for row in history if row.version <= _newest_replaced(files)]
    later = [row for row in history if row.version > _newest_replaced(files)]
    by_version = {migration.version: migration for migration in files.migrations}
    for row in later:
        _check_unchanged(row, by_version.get(row.version))
    return MigrationPlan(
        migrations=_pending(files.migrations, history),
        functions=changed,
        doubt=_doubt_earlier(files, earlier) if earlier and not later else None,
    )


def _newest_replaced(files: SchemaFiles) -> int:
    return max(map(files.earlier.version_of, files.earlier.files), default=0)


def _pending(migrations: Sequence[Migration], history: Sequence[AppliedMigration]) -> list[Migration]:
    newest = max((row.version for row in history), default=0)
    applied = {row.version for row in history}
    pending = [migration for migration in migrations if migration.version not in applied]
    for migration in pending:
        if migration.version < newest:
            raise errors.ConfigurationError(
                f"{migration.name} is new, but this database is already at {newest:04}.",
                help="Rename it to the next free number.",
            )
    return pending


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


def _doubt_earlier(files: SchemaFiles, rows: Sequence[AppliedMigration]) -> str | None:
    """Return a file whose checksum is not the known one; refuse a database that is too old to be upgraded."""
    newest = max(row.version for row in rows)
    if newest not in files.earlier.objects:
        oldest = min(files.earlier.objects)
        raise errors.ConfigurationError(
            f"This database is at {newest:04}; this version upgrades databases at {oldest:04} and later.",
            help="Save it with pg_dump, upgrade it with the version before this one, then run `zmart migrate` again.",
        )
    expected = {name for name in files.earlier.files if files.earlier.version_of(name) <= newest}
    found = {row.name: row.checksum for row in rows}
    for name in sorted(expected | found.keys()):
        if found.get(name) != files.earlier.files.get(name):
            return name
    return None


def _check_earlier_schema(connection: SyncConnection, files: SchemaFiles, doubtful: str) -> None:
    """Refuse an earlier history with an unknown file, unless the schema is the one that the known files make."""
    newest = max(row.version for row in _applied_migrations(connection))
    expected = files.earlier.objects[newest]
    found = describe_objects(connection)
    differing = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if not differing:
        return
    examples = ", ".join(differing[:3]) + (f" and {len(differing) - 3} more" if len(differing) > 3 else "")
    raise errors.ConfigurationError(
        f"{doubtful} was applied here with another text, and the schema is not that of {newest:04}: {examples}.",
        help="Nothing was changed. Save this database with pg_dump. Then give these objects the definitions that they "
        f"have in an unchanged database at {newest:04}, and run `zmart migrate` again.",
    )


def describe_objects(connection: SyncConnection) -> dict[str, str]:
    """Return the tables, views and functions of ours: the first 8 hex digits of each definition's SHA-256, by name."""
    rows = connection.execute(_SQL.describe_objects)
    return {name: hashlib.sha256(definition.encode()).hexdigest()[:8] for name, definition in rows}


def _refuse_running_services(connection: SyncConnection) -> None:
    row = connection.execute(_SQL.running_services).fetchone()
    if row is not None:
        raise errors.ConfigurationError(
            f"Services of the version before are still connected: {', '.join(row[0])}.",
            help="Stop ingest, API and Dagster, which cannot run with the new schema, and run `zmart migrate` again. "
            "Nothing was changed; deliveries that fail meanwhile are sent again.",
        )


@contextmanager
def _deployment_lock(dsn: str) -> Iterator[SyncConnection]:
    with _owner_connection(dsn) as guard, _owner_connection(dsn) as connection:
        _create_history(guard)
        with guard.transaction():
            guard.execute(_SQL.limit_deployment_wait)
            try:
                guard.execute(_SQL.lock_deployments)
            except psycopg.errors.LockNotAvailable as busy:
                raise errors.Unavailable(
                    "Another `zmart migrate` has been changing this database for an hour.",
                    help="Look at it: select * from pg_stat_activity where application_name = 'zmart migrate'.",
                ) from busy
            yield connection


@contextmanager
def _owner_connection(dsn: str) -> Iterator[SyncConnection]:
    with connect_sync(
        dsn, application_name="zmart migrate", statement_timeout_seconds=0, autocommit=True
    ) as connection:
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


def _exists(connection: SyncConnection, statement: str) -> bool:
    return connection.execute(statement).fetchone() == (True,)


def _applied_migrations(connection: SyncConnection) -> list[AppliedMigration]:
    rows = connection.execute(_SQL.history)
    return [AppliedMigration(version=row[0], name=row[1], checksum=row[2]) for row in rows]


def _applied_functions(connection: SyncConnection) -> dict[str, str]:
    return dict(connection.execute(_SQL.function_history).fetchall())


def _apply(connection: SyncConnection, files: SchemaFiles, plan: MigrationPlan) -> None:
    for file in (*([plan.schema] if plan.schema else []), *plan.migrations, *plan.functions):
        _execute(connection, file)
    for migration in files.migrations if plan.schema else plan.migrations:
        connection.execute(_SQL.record_migration, _history_row(migration))
    for file in plan.functions:
        connection.execute(_SQL.record_function, {"name": file.name, "checksum": file.checksum})
    connection.execute(_SQL.forget_functions, {"names": [file.name for file in files.functions]})
    if any(file.name.startswith("folds.") for file in plan.functions):
        connection.execute(_SQL.regenerate_model_functions)


def _execute(connection: SyncConnection, file: SqlFile) -> None:
    try:
        connection.execute(file.text)
    except (psycopg.ProgrammingError, psycopg.DataError, psycopg.IntegrityError) as error:
        raise errors.ConfigurationError(
            f"{file.name} failed and was rolled back: {_describe_failure(error, file.text)}.",
            help="Correct the file, or the data that it failed on, and run `zmart migrate` again.",
        ) from error


def _describe_failure(error: psycopg.Error, text: str) -> str:
    """Return the server's message on one line, with the line of the file where the server names a place in it."""
    diagnosis = error.diag
    place = diagnosis.statement_position
    line = f" (line {text.count(chr(10), 0, int(place) - 1) + 1})" if place else ""
    message = f"{diagnosis.message_primary or error}{line}"
    words = f"{message}: {diagnosis.message_detail}".split() if diagnosis.message_detail else message.split()
    return " ".join(words).removesuffix(".")


def _check_functions(connection: SyncConnection, files: SchemaFiles) -> None:
    if not files.functions:
        return
    unknown = [name for (name,) in connection.execute(_SQL.unknown_functions, {"names": files.function_names})]
    if unknown:
        raise errors.ConfigurationError(
            f"The database has functions that no file of zmart/db/functions defines: {', '.join(unknown)}.",
            help="Nothing was changed. Drop them, or move them to a schema of your own, and run `zmart migrate` again.",
        )


def _history_row(migration: Migration) -> dict[str, object]:
    return {
        "version": migration.version,
        "name": migration.name,
        "checksum": migration.checksum,
    }
