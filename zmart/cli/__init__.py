"""Defines the `zmart` command, which starts the services as processes and reports on them.

It imports none of the services. An error is one sentence and the next step, with an exit status of `zmart.exit_status`;
`--debug` adds the traceback.

Each module contains the commands of one subject: the services and their state (`services`, `status`, `doctor`), the log
and its marts (`log`, `database`), backups (`backup`), files for analysts (`export`), work on chain and after it
(`keepers`, `snapshots`, `alerts`), the bus (`relay`), keys to try it with (`wallets`), the API contract (`openapi`),
and the statements of the API (`sql`). A command itself imports modules that only it needs and that take long to import,
so that `zmart --help` stays fast.
"""

from __future__ import annotations

from typing import Any

import click
import psycopg

from zmart import errors, exit_status

from . import (
    alerts,
    audit,
    backup,
    database,
    doctor,
    expected_errors,
    export,
    keepers,
    log,
    openapi,
    relay,
    services,
    snapshots,
    sql,
    status,
    wallets,
)

_COMMANDS: tuple[click.Command, ...] = (
    *(services.up, services.ps, services.logs, services.restart, relay.relay, status.status, doctor.doctor),
    *(log.replay, log.backfill, log.gap, log.dead_letters, log.webhook),
    *(database.dsn, database.psql, database.migrate, database.rebuild, database.dbt, audit.audit),
    *(backup.backup, backup.restore, export.export),
    *(keepers.keeper, snapshots.snapshot, alerts.alert_group),
    *(wallets.key, wallets.demo_wallets, openapi.openapi, sql.sql),
)


class _Commands(click.Group):
    """A group that prints an expected error as a sentence."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BrokenPipeError:
            # The reader of the output has closed the pipe (`| head`); click ends without a message.
            raise
        except (errors.ZmartError, psycopg.Error, OSError) as error:
            if context.params.get("debug"):
                raise
            expected = expected_errors.to_zmart_error(error)
            click.echo(f"{click.style('zmart:', fg='red', bold=True)} {expected}", err=True)
            raise SystemExit(exit_status.of_error(expected)) from None


@click.group(cls=_Commands, commands=_COMMANDS)
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
def main(debug: bool) -> None:
    """The ZMART prediction market backend.

    Ingest appends events of the chain to a log, SQL folds the log into marts, and the API serves them live.
    """
