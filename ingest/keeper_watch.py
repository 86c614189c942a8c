"""Raises the alert `keepers_idle` when markets wait for keepers and no keeper runs.

Keepers run under Dagster. A schedule that is off, a daemon that is down or a key that is missing reports nothing, so
something that always runs has to look: ingest. It estimates from the marts which markets wait (ops.waiting_markets) and
compares that with the last round that each keeper left (ops.keeper_rounds).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from zmart.db import queries
from zmart.db.connection import translate_all_errors
from zmart.settings import Settings

from .database_watch import DatabaseWatch

sql = queries.load("ingest", "keeper_watch.sql")

ALERT = "keepers_idle"
KEEPERS = (
    "proposal_tallies",
    "proposal_approvals",
    "market_activations",
    "market_finalizations",
    "dispute_settlements",
)
#: Keepers that run only with MARKET_MONITOR_ENABLED.
MONITORED = frozenset({"market_finalizations", "dispute_settlements"})
#: The creator of a market may activate it, too; a keeper does only where it has the admin's key.
OPTIONAL = frozenset({"market_activations"})
INTERVAL_SECONDS = 30.0
#: Rounds that may be missing before keepers count as idle, and the shortest such time.
MISSED_ROUNDS = 3
LEAST_IDLE_SECONDS = 180.0


@dataclass(frozen=True, kw_only=True)
class KeeperState:
    """One keeper as the database shows it."""

    name: str
    waiting: int
    #: Since the last round that came to its end; None if there was none.
    seconds_since_work: float | None
    #: Since this process first saw markets wait for it, without a pause; None while none waits.
    seconds_waited: float | None = None

    def is_idle(self, limit_seconds: float) -> bool:
        """Return whether markets wait for it and it has not worked for too long."""
        if not self.waiting:
            return False
        if self.seconds_since_work is not None:
            return self.seconds_since_work > limit_seconds
        is_expected = self.name not in OPTIONAL
        return is_expected and self.seconds_waited is not None and self.seconds_waited > limit_seconds


def idle_message(states: Iterable[KeeperState], limit_seconds: float) -> str | None:
    """Return the message of the alert, or None when no keeper is idle."""
    idle = [state for state in states if state.is_idle(limit_seconds)]
    if not idle:
        return None
    waiting = ", ".join(f"{state.name} {state.waiting} ({_describe_last(state)})" for state in idle)
    return f"Markets wait for keepers that do not run: {waiting}. See: zmart status, and the schedules in Dagster."


def _describe_last(state: KeeperState) -> str:
    if state.seconds_since_work is None:
        return "it has never run"
    return f"its last round ended {state.seconds_since_work / 60:.0f} minutes ago"


class KeeperWatch(DatabaseWatch):
    """The task that watches keepers."""

    def __init__(self, dsn: str, configured: Settings) -> None:
        super().__init__(dsn, name="keeper watch", interval_seconds=INTERVAL_SECONDS)
        voting, monitor = configured.voting, configured.monitor
        self.limit_seconds = max(MISSED_ROUNDS * voting.aggregation_interval_ms / 1000, LEAST_IDLE_SECONDS)
        self._watched = [name for name in KEEPERS if monitor.enabled or name not in MONITORED]
        self._parameters = {
            "keepers": self._watched,
            "min_votes": voting.min_proposal_votes,
            "threshold_bps": voting.proposal_approval_threshold_bps,
            "window": voting.dispute_voting_window_seconds,
            "counts_dry": monitor.dry_run,
        }
        self._waiting_since: dict[str, float] = {}
        #: The last states, for metrics.
        self.states: Mapping[str, KeeperState] = {}

    async def check(self) -> None:
        """Look once: update the states, the backlog and the alert. Raises the database's errors."""
        with translate_all_errors("Keepers cannot be watched"):
            connection = await self.connection.get()
            rows = await (await connection.execute(sql.keepers, self._parameters)).fetchall()
            self.states = self._read_states(rows)
            backlog = {state.name: state.waiting for state in self.states.values()}
            await connection.execute(sql.save_backlog, {"value": Jsonb(backlog)})
            if message := idle_message(self.states.values(), self.limit_seconds):
                await self.alert(ALERT, message)
            else:
                await self.resolve(ALERT)

    def _read_states(self, rows: Iterable[tuple[object, ...]]) -> dict[str, KeeperState]:
        now, states = time.monotonic(), dict[str, KeeperState]()
        for name, waiting, _, seconds_since_work in rows:
            # Where dry rounds count, a keeper may have two rows; the first is the later round.
            if name in states:
                continue
            if waiting:
                self._waiting_since.setdefault(str(name), now)
            else:
                self._waiting_since.pop(str(name), None)
            since = self._waiting_since.get(str(name))
            states[str(name)] = KeeperState(
                name=str(name),
                waiting=int(str(waiting)),
                seconds_since_work=None if seconds_since_work is None else float(str(seconds_since_work)),
                seconds_waited=None if since is None else now - since,
            )
        return states
