"""What a person should look at, and saying that one does.

An alert that is acknowledged stays open until its trouble is gone; it is only not posted again. Most are closed by what
raised them. A few tell of something that happened and cannot unhappen: those a person closes.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from zmart import errors
from zmart.db import pool, queries

sql = queries.load("zmart.run", "alerts.sql")


class AlertRow(NamedTuple):
    """A row of ops.alerts."""

    number: int
    kind: str
    subject: str
    severity: str
    message: str
    occurrences: int
    raised_at: datetime.datetime
    last_at: datetime.datetime
    acknowledged_at: datetime.datetime | None
    acknowledged_by: str | None
    resolved_at: datetime.datetime | None

    @property
    def state(self) -> str:
        """One word, and who."""
        if self.resolved_at is not None:
            return "over"
        return "open" if self.acknowledged_at is None else f"with {self.acknowledged_by}"


def list_alerts(dsn: str, *, shows_all: bool = False, limit: int = 50) -> list[AlertRow]:
    """Open alerts, or all of them, the gravest first. Raises Unavailable where Postgres does not answer."""
    with (
        pool.translate_errors(),
        pool.connect_sync(dsn, application_name="zmart alerts", autocommit=True) as connection,
    ):
        rows = connection.execute(sql.list_alerts, {"shows_all": shows_all, "limit": limit})
        return [AlertRow(*row) for row in rows]


def acknowledge_alerts(dsn: str, numbers: Sequence[int], by: str) -> Iterator[int]:
    """Say that `by` looks after these alerts; each number that took. NotFound for one not open, or acknowledged."""
    with (
        pool.translate_errors(),
        pool.connect_sync(dsn, application_name="zmart alerts", autocommit=True) as connection,
    ):
        for number in numbers:
            (took,) = connection.execute(sql.acknowledge, {"alert_no": number, "by": by}).fetchone() or (False,)
            if not took:
                raise errors.NotFound(
                    f"Alert {number} is not open, or somebody looks after it already.", help="See: zmart alerts list"
                )
            yield number


def close_alerts(dsn: str, numbers: Sequence[int]) -> Iterator[int]:
    """Close these alerts; each number that was open. NotFound for one that is not."""
    with (
        pool.translate_errors(),
        pool.connect_sync(dsn, application_name="zmart alerts", autocommit=True) as connection,
    ):
        for number in numbers:
            if connection.execute(sql.close, {"alert_no": number}).rowcount == 0:
                raise errors.NotFound(f"Alert {number} is not open.", help="See: zmart alerts list")
            yield number
