"""Discussions anchored in IPFS: what there is, and that it is what the log says."""

from __future__ import annotations

import os

import click

from zmart import settings as configuration

from . import subprocesses


@click.group()
def snapshot() -> None:
    """Discussions anchored in IPFS, a document for each market and day."""


@snapshot.command("list")
@click.option("--limit", default=20, show_default=True, help="How many, the newest first.")
def list_snapshots(limit: int) -> None:
    """List what is anchored."""
    _run_snapshots("list", "--limit", str(limit))


@snapshot.command("verify")
@click.argument("cid")
@click.option("--show", is_flag=True, help="Print the document.")
def verify_snapshot(cid: str, show: bool) -> None:
    """Make the document anchored as CID (v0 or v1) again from the log, and compare.

    Status 0 when they are equal, 1 when they differ, 2 when nothing is anchored under that name.
    """
    _run_snapshots("verify", cid, *subprocesses.format_flags(show=show))


def _run_snapshots(*arguments: str) -> None:
    """Run one of the snapshots' commands as the role that may."""
    dsn = configuration.load().postgres.dsn("zmart_keeper")
    subprocesses.run_module("orchestration.snapshots", *arguments, env={**os.environ, "DATABASE_URL_KEEPER": dsn})
