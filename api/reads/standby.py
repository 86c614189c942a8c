"""Chooses for each request between a standby of Postgres and the primary (DATABASE_URL_READ).

A GET reads from the standby, whose end of the log is a little older. A caller that needs more names it: the header
`Zmart-Min-Position` is a position that the answer must have reached. A caller that has just written needs its own
write: for some seconds after the answer to a write, the primary's end of the log is that position. The standby gets a
short time to replay it; then the primary answers. A standby whose log has another mark for the position is the copy of
another history, and does not answer. Every other method reads and writes on the primary.
"""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from litestar.types import Message, Scope

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
_METHODS_THAT_READ: Final = _READ_METHODS | {"OPTIONS"}
_UNAVAILABLE: Final = 503
#: The position that the answer to this request must have reached.
required_position: contextvars.ContextVar[feed.FeedPosition | None] = contextvars.ContextVar("required", default=None)


class History(NamedTuple):
    """Where a log ends, and the mark that it has for a position of a reader; None where it has none."""

    head: feed.FeedPosition
    mark: str | None


class Source(Protocol):
    """A database that can be asked about its log."""

    async def own_history(self, seq: int | None = None) -> History:
        """Return the end of the log in this database itself, and its mark of a seq."""
        ...


def has_reached(position: feed.FeedPosition, required: feed.FeedPosition | None) -> bool:
    """Return whether an answer at `position` is recent enough; one of another log or history is not."""
    if required is None:
        return True
    if position.epoch != required.epoch or position.seq < required.seq:
        return False
    return position.seq > required.seq or None in (position.mark, required.mark) or position.mark == required.mark


class ReadChoice:
    """Decides which of two databases answers a request."""

    def __init__(self, standby: Source, primary: Source, clock: Callable[[], float] = time.monotonic) -> None:
        self._standby = standby
        self._primary = primary
        self._clock = clock
        #: When each session last wrote, oldest first.
        self._writes: dict[bytes, float] = {}

    async def record_write(self, message: Message, scope: Scope) -> None:
        """Remember that a session has written, when its answer begins; a `before_send` hook.

        An answer of 4xx or 503 has written nothing. Of another failure nobody knows, so it counts.
        """
        if message["type"] != "http.response.start" or scope.get("method") in _METHODS_THAT_READ:
            return
        status, handler = message["status"], scope.get("route_handler")
        if handler is None or handler.opt.get("is_read") or 400 <= status < 500 or status == _UNAVAILABLE:
            return
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
            required = (await self._primary.own_history()).head
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
                head, mark = await self._standby.own_history(required.seq)
                feed.check_position(required, head, mark)
            except feed.FuturePosition:
                if self._clock() >= deadline:
                    return False
                await asyncio.sleep(POLL_SECONDS)
            except errors.ZmartError:
                # The standby is away, or it is the copy of another history.
                return False
            else:
                return True


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
