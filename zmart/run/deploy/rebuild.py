"""Marts from the log: deploy the models, fold one again, prove that live equals rebuilt.

`deploy` lets dbt compile the models and install what changed (an unchanged one is a no-op). `rebuild` and
`verify` need no dbt: every folded model left its compiled select in `ops.models`, and the functions
`folds.rebuild` and `folds.differences` work from that. A rebuild replaces only rows that differ, in place, so
that readers and views notice nothing; the number of rows that differed is its report. Refreshed marts (leaderboards,
histories) are computed again the same way, from `ops.refreshed`; each says up to which seq it answers.

dbt reads its connection from libpq's variables and keeps state of its own in the process. So it runs in a child
(`python -m zmart.run.deploy.rebuild`), which also gives its memory back.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo
from psycopg import sql as composed

from zmart import errors, settings
from zmart.db import pool, queries
from zmart.run.deploy.manifest_cache import Kept, Manifest, written

sql = queries.load("zmart.run.deploy", "rebuild.sql")

#: Where dbt_project.yml stands: the models are part of the checkout, not of the wheel.
PROJECT = Path(__file__).resolve().parents[3]
SOURCES = ("dbt_project.yml", "sql_models/**/*", "sql_macros/**/*")

DEFAULT_VOTING_WINDOW_SECONDS = 259_200

#: How many models are rebuilt at once, at most: each keeps one processor of the server busy.
AT_ONCE = 4

#: How often a deployment is tried that met a reader in the way of a swap, and the pause between.
PATIENCE = 10
RETRY_SECONDS = 3.0

#: A model that cannot take some event fails with one of these; a server that is away is something else.
_MODELS_FAULT = (psycopg.DataError, psycopg.ProgrammingError, psycopg.IntegrityError, psycopg.InternalError)

_LIBPQ = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "dbname": "PGDATABASE",
    # The role to act as, on a server of yours, and what every connection sets.
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One folded mart held against a rebuild."""

    name: str
    #: Rows that differ, both ways, over all columns.
    differing_rows: int
    rows: int
    #: Why it had stopped following the log, or empty.
    stale_because: str
    #: Why the model cannot fold the whole log, or empty; rows are not compared then.
    broken_because: str = ""

    @property
    def holds(self) -> bool:
        """Whether the mart follows the log and equals its rebuild."""
        return self.differing_rows == 0 and not self.stale_because and not self.broken_because

    @property
    def remedy(self) -> str:
        """What to do next, as a sentence; empty when nothing has to be done."""
        if self.broken_because:
            return f"Mend the model {self.name}, then run: zmart migrate && zmart rebuild {self.name}"
        return "" if self.holds else f"Run: zmart rebuild {self.name}"


def deploy(dsn: str, *, voting_window_seconds: int = DEFAULT_VOTING_WINDOW_SECONDS, always: bool = False) -> bool:
    """Install the models on a migrated database, as its owner; return whether dbt had to run.

    Skipped when the same sources were deployed here before and every model is healthy, unless `always`. Raises
    ConfigurationError with dbt's words when a model does not build; what was live stays live.
    """
    digest = sources_digest()
    with _owner(dsn) as connection:
        connection.execute(sql.renew_identity)
        connection.execute(
            sql.set_setting,
            {"name": "dispute_voting_window_seconds", "value": voting_window_seconds},
        )
        known = connection.execute(sql.deployed).fetchone()
        stale = [name for name, is_stale, *_ in connection.execute(sql.models) if is_stale]
    if known == (digest,) and not stale and not always:
        return False
    build(dsn)
    with _owner(dsn) as connection:
        connection.execute(sql.remember_deployed, {"digest": digest})
    return True


def build(
    dsn: str, arguments: Sequence[str] = ("run",), *, target: Path | None = None, patience: int = PATIENCE
) -> None:
    """Run dbt in a child against the database at `dsn`; it writes what it makes of the models below `target`.

    Raises ConfigurationError with the end of its output.
    """
    target = target or _scratch()
    digest = sources_digest()
    run = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "zmart.run.deploy.rebuild", *arguments],
        env={**environment(dsn), "DBT_TARGET_PATH": str(target)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode and "lock timeout" in run.stdout + run.stderr and patience > 1:
        # A reader was in the way of a swap; the log was not kept waiting for it.
        time.sleep(RETRY_SECONDS)
        build(dsn, arguments, target=target, patience=patience - 1)
        return
    if run.returncode:
        said = "\n".join((run.stdout + run.stderr).strip().splitlines()[-40:])
        raise errors.ConfigurationError(
            f"dbt could not build the models:\n{said}\n",
            help="Mend the model named above, then run: zmart migrate",
        )
    if arguments[0] in ("run", "build"):
        index(dsn)
    # Every dbt reads all models, so that nobody has to parse them for their manifest alone.
    known = written(target / "manifest.json")
    if known is not None and sources_digest() == digest:
        Kept(folder=_scratch()).keep(known, digest)


def manifest() -> Manifest:
    """Return what dbt knows of the models in this checkout; raises ConfigurationError when they do not parse."""
    known = Kept(folder=_scratch()).read(sources_digest())
    if known is None:
        with tempfile.TemporaryDirectory(dir=_parsing_folder(), prefix="parse-") as alone:
            build("", ("parse",), target=Path(alone))
            known = written(Path(alone) / "manifest.json")
    if known is None:
        raise errors.ConfigurationError(
            "dbt read the models and left no manifest.", help="Look at the output of: zmart migrate"
        )
    return known


def index(dsn: str) -> list[str]:
    """Give live marts the indexes that their models ask for; return the statements that took.

    Each is made while reads and writes go on, which no transaction can; a table built anew has its indexes already.
    """
    with _owner(dsn) as connection:
        statements = [str(text) for (text,) in connection.execute(sql.index_changes)]
        for statement in statements:
            connection.execute(statement.encode())
    return statements


def environment(dsn: str) -> dict[str, str]:
    """The process environment with libpq's variables set for `dsn`."""
    parts = conninfo.conninfo_to_dict(dsn)
    parts["options"] = pool.with_session_options(str(parts.get("options") or ""))
    named = {variable: str(parts[key]) for key, variable in _LIBPQ.items() if parts.get(key) is not None}
    return {
        **os.environ,
        "DBT_TARGET_PATH": str(_scratch()),
        "DBT_LOG_PATH": str(_scratch()),
        **named,
    }


def _parsing_folder() -> Path | None:
    """The folder that dbt works in; None, for the system's temporary one, where that cannot be made."""
    try:
        _scratch().mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return _scratch() if os.access(_scratch(), os.W_OK) else None


def _scratch() -> Path:
    """The folder that dbt works in."""
    return settings.state_dir() / "dbt"


def rebuild(dsn: str, names: Sequence[str] = (), *, tell: Callable[[str], None] = print) -> int:
    """Fold models again from the whole log, all or the named, then refresh; return how many folded rows differed.

    Each is one transaction, and as many run at once as there are processors, the largest first; the log waits only
    while a difference is merged. Raises NotFound for an unknown name and, after the others, ConfigurationError for a
    model that cannot fold the log.
    """
    with _owner(dsn) as connection:
        folded, refreshed = _chosen(connection, names)
        folded.sort(key=lambda name: -_number(connection, sql.size, name))
    broken: dict[str, str] = {}
    total = 0
    with ThreadPoolExecutor(min(os.cpu_count() or 1, AT_ONCE), thread_name_prefix="rebuild") as workers:
        begun = {workers.submit(_rebuilt, dsn, name): name for name in folded}
        for done in as_completed(begun):
            name = begun[done]
            try:
                differed = done.result()
            except _MODELS_FAULT as error:
                broken[name] = _in_short(error)
                tell(f"{name}: as it was, {broken[name]}")
            else:
                tell(f"{name}: rebuilt, {differed:,} rows differed")
                total += differed
    if refreshed:
        refresh(dsn, refreshed, tell=tell)
    if broken:
        raise errors.ConfigurationError(
            f"Not rebuilt: {', '.join(f'{name} ({why})' for name, why in broken.items())}.",
            help=f"Mend the SQL of what is named, then run: zmart migrate && zmart rebuild {' '.join(broken)}",
        )
    return total


def _rebuilt(dsn: str, name: str, *, patience: int = PATIENCE) -> int:
    try:
        with _owner(dsn) as connection:
            return _number(connection, sql.rebuild, name)
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
        # The log waits for the merge, so that the merge waits for nobody's lock longer than raw.take_writer says.
        if patience <= 1:
            raise
        time.sleep(RETRY_SECONDS)
        return _rebuilt(dsn, name, patience=patience - 1)


def refresh(dsn: str, names: Sequence[str] = (), *, tell: Callable[[str], None] = print) -> dict[str, int]:
    """Compute refreshed marts again, all or the named, on one snapshot; return the rows written by name.

    Whoever refreshes at the same time is waited for. Raises NotFound for an unknown name and ConfigurationError for a
    model whose SQL fails; then all are as they were.
    """
    changed: dict[str, int] = {}
    with _owner(dsn, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        # Before the first query, so that the snapshot is newer than the last refresh.
        connection.execute(sql.refresh_alone)
        _, refreshed = _chosen(connection, names, only_refreshed=True)
        for name in refreshed:
            try:
                changed[name] = _number(connection, sql.refresh, name)
            except _MODELS_FAULT as error:
                raise errors.ConfigurationError(
                    f"The mart {name} cannot be refreshed: {_in_short(error)}.",
                    help=f"Mend its SQL, then run: zmart migrate && zmart rebuild {name}",
                ) from error
        connection.commit()
    for name, rows in changed.items():
        tell(f"{name}: refreshed, {rows:,} rows changed")
    return changed


def verify(dsn: str, names: Sequence[str] = ()) -> Iterator[Verdict]:
    """Hold each folded mart against a rebuild, all on one snapshot; nothing is changed."""
    with _owner(dsn, autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        chosen, _ = _chosen(connection, names)
        reasons = {
            name: reason for name, is_stale, _, behind, reason in connection.execute(sql.models) if is_stale or behind
        }
        for name in chosen:
            differing, broken_because = _compared(connection, name)
            yield Verdict(
                name=name,
                differing_rows=differing,
                rows=_rows(connection, name),
                stale_because=str(reasons.get(name, "")),
                broken_because=broken_because,
            )
        connection.rollback()


def sources_digest() -> str:
    """SHA-256 over the models' sources, so that an unchanged deployment needs no dbt."""
    digest = hashlib.sha256()
    for pattern in SOURCES:
        for path in sorted(PROJECT.glob(pattern)):
            if path.is_file():
                digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _owner(dsn: str, *, autocommit: bool = True) -> psycopg.Connection[tuple[object, ...]]:
    with pool.translated():
        return pool.connect_sync(
            dsn, application_name="zmart rebuild", statement_timeout_seconds=0, autocommit=autocommit
        )


def _chosen(
    connection: psycopg.Connection[tuple[object, ...]], names: Sequence[str], *, only_refreshed: bool = False
) -> tuple[list[str], list[str]]:
    """The folded and the refreshed marts among the names, all without names; refreshed ones after what they read."""
    folded = [] if only_refreshed else [str(name) for name, *_ in connection.execute(sql.models)]
    refreshed = [str(name) for (name,) in connection.execute(sql.refreshed)]
    known = [*folded, *refreshed]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise errors.NotFound(f"There is no model {unknown[0]!r}; there are: {', '.join(known) or 'none yet'}.")
    wanted = set(names or known)
    return [name for name in folded if name in wanted], [name for name in refreshed if name in wanted]


def _compared(connection: psycopg.Connection[tuple[object, ...]], name: str) -> tuple[int, str]:
    try:
        with connection.transaction():
            return _number(connection, sql.differences, name), ""
    except _MODELS_FAULT as error:
        return 0, _in_short(error)


def _in_short(error: psycopg.Error) -> str:
    """What went wrong, without the statement it went wrong in."""
    return error.diag.message_primary or str(error).splitlines()[0]


def _number(connection: psycopg.Connection[tuple[object, ...]], statement: str, name: str) -> int:
    row = connection.execute(statement, {"name": name}).fetchone()
    assert row is not None
    assert isinstance(row[0], int)
    return row[0]


def _rows(connection: psycopg.Connection[tuple[object, ...]], name: str) -> int:
    statement = composed.SQL(sql.rows).format(mart=composed.Identifier(name))
    row = connection.execute(statement).fetchone()
    assert row is not None
    return int(str(row[0]))


def main(arguments: Sequence[str]) -> int:
    """Invoke dbt in this process with our project and profile; the exit status."""
    from dbt.cli.main import dbtRunner

    where = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    outcome = dbtRunner().invoke([*arguments, *where, "--log-level-file", "none", "--no-use-colors"])
    if outcome.exception is not None:
        sys.stderr.write(f"{outcome.exception}\n")
    return 0 if outcome.success else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
