"""Each combine rule is needed: with one of them broken on purpose, live differs from a rebuild."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import event_histories
import pytest
from test_replay import deliver, differing, place  # noqa: F401 - `place` is a fixture

from zmart import testing

#: By rule: a column that combines by it, and a plausible wrong rule.
BROKEN = {
    "sum": ("markets", "total_volume", "s.total_volume"),
    "min": ("candles_1m", "low", "s.low"),
    "max": ("candles_1m", "high", "s.high"),
    "or": ("positions", "has_claimed", "s.has_claimed"),
    "any": ("positions", "market_id", "null"),
    "first": ("candles_1m", "open", "t.open"),
    "last": ("markets", "last_price_yes", "t.last_price_yes"),
}


@contextmanager
def broken(database: testing.PostgresDatabase, mart: str, column: str, careless: str) -> Iterator[None]:
    """Replace the live function of a mart by one with another rule for one column."""
    with database.connect() as owner:
        row = owner.execute("select pg_get_functiondef(%s::regproc)", (f"folds.apply_{mart}",)).fetchone()
        assert row is not None
        whole = str(row[0])
        rule = re.compile(rf"(\n\s*{column} = )(.*?)(,\n\s*\w+ = |\nwhen not matched)", re.DOTALL)
        spoilt, times = rule.subn(lambda found: f"{found[1]}{careless}{found[3]}", whole)
        assert times == 1
        owner.execute(spoilt.encode())
        try:
            yield
        finally:
            owner.execute(whole.encode())


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_seen(place: testing.PostgresDatabase, rule: str) -> None:  # noqa: F811 - the fixture's value
    """Among a few stories, delivered newest first and one transaction at a time, one shows it, in that mart alone."""
    mart, column, careless = BROKEN[rule]
    found: set[str] = set()
    with broken(place, mart, column, careless):
        for seed in range(8):
            deliver(place, [[row] for row in event_histories.generate(seed)[::-1]])
            found |= set(differing(place))
            if found:
                break
    assert found == {mart}

    deliver(place, [[row] for row in event_histories.generate(seed)[::-1]])
    assert differing(place) == {}
