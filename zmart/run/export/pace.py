"""Lets an export rest in proportion to its work, so that ingest beside it keeps its pace."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

#: The share of its time that a gentle export works. On two cores an export at full speed takes up to two fifths of
#: ingest's pace, and a gentle one less than a tenth (bench/README.md, `exports`).
GENTLE_SHARE: Final = 0.25
#: A pause never exceeds this, however long the work before it took: Postgres gives up a COPY that nobody reads.
MOST_SECONDS: Final = 30.0


class Pace:
    """Decides how long an export rests after a piece of work.

    `share` is the part of its time that it works, above 0 and at most 1; 1 never rests.
    """

    def __init__(
        self,
        share: float = 1.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 0.0 < share <= 1.0:
            raise ValueError(f"An export cannot work {share:g} of its time: the share is above 0 and at most 1.")
        self._share, self._clock, self._sleep = share, clock, sleep
        self._began = clock()

    @property
    def is_gentle(self) -> bool:
        """Whether the export rests at all."""
        return self._share < 1.0

    def rest(self) -> None:
        """Sleep in proportion to the time since the last rest."""
        if not self.is_gentle:
            return
        worked = self._clock() - self._began
        self._sleep(min(worked * (1.0 / self._share - 1.0), MOST_SECONDS))
        self._began = self._clock()
