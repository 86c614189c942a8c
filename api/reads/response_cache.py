"""Answers that are still true: given again while the log has not moved.

An answer says of which place in the log it is true. As long as the log ends at that very place, reading
again would give the same rows; so it is enough to look where the log ends, one look for all who wait at
that time. The look begins after they asked. So what is kept is never older than the question: whoever
has seen a commit, here or in another process, finds it in the answer, as without keeping.

What an answer may hold besides is not in the log: a mart that was built anew, a flag, a setting. Hence
nothing is kept for longer than a second, and a write of this process makes it forget everything. An
answer of a mart that stopped or was computed earlier names a place before the log's end, and is never
found true again; one that tells the time must not be kept at all.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

#: What is not in the log may be so old at most.
MAX_AGE_SECONDS = 1.0
#: A body larger than this share of the memory would push out too many.
_LARGEST_SHARE = 32
#: What an entry weighs beside its body: names, headers, places in dictionaries.
_ENTRY_OVERHEAD_BYTES = 2_000

#: Epoch and seq.
PositionKey: TypeAlias = tuple[str, int]


class CacheableAnswer(Protocol):
    """An answer that says of which place in the log it is true."""

    @property
    def position(self) -> PositionKey:
        """The place."""
        ...

    @property
    def body(self) -> bytes | None:
        """The bytes; what has none is not kept."""
        ...


_Answer = TypeVar("_Answer", bound=CacheableAnswer)


@dataclass(frozen=True)
class _Entry(Generic[_Answer]):
    answer: _Answer
    #: By the clock, when its reading began or earlier.
    started_at: float
    weight: int


@dataclass(frozen=True)
class PendingRead:
    """A statement about to be sent, as far as keeping its answer is concerned."""

    started_at: float
    generation: int


class ResponseCache(Generic[_Answer]):
    """Answers by what was asked, in bounded memory; what was not asked for longest goes first."""

    def __init__(
        self,
        read_head: Callable[[], Awaitable[PositionKey | None]],
        *,
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: Where the log ends, looked up after the call; None where there is no log.
        self._read_head = read_head
        self._clock = clock
        self._most_bytes = most_bytes
        self._entries: collections.OrderedDict[Hashable, _Entry[_Answer]] = collections.OrderedDict()
        self._bytes = 0
        self._generation = 0
        #: The furthest place that an answer or a look has told of.
        self._latest_position: PositionKey | None = None

    @property
    def size_bytes(self) -> int:
        """What is held."""
        return self._bytes

    async def find(self, key: Hashable) -> _Answer | None:
        """The answer to the same question, if it is true at a moment after this call; else None."""
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
        # A log does not go back: where it is known to have moved on, nothing needs to be looked up.
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
        """Call before a statement is sent, so that its answer may be kept."""
        return PendingRead(self._clock(), self._generation)

    def store(self, key: Hashable, answer: _Answer, pending: PendingRead) -> None:
        """Keep an answer that came of a reading, unless this process wrote something meanwhile."""
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
        """Drop everything, also what is being read; called by who wrote, before he is answered."""
        self._entries.clear()
        self._bytes = 0
        self._generation += 1

    def _discard(self, key: Hashable) -> None:
        self._bytes -= self._entries.pop(key).weight
