"""Caches API responses until the log advances.

An answer contains the position in the log at which it is valid. As long as the log ends at that position, another read
would return the same rows. So it is enough to look up the end of the log, with one lookup for all requests that wait
at that time. The lookup starts after the request arrived, so a cached answer is never older than the request: a client
that has seen a commit, here or in another process, finds it in the answer, as it would without the cache.

An answer may also depend on data outside the log: a mart that was rebuilt, a flag, a setting. Therefore no entry is
used for longer than a second, and a write of this process clears the cache. An answer from a mart that stopped, or was
computed earlier, has a position before the end of the log, so it is never served from the cache. An answer that
depends on the current time must not be cached at all.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

#: Maximum age of data that is not in the log.
MAX_AGE_SECONDS = 1.0
#: A body larger than 1/32 of the memory would evict too many others, so it is not cached.
_LARGEST_SHARE = 32
#: Size of an entry in addition to its body: names, headers, places in dictionaries.
_ENTRY_OVERHEAD_BYTES = 2_000

#: Epoch and seq.
PositionKey: TypeAlias = tuple[str, int]


class CacheableAnswer(Protocol):
    """An answer with the position in the log at which it is valid."""

    @property
    def position(self) -> PositionKey:
        """Return the position."""
        ...

    @property
    def body(self) -> bytes | None:
        """Return the body; an answer without one is not cached."""
        ...


_Answer = TypeVar("_Answer", bound=CacheableAnswer)


@dataclass(frozen=True)
class _Entry(Generic[_Answer]):
    answer: _Answer
    #: Clock time at which its read started, or earlier.
    started_at: float
    weight: int


@dataclass(frozen=True)
class PendingRead:
    """The state of the cache before a statement is sent; decides whether its answer may be cached."""

    started_at: float
    generation: int


class ResponseCache(Generic[_Answer]):
    """Answers by request, in bounded memory; the least recently used are evicted first."""

    def __init__(
        self,
        read_head: Callable[[], Awaitable[PositionKey | None]],
        *,
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: Returns the end of the log, read after the call; None if there is no log.
        self._read_head = read_head
        self._clock = clock
        self._most_bytes = most_bytes
        self._entries: collections.OrderedDict[Hashable, _Entry[_Answer]] = collections.OrderedDict()
        self._bytes = 0
        self._generation = 0
        #: Numbers of lookups that found a valid answer, and that did not.
        self.hits = self.misses = 0
        #: The furthest position seen in an answer or a lookup.
        self._latest_position: PositionKey | None = None

    @property
    def size_bytes(self) -> int:
        """Return the size of the cached entries."""
        return self._bytes

    async def find(self, key: Hashable) -> _Answer | None:
        """Return the cached answer to the same request if it is valid at a moment after this call, else None."""
        found = await self._find(key)
        if found is None:
            self.misses += 1
        else:
            self.hits += 1
        return found

    async def _find(self, key: Hashable) -> _Answer | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self._clock() - entry.started_at < MAX_AGE_SECONDS and await self._is_head_at(entry.answer.position):
            if key in self._entries:
                self._entries.move_to_end(key)
            return entry.answer
        if self._entries.get(key) is entry:
            self._discard(key)
        return None

    async def _is_head_at(self, position: PositionKey) -> bool:
        # A log never goes back: if it is known to be further, no lookup is necessary.
        if (
            self._latest_position is not None
            and self._latest_position[0] == position[0]
            and self._latest_position[1] > position[1]
        ):
            return False
        head = await self._read_head()
        self._note_position(head)
        return head == position

    def _note_position(self, position: PositionKey | None) -> None:
        if position is not None and (
            self._latest_position is None
            or self._latest_position[0] != position[0]
            or self._latest_position[1] < position[1]
        ):
            self._latest_position = position

    def begin_read(self) -> PendingRead:
        """Return the state to pass to `store`; call this before the statement is sent."""
        return PendingRead(self._clock(), self._generation)

    def store(self, key: Hashable, answer: _Answer, pending: PendingRead) -> None:
        """Cache an answer, unless this process wrote something during its read."""
        self._note_position(answer.position)
        if answer.body is None or pending.generation != self._generation:
            return
        if key in self._entries:
            self._discard(key)
        entry = _Entry(answer, pending.started_at, len(answer.body) + _ENTRY_OVERHEAD_BYTES)
        if entry.weight > self._most_bytes // _LARGEST_SHARE:
            return
        self._entries[key] = entry
        self._bytes += entry.weight
        while self._bytes > self._most_bytes:
            self._discard(next(iter(self._entries)))

    def invalidate(self) -> None:
        """Drop all entries and the results of running reads; called after a write, before its response is sent."""
        self._entries.clear()
        self._bytes = 0
        self._generation += 1

    def _discard(self, key: Hashable) -> None:
        self._bytes -= self._entries.pop(key).weight
