"""Measures rebuilding every folded mart from the whole log, and whether ten times the log takes ten times as long."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psycopg

from bench.environment import BenchEnvironment
from zmart import testing
from zmart.run.deploy import rebuild

from .figure import Effort, Figure, Sample, Target
from .not_measured import NotMeasured


class RebuildFigure(Figure):
    """Measures rebuilding marts from the log."""

    name = "rebuild"
    title = "all folded marts from the log"
    unit = "events/s"
    targets = (
        Target(label="all marts", bound="at least", value=80_000),
        Target(label="from emptied marts", bound="at least", value=60_000),
        Target(label="time for ten times the log", bound="at most", value=12.0),
    )
    method = (
        "The work of `zmart rebuild`, on a log of 200,000 events (1,000,000 with --full): each mart is folded "
        "beside the live one and the difference merged, as many at once as there are processors. `all marts` "
        "divides the events of the log by the time for all of them; the rounds begin with marts that are correct "
        "already, `from emptied marts` with none of their rows. The time for ten times the log is compared with a "
        "log of a tenth; small logs make it look better, so judge it with --full."
    )
    limit_seconds = 1_800.0

    def measure(self, env: BenchEnvironment, effort: Effort) -> list[Sample]:
        """Measure the small log, then the large one."""
        rounds = effort.choose(1, 3)
        with env.database(log_events=effort.log_events // 10) as database:
            small = _measure_rounds(database, rounds)
        with env.database(log_events=effort.log_events) as database:
            large = _measure_rounds(database, rounds)
            emptied = _rebuild_emptied(database)
            single = _rebuild_each(database)
        ratios = [after / before for before, after in zip(small, large, strict=True)]
        return [
            _rate("all marts", effort.log_events, large),
            _rate("from emptied marts", effort.log_events, [emptied]),
            Sample(label="time for ten times the log", unit="x", values=tuple(ratios)),
            *(Sample(label=f"mart {name} alone", unit="s", values=(seconds,)) for name, seconds in single.items()),
        ]


def _rate(label: str, events: int, seconds: Sequence[float]) -> Sample:
    return Sample(label=label, unit="events/s", values=tuple(events / took for took in seconds))


def _measure_rounds(database: testing.PostgresDatabase, rounds: int) -> list[float]:
    return [_rebuild_all(database, expect_none=True) for _ in range(rounds)]


def _rebuild_emptied(database: testing.PostgresDatabase) -> float:
    with database.connect() as owner:
        for name in _names(owner):
            owner.execute(psycopg.sql.SQL("truncate {}").format(psycopg.sql.Identifier("marts", name)))
    return _rebuild_all(database, expect_none=False)


def _rebuild_each(database: testing.PostgresDatabase) -> dict[str, float]:
    with database.connect() as owner:
        return {name: _time_rebuild(database, [name], expect_none=True) for name in _names(owner)}


def _rebuild_all(database: testing.PostgresDatabase, *, expect_none: bool) -> float:
    with database.connect() as owner:
        return _time_rebuild(database, _names(owner), expect_none=expect_none)


def _time_rebuild(database: testing.PostgresDatabase, names: Sequence[str], *, expect_none: bool) -> float:
    """Return the seconds to rebuild these marts."""
    began = time.perf_counter()
    differed = rebuild.rebuild(database.dsn(), names, report=lambda _: None)
    took = time.perf_counter() - began
    if differed and expect_none:
        raise NotMeasured(f"{differed} rows of {', '.join(names)} differed from a rebuild of the log.")
    return took


def _names(owner: psycopg.Connection[tuple[object, ...]]) -> list[str]:
    return [str(name) for (name,) in owner.execute("select name from ops.models order by name")]


FIGURE = RebuildFigure()
