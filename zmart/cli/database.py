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
@click.option("--schema", "only_schema", is_flag=True, help="Leave the history as it is.")
@click.option("--history", "only_history", is_flag=True, help="Only the history; try until it is done.")
def migrate(only_schema: bool, only_history: bool) -> None:
    """Update roles, schema, models and history.

    After an upgrade, the history of the log is sealed and written again in steps, while services run. `zmart up` and
    the systemd units do that in the background.
    """
    if only_schema and only_history:
        raise click.UsageError("Use either --schema or --history.")
    settings = configuration.load()
    owner = settings.postgres.dsn()
    if not only_history:
        _migrate_schema(settings, owner)
    if not only_schema:
        _finish_history(owner, tries_again=only_history)


def _migrate_schema(settings: Settings, owner: str) -> None:
    for missing in _prepare_roles(settings):
        click.echo(f"note: {missing}", err=True)
    for name in migrations.migrate(owner, report=lambda sentence: click.echo(f"note: {sentence}", err=True)):
        click.echo(f"applied {name}")
    from zmart.run.deploy import rebuild as models

    window = settings.voting.dispute_voting_window_seconds
    if models.deploy(owner, voting_window_seconds=window):
        click.echo("deployed the models")


def _finish_history(owner: str, *, tries_again: bool) -> None:
    from zmart.run.deploy import history

    try:
        if tries_again:
            done = history.keep_trying(
                owner, show_progress=show_progress, report=lambda sentence: click.echo(sentence, err=True)
            )
        else:
            done = history.finish_history(owner, show_progress=show_progress)
    except history.HistoryBusy as busy:
        click.echo(f"note: {busy}", err=True)
        return
    if done.broken is not None:
        # An operator has to look, but the services can run: what they append raises an alert.
        click.echo(f"warning: {done.broken}", err=True)
    if done.sealed_entries:
        click.echo(f"sealed {done.sealed_entries:,} entries")
    if done.written_pages:
        click.echo(f"wrote the events of {done.written_pages:,} pages again without the columns that are gone")


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
