"""Which figures there are, in the order in which they are measured."""

from __future__ import annotations

from bench import (
    connections,
    decode,
    devchain,
    fanout,
    folds,
    ingest,
    keepers,
    limits,
    live,
    memory,
    reads,
    rebuild,
    startup,
    webhook,
)
from zmart import errors

from .figure import Figure

ALL: tuple[Figure, ...] = (
    decode.FIGURE,
    ingest.FIGURE,
    webhook.FIGURE,
    memory.FIGURE,
    folds.FIGURE,
    rebuild.FIGURE,
    reads.FIGURE,
    limits.FIGURE,
    live.FIGURE,
    fanout.FIGURE,
    connections.FIGURE,
    keepers.FIGURE,
    startup.FIGURE,
    devchain.FIGURE,
)


def names() -> list[str]:
    """Their words for the command line."""
    return [figure.name for figure in ALL]


def select_figures(name: str | None) -> list[Figure]:
    """All, or the one of that name; NotFound lists the names."""
    found = [figure for figure in ALL if name in {None, figure.name}]
    if not found:
        raise errors.NotFound(f"There is no figure {name!r}.", help=f"There are: {', '.join(names())}.")
    return found
