"""Chooses for each request between a standby of Postgres and the primary (DATABASE_URL_READ).

A GET reads from the standby, whose end of the log is a little older. A caller that needs more names it: the header
`Zmart-Min-Position` is a position that the answer must have reached. A caller that has just written needs its own
write: for some seconds after a write, the primary's end of the log is that position. The standby gets a short time to
replay it; then the primary answers. Every other method reads and writes on the primary.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import time
from collections.abc import Callable
from typing import Final, Protocol

from litestar.types import Scope

from zmart import errors
from zmart.db import feed

#: How long a request waits for the standby before the primary answers it.
WAIT_SECONDS: Final = 0.5
#: How often the standby's end of the log is read meanwhile.
POLL_SECONDS: Final = 0.02
#: How long after a write its session reads at least the primary's end of the log.
WRITE_SECONDS: Final = 5.0
#: Sessions that are remembered; above it the oldest are forgotten, and read what the standby has.
MOST_SESSIONS: Final = 10_000

_HEADER: Final = b"zmart-min-position"
_READ_METHODS: Final = frozenset({"GET", "HEAD"})
#: The position that the answer to this request must have reached.
required_position: contextvars.ContextVar[feed.FeedPosition | None] = contextvars.ContextVar("required", default=None)


class Source(Protocol):
    """A database that can be asked for the end of its log."""

    async def own_head(self) -> feed.FeedPosition:
        """Return the end of the log in this database itself."""
        ...


def has_reached(position: feed.FeedPosition, required: feed.FeedPosition | None) -> bool:
    """Return whether an answer at `position` is recent enough; one of another epoch is not."""
    return required is None or (position.epoch == required.epoch and position.seq >= required.seq)


class ReadChoice:
    """Decides which of two databases answers a request."""

    def __init__(self, standby: Source, primary: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self._standby = standby
        self._primary = primary
        self._clock = clock
        #: When each session last wrote, oldest first.
        self._writes: dict[bytes, float] = {}

    def record_write(self, scope: Scope) -> None:
        """Remember that the session of this request writes."""
        session = _session(scope)
        if session is None:
            return
        self._writes.pop(session, None)
        self._writes[session] = self._clock()
        if len(self._writes) > MOST_SESSIONS:
            del self._writes[next(iter(self._writes))]

    async def is_for_standby(self, scope: Scope) -> bool:
        """Return whether the standby answers this request; sets `required_position` for the answer.

        Raise InvalidInput for a position that is none, and Unavailable where only the primary could answer and is away.
        """
        required = _named_position(scope)
        if scope.get("method") not in _READ_METHODS:
            return False
        if required is None and self._has_just_written(scope):
            required = await self._primary.own_head()
        required_position.set(required)
        return required is None or await self._is_replayed(required)

    def _has_just_written(self, scope: Scope) -> bool:
        session = _session(scope)
        written_at = None if session is None else self._writes.get(session)
        return written_at is not None and self._clock() - written_at < WRITE_SECONDS

    async def _is_replayed(self, required: feed.FeedPosition) -> bool:
        """Return whether the standby has the position, or gets it soon."""
        deadline = self._clock() + WAIT_SECONDS
        while True:
            try:
                head = await self._standby.own_head()
            except errors.ZmartError:
                return False
            if has_reached(head, required):
                return True
            if head.epoch != required.epoch or self._clock() >= deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)


def _named_position(scope: Scope) -> feed.FeedPosition | None:
    for name, value in scope["headers"]:
        if name == _HEADER:
            return feed.FeedPosition.parse(value.decode("latin-1"))
    return None


def _session(scope: Scope) -> bytes | None:
    """Return what identifies the caller's session, as a digest; None for callers that do not sign in."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return hashlib.sha256(value).digest()
    return None
