"""Restores a backup into an empty database.

Everything that can be refused is refused before the first change: half a backup, a changed byte, a backup of a newer
release or server, a database that is not empty, processes that are connected to it. The rows are restored in one
transaction, so that a failure leaves the database as empty as it was.

The restored log begins a new epoch, because entries after the backup are lost: a position that a client has may be that
of a lost entry. Keepers wait until the log has caught up with the chain (`hold_keepers`), because transactions that
they sent after the backup are in no row of it.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from zmart import errors
from zmart.db import migrate, queries
from zmart.db.connection import SyncConnection, connect_sync, translate_errors
from zmart.settings import Settings, dsn_with_role

from ..postgres import client_programs
from ..postgres.embedded import SUPERUSER, EmbeddedPostgres
from ..supervisor import state_file
from . import dump, manifest
from .dump import Report, ignore_progress
from .manifest import Manifest

_SQL = queries.load("zmart.run.backup", "backup.sql")
_OWNER = "zmart_owner"


@dataclass(frozen=True, kw_only=True)
class Target:
    """The database that receives the backup."""

    #: A login that may create roles and act as zmart_owner: the superuser, or the user of DATABASE_URL.
    admin_dsn: str = field(repr=False)
    #: A login that acts as zmart_owner.
    owner_dsn: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A restored log."""

    manifest: Manifest
    #: The epoch that began with the restore.
    epoch: str
    #: Grants that the login could not make, as SQL for an administrator.
    missing: list[str]


def check(folder: Path, *, report: Report = ignore_progress) -> Manifest:
    """Verify a backup as far as files show: manifest, size, SHA-256, list of tables, release. Return its manifest.

    Raise NotFound or ConfigurationError with the reason.
    """
    facts = manifest.read(folder)
    migrate.check_history(_migrations_of(facts))
    manifest.check_dump(folder, facts, report=lambda done, of: report("verifying", done, of))
    listed = dump.listed_tables(folder / manifest.DUMP, server_major=facts.server_major)
    if missing := facts.tables.keys() - listed:
        raise errors.ConfigurationError(
            f"The dump in {folder} lacks {', '.join(sorted(missing))}.", help="Use another backup."
        )
    return facts


def _migrations_of(facts: Manifest) -> list[migrate.AppliedMigration]:
    return [
        migrate.AppliedMigration(version=file.version, name=file.name, checksum=file.checksum)
        for file in facts.migrations
    ]


@contextlib.contextmanager
def open_target(settings: Settings, into: str | None) -> Iterator[Target]:
    """Yield the database to restore into, and prevent `zmart up` from using its state directory meanwhile.

    `into` is a state directory, whose embedded server runs only for this, or a URI without a password; None means the
    configured database. Raise InvalidInput for a URI with a password, and Conflict where `zmart up` runs.
    """
    if into is not None and "://" in into:
        if urlsplit(into).password:
            raise errors.InvalidInput(
                "--into has a password, which the process list shows to every account of this machine.",
                help="Remove it from the URI and set PGPASSWORD, or set DATABASE_URL and omit --into.",
            )
        yield Target(admin_dsn=into, owner_dsn=dsn_with_role(into, _OWNER))
        return
    state_dir = settings.state_dir if into is None else Path(into).absolute()
    with state_file.hold_lock(state_dir):
        if into is None and settings.postgres.url is not None:
            yield Target(admin_dsn=settings.postgres.url.reveal(), owner_dsn=settings.postgres.dsn())
        else:
            with EmbeddedPostgres(state_dir) as server:
                yield Target(admin_dsn=server.dsn(SUPERUSER), owner_dsn=server.dsn())


def restore(folder: Path, target: Target, *, report: Report = ignore_progress) -> Restored:
    """Restore the backup in `folder`, begin a new epoch, and let keepers wait for the chain.

    Raise ConfigurationError, NotFound or Conflict before any change, and Permanent where pg_restore fails; the database
    is then empty.
    """
    facts = check(folder, report=report)
    with translate_errors():
        with _connect(target.admin_dsn) as admin:
            _check_target(admin, facts)
            program = client_programs.find_program("pg_restore", server_major=max(_major(admin), facts.server_major))
            missing = migrate.prepare(target.admin_dsn)
            _create_extensions(admin, facts)
        _load(program, target.admin_dsn, folder, facts, report)
        with _connect(target.admin_dsn) as admin:
            _check_rows(admin, facts, report)
        with _connect(target.owner_dsn) as owner:
            epoch = begin_epoch(owner, facts)
            _analyze(owner, facts, report)
    return Restored(manifest=facts, epoch=epoch, missing=missing)


def _connect(dsn: str) -> SyncConnection:
    connection = connect_sync(dsn, application_name="zmart restore", statement_timeout_seconds=0, autocommit=True)
    connection.execute(_SQL.disable_timeouts)
    return connection


def _major(connection: SyncConnection) -> int:
    return connection.info.server_version // 10_000


def _check_target(connection: SyncConnection, facts: Manifest) -> None:
    if _major(connection) < facts.server_major:
        raise errors.ConfigurationError(
            f"The backup is from Postgres {facts.server_major}, and this server is Postgres {_major(connection)}.",
            help=f"Restore it into Postgres {facts.server_major} or newer.",
        )
    _require_unused(connection, facts)


def _require_unused(connection: SyncConnection, facts: Manifest) -> None:
    """Raise Conflict where the database has one of the schemas, or a process of ours is connected to it."""
    existing = [name for (name,) in connection.execute(_SQL.existing_schemas, {"schemas": facts.schemas})]
    if existing:
        raise errors.Conflict(
            f"The database is not empty: it has the schemas {', '.join(existing)}.",
            help="Restore into a new database, or into an empty state directory: --into FOLDER",
        )
    connected = [f"{name} ({count})" for name, count in connection.execute(_SQL.other_processes)]
    if connected:
        raise errors.Conflict(
            f"Processes are connected to this database: {', '.join(connected)}.", help="Stop them, then restore."
        )


def _create_extensions(connection: SyncConnection, facts: Manifest) -> None:
    for extension, schema in facts.extensions.items():
        if connection.execute("select from pg_extension where extname = %s", (extension,)).fetchone() is not None:
            continue
        connection.execute(sql.SQL("create schema if not exists {}").format(sql.Identifier(schema)))
        statement = sql.SQL("create extension {} with schema {}")
        connection.execute(statement.format(sql.Identifier(extension), sql.Identifier(schema)))


def _load(program: client_programs.ClientProgram, dsn: str, folder: Path, facts: Manifest, report: Report) -> None:
    options, environ = client_programs.invocation(dsn)
    if "PGDATABASE" not in environ:
        raise errors.InvalidInput("The address has no name of a database.", help="Add it: postgresql://host/NAME")
    command = [
        str(program.path),
        "--single-transaction",
        "--exit-on-error",
        "--verbose",
        *(options or ["--dbname", environ["PGDATABASE"]]),
        str(folder / manifest.DUMP),
    ]
    dump.run_program(command, environ, facts.tables, "restoring", report)


def _check_rows(connection: SyncConnection, facts: Manifest, report: Report) -> None:
    """Compare the number of rows of every table with the manifest; empty the database again where one differs."""
    with connection.transaction():
        found = dump.count_rows(connection, facts.schemas, report)
    if found == facts.tables:
        return
    differing = sorted(name for name in found.keys() | facts.tables.keys() if found.get(name) != facts.tables.get(name))
    for schema in facts.schemas:
        connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))
    raise errors.Permanent(
        f"The restored tables differ from the manifest ({', '.join(differing)}), so they were removed again.",
        help="Use another backup.",
    )


def begin_epoch(owner: SyncConnection, facts: Manifest) -> str:
    """Begin an epoch on a connection that acts as the owner, let keepers wait, and record both; return the epoch."""
    with owner.transaction():
        owner.execute(_SQL.default_privileges)
        owner.execute(_SQL.forget_identity)
        (epoch,) = owner.execute(_SQL.begin_epoch).fetchone() or ("",)
        owner.execute(_SQL.hold_keepers)
        _record(owner, facts, epoch)
    return str(epoch)


def _record(owner: SyncConnection, facts: Manifest, epoch: str) -> None:
    details: dict[str, Any] = {"created_at": facts.created_at, "release": facts.release, "sha256": facts.sha256}
    values = {
        "who": _account(),
        "subject": facts.position,
        "reason": f"The database was restored from a backup of {facts.created_at}.",
        "details": json.dumps({**details, "epoch": epoch}),
    }
    owner.execute(_SQL.record_restore, values)


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.geteuid())


def _analyze(owner: SyncConnection, facts: Manifest, report: Report) -> None:
    """Collect statistics, which a dump does not contain and without which the first folds choose slow plans."""
    for done, name in enumerate(facts.tables, start=1):
        schema, table = name.split(".", 1)
        with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
            owner.execute(sql.SQL("analyze {}").format(sql.Identifier(schema, table)))
        report("analyzing", done, len(facts.tables))
