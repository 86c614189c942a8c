"""Provides the commands that print database URIs, migrate the database and rebuild its marts."""

from __future__ import annotations

import os
from typing import Any

import click

from zmart import errors
from zmart import settings as configuration
from zmart.db import migrate as migrations
from zmart.settings import ROLES, Role, Settings

from .audit import show_progress
from .subprocesses import run_module


@click.command()
@click.argument("role", type=click.Choice(ROLES), default="zmart_owner")
def dsn(role: Role) -> None:
    """Print the database URI of ROLE."""
    click.echo(configuration.load().postgres.dsn(role))


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("role", type=click.Choice(ROLES), default="analyst")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(role: Role, arguments: tuple[str, ...]) -> None:
    """Run psql as ROLE with ARGUMENTS.

    The password is in psql's environment, which other accounts of the machine cannot read, and not in its arguments,
    which every account can list.
    """
    from zmart.run.postgres import client_programs

    program = client_programs.find_psql()
    if program is None:
        raise errors.NotFound("There is no psql on this machine.", help="Install it: apt-get install postgresql-client")
    options, environ = client_programs.invocation(configuration.load().postgres.dsn(role))
    os.execvpe(program, [program, *options, *arguments], {**os.environ, **environ})  # noqa: S606 - our own arguments


@click.command()
def migrate() -> None:
    """Update roles, schema and models."""
    settings = configuration.load()
    for missing in _prepare_roles(settings):
        click.echo(f"note: {missing}", err=True)
    owner = settings.postgres.dsn()
    for name in migrations.migrate(owner):
        click.echo(f"applied {name}")
    from zmart.run.audit import audit
    from zmart.run.deploy import compaction
    from zmart.run.deploy import rebuild as models

    window = settings.voting.dispute_voting_window_seconds
    if models.deploy(owner, voting_window_seconds=window):
        click.echo("deployed the models")
    try:
        with show_progress("sealing the log") as report:
            sealed = audit.seal_history(owner, report=report)
    except audit.ChainBroken as broken:
        # An operator has to look, but the services can run: what they append raises an alert.
        click.echo(f"warning: {broken} {broken.help or ''}", err=True)
        sealed = 0
    if sealed:
        click.echo(f"sealed {sealed:,} entries")
    with show_progress("writing events again") as report:
        if pages := compaction.compact_events(owner, report=report):
            click.echo(f"wrote the events of {pages:,} pages again without the columns that are gone")


def _prepare_roles(settings: Settings) -> list[str]:
    if settings.postgres.url is not None:
        return migrations.prepare(settings.postgres.url.reveal())
    from zmart.run.postgres.embedded import EmbeddedPostgres

    EmbeddedPostgres(settings.state_dir).provision()
    return []


@click.command()
@click.option("--verify", is_flag=True, help="Only compare live marts with a rebuild.")
@click.argument("models", nargs=-1)
def rebuild(verify: bool, models: tuple[str, ...]) -> None:
    """Rebuild MODELS (default: all) from the log.

    Each named model is folded again from the whole log.
    """
    from zmart.run.deploy import rebuild as marts

    owner = configuration.load().postgres.dsn()
    if not verify:
        marts.rebuild(owner, models, report=click.echo)
        return
    verdicts = list(marts.verify(owner, models))
    for verdict in verdicts:
        click.echo(_format_check(verdict))
    if remedies := [verdict.remedy for verdict in verdicts if not verdict.is_consistent]:
        raise errors.Conflict("Some marts differ from the log.", help=" ".join(remedies))


@click.command("dbt", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED)
def dbt(arguments: tuple[str, ...]) -> None:
    """Try models with dbt in the schema dbt.

    ARGUMENTS are dbt's: `zmart dbt build --select portfolio`. Other models are read from the live marts, which the role
    cannot change.
    """
    from zmart.run.deploy import trial

    run_module("zmart.run.deploy.rebuild", *arguments, env=trial.trial_environment(configuration.load()))


def _format_check(verdict: Any) -> str:
    if verdict.fold_error:
        return f"{verdict.name}: the log cannot be folded: {verdict.fold_error}"
    if verdict.stale_reason:
        return f"{verdict.name}: stopped following the log: {verdict.stale_reason}"
    if verdict.differing_rows:
        return f"{verdict.name}: {verdict.differing_rows:,} of {verdict.rows:,} rows differ"
    return f"{verdict.name}: {verdict.rows:,} rows, equal"
