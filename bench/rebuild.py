"""Rebuild: every folded mart again from the whole log, and whether ten times the log takes ten times as long."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from zmart import testing
from zmart.run import rebuild

from .figure import Effort, Figure, NotMeasured, Sample, Target
from .house import House


class Rebuild(Figure):
    """Marts from the log."""

    name = "rebuild"
    title = "all folded marts from the log"
    unit = "events/s"
    targets = (
        Target(label="all marts", bound="at least", value=50_000),
        Target(label="time for ten times the log", bound="at most", value=12.0),
    )
    method = (
        "What `zmart rebuild` does, on a log of 200,000 events (1,000,000 with --full): each mart is folded"
        " beside the live one and the difference merged. `all marts` divides the events of the log by the "
        "time for all of them; the rounds begin with marts that are right already, `from emptied marts` "
        "with none of their rows. The time for ten times the log is held against a log of a tenth; small "
        "logs flatter it, so judge it with --full."
    )
    limit_seconds = 1_800.0

    def measure(self, house: House, effort: Effort) -> list[Sample]:
        """The small log, then the large one."""
        rounds = effort.choose(1, 3)
        with house.database(log_events=effort.log_events // 10) as database:
            small = _rounds(database, rounds)
        with house.database(log_events=effort.log_events) as database:
            large = _rounds(database, rounds)
            emptied = _from_nothing(database)
        totals = [sum(seconds.values()) for seconds in large]
        ratios = [sum(after.values()) / sum(before.values()) for before, after in zip(small, large, strict=True)]
        return [
            _rate("all marts", effort.log_events, totals),
            _rate("from emptied marts", effort.log_events, [sum(emptied.values())]),
            Sample(label="time for ten times the log", unit="x", values=tuple(ratios)),
            *(
                Sample(label=f"mart {name}", unit="s", values=tuple(seconds[name] for seconds in large))
                for name in large[0]
            ),
        ]


def _rate(label: str, events: int, seconds: Sequence[float]) -> Sample:
    return Sample(label=label, unit="events/s", values=tuple(events / took for took in seconds))


def _rounds(database: testing.Database, rounds: int) -> list[dict[str, float]]:
    return [_all(database, expect_none=True) for _ in range(rounds)]


def _from_nothing(database: testing.Database) -> dict[str, float]:
    with database.connect() as owner:
        for name in _names(owner):
            owner.execute(psycopg.sql.SQL("truncate {}").format(psycopg.sql.Identifier("marts", name)))
    return _all(database, expect_none=False)


def _all(database: testing.Database, *, expect_none: bool) -> dict[str, float]:
    """Seconds by mart."""
    seconds = {}
    with database.connect() as owner:
        for name in _names(owner):
            began = time.perf_counter()
            differed = rebuild.rebuild(database.dsn(), [name], tell=lambda _: None)
            seconds[name] = time.perf_counter() - began
            if differed and expect_none:
                raise NotMeasured(f"{differed} rows of {name} were not what a rebuild makes of the log.")
    return seconds


def _names(owner: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    return [str(name) for (name,) in owner.execute("select name from ops.models order by name")]


FIGURE = Rebuild()
