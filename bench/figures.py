"""Lists all figures, in the order in which they are measured."""

from __future__ import annotations

from bench import (
    backfill,
    backup,
    clients,
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
    pages,
    reads,
    rebuild,
    relay,
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
    pages.FIGURE,
    limits.FIGURE,
    live.FIGURE,
    finality.FIGURE,
    fanout.FIGURE,
    stream_bytes.FIGURE,
    connections.FIGURE,
    clients.FIGURE,
    relay.FIGURE,
    keepers.FIGURE,
    startup.FIGURE,
    idle.FIGURE,
    devchain.FIGURE,
)


#: Names under which figures were asked for before they had their own.
OTHER_NAMES = {"crowd": clients.FIGURE.name}


def names() -> list[str]:
    """Return the names of the figures, as used on the command line."""
    return [figure.name for figure in ALL]


def select_figures(chosen: str | None) -> list[Figure]:
    """Return all figures, or those of a list of names with commas between them.

    Raise NotFound, which lists the names, for an unknown one.
    """
    if chosen is None:
        return list(ALL)
    given = [name.strip() for name in chosen.split(",")]
    wanted = [OTHER_NAMES.get(name, name) for name in given]
    for name in wanted:
        if name not in names():
            raise errors.NotFound(f"There is no figure {name!r}.", help=f"Use one of: {', '.join(names())}.")
    return [figure for figure in ALL if figure.name in wanted]
