"""Raises an alert while a configured source of transactions is silent, or much later than another one.

With two sources nothing is lost when one of them stops, so nobody notices; but then there is only one left.
"""

from __future__ import annotations

from typing import Final

from ..source_race import GRACE_SECONDS, WINDOW_SECONDS, SourceRace, SourceStanding
from .database import SyncDatabase

SILENT: Final = "source_silent"
LAGS: Final = "source_lags"
#: Fewer transactions prove nothing.
MIN_TRANSACTIONS: Final = 5
#: A median delay above this is a fault; webhooks and streams differ by less than a second.
LAG_SECONDS: Final = 5.0


class SourceRaceCheck:
    """Judges the standings of the sources."""

    def __init__(self, race: SourceRace) -> None:
        self._race = race

    async def update_alerts(self, database: SyncDatabase) -> None:
        """Raise or resolve the alerts of each expected source; a quiet time changes nothing."""
        for name, standing in self._race.standings().items():
            if name not in self._race.expected:
                continue
            if is_silent(standing):
                await database.alert(
                    SILENT,
                    f"The source {name} reported none of {standing.missed} transactions that another source reported "
                    f"more than {GRACE_SECONDS:g} s ago. Nothing is missing, but only the other source works "
                    "(docs/runbook.md, source_silent).",
                    subject=name,
                )
            elif standing.first + standing.later:
                await database.resolve(SILENT, name)
            if lags(standing):
                await database.alert(
                    LAGS,
                    f"The source {name} reported {standing.later} transactions of the last {WINDOW_SECONDS / 60:g} "
                    f"minutes {standing.median_lag_seconds:.1f} s (median) after another source "
                    "(docs/runbook.md, source_lags).",
                    subject=name,
                )
            elif standing.first + standing.later >= MIN_TRANSACTIONS:
                await database.resolve(LAGS, name)


def is_silent(standing: SourceStanding) -> bool:
    """Return whether a source reports nothing although there is something to report."""
    return standing.missed >= MIN_TRANSACTIONS and not standing.first + standing.later


def lags(standing: SourceStanding) -> bool:
    """Return whether a source is usually late."""
    return (
        standing.later >= MIN_TRANSACTIONS
        and standing.later > standing.first
        and (standing.median_lag_seconds or 0.0) > LAG_SECONDS
    )
