"""Provides the commands that plan keeper transactions, send them and manage their intents."""

from __future__ import annotations

import click

from zmart import settings as configuration
from zmart.run.supervisor import services

from . import parameters, subprocesses


@click.group()
def keeper() -> None:
    """Plan and send keeper transactions."""


_NAMES = click.argument("names", nargs=-1, metavar="[NAME]...")
_EVERYTHING = click.option("--all", "shows_all", is_flag=True, help="Include markets that are not due.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per keeper.")


@keeper.command("plan")
@_NAMES
@_EVERYTHING
@_JSON
def plan_keepers(names: tuple[str, ...], shows_all: bool, as_json: bool) -> None:
    """Plan and simulate without signing.

    Runs the keepers NAME, or all five. Each planned transaction is verified and simulated.
    """
    _run_keepers("plan", *names, *subprocesses.format_flags(all=shows_all, json=as_json))


@keeper.command("run")
@_NAMES
@click.option("--dry-run", is_flag=True, help="Same as plan: sign nothing.")
@_EVERYTHING
@_JSON
def run_keepers(names: tuple[str, ...], dry_run: bool, shows_all: bool, as_json: bool) -> None:
    """Plan, sign and send what is due.

    Runs the keepers NAME, or all five. The exit status is 0 if everything succeeds, 1 if node or database do not
    answer, 2 if the configuration is refused, 3 if an operator has to review something, and 4 if another keeper is
    running.
    """
    _run_keepers("run", *names, *subprocesses.format_flags(dry_run=dry_run, all=shows_all, json=as_json))


@keeper.command("sweep")
def sweep_keepers() -> None:
    """Resend or close signed transactions.

    The sweep resends transactions that may still land, closes those that landed and ends those that expired. It
    signs nothing.
    """
    _run_keepers("sweep")


@keeper.command("intents")
@click.option("--all", "shows_all", is_flag=True, help="Include closed intents.")
@click.option("--limit", type=parameters.COUNT, default=50, show_default=True, help="Maximum, newest first.")
def list_intents(shows_all: bool, limit: int) -> None:
    """List intents with their results."""
    _run_keepers("intents", *subprocesses.format_flags(all=shows_all), "--limit", str(limit))


@keeper.command("release")
@click.argument("number", type=parameters.ROW_NUMBER)
@click.option("--reason", default="It was inspected.", show_default=True, help="Why, for ops.audit.")
def release_intent(number: int, reason: str) -> None:
    """Release the quarantined intent NUMBER.

    The next run plans its transaction again.
    """
    _run_keepers("release", str(number), f"--reason={reason}")


@keeper.command("approve")
@click.argument("market")
@click.option("--reason", required=True, help="Why you decide so, for ops.audit.")
def approve_market(market: str, reason: str) -> None:
    """Send what a plan left to an operator.

    MARKET is an id or an address. The transaction is one that keepers leave to an operator: an approval on mainnet, or
    a step that ballots of unseen wallets, or a stricter threshold of ours, would decide otherwise. Proofs and
    simulation are those of every run, and ballots of unseen wallets are not written on chain. The exit status is 0 if
    it is sent, 2 if nothing is left to an operator, 3 if it is not sent, and 4 if another keeper is running.
    """
    _run_keepers("approve", market, f"--reason={reason}")


@keeper.command("decisions")
@click.option("--limit", type=parameters.COUNT, default=50, show_default=True, help="Maximum, newest first.")
def list_decisions(limit: int) -> None:
    """List decisions of operators (ops.audit)."""
    _run_keepers("decisions", "--limit", str(limit))


def _run_keepers(*arguments: str) -> None:
    """Run a command of `orchestration.keepers` with the keeper role and the keeper keys."""
    environ = configuration.process_environment()
    settings = configuration.load(environ)
    keys = services.keeper_keys(settings)
    dsn = settings.postgres.dsn("zmart_keeper")
    subprocesses.run_module("orchestration.keepers", *arguments, env={**environ, **keys, "DATABASE_URL_KEEPER": dsn})
