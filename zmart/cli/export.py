"""Provides the command that exports the log and the marts to files."""

from __future__ import annotations

import click

from zmart import errors
from zmart import settings as configuration

from .backup import show_steps


@click.command()
@click.option("--to", "url", metavar="URL", help="Folder or s3://... (default: EXPORT_URL).")
@click.option("--log/--no-log", "exports_log", default=True, help="Export the log.")
@click.option("--marts/--no-marts", "exports_marts", default=True, help="Export a snapshot of the marts.")
@click.option("--gently", is_flag=True, help="Rest often, so that ingest keeps its pace.")
@click.option("--verify", "only_verifies", is_flag=True, help="Only read published files again and compare.")
def export(url: str | None, exports_log: bool, exports_marts: bool, gently: bool, only_verifies: bool) -> None:
    """Write log and marts as Parquet files.

    Exports the entries of the log that are not exported yet, in segments of whole appends, and a snapshot of every
    mart. Each file is read back and compared before its segment is published. A run that was stopped continues with the
    next run. The exit status is 1 if a published file is missing or differs.
    """
    from zmart.run.export import exporter, store
    from zmart.run.export.pace import GENTLE_SHARE, Pace

    settings = configuration.load()
    target = store.open_location(url, settings.export) if url else store.open_store(settings.export)
    dsn = settings.postgres.dsn()
    if only_verifies:
        with show_steps() as report:
            verified = exporter.verify(dsn, target, report=report)
        click.echo(f"verified {verified.segments:,} segments, {verified.bytes:,} bytes at {target.location}")
        click.echo(f"the log is exported and verified through entry {verified.through:,}")
        if verified.damages:
            for damage in verified.damages:
                click.echo(f"damaged: {damage}", err=True)
            raise errors.Conflict(
                f"{len(verified.damages)} segments are damaged.", help="Run `zmart export` to write them again."
            )
        return
    with show_steps() as report:
        result = exporter.export(
            dsn,
            target,
            exports_log=exports_log,
            exports_marts=exports_marts,
            pace=Pace(GENTLE_SHARE if gently else 1.0),
            report=report,
        )
    if result.adopted:
        click.echo(f"found {result.adopted:,} segments of an earlier run, verified")
    click.echo(f"exported {result.entries:,} entries and {result.mart_rows:,} rows of marts, {result.bytes:,} bytes")
    click.echo(f"the log is exported through entry {result.through:,} at {target.location}")
    if result.unsealed:
        click.echo(f"{result.unsealed:,} entries at the end have no chain yet. Run: zmart audit --seal")
