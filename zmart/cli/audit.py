"""Provides the command that verifies the chain of the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from zmart import errors
from zmart import settings as configuration
from zmart.db import feed


@click.command()
@click.option("--position", "position", help="A position that must be in this log.")
@click.option("--seal", "seals", is_flag=True, help="Only seal entries that have no chain yet.")
def audit(position: str | None, seals: bool) -> None:
    """Verify the chain of the log.

    Computes the value of every append again, from the stored entries, in one snapshot. Prints "unbroken", or fails with
    the first commit or entry that differs. Also fails if entries at the end have no chain.
    """
    from zmart.run.audit import audit as auditing

    expected = None if position is None else feed.FeedPosition.parse(position)
    dsn = configuration.load().postgres.dsn()
    if seals:
        with show_progress("sealing") as report:
            count = auditing.seal_history(dsn, report=report)
        click.echo(f"sealed {count:,} entries")
        return
    with show_progress("verifying") as report:
        result = auditing.verify(dsn, expected=expected, report=report)
    click.echo(f"unbroken: {result.entries:,} entries in {result.commits:,} commits, value {result.value}")
    click.echo(f"position {result.position}")
    if result.unsealed:
        raise errors.Conflict(
            f"{result.unsealed:,} entries at the end have no chain, so nothing shows whether they were changed.",
            help="After an upgrade, run `zmart audit --seal`. Otherwise somebody removed the end of the chain: before"
            " you seal, run `zmart audit --position` with a position that you stored outside this database.",
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
