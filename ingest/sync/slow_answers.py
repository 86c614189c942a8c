"""Raises an alert while deliveries are answered too slowly for Helius.

Helius waits one second for an answer and tries a delivery four times within some seconds; after that the event is lost
for the webhook, and only the walk finds it. So an answer above SLOW_ANSWER_SECONDS is a fault although nothing failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ..metrics import SLOW_ANSWER_SECONDS, Metrics
from .database import SyncDatabase

ALERT: Final = "webhook_slow"
#: The alert is resolved after this time without a slow answer.
RESOLVE_AFTER_SECONDS: Final = 600.0


class SlowAnswerCheck:
    """Compares the count of slow answers with the last one that was reported."""

    def __init__(self, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._reported = 0
        #: Time of the last slow answer; at first that of the start, so that an alert of an earlier process is resolved.
        self._slow_at: float | None = clock()

    async def update_alert(self, database: SyncDatabase) -> None:
        """Raise the alert after slow answers, resolve it when there have been none for a while."""
        count, now = self._metrics.slow_answer_count, self._clock()
        if count > self._reported:
            await database.alert(
                ALERT,
                f"{count - self._reported} deliveries were answered after more than {SLOW_ANSWER_SECONDS:g} s, the "
                f"slowest after {self._metrics.slowest_answer_seconds:.1f} s. Helius waits 1 s and gives up after four "
                "tries within seconds; the walk then finds the transactions later (docs/runbook.md, webhook_slow).",
            )
            self._reported, self._slow_at = count, now
        elif self._slow_at is not None and now - self._slow_at >= RESOLVE_AFTER_SECONDS:
            await database.resolve(ALERT)
            self._slow_at = None
