"""Provides the resources of assets, checks and sensors: the database by role, and dbt in this process.

Nothing is opened before it is used, and no address or password is part of a definition, so the UI shows none.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from zmart import errors, settings
from zmart.db.connection import SyncConnection, connect_sync, translate_errors
from zmart.run.deploy import rebuild
from zmart.settings import Role

Connection: TypeAlias = SyncConnection

#: Counting the rows of a large log takes minutes; a stuck statement must still end.
STATEMENT_TIMEOUT_SECONDS = 600.0


def _dsn_from_settings(role: Role) -> str:
    return settings.load().postgres.dsn(role)


@dataclass(frozen=True, kw_only=True)
class DatabaseResource:
    """The log's database, connected as the role that a task needs."""

    #: Called at every use, because the server may have moved since.
    dsn_of: Callable[[Role], str] = _dsn_from_settings

    @property
    def owner_dsn(self) -> str:
        """Return the DSN of the owner, for work that changes or rebuilds marts."""
        return self.dsn_of("zmart_owner")

    @contextlib.contextmanager
    def connect(self, role: Role = "zmart_keeper") -> Iterator[Connection]:
        """Open one autocommit connection. Raises Unavailable if the server does not answer."""
        with (
            translate_errors(),
            connect_sync(
                self.dsn_of(role),
                autocommit=True,
                application_name="zmart dagster",
                statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
            ) as connection,
        ):
            yield connection


@dataclass(frozen=True, kw_only=True)
class DbtNodeResult:
    """The result of one node of a dbt command."""

    unique_id: str
    #: model, test or unit_test.
    resource_type: str
    #: success, pass, warn, error, fail, skipped.
    status: str
    #: dbt's message, or the report of the fold materialization.
    message: str
    #: The number of rows that a test found.
    failures: int
    seconds: float

    @property
    def is_successful(self) -> bool:
        """Return whether the node succeeded."""
        # dbt does nothing for exposures and reports them as no-op.
        return self.status in {"success", "pass", "warn", "no-op"}


@dataclass(kw_only=True)
class Dbt:
    """Runs dbt in this process: one import, one parse, then a second or less for each command.

    The command line would take five seconds each time. dbt has global state, so only one command may run at a time;
    the pool of the runs that use it ensures this.
    """

    database: DatabaseResource
    _manifest: Any = field(default=None, repr=False)

    def run(self, *arguments: str) -> Sequence[DbtNodeResult]:
        """Run a command such as `run --select markets` as the owner; return the result of each node.

        Raises ConfigurationError if the command itself could not run.
        """
        with _environment(rebuild.dbt_environment(self.database.owner_dsn)):
            outcome = self._invoke(*arguments)
        # A docs command returns a catalog, which has no result per node.
        nodes = [each for each in getattr(outcome, "results", ()) if hasattr(each, "status")]
        return [_node_result(each) for each in nodes]

    def _invoke(self, *arguments: str) -> Any:
        from dbt.cli.main import dbtRunner

        if self._manifest is None:
            self._manifest = _require_result(dbtRunner().invoke(["parse", *_OPTIONS]))
        result = dbtRunner(manifest=self._manifest).invoke([*arguments, *_OPTIONS])
        return _require_result(result)


_OPTIONS = [
    *("--project-dir", str(rebuild.PROJECT)),
    *("--profiles-dir", str(rebuild.PROJECT)),
    *("--log-level", "error"),
    *("--log-level-file", "none"),
    "--no-use-colors",
]


def _require_result(result: Any) -> Any:
    """Return the result of a command.

    Raises ConfigurationError if the command did not run; a failed node is part of a result.
    """
    if result.exception is not None or result.result is None:
        raise errors.ConfigurationError(
            f"dbt failed: {result.exception}", help="Correct the model named above."
        ) from result.exception
    return result.result


def _node_result(result: Any) -> DbtNodeResult:
    return DbtNodeResult(
        unique_id=str(result.node.unique_id),
        resource_type=str(result.node.resource_type.value),
        status=str(result.status.value),
        # A view is created by a `do` block, and Postgres reports only "DO" for it.
        message="VIEW installed" if result.message == "DO" else str(result.message or ""),
        failures=int(result.failures or 0),
        seconds=float(result.execution_time or 0),
    )


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set the variables that dbt reads, and restore the environment afterwards.

    Settings read the same variables.
    """
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
