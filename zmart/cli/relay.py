"""Provides the command that publishes the log on a bus."""

from __future__ import annotations

import click

from . import subprocesses


@click.command()
@click.option("--from-now", is_flag=True, help="Begin an empty stream at the end of the log.")
def relay(from_now: bool) -> None:
    """Publish the log on NATS JetStream.

    The command publishes each entry of the log on the bus of NATS_URL, in order, and continues where the stream ends.
    An empty stream begins with the first entry of the log. Run one relay for a log: a second one is refused and stops.
    """
    subprocesses.run_module("relay", *subprocesses.format_flags(from_now=from_now))
