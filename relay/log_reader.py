"""Reads the log as messages, on one connection that also receives the notifications of new entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from zmart import errors
from zmart.db import feed, queries
from zmart.db.connection import Connection, ReconnectingConnection, translate_all_errors, translate_errors

from . import messages

#: Entries that are read, and published, before the bus must have confirmed them.
WINDOW_ENTRIES: Final = 256
_STATEMENT_TIMEOUT_SECONDS: Final = 10.0

sql = queries.load("relay", "relay.sql")


@dataclass(frozen=True)
class Window:
    """Contiguous entries as messages, and the end of the log in the same snapshot."""

    entries: tuple[messages.Message, ...]
    head: feed.FeedPosition


@dataclass(frozen=True)
class StoredPlace:
    """The place that the relay stored last."""

    #: When the stream was created, as the bus writes it.
    created: str
    #: The stream's own number of the last message.
    sequence: int
    position: feed.FeedPosition


class LogReader:
    """Reads windows of entries, and waits for new ones.

    The connection is opened again after it was lost. Each new connection proves with `position` that the log is the
    same as before, or the log begins a new epoch (feed.check_identity).
    """

    def __init__(self, dsn: str, *, poll_seconds: float = feed.POLL_SECONDS) -> None:
        #: What the bus has; a new connection proves the log's identity with it.
        self.position: feed.FeedPosition | None = None
        self._poll_seconds = poll_seconds
        self._connection = ReconnectingConnection(
            dsn,
            application_name="zmart relay",
            statement_timeout_seconds=_STATEMENT_TIMEOUT_SECONDS,
            on_connect=self._listen,
        )

    async def head(self) -> feed.FeedPosition:
        """Return the end of the log; raise Unavailable while the database does not answer."""
        return await feed.head(await self._connection.get())

    async def window(self, after: feed.FeedPosition, limit: int = WINDOW_ENTRIES) -> Window:
        """Return the entries after a position, oldest first. Raise the errors of `feed.read`."""
        connection = await self._connection.get()
        with translate_errors():
            cursor = await connection.execute(sql.window, {"after": after.seq, "max_entries": limit})
            rows = await cursor.fetchall()
        if not rows:
            raise errors.Unavailable("This database has no log yet.", help="Run `zmart migrate`.")
        epoch, head_seq, head_mark, after_mark = rows[0][:4]
        head = feed.FeedPosition(epoch, head_seq, head_mark)
        feed.check_position(after, head, after_mark)
        entries = tuple(
            messages.entry_message(
                feed.FeedPosition(epoch, seq, mark), kind=kind, market=market, at=at, fields=fields, event=event
            )
            for _, _, _, _, seq, mark, kind, market, at, fields, event in rows
            if seq is not None
        )
        feed.check_contiguous(after.seq, [entry.position.seq for entry in entries])
        return Window(entries, head)

    async def wait(self) -> None:
        """Return after a notification, or after a second."""
        connection = await self._connection.get()
        with translate_errors():
            async for _ in connection.notifies(timeout=self._poll_seconds, stop_after=1):
                return

    async def stored_place(self, stream: str) -> StoredPlace | None:
        """Return the place that was stored last for a stream, or None."""
        connection = await self._connection.get()
        with translate_errors():
            row = await (await connection.execute(sql.last_place, {"stream": stream})).fetchone()
        return None if row is None else StoredPlace(row[0], row[1], feed.FeedPosition.parse(row[2]))

    async def store_place(self, stream: str, place: StoredPlace) -> None:
        """Store a place; a primary that is away is Unavailable."""
        connection = await self._connection.get()
        with translate_all_errors("The relay's place cannot be stored"):
            await connection.execute(
                sql.store_place,
                {
                    "stream": stream,
                    "created": place.created,
                    "sequence": place.sequence,
                    "position": str(place.position),
                },
            )

    async def close(self) -> None:
        """Close the connection; the next read opens another."""
        await self._connection.close()

    async def _listen(self, connection: Connection) -> None:
        await feed.check_identity(connection, self.position)
        await connection.execute(sql.listen)
