"""Lists all figures, in the order in which they are measured."""

from __future__ import annotations

from bench import (
    backfill,
    backup,
    connections,
    decode,
    devchain,
    exports,
    fanout,
    finality,
    folds,
    growth,
    idle,
    ingest,
    keepers,
    limits,
    live,
    memory,
    reads,
    rebuild,
    startup,
    stream_bytes,
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
    growth.FIGURE,
    backup.FIGURE,
    backfill.FIGURE,
    exports.FIGURE,
    reads.FIGURE,
    limits.FIGURE,
    live.FIGURE,
    finality.FIGURE,
    fanout.FIGURE,
    stream_bytes.FIGURE,
    connections.FIGURE,
    keepers.FIGURE,
    startup.FIGURE,
    idle.FIGURE,
    devchain.FIGURE,
)


def names() -> list[str]:
    """Return the names of the figures, as used on the command line."""
    return [figure.name for figure in ALL]


def select_figures(name: str | None) -> list[Figure]:
    """Return all figures, or the one with that name; raise NotFound, which lists the names, for an unknown one."""
    found = [figure for figure in ALL if name in {None, figure.name}]
    if not found:
        raise errors.NotFound(f"There is no figure {name!r}.", help=f"Use one of: {', '.join(names())}.")
    return found
