"""From the log to messages: one statement a window, for the hub and for those who come back."""

from __future__ import annotations

import itertools
from operator import itemgetter
from typing import Any, Protocol

from zmart import errors
from zmart.db import feed, queries

from .. import statements
from ..database import Database
from .frames import Message, Window

#: A constant in the text, so that Postgres knows how little a window is and reads by index.
WINDOW_ENTRIES = 200

_SQL = queries.load("api.live", "live.sql")
_WINDOW = statements.filled(_SQL.window, window_entries=str(WINDOW_ENTRIES))


class Reader(Protocol):
    """What the hub reads from."""

    async def head(self) -> feed.Position:
        """Where the log ends."""
        ...

    async def window(self, after: feed.Position, topics: frozenset[str]) -> Window:
        """The entries after a position, with the messages that these topics hear."""
        ...


class LogReader:
    """Windows of the log in Postgres."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def head(self) -> feed.Position:
        """Where the log ends; Unavailable before there is one."""
        rows = await self._database.rows(_SQL.head)
        if not rows:
            raise _no_log()
        return feed.Position(*rows[0])

    async def window(self, after: feed.Position, topics: frozenset[str]) -> Window:
        """The entries after a position, with the messages that these topics hear.

        Raises what `feed.read` raises.
        """
        rows = await self._database.rows(_WINDOW, {"after": after.seq, "topics": list(topics)})
        if not rows:
            raise _no_log()
        head = feed.Position(rows[0][0], rows[0][1])
        feed.check_place(after, head)
        return _window(after, head, [row[2:] for row in rows if row[2] is not None])


def _window(after: feed.Position, head: feed.Position, rows: list[tuple[Any, ...]]) -> Window:
    """Group rows of (seq, topics, state key, message) by seq, refusing a hole among them."""
    by_seq = [(seq, list(group)) for seq, group in itertools.groupby(rows, key=itemgetter(0))]
    seqs = [seq for seq, _ in by_seq]
    feed.check_contiguous(after.seq, seqs)
    return Window(
        head=head,
        position=after.at(seqs[-1] if seqs else after.seq),
        messages=[(seq, said) for seq, group in by_seq if (said := _messages(group))],
    )


def _messages(rows: list[tuple[Any, ...]]) -> list[Message]:
    return [Message(tuple(topics), key, text) for _, topics, key, text in rows if topics]


def _no_log() -> errors.Unavailable:
    return errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
