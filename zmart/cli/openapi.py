"""Documents of what the API promises."""

from __future__ import annotations

import click

from . import subprocesses


@click.command()
@click.argument("document", type=click.Choice(["openapi", "asyncapi"]), default="openapi")
def openapi(document: str) -> None:
    """Print what the API promises: of its requests, or (asyncapi) of its streams."""
    subprocesses.run_module("api.contract", document)
