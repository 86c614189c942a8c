"""Deploys the dbt models, rebuilds marts from the log, and verifies that live marts equal their rebuild.

`deploy` lets dbt compile the models and install those that changed (an unchanged model is a no-op). `rebuild` and
`verify` need no dbt: the deployment stores the compiled select of every folded model in `ops.models`, and the functions
`folds.rebuild` and `folds.differences` use that. A rebuild replaces only rows that differ, in place, so that readers
and views are not affected; it reports the number of rows that differed. Scheduled marts (leaderboards, histories) are
recomputed in the same way, from `ops.scheduled_models`; each records the seq up to which it is complete.

dbt reads its connection from libpq's variables and has global state in its process. It therefore runs in a child
process (`python -m zmart.run.deploy.rebuild`), whose memory is also freed at its end.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg import sql as composed

from zmart import errors, settings
from zmart.db import queries
from zmart.db.connection import connect_sync, translate_errors, with_session_options
from zmart.run.deploy.manifest_cache import Manifest, ManifestCache, read_dbt_manifest

sql = queries.load("zmart.run.deploy", "rebuild.sql")

#: The folder of dbt_project.yml: the models are part of the checkout, not of the wheel.
PROJECT = Path(__file__).resolve().parents[3]
SOURCES = ("dbt_project.yml", "sql_models/**/*", "sql_macros/**/*")

DEFAULT_VOTING_WINDOW_SECONDS = 259_200

#: Models rebuilt at the same time, at most: each occupies one processor of the server.
MAX_PARALLEL_REBUILDS = 4

#: Attempts of a deployment whose swap of a table is blocked by a reader, and the pause between them.
DEPLOY_ATTEMPTS = 10
RETRY_SECONDS = 3.0

#: How often a deployment asks whether the history of a promoted server is confirmed.
IDENTITY_POLL_SECONDS = 0.2

#: A model that cannot process some event fails with one of these; a server that is unavailable raises other errors.
_MODEL_ERRORS = (psycopg.DataError, psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.InternalError)

_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    # The role to act as on an external server, and the options that every connection sets.
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
}


@dataclass(frozen=True, kw_only=True)
class MartCheck:
    """The result of comparing one folded mart with a rebuild."""

    name: str
    #: Rows that differ, both ways, over all columns.
    differing_rows: int
    rows: int
    #: Why the mart had stopped following the log, or empty.
    stale_reason: str
    #: Why the model cannot fold the whole log, or empty; rows are not compared then.
    fold_error: str = ""

    @property
    def is_consistent(self) -> bool:
        """Return whether the mart follows the log and equals its rebuild."""
        return self.differing_rows == 0 and not self.stale_reason and not self.fold_error

    @property
    def remedy(self) -> str:
        """Return the next step as a sentence; empty when nothing has to be done."""
        if self.fold_error:
            return f"Correct the model {self.name}, then run: zmart migrate && zmart rebuild {self.name}"
        return "" if self.is_consistent else f"Run: zmart rebuild {self.name}"


def deploy(dsn: str, *, voting_window_seconds: int = DEFAULT_VOTING_WINDOW_SECONDS, always: bool = False) -> bool:
    """Install the models on a migrated database, as its owner; return whether dbt had to run.

    Skip the deployment when the same sources were deployed here before and every model is healthy, unless `always`.
    Raise ConfigurationError with dbt's output when a model does not build; the models that were live stay live.
    """
    digest = sources_digest()
    with _owner_connection(dsn) as connection:
        _confirm_identity(connection)
        connection.execute(sql.prepare_trials)
        connection.execute(
            sql.set_setting,
            {"name": "dispute_voting_window_seconds", "value": voting_window_seconds},
        )
        deployed = connection.execute(sql.deployed_digest).fetchone()
        stale = [name for name, is_stale, *_ in connection.execute(sql.models) if is_stale]
    if deployed == (digest,) and not stale and not always:
        return False
    build_models(dsn)
    with _owner_connection(dsn) as connection:
        connection.execute(sql.record_deployed_digest, {"digest": digest})
    return True


def build_models(
    dsn: str, arguments: Sequence[str] = ("run",), *, target: Path | None = None, attempts: int = DEPLOY_ATTEMPTS
) -> None:
    """Run dbt in a child process against the database at `dsn`; it writes its files below `target`.

    Raise ConfigurationError with the end of its output.
    """
    target = target or dbt_folder()
    digest = sources_digest()
    run = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "zmart.run.deploy.rebuild", *arguments],
        env={**dbt_environment(dsn), "DBT_TARGET_PATH": str(target)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode and "lock timeout" in run.stdout + run.stderr and attempts > 1:
        # A reader blocked the swap of a table; the swap gave up its lock, so that the log did not wait.
        time.sleep(RETRY_SECONDS)
        build_models(dsn, arguments, target=target, attempts=attempts - 1)
        return
    if run.returncode:
        output = "\n".join((run.stdout + run.stderr).strip().splitlines()[-40:])
        raise errors.ConfigurationError(
            f"dbt could not build the models:\n{output}\n",
            help="Correct the model named above, then run: zmart migrate",
        )
    if arguments[0] in ("run", "build"):
        create_indexes(dsn)
    # Every dbt run reads all models, so that its manifest saves a separate parse.
    manifest_text = read_dbt_manifest(target / "manifest.json")
    if manifest_text is not None and sources_digest() == digest:
        ManifestCache(folder=dbt_folder()).store(manifest_text, digest)


def load_manifest() -> Manifest:
    """Return dbt's manifest of the models in this checkout; raise ConfigurationError when they do not parse."""
    found = ManifestCache(folder=dbt_folder()).read(sources_digest())
    if found is None:
        with tempfile.TemporaryDirectory(dir=_parsing_folder(), prefix="parse-") as folder:
            build_models("", ("parse",), target=Path(folder))
            found = read_dbt_manifest(Path(folder) / "manifest.json")
    if found is None:
        raise errors.ConfigurationError(
            "dbt parsed the models but wrote no manifest.", help="See the output of: zmart migrate"
        )
    return found


def create_indexes(dsn: str) -> list[str]:
    """Create the indexes that the models declare on live marts; return the executed statements.

    Each index is created while reads and writes continue, which is not possible in a transaction. A newly built table
    has its indexes already.
    """
    with _owner_connection(dsn) as connection:
        statements = [str(text) for (text,) in connection.execute(sql.index_changes)]
        for statement in statements:
            connection.execute(statement.encode())
    return statements


def dbt_environment(dsn: str) -> dict[str, str]:
    """Return the process environment with libpq's variables set for `dsn`."""
    parts = conninfo.conninfo_to_dict(dsn)
    parts["options"] = with_session_options(str(parts.get("options") or ""))
    named = {variable: str(parts[key]) for key, variable in _LIBPQ.items() if parts.get(key) is not None}
    return {
        **os.environ,
        "DBT_TARGET_PATH": str(dbt_folder()),
        "DBT_LOG_PATH": str(dbt_folder()),
        **named,
    }


def _parsing_folder() -> Path | None:
    """Return the folder that dbt works in; None, for the system's temporary folder, where it cannot be created."""
    try:
        dbt_folder().mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return dbt_folder() if os.access(dbt_folder(), os.W_OK) else None


def dbt_folder() -> Path:
    """Return the folder that dbt works in."""
    return settings.state_dir() / "dbt"


def rebuild(dsn: str, names: Sequence[str] = (), *, report: Callable[[str], None] = print) -> int:
    """Rebuild folded models from the whole log, all or the named, then refresh; return how many folded rows differed.

    Each model is one transaction, and up to one per processor run at the same time, the largest first. A step that
    several of them share is computed once, before them and beside the others. The log waits only while a difference is
    merged. Raise NotFound for an unknown name and, after the other models,
    ConfigurationError for a model that cannot fold the log.
    """
    with _owner_connection(dsn) as connection:
        folded, scheduled = _select_marts(connection, names)
        folded.sort(key=lambda name: -_query_integer(connection, sql.mart_size, name))
        broken: dict[str, str] = {}
        total = 0
        for name, outcome in _rebuild_folded(connection, dsn, folded):
            if isinstance(outcome, int):
                report(f"{name}: rebuilt, {outcome:,} rows differed")
                total += outcome
            else:
                broken[name] = _error_summary(outcome)
                report(f"{name}: not rebuilt, {broken[name]}")
    if scheduled:
        refresh(dsn, scheduled, report=report)
    if broken:
        raise errors.ConfigurationError(
            f"Not rebuilt: {', '.join(f'{name} ({why})' for name, why in broken.items())}.",
            help=f"Correct the SQL of these models, then run: zmart migrate && zmart rebuild {' '.join(broken)}",
        )
    return total


@dataclass(frozen=True)
class _StagedRows:
    """The rows of a step that models share, in a table that lives as long as the session that made it."""

    table: str | None = None
    to: int | None = None


def _rebuild_folded(
    connection: psycopg.Connection[tuple[object, ...]], dsn: str, names: Sequence[str]
) -> Iterator[tuple[str, int | psycopg.Error]]:
    """Rebuild models in this order; yield each with the rows that differed, or the error of its model."""
    step, sharing = _select_shared_step(connection, names)
    ready = [name for name in names if name not in sharing]
    workers = min(os.cpu_count() or 1, MAX_PARALLEL_REBUILDS)
    rows = _StagedRows()
    running: dict[Future[int], str] = {}
    with ThreadPoolExecutor(workers + 1, thread_name_prefix="rebuild") as pool:
        staging = pool.submit(_stage_rows, connection, step) if step else None
        try:
            while ready or running or staging is not None:
                while ready and len(running) + (staging is not None) < workers:
                    name = ready.pop(0)
                    source = rows if name in sharing else _StagedRows()
                    running[pool.submit(_rebuild_one, dsn, name, source)] = name
                done, _ = wait(_in_flight(running, staging), return_when=FIRST_COMPLETED)
                if staging in done:
                    assert staging is not None
                    # Where the step itself fails, each of its models is tried alone, and reports the failure.
                    rows = _StagedRows() if isinstance(staging.exception(), _MODEL_ERRORS) else staging.result()
                    ready[:0] = [name for name in names if name in sharing]
                    staging = None
                for future in done & running.keys():
                    error = future.exception()
                    yield running.pop(future), error if isinstance(error, _MODEL_ERRORS) else future.result()
        finally:
            wait(_in_flight(running, staging))
            if step:
                connection.execute(sql.drop_staged_rows)


def _in_flight(running: Iterable[Future[int]], staging: Future[_StagedRows] | None) -> list[Future[Any]]:
    return [*running, *([] if staging is None else [staging])]


def _select_shared_step(
    connection: psycopg.Connection[tuple[object, ...]], names: Sequence[str]
) -> tuple[str, frozenset[str]]:
    """Return the step that most of these models share, with its models; nothing where no two share one."""
    models: dict[str, set[str]] = {}
    for name, step in connection.execute(sql.staged_models):
        if name in names:
            models.setdefault(str(step), set()).add(str(name))
    step = max(models, key=lambda one: len(models[one]), default="")
    return (step, frozenset(models[step])) if step and len(models[step]) > 1 else ("", frozenset())


def _stage_rows(connection: psycopg.Connection[tuple[object, ...]], step: str) -> _StagedRows:
    row = connection.execute(sql.stage_rows, {"step": step}).fetchone()
    assert row is not None
    return _StagedRows(str(row[0]), int(str(row[1])))


def _rebuild_one(dsn: str, name: str, rows: _StagedRows, *, attempts: int = DEPLOY_ATTEMPTS) -> int:
    try:
        with _owner_connection(dsn) as connection:
            return _query_integer(connection, sql.rebuild, name, rows=rows.table, to=rows.to)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        # The log waits during the merge, so the merge does not wait for a lock longer than raw.take_writer allows.
        if attempts <= 1:
            raise
        time.sleep(RETRY_SECONDS)
        return _rebuild_one(dsn, name, rows, attempts=attempts - 1)


def refresh(dsn: str, names: Sequence[str] = (), *, report: Callable[[str], None] = print) -> dict[str, int]:
    """Recompute scheduled marts, all or the named, on one snapshot; return the rows written by name.

    Wait for other refreshes that run at the same time. Raise NotFound for an unknown name and ConfigurationError for a
    model whose SQL fails; all marts are then unchanged.
    """
    changed: dict[str, int] = {}
    with _owner_connection(dsn, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # Before the first query, so that the snapshot is newer than the last refresh.
        connection.execute(sql.lock_refresh)
        _, scheduled = _select_marts(connection, names, only_scheduled=True)
        for name in scheduled:
            try:
                changed[name] = _query_integer(connection, sql.refresh, name)
            except _MODEL_ERRORS as error:
                raise errors.ConfigurationError(
                    f"The mart {name} cannot be refreshed: {_error_summary(error)}.",
                    help=f"Correct its SQL, then run: zmart migrate && zmart rebuild {name}",
                ) from error
        connection.commit()
    for name, rows in changed.items():
        report(f"{name}: refreshed, {rows:,} rows changed")
    return changed


def verify(dsn: str, names: Sequence[str] = ()) -> Iterator[MartCheck]:
    """Compare each folded mart with a rebuild, all on one snapshot, without changing anything."""
    with _owner_connection(dsn, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        chosen, _ = _select_marts(connection, names)
        reasons = {
            name: reason for name, is_stale, _, behind, reason in connection.execute(sql.models) if is_stale or behind
        }
        for name in chosen:
            differing, broken_because = _count_differences(connection, name)
            yield MartCheck(
                name=name,
                differing_rows=differing,
                rows=_count_rows(connection, name),
                stale_reason=str(reasons.get(name, "")),
                fold_error=broken_because,
            )
        connection.rollback()


def sources_digest() -> str:
    """Return the SHA-256 of the models' sources, so that an unchanged deployment needs no dbt."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(PROJECT.glob(pattern)):
            if path.is_file():
                digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _confirm_identity(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Return when the log has an epoch; on a promoted server other processes may first prove that nothing is lost."""
    while connection.execute(sql.confirm_identity).fetchone() == (None,):
        time.sleep(IDENTITY_POLL_SECONDS)


def _owner_connection(dsn: str, *, autocommit: bool = True) -> psycopg.Connection[tuple[object, ...]]:
    with translate_errors():
        return connect_sync(dsn, application_name="zmart rebuild", statement_timeout_seconds=0, autocommit=autocommit)


def _select_marts(
    connection: psycopg.Connection[tuple[object, ...]], names: Sequence[str], *, only_scheduled: bool = False
) -> tuple[list[str], list[str]]:
    """Return the folded and scheduled marts among `names`, or all; a scheduled mart comes after those it reads."""
    folded = [] if only_scheduled else [str(name) for name, *_ in connection.execute(sql.models)]
    scheduled = [str(name) for (name,) in connection.execute(sql.scheduled_marts)]
    known = [*folded, *scheduled]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise errors.NotFound(f"There is no model {unknown[0]!r}; there are: {', '.join(known) or 'none yet'}.")
    selected = set(names or known)
    return [name for name in folded if name in selected], [name for name in scheduled if name in selected]


def _count_differences(connection: psycopg.Connection[tuple[object, ...]], name: str) -> tuple[int, str]:
    try:
        with connection.transaction():
            return _query_integer(connection, sql.count_differences, name), ""
    except _MODEL_ERRORS as error:
        return 0, _error_summary(error)


def _error_summary(error: psycopg.Error) -> str:
    """Return the error message without the statement that failed."""
    return error.diag.message_primary or str(error).splitlines()[0]


def _query_integer(
    connection: psycopg.Connection[tuple[object, ...]], statement: str, name: str, **parameters: object
) -> int:
    row = connection.execute(statement, {"name": name, **parameters}).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def _count_rows(connection: psycopg.Connection[tuple[object, ...]], name: str) -> int:
    statement = composed.SQL(sql.count_rows).format(mart=composed.Identifier(name))
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(str(row[0]))


def main(arguments: Sequence[str]) -> int:
    """Run dbt in this process with our project and profile; return the exit status."""
    from dbt.cli.main import dbtRunner

    options = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    outcome = dbtRunner().invoke([*arguments, *options, "--log-level-file", "none", "--no-use-colors"])
    if outcome.exception is not None:
        sys.stderr.write(f"{outcome.exception}\n")
    return 0 if outcome.success else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
