"""Publishes the log on the bus, entry after entry, from where the bus's stream ends.

The stream is the only memory: its last message names the position after which the relay continues, however long it was
away. So a relay that was killed at any moment neither skips an entry nor publishes one twice. The row of ops.cursors is
read only where the last message is gone, because limits of the stream or an operator removed it.

After any failure (the bus is down, slow or full, Postgres is away) both connections are used again from their
beginning: find the stream's end, read the log after it, publish. Nothing that happened before is trusted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from zmart import errors
from zmart.db import feed

from . import bus, messages
from .log_reader import StoredPlace, Window
from .metrics import RelayMetrics

log = structlog.get_logger()

#: Pauses after failures grow from the first to the second value.
BACKOFF_SECONDS: Final = (0.1, 5.0)
#: How often the place is stored while entries are published.
STORE_SECONDS: Final = 5.0


class AnotherRelay(errors.ConfigurationError):
    """Another relay publishes to the same stream."""

    def __init__(self, stream: str) -> None:
        super().__init__(
            f"Another relay publishes to the stream {stream}; this one stops.",
            help="Run one relay for a log. If both are yours, stop one of them.",
        )


class BusConnection(Protocol):
    """What the publisher needs of a connection to the bus."""

    async def find_end(self) -> bus.StreamEnd:
        """Return where the stream ends."""
        ...

    async def publish(self, batch: Sequence[messages.Message], after: int) -> bus.Confirmation:
        """Publish messages after a sequence of the stream."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Log(Protocol):
    """What the publisher needs of the log."""

    position: feed.FeedPosition | None

    async def head(self) -> feed.FeedPosition:
        """Return the end of the log."""
        ...

    async def window(self, after: feed.FeedPosition) -> Window:
        """Return the entries after a position."""
        ...

    async def wait(self) -> None:
        """Wait for new entries."""
        ...

    async def stored_place(self, stream: str) -> StoredPlace | None:
        """Return the place that was stored last."""
        ...

    async def store_place(self, stream: str, place: StoredPlace) -> None:
        """Store a place."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class Publisher:
    """Publishes one log on one stream."""

    def __init__(
        self,
        log_reader: Log,
        connect: Callable[[str], Awaitable[BusConnection]],
        *,
        stream: str,
        metrics: RelayMetrics,
        is_from_now: bool = False,
        on_entries: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log_reader
        self._connect = connect
        self._stream = stream
        self._metrics = metrics
        self._is_from_now = is_from_now
        #: Called when the log has new entries, to notify listeners of another transport.
        self._on_entries = on_entries
        #: Names this process in its messages.
        self.relay_id = uuid.uuid4().hex
        self._end: bus.StreamEnd | None = None
        self._stored_place: StoredPlace | None = None
        self._stored_at = float("-inf")

    async def run(self) -> None:
        """Publish until cancelled. Raise ConfigurationError for what only an operator can change: AnotherRelay too."""
        failures = 0
        try:
            while True:
                published = self._metrics.published_entries
                try:
                    await self._publish_until_failure()
                except errors.Transient as error:
                    failures = 0 if self._metrics.published_entries > published else failures
                    await self._back_off(failures, error)
                    failures += 1
        finally:
            await self._log.close()

    async def _publish_until_failure(self) -> None:
        connection = await self._connect(self.relay_id)
        try:
            end = await connection.find_end()
            self._require_alone(end)
            self._end = end
            position = await self._continue_from(connection, end)
            self._metrics.is_connected = True
            while True:
                position = await self._publish_new(connection, position)
                await self._log.wait()
        finally:
            self._metrics.is_connected = False
            await connection.close()

    def _require_alone(self, end: bus.StreamEnd) -> None:
        """Raise AnotherRelay if someone else has published since this process knew where the stream ends."""
        before = self._end
        if (
            before is not None
            and end.created == before.created
            and end.sequence > before.sequence
            and end.is_held
            and end.relay != self.relay_id
        ):
            raise AnotherRelay(self._stream)

    async def _continue_from(self, connection: BusConnection, end: bus.StreamEnd) -> feed.FeedPosition:
        """Return the position after which to publish; announce a resync where the stream does not tell it."""
        position = bus.position_of_end(end)
        if position is None and end.sequence:
            # Consumers may not have read what is gone; one that has read everything has the position of this message.
            stored = await self._log.stored_place(self._stream)
            if stored is not None and (stored.created, stored.sequence) == (end.created, end.sequence):
                return await self._resync(connection, stored.position, "trimmed")
            return await self._resync(connection, await self._log.head(), "trimmed")
        if position is None:
            head = await self._log.head()
            if self._is_from_now:
                return await self._resync(connection, head, "begun")
            position = head.with_seq(0)
        self._log.position = position
        log.info("relay_continues", stream=self._stream, position=str(position), sequence=end.sequence)
        return position

    async def _publish_new(self, connection: BusConnection, position: feed.FeedPosition) -> feed.FeedPosition:
        """Publish up to the end of the log; return the position that the bus then has."""
        while True:
            try:
                window = await self._log.window(position)
            except feed.ForeignPosition as error:
                log.warning("relay_resync", reason=str(error))
                position = await self._resync(connection, error.found, messages.reason_of(error))
                continue
            if not window.entries:
                self._metrics.reached(position.seq, window.head.seq)
                await self._store_place(position)
                return position
            self._on_entries()
            await self._publish(connection, window.entries)
            position = window.entries[-1].position
            self._metrics.reached(position.seq, window.head.seq)
            if time.monotonic() - self._stored_at > STORE_SECONDS:
                await self._store_place(position)

    async def _resync(
        self, connection: BusConnection, position: feed.FeedPosition, reason: messages.ResyncReason
    ) -> feed.FeedPosition:
        self._metrics.resyncs.inc()
        await self._publish(connection, [messages.resync_message(position, reason)])
        return position

    async def _publish(self, connection: BusConnection, batch: Sequence[messages.Message]) -> None:
        """Publish messages after the stream's end; raise BusFailure if not all of them are stored."""
        assert self._end is not None
        left = list(batch)
        while left:
            self._metrics.waits_since(left[0].at)
            confirmation = await connection.publish(left, self._end.sequence)
            self._advance(left[: confirmation.stored])
            left = left[confirmation.stored :]
            if confirmation.failure is None:
                continue
            self._metrics.failures.labels(kind=confirmation.failure.kind).inc()
            if confirmation.failure.kind != "too_large" or left[0].without_event() == left[0]:
                raise confirmation.failure
            # One message must not hold up the others: consumers read its event from the API or from SQL.
            log.warning("relay_event_omitted", position=left[0].id)
            left[0] = left[0].without_event()

    def _advance(self, stored: Sequence[messages.Message]) -> None:
        if not stored:
            return
        assert self._end is not None
        last = stored[-1]
        self._end = bus.StreamEnd(
            self._end.created, self._end.sequence + len(stored), last.id, self.relay_id, is_held=True
        )
        self._log.position = last.position
        self._metrics.count([message.at for message in stored if message.at is not None])

    async def _store_place(self, position: feed.FeedPosition) -> None:
        """Store the place as it is now, unless it is stored already."""
        assert self._end is not None
        place = StoredPlace(self._end.created, self._end.sequence, position)
        if place != self._stored_place:
            await self._log.store_place(self._stream, place)
            self._stored_place = place
        self._stored_at = time.monotonic()

    async def _back_off(self, failures: int, error: errors.Transient) -> None:
        if not isinstance(error, bus.BusFailure):
            self._metrics.failures.labels(kind="database").inc()
            with contextlib.suppress(errors.ZmartError):
                await self._log.close()
        first, longest = BACKOFF_SECONDS
        seconds = min(longest, first * 2 ** min(failures, 16))
        log.warning("relay_waits", reason=str(error), retry_in_seconds=seconds)
        await asyncio.sleep(seconds)
