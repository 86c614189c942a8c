"""Provides the commands that fill the log from a file, the chain and dead letters, and those of the webhook.

Ingest does all of this work, in a separate process that logs in as the role with write access to the log.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from zmart import errors
from zmart import settings as configuration

from . import parameters, subprocesses
from .backup import show_steps


@click.command()
@click.argument("source")
@click.option("--epoch", help="The epoch to import, if SOURCE holds several.")
def replay(source: str, epoch: str | None) -> None:
    """Replay webhook bodies or an exported log.

    SOURCE is a file whose lines each hold one JSON array of webhook bodies: they go through the pipeline of the webhook
    without HTTP. Or it is a place of `zmart export`, a folder or s3://BUCKET/PREFIX: its log is imported into this
    database, which must be empty. The chain is computed again, and the marts are rebuilt.
    """
    if source.startswith("s3://") or Path(source).is_dir():
        _import_log(source, epoch)
        return
    if not Path(source).is_file():
        raise errors.NotFound(f"There is no file or folder {source}.", help="Check the path.")
    _run_ingest("replay", source)


def _import_log(source: str, epoch: str | None) -> None:
    from zmart.run.export import importer, store

    settings = configuration.load()
    with show_steps() as report:
        result = importer.replay(
            settings.postgres.dsn(),
            store.open_location(source, settings.export),
            epoch=epoch,
            report=report,
            report_rebuild=lambda line: None,
        )
    click.echo(f"imported {result.entries:,} entries of epoch {result.source_epoch}, {result.known:,} were known")
    click.echo(f"chain value {result.value}, computed again; marts rebuilt")


@click.command()
@click.option("--from-slot", type=parameters.SLOT, required=True, help="The first slot.")
@click.option("--to-slot", type=parameters.SLOT, required=True, help="The last slot.")
@click.option("--per-second", type=parameters.POSITIVE, help="RPC requests per second (public node: 8).")
@click.option("--requests", type=parameters.COUNT, help="Stop after this many RPC requests.")
def backfill(from_slot: int, to_slot: int, per_second: float | None, requests: int | None) -> None:
    """Fetch missing transactions between slots.

    The command compares the log with the chain's own list and fetches the transactions that the log does not hold.
    After a stop by --requests, the same command continues from there.
    """
    arguments = ["--from-slot", str(from_slot), "--to-slot", str(to_slot)]
    arguments += [] if per_second is None else ["--per-second", str(per_second)]
    arguments += [] if requests is None else ["--requests", str(requests)]
    _run_ingest("backfill", *arguments)


@click.group()
def dead_letters() -> None:
    """List, show and retry dead letters."""


@dead_letters.command("list")
@click.option("--limit", type=parameters.COUNT, default=50, show_default=True, help="Maximum, newest first.")
def list_dead_letters(limit: int) -> None:
    """List open dead letters."""
    _run_ingest("dead-letters", "list", "--limit", str(limit))


@dead_letters.command("show")
@click.argument("number", type=parameters.ROW_NUMBER)
def show_dead_letter(number: int) -> None:
    """Show the dead letter NUMBER.

    The output includes its bytes.
    """
    _run_ingest("dead-letters", "show", str(number))


@dead_letters.command("retry")
@click.argument("numbers", type=parameters.ROW_NUMBER, nargs=-1)
def retry_dead_letters(numbers: tuple[int, ...]) -> None:
    """Retry NUMBERS (default: all open ones)."""
    _run_ingest("dead-letters", "retry", *map(str, numbers))


@click.group()
def gap() -> None:
    """List gaps of the log and accept one."""


@gap.command("list")
@click.option("--all", "shows_all", is_flag=True, help="Include accepted gaps that were filled.")
def list_gaps(shows_all: bool) -> None:
    """List open and accepted gaps.

    A gap is a range of slots with transactions that no node proves. Finality waits before an open gap and has passed an
    accepted one.
    """
    _run_ingest("gap", "list", *subprocesses.format_flags(all=shows_all))


@gap.command("accept")
@click.argument("from_slot", type=parameters.SLOT)
@click.argument("to_slot", type=parameters.SLOT)
@click.option("--reason", required=True, help="Why no node can fill it, for ops.audit.")
def accept_gap(from_slot: int, to_slot: int, reason: str) -> None:
    """Accept a gap that no node can fill.

    FROM_SLOT and TO_SLOT are the first and the last slot, inside one gap of `zmart gap list`. Finality passes the
    transactions that are missing there now. Those that the log holds stay unproven, and keepers of the markets
    concerned wait. The gap closes itself when it is filled. The exit status is 0 if it is accepted, 1 if it may still
    be filled or a node does not answer, and 2 if the range, the reason or the login is refused.
    """
    _run_ingest("gap", "accept", f"--reason={reason}", str(from_slot), str(to_slot))


@click.group()
def webhook() -> None:
    """Check or create the Helius webhook."""


@webhook.command("check")
def check_webhook() -> None:
    """Compare the webhook with the settings.

    The exit status is 1 if the webhook cannot deliver.
    """
    _run_ingest("webhook", "check")


@webhook.command("create")
def create_webhook() -> None:
    """Create or repair the webhook.

    Each call costs 100 Helius credits.
    """
    _run_ingest("webhook", "create")


def _run_ingest(*arguments: str) -> None:
    """Run a command of `ingest` as the role that writes the log."""
    settings = configuration.load()
    subprocesses.run_module(
        "ingest", *arguments, env={**os.environ, "DATABASE_URL_INGEST": settings.postgres.dsn("zmart_ingest")}
    )
