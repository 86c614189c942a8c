"""What keepers do on chain: plan it, do it, look after what was signed."""

from __future__ import annotations

import click

from zmart import settings as configuration
from zmart.run.supervisor import services

from . import subprocesses


@click.group()
def keeper() -> None:
    """Plan what is due on chain, do it, and look after what was signed."""


_NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
_EVERYTHING = click.option("--all", "shows_all", is_flag=True, help="Show what only waits, too.")
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object a keeper.")


@keeper.command("plan")
@_NAMES
@_EVERYTHING
@_JSON
def plan_keepers(names: tuple[str, ...], shows_all: bool, as_json: bool) -> None:
    """Plan, prove and simulate, and sign nothing: the keepers NAME, or all five."""
    _run_keepers("plan", *names, *subprocesses.format_flags(all=shows_all, json=as_json))


@keeper.command("run")
@_NAMES
@click.option("--dry-run", is_flag=True, help="The same as plan.")
@_EVERYTHING
@_JSON
def run_keepers(names: tuple[str, ...], dry_run: bool, shows_all: bool, as_json: bool) -> None:
    """Plan, and sign and send what is due: the keepers NAME, or all five.

    Status 0 when nothing is wrong, 1 when node or database do not answer, 2 when the configuration is refused, 3 when a
    person has to look, 4 when another keeper is at work.
    """
    _run_keepers("run", *names, *subprocesses.format_flags(dry_run=dry_run, all=shows_all, json=as_json))


@keeper.command("sweep")
def sweep_keepers() -> None:
    """Look after what was signed: send it again, close it, end it. Signs nothing."""
    _run_keepers("sweep")


@keeper.command("intents")
@click.option("--all", "shows_all", is_flag=True, help="Those that are over, too.")
@click.option("--limit", default=50, show_default=True, help="How many, the newest first.")
def list_intents(shows_all: bool, limit: int) -> None:
    """List what was intended, and what became of it."""
    _run_keepers("intents", *subprocesses.format_flags(all=shows_all), "--limit", str(limit))


@keeper.command("release")
@click.argument("number", type=int)
def release_intent(number: int) -> None:
    """Let the quarantined intent NUMBER be planned anew."""
    _run_keepers("release", str(number))


def _run_keepers(*arguments: str) -> None:
    """Run one of the keepers' commands as the role and with the keys that may."""
    environ = configuration.process_environment()
    settings = configuration.load(environ)
    keys = services.keeper_keys(settings)
    dsn = settings.postgres.dsn("zmart_keeper")
    subprocesses.run_module("orchestration.keepers", *arguments, env={**environ, **keys, "DATABASE_URL_KEEPER": dsn})
