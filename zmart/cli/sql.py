"""Provides the commands that list and print the statements of the API."""

from __future__ import annotations

import click

from . import subprocesses


@click.group()
def sql() -> None:
    """Print the SQL statements of the API.

    Run one: zmart sql show NAME | zmart psql zmart_api
    """


@sql.command("list")
def list_statements() -> None:
    """List the statements."""
    subprocesses.run_module("api.sql_catalog")


@sql.command()
@click.argument("name", required=False)
def show(name: str | None) -> None:
    """Print the statement NAME, ready for psql.

    Lines that begin with \\set hold an example for each parameter; edit them. Without NAME, list the statements.
    """
    subprocesses.run_module("api.sql_catalog", *([name] if name else []))
