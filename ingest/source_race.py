"""Compares the live sources: which one reported a transaction first, how much later the others did, and what they lack.

Only sources that report transactions as they happen take part. What the walk or a backfill fetches is late by nature.
Everything is in memory and covers the last minutes; the counters are in `metrics`.
"""

from __future__ import annotations

import collections
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

#: Sources that take part.
LIVE_SOURCES: Final = frozenset({"grpc", "webhook", "logs"})
#: How long a transaction is compared.
WINDOW_SECONDS: Final = 300.0
#: How long after the first report a source may be late before it counts as not having reported.
GRACE_SECONDS: Final = 60.0
#: Transactions that are compared at most.
MAX_TRANSACTIONS: Final = 20_000


@dataclass(frozen=True, kw_only=True)
class SourceStanding:
    """One source in the last WINDOW_SECONDS."""

    #: Transactions that it reported before every other source.
    first: int = 0
    #: Transactions that it reported after another source.
    later: int = 0
    #: Transactions that another source reported more than GRACE_SECONDS ago, and it did not.
    missed: int = 0
    #: The median delay of those that it reported later.
    median_lag_seconds: float | None = None


class _Sighting:
    """When each source reported one transaction."""

    __slots__ = ("first_source", "lags", "seen_at")

    def __init__(self, source: str, now: float) -> None:
        self.first_source = source
        self.seen_at = now
        #: Seconds after the first report, by source.
        self.lags: dict[str, float] = {}


class SourceRace:
    """The reports of all live sources."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sightings: collections.OrderedDict[str, _Sighting] = collections.OrderedDict()
        #: The sources that are configured, and so expected to report everything.
        self.expected: frozenset[str] = frozenset()
        #: Called for each transaction that a source reports first, and with the delay for each that it reports later.
        self.on_first: Callable[[str], None] = lambda source: None
        self.on_later: Callable[[str, float], None] = lambda source, seconds: None

    def record(self, source: str, *signatures: Iterable[str]) -> None:
        """Record that a source reported transactions now; what it has reported before does not count again."""
        if source not in LIVE_SOURCES:
            return
        now = self._clock()
        self._drop_old(now)
        for signature in (one for group in signatures for one in group):
            known = self._sightings.get(signature)
            if known is None:
                self._sightings[signature] = _Sighting(source, now)
                self.on_first(source)
            elif known.first_source != source and source not in known.lags:
                known.lags[source] = now - known.seen_at
                self.on_later(source, now - known.seen_at)

    def _drop_old(self, now: float) -> None:
        while self._sightings:
            oldest = next(iter(self._sightings.values()))
            if len(self._sightings) <= MAX_TRANSACTIONS and now - oldest.seen_at <= WINDOW_SECONDS:
                return
            self._sightings.popitem(last=False)

    def standings(self) -> dict[str, SourceStanding]:
        """Return the standing of each source that is expected or has reported something."""
        now = self._clock()
        self._drop_old(now)
        sightings: Sequence[_Sighting] = tuple(self._sightings.values())
        names = self.expected | {one.first_source for one in sightings}
        return {name: self._standing(name, sightings, now) for name in sorted(names)}

    def _standing(self, name: str, sightings: Sequence[_Sighting], now: float) -> SourceStanding:
        others = [one for one in sightings if one.first_source != name]
        lags = [one.lags[name] for one in others if name in one.lags]
        overdue = [one for one in others if name not in one.lags and now - one.seen_at > GRACE_SECONDS]
        return SourceStanding(
            first=len(sightings) - len(others),
            later=len(lags),
            missed=len(overdue),
            median_lag_seconds=round(statistics.median(lags), 6) if lags else None,
        )

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return the standings by source, for /ready."""
        return {name: asdict(standing) for name, standing in self.standings().items()}
