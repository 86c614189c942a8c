"""Provides the commands that save the database and restore it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from zmart import settings as configuration


@click.command()
@click.option("--to", "folder", metavar="FOLDER", help="Where to put it (default: STATE_DIR/backups).")
def backup(folder: str | None) -> None:
    """Save the database in a new folder.

    The backup is one snapshot of everything, taken while all services run. Its folder has a name only when it is
    complete, verified and flushed to disk. Secrets and key files are not in it.
    """
    from zmart.run.backup import dump

    settings = configuration.load()
    parent = Path(folder).absolute() if folder else settings.state_dir / "backups"
    with show_steps() as report:
        path, facts = dump.save(settings.postgres.dsn("zmart_backup"), parent, report=report)
    click.echo(f"saved {facts.rows:,} rows of {len(facts.tables)} tables, {facts.bytes:,} bytes")
    click.echo(f"position {facts.position}")
    click.echo(str(path))


@click.command()
@click.argument("folder")
@click.option("--into", metavar="TARGET", help="State directory, or URI without password.")
@click.option("--check", "only_checks", is_flag=True, help="Only verify the backup.")
def restore(folder: str, into: str | None, only_checks: bool) -> None:
    """Restore a backup into an empty database.

    The database is the configured one, or TARGET. It begins a new epoch, so that clients start again, and keepers wait
    until the log has caught up with the chain.
    """
    from zmart.run.backup import restore as restoring

    path = Path(folder).absolute()
    if only_checks:
        with show_steps() as report:
            facts = restoring.check(path, report=report)
        click.echo(f"complete: {facts.rows:,} rows of {len(facts.tables)} tables, position {facts.position}")
        return
    with show_steps() as report, restoring.open_target(configuration.load(), into) as target:
        result = restoring.restore(path, target, report=report)
    for missing in result.missing:
        click.echo(f"note: {missing}", err=True)
    click.echo(f"restored {result.manifest.rows:,} rows of {len(result.manifest.tables)} tables")
    click.echo(f"epoch {result.epoch} (before: {result.manifest.epoch})")
    click.echo("Next: zmart migrate; zmart audit; then start the services.")


@contextmanager
def show_steps() -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar for each step on standard error; yield the function that moves them."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    tasks: dict[str, TaskID] = {}
    with Progress(console=Console(stderr=True), transient=True) as progress:

        def report(step: str, done: int, of: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=None)
            progress.update(tasks[step], completed=done, total=of)

        yield report
