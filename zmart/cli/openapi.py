"""Provides the command that prints the documents of the API contract."""

from __future__ import annotations

import click

from . import subprocesses


@click.command()
@click.argument("document", type=click.Choice(["openapi", "asyncapi"]), default="openapi")
def openapi(document: str) -> None:
    """Print the OpenAPI or AsyncAPI document.

    `openapi` describes the requests of the API, `asyncapi` its streams.
    """
    subprocesses.run_module("api.contract", document)
