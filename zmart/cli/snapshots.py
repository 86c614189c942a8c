"""Provides the commands that list discussion snapshots in IPFS and verify them against the log."""

from __future__ import annotations

import os

import click

from zmart import settings as configuration

from . import parameters, subprocesses


@click.group()
def snapshot() -> None:
    """List and verify discussion snapshots.

    A snapshot is a document in IPFS that holds the discussion of one market on one day.
    """


@snapshot.command("list")
@click.option("--limit", type=parameters.COUNT, default=20, show_default=True, help="Maximum, newest first.")
def list_snapshots(limit: int) -> None:
    """List published snapshots."""
    _run_snapshots("list", "--limit", str(limit))


@snapshot.command("verify")
@click.argument("cid")
@click.option("--show", is_flag=True, help="Print the document.")
def verify_snapshot(cid: str, show: bool) -> None:
    """Rebuild the snapshot CID and compare.

    CID is of version 0 or 1. The document is rebuilt from the log. The exit status is 0 if both are equal, 1 if they
    differ, and 2 if no snapshot has this CID.
    """
    _run_snapshots("verify", cid, *subprocesses.format_flags(show=show))


def _run_snapshots(*arguments: str) -> None:
    """Run a command of `orchestration.snapshots` as the keeper role."""
    dsn = configuration.load().postgres.dsn("zmart_keeper")
    subprocesses.run_module("orchestration.snapshots", *arguments, env={**os.environ, "DATABASE_URL_KEEPER": dsn})
