"""Counts what the relay does, for Prometheus."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence

from prometheus_client import Counter, Gauge, Histogram

from zmart.http import metrics as http_metrics

#: The longest wait of an entry while the relay still counts as ready.
LATE_SECONDS = 60.0


class RelayMetrics:
    """The metrics of one relay."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.registry = http_metrics.new_registry()
        self._published = Counter("zmart_relay_published_entries", "entries published", registry=self.registry)
        self._delay = Histogram(
            "zmart_relay_delay_seconds",
            "from writing an entry in the log to its confirmation by the bus",
            buckets=http_metrics.SECONDS_BUCKETS,
            registry=self.registry,
        )
        self._position = Gauge("zmart_relay_position_seq", "last seq on the bus", registry=self.registry)
        self._position.set(-1)
        self._waiting = Gauge("zmart_relay_waiting_entries", "entries not on the bus", registry=self.registry)
        self._oldest = Gauge("zmart_relay_oldest_waiting_seconds", "age of the oldest of them", registry=self.registry)
        self._oldest.set_function(lambda: self.oldest_waiting_seconds)
        self._connected = Gauge("zmart_relay_connected", "whether both ends are connected", registry=self.registry)
        #: Failures by kind.
        self.failures = Counter("zmart_relay_failures", "failures by kind", ["kind"], registry=self.registry)
        #: Announcements that consumers must read the state again.
        self.resyncs = Counter("zmart_relay_resyncs", "resync messages", registry=self.registry)
        #: Entries published by this process.
        self.published_entries = 0
        self._is_connected = False
        self._waiting_since: float | None = None

    @property
    def is_connected(self) -> bool:
        """Return whether entries can be published now."""
        return self._is_connected

    @is_connected.setter
    def is_connected(self, value: bool) -> None:
        self._is_connected = value
        self._connected.set(value)

    @property
    def oldest_waiting_seconds(self) -> float:
        """Return the age of the oldest entry that the bus does not have; 0 while it has all that were read."""
        return 0.0 if self._waiting_since is None else max(0.0, self._clock() - self._waiting_since)

    def problems(self) -> list[str]:
        """Return why the relay does not do its work, one sentence each; empty while it does."""
        reasons = [] if self._is_connected else ["The relay has no connection to the bus, or to Postgres."]
        if self.oldest_waiting_seconds > LATE_SECONDS:
            reasons.append(f"An entry has waited for {self.oldest_waiting_seconds:.0f} s to be published.")
        return reasons

    def waits_since(self, at: datetime.datetime | None) -> None:
        """Record that an entry of this time is being published."""
        if at is not None and self._waiting_since is None:
            self._waiting_since = at.timestamp()

    def count(self, times: Sequence[datetime.datetime]) -> None:
        """Count entries that the bus confirmed, by the times at which they were written in the log."""
        now = self._clock()
        for at in times:
            self._delay.observe(max(0.0, now - at.timestamp()))
        self.published_entries += len(times)
        self._published.inc(len(times))

    def reached(self, seq: int, head: int) -> None:
        """Record the seq that the bus has, and the end of the log."""
        self._position.set(seq)
        self._waiting.set(max(0, head - seq))
        self._waiting_since = None
