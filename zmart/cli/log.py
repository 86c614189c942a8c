"""What the log holds, and bringing it what it does not: from a file, from the chain, from what was set aside.

All of it is ingest's work, done in a process of its own as the role that may write the log.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from zmart import settings as configuration

from . import subprocesses


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def replay(file: Path) -> None:
    """Read webhook bodies from FILE, one JSON array a line, through the pipeline without HTTP."""
    _run_ingest("replay", str(file))


@click.command()
@click.option("--from-slot", type=int, required=True, help="The first slot.")
@click.option("--to-slot", type=int, required=True, help="The last slot.")
@click.option("--per-second", type=float, help="Requests a second; 8 suits a public node.")
@click.option("--requests", type=int, help="Stop after so many requests; the same command goes on from there.")
def backfill(from_slot: int, to_slot: int, per_second: float | None, requests: int | None) -> None:
    """Bring what the chain lists between two slots and the log does not hold."""
    arguments = ["--from-slot", str(from_slot), "--to-slot", str(to_slot)]
    arguments += [] if per_second is None else ["--per-second", str(per_second)]
    arguments += [] if requests is None else ["--requests", str(requests)]
    _run_ingest("backfill", *arguments)


@click.group()
def dead_letters() -> None:
    """What could not be used, and why; try it again."""


@dead_letters.command("list")
@click.option("--limit", default=50, show_default=True, help="How many, the newest first.")
def list_dead_letters(limit: int) -> None:
    """List those nobody has resolved."""
    _run_ingest("dead-letters", "list", "--limit", str(limit))


@dead_letters.command("show")
@click.argument("number", type=int)
def show_dead_letter(number: int) -> None:
    """Show one with its bytes."""
    _run_ingest("dead-letters", "show", str(number))


@dead_letters.command("retry")
@click.argument("numbers", type=int, nargs=-1)
def retry_dead_letters(numbers: tuple[int, ...]) -> None:
    """Try NUMBERS again, or all that are open when none is named."""
    _run_ingest("dead-letters", "retry", *map(str, numbers))


@click.group()
def webhook() -> None:
    """What Helius has registered for this log."""


@webhook.command("check")
def check_webhook() -> None:
    """Compare it with the configuration; status 1 where deliveries cannot come."""
    _run_ingest("webhook", "check")


@webhook.command("create")
def create_webhook() -> None:
    """Register it, or mend the one there is (100 credits a call)."""
    _run_ingest("webhook", "create")


def _run_ingest(*arguments: str) -> None:
    """Run one of ingest's commands as the role that may."""
    settings = configuration.load()
    subprocesses.run_module(
        "ingest", *arguments, env={**os.environ, "DATABASE_URL_INGEST": settings.postgres.dsn("zmart_ingest")}
    )
