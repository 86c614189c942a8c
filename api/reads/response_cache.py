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
SECONDS = 1.0
#: A body larger than this share of the memory would push out too many.
_LARGEST_SHARE = 32
#: What an entry weighs beside its body: names, headers, places in dictionaries.
_BESIDE_BYTES = 2_000

#: Epoch and seq.
Place: TypeAlias = tuple[str, int]


class Placed(Protocol):
    """An answer that says of which place in the log it is true."""

    @property
    def place(self) -> Place:
        """The place."""
        ...

    @property
    def body(self) -> bytes | None:
        """The bytes; what has none is not kept."""
        ...


_Answer = TypeVar("_Answer", bound=Placed)


@dataclass(frozen=True)
class _Entry(Generic[_Answer]):
    answer: _Answer
    #: By the clock, when its reading began or earlier.
    began: float
    weight: int


@dataclass(frozen=True)
class Reading:
    """A statement about to be sent, as far as keeping its answer is concerned."""

    began: float
    generation: int


class Kept(Generic[_Answer]):
    """Answers by what was asked, in bounded memory; what was not asked for longest goes first."""

    def __init__(
        self,
        end: Callable[[], Awaitable[Place | None]],
        *,
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        #: Where the log ends, looked up after the call; None where there is no log.
        self._end = end
        self._clock = clock
        self._most_bytes = most_bytes
        self._entries: collections.OrderedDict[Hashable, _Entry[_Answer]] = collections.OrderedDict()
        self._bytes = 0
        self._generation = 0
        #: The furthest place that an answer or a look has told of.
        self._seen: Place | None = None

    @property
    def bytes(self) -> int:
        """What is held."""
        return self._bytes

    async def find(self, asked: Hashable) -> _Answer | None:
        """The answer to the same question, if it is true at a moment after this call; else None."""
        entry = self._entries.get(asked)
        if entry is None:
            return None
        if self._clock() - entry.began < SECONDS and await self._ends_at(entry.answer.place):
            if asked in self._entries:
                self._entries.move_to_end(asked)
            return entry.answer
        if self._entries.get(asked) is entry:
            self._discard(asked)
        return None

    async def _ends_at(self, place: Place) -> bool:
        # A log does not go back: where it is known to have moved on, nothing needs to be looked up.
        if self._seen is not None and self._seen[0] == place[0] and self._seen[1] > place[1]:
            return False
        end = await self._end()
        self._see(end)
        return end == place

    def _see(self, place: Place | None) -> None:
        if place is not None and (self._seen is None or self._seen[0] != place[0] or self._seen[1] < place[1]):
            self._seen = place

    def reading(self) -> Reading:
        """Call before a statement is sent, so that its answer may be kept."""
        return Reading(self._clock(), self._generation)

    def keep(self, asked: Hashable, answer: _Answer, reading: Reading) -> None:
        """Keep an answer that came of a reading, unless this process wrote something meanwhile."""
        self._see(answer.place)
        if answer.body is None or reading.generation != self._generation:
            return
        if asked in self._entries:
            self._discard(asked)
        entry = _Entry(answer, reading.began, len(answer.body) + _BESIDE_BYTES)
        if entry.weight > self._most_bytes // _LARGEST_SHARE:
            return
        self._entries[asked] = entry
        self._bytes += entry.weight
        while self._bytes > self._most_bytes:
            self._discard(next(iter(self._entries)))

    def forget(self) -> None:
        """Drop everything, also what is being read; called by who wrote, before he is answered."""
        self._entries.clear()
        self._bytes = 0
        self._generation += 1

    def _discard(self, asked: Hashable) -> None:
        self._bytes -= self._entries.pop(asked).weight
