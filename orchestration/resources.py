"""What assets, checks and sensors stand on: the database by role, and dbt in this process.

Nothing is opened before it is used, and no address or password is part of a definition, so none can be read in the UI.
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


def _dsn_from_settings(role: Role) -> str:
    return settings.load().postgres.dsn(role)


@dataclass(frozen=True, kw_only=True)
class DatabaseResource:
    """The log's database, as the role that a task takes."""

    #: Asked at every use: the server may have moved since.
    dsn_of: Callable[[Role], str] = _dsn_from_settings

    @property
    def owner_dsn(self) -> str:
        """For what changes or rebuilds marts."""
        return self.dsn_of("zmart_owner")

    @contextlib.contextmanager
    def connect(self, role: Role = "zmart_keeper") -> Iterator[Connection]:
        """Open one autocommit connection; raises Unavailable when the server does not answer."""
        with (
            translate_errors(),
            connect_sync(self.dsn_of(role), autocommit=True, application_name="zmart dagster") as connection,
        ):
            yield connection


@dataclass(frozen=True, kw_only=True)
class DbtNodeResult:
    """What became of one node of a dbt command."""

    unique_id: str
    #: model, test or unit_test.
    resource_type: str
    #: success, pass, warn, error, fail, skipped.
    status: str
    #: dbt's words, or what the fold materialization reports.
    message: str
    #: Rows that a test found.
    failures: int
    seconds: float

    @property
    def is_successful(self) -> bool:
        """Whether it did what it should."""
        # Exposures are only named: dbt does nothing about them.
        return self.status in {"success", "pass", "warn", "no-op"}


@dataclass(kw_only=True)
class Dbt:
    """dbt in this process: one import, one parse, then a second or less for each command.

    The command line would take five seconds each time. dbt keeps state of its own, so one command runs at a time; the
    pool of the runs that use it sees to that.
    """

    database: DatabaseResource
    _manifest: Any = field(default=None, repr=False)

    def run(self, *arguments: str) -> Sequence[DbtNodeResult]:
        """Run a command such as `run --select markets` as the owner; return what became of each node.

        Raises ConfigurationError when the command itself could not be carried out.
        """
        with _environment(rebuild.dbt_environment(self.database.owner_dsn)):
            outcome = self._invoke(*arguments)
        # A docs command answers with a catalog, which has no outcome per node.
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
    """What a command answers; a node that failed is part of the answer, a command that did not run is not."""
    if result.exception is not None or result.result is None:
        raise errors.ConfigurationError(
            f"dbt could not do it: {result.exception}", help="Mend the model named above."
        ) from result.exception
    return result.result


def _node_result(result: Any) -> DbtNodeResult:
    return DbtNodeResult(
        unique_id=str(result.node.unique_id),
        resource_type=str(result.node.resource_type.value),
        status=str(result.status.value),
        # A view is created by a `do` block, which is all that Postgres says of it.
        message="VIEW installed" if result.message == "DO" else str(result.message or ""),
        failures=int(result.failures or 0),
        seconds=float(result.execution_time or 0),
    )


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Lend dbt the variables it reads, and take them back: settings read the same ones."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
