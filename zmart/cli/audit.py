"""Provides the command that verifies the chain of the log."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from zmart import errors
from zmart import settings as configuration
from zmart.db import feed


@click.command()
@click.option("--position", "position", help="A position that must be in this log.")
@click.option("--seal", "seals", is_flag=True, help="Only seal entries that have no chain yet.")
@click.option("--accept-broken-chain", "reason", metavar="REASON", help="With --seal: also where its end was removed.")
def audit(position: str | None, seals: bool, reason: str | None) -> None:
    """Verify the chain of the log.

    Computes the value of every append again, from the stored entries, in one snapshot. Prints "unbroken", or fails with
    the first commit or entry that differs. Also fails if entries at the end have no chain.
    """
    from zmart.run.audit import audit as auditing

    expected = None if position is None else feed.FeedPosition.parse(position)
    dsn = configuration.load().postgres.dsn()
    if reason is not None and not seals:
        raise click.UsageError("--accept-broken-chain needs --seal.")
    if seals:
        if reason is not None and auditing.accept_broken_chain(dsn, who=getpass.getuser(), reason=reason):
            click.echo("recorded in ops.audit: the end of the chain was removed, and you accept the entries without it")
        with show_progress("sealing") as report:
            count = auditing.seal_history(dsn, report=report)
        click.echo(f"sealed {count:,} entries")
        return
    with show_progress("verifying") as report:
        result = auditing.verify(dsn, expected=expected, report=report)
    click.echo(f"unbroken: {result.entries:,} entries in {result.commits:,} commits, value {result.value}")
    click.echo(f"position {result.position}")
    if result.is_end_removed:
        raise errors.Conflict(
            f"{result.unsealed:,} entries at the end have no chain: somebody removed its end.",
            help="Run `zmart audit --position` with a position that you stored outside this database, and follow"
            " docs/runbook.md, chain_broken.",
        )
    if result.unsealed:
        raise errors.Conflict(
            f"{result.unsealed:,} entries at the end have no chain, so nothing shows whether they were changed.",
            help="An earlier release appended them: run `zmart audit --seal`.",
        )


@contextmanager
def show_progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on standard error; yield the function that moves it."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(title, total=None)

        def report(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        yield report
