"""Reads messages from the log with one statement per window, for the hub and for clients that resume."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from zmart import errors
from zmart.db import feed, queries

from ..reads import statements
from ..reads.database import ReadDatabase
from . import topics as topic_names
from .frames import LogWindow, StreamMessage


class TopicState(NamedTuple):
    """The current state of a topic's subject."""

    topic: str
    #: JSON: only the message's data.
    data: str
    #: JSON: the whole message.
    text: str


class Snapshot(NamedTuple):
    """The states of topics at one position."""

    position: feed.FeedPosition
    states: tuple[TopicState, ...]


#: A constant in the SQL text, so that Postgres knows how small a window is and uses an index.
WINDOW_ENTRIES = 200

_SQL = queries.load("api.live", "live.sql")
#: The type of the state that a snapshot has, by the first word of the topic.
_SNAPSHOT_TYPES: Mapping[str, str] = {
    "market": "market_state",
    "votes": "vote_tally",
    "wallet": "position_update",
    "me": "position_update",
    "status": "status",
}
#: The states that are sent when they change and when a client subscribes.
_STATES = ("market_state", "vote_tally", "position")


def _fill(text: str) -> str:
    """Return the statement with the states of live.sql and the row expressions of api/sql filled in."""
    states = {name: statements.fill(_strip_comments(getattr(_SQL, name))) for name in _STATES}
    return statements.fill(text, window_entries=str(WINDOW_ENTRIES), **states)


def _strip_comments(part: str) -> str:
    return "\n".join(line for line in part.splitlines() if not line.lstrip().startswith("--"))


_WINDOW = _fill(_SQL.window)
_SNAPSHOT = _fill(_SQL.snapshot)
#: The statements of this module as they are sent, by name.
STATEMENTS: Mapping[str, str] = {"head": _SQL.head, "window": _WINDOW, "snapshot": _SNAPSHOT}


class Reader(Protocol):
    """The read interface of the hub."""

    async def head(self) -> feed.FeedPosition:
        """Return the position of the end of the log."""
        ...

    async def window(self, after: feed.FeedPosition, topics: frozenset[str] | None) -> LogWindow:
        """Return the entries after a position, with the messages for these topics; None means all topics."""
        ...

    async def snapshot(self, topics: frozenset[str]) -> Snapshot:
        """Return the states of these topics, and the end of the log at that moment."""
        ...


class LogReader:
    """Reads windows of the log from Postgres."""

    def __init__(
        self, database: ReadDatabase, *, primary: ReadDatabase | None = None, waits_for_standby: bool = False
    ) -> None:
        self._database = database
        #: Where `database` is a standby: decides on a position that the standby does not have.
        self._primary = primary
        #: Whether entries that only the primary has are waited for, rather than read from the primary.
        self._waits_for_standby = waits_for_standby

    async def head(self) -> feed.FeedPosition:
        """Return the end of the log; raise Unavailable if there is no log yet."""
        rows = await self._database.rows(_SQL.head)
        if not rows:
            raise _no_log()
        return feed.FeedPosition(*rows[0])

    async def window(self, after: feed.FeedPosition, topics: frozenset[str] | None) -> LogWindow:
        """Return the entries after a position, with the messages for these topics; None means all topics.

        Raises the same errors as `feed.read`.
        """
        try:
            return await self._window(self._database, after, topics)
        except feed.ForeignPosition as error:
            if self._primary is None:
                raise
            # The standby may be behind, or of another history than the primary: the primary decides.
            found = await self._window(self._primary, after, topics)
            if self._waits_for_standby:
                raise errors.Unavailable("The standby is behind what was read before.") from error
            return found

    async def _window(
        self, database: ReadDatabase, after: feed.FeedPosition, topics: frozenset[str] | None
    ) -> LogWindow:
        names = None if topics is None else sorted({topic_names.whole(topic) for topic in topics})
        rows = await database.rows(_WINDOW, {"after": after.seq, "topics": names})
        if not rows:
            raise _no_log()
        epoch, head_seq, head_mark, after_mark, lacks_states = rows[0][:5]
        head = feed.FeedPosition(epoch, head_seq, head_mark)
        feed.check_position(after, head, after_mark)
        entries = [row[5:] for row in rows if row[5] is not None]
        return _window(after.with_seq(after.seq, after_mark), head, entries, lacks_states=lacks_states)

    async def snapshot(self, topics: frozenset[str]) -> Snapshot:
        """Return the states of these topics and the end of the log at that moment, with one statement."""
        rows = await self._database.rows(_SNAPSHOT, {"topics": _with_state(topics)})
        if not rows:
            raise _no_log()
        return Snapshot(
            feed.FeedPosition(*rows[0][:3]), tuple(TopicState(*row[3:]) for row in rows if row[3] is not None)
        )


def _with_state(topics: frozenset[str]) -> list[str]:
    """Return the whole topics whose state a snapshot of these topics and parts has."""
    found = set()
    for name in topics:
        topic, separator, message_type = name.partition(topic_names.PART_SEPARATOR)
        if not separator or _SNAPSHOT_TYPES.get(topic.partition(":")[0]) == message_type:
            found.add(topic)
    return sorted(found)


def _window(
    after: feed.FeedPosition, head: feed.FeedPosition, rows: list[tuple[Any, ...]], *, lacks_states: bool
) -> LogWindow:
    """Group rows of (seq, mark, topics, state key, type, message, age) by seq; raise an error if a seq is missing."""
    entries = [(after.with_seq(*entry), list(group)) for entry, group in itertools.groupby(rows, key=itemgetter(0, 1))]
    feed.check_contiguous(after.seq, [position.seq for position, _ in entries])
    return LogWindow(
        head=head,
        position=entries[-1][0] if entries else after,
        messages=[(position, entry_messages) for position, group in entries if (entry_messages := _messages(group))],
        ages=[group[0][-1] for _, group in entries],
        marks=tuple(dict.fromkeys(position.mark for position, _ in entries if position.mark is not None)),
        lacks_states=lacks_states,
    )


def _messages(rows: list[tuple[Any, ...]]) -> list[StreamMessage]:
    return [
        StreamMessage((*topics, *(topic_names.part(topic, kind) for topic in topics)), key, kind, text)
        for _, _, topics, key, kind, text, _ in rows
        if topics
    ]


def _no_log() -> errors.Unavailable:
    return errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
