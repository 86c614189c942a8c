"""The market maker in SQL equals the one in Python, which equals the program's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zmart import errors, testing
from zmart.domain import fixed, lmsr

P = fixed.PRECISION
VECTORS = Path(__file__).parents[4] / "shared/data/lmsr_vectors.json"
ASKED = """
select
    lmsr.price_yes(c.q_yes, c.q_no, c.b), lmsr.cost(c.q_yes, c.q_no, c.b),
    lmsr.proceeds(c.q_yes, c.q_no, c.b, c.is_yes, c.shares)
from unnest(%s::numeric [], %s::numeric [], %s::numeric [], %s::boolean [], %s::numeric [])
with ordinality as c (q_yes, q_no, b, is_yes, shares, place)
order by c.place
"""
Case = tuple[int, int, int, bool, int]


def in_sql(database: testing.PostgresDatabase, cases: list[Case]) -> list[list[int | None]]:
    """Return SQL's result for each case: price, cost, proceeds; null for a rejection."""
    columns = [list(column) for column in zip(*cases, strict=True)]
    with database.connect("analyst") as connection:
        rows = connection.execute(ASKED, columns).fetchall()
    return [[None if value is None else int(str(value)) for value in row] for row in rows]


def answered(call: Any, *args: Any, **kwargs: Any) -> int | None:
    """Return a function's result, or None if the program rejects."""
    try:
        return int(call(*args, **kwargs))
    except errors.ProgramError:
        return None


def in_python(case: Case) -> list[int | None]:
    """Return the same from zmart.domain."""
    q_yes, q_no, b, yes, shares = case
    q = q_yes, q_no, b
    return [answered(lmsr.price_yes, *q), answered(lmsr.cost, *q), answered(lmsr.sell, *q, yes=yes, shares=shares)]


@pytest.mark.skipif(not VECTORS.exists(), reason="the program's computed cases are not at hand")
def test_all_cases_of_the_program(database: testing.PostgresDatabase) -> None:
    """Price, cost and proceeds of the program's own 1,500 cases; null for a rejection."""
    vectors = json.loads(VECTORS.read_text())
    cases = [(c["q_yes"], c["q_no"], c["b"], c["outcome_yes"], c["sell_shares"]) for c in vectors]
    expected = [
        [value if isinstance(value, int) else None for value in (c["price_yes"], c["cost"], c["sell_proceeds"])]
        for c in vectors
    ]
    answers = in_sql(database, cases)
    assert [(c, a, e) for c, a, e in zip(cases, answers, expected, strict=True) if a != e] == []
    assert sum(None in answer for answer in answers) > 10


def test_corners(database: testing.PostgresDatabase) -> None:
    """Balance, the turn at 3.46 b, 20 b and beyond, b below the minimum, the largest u64, more than the market has."""
    b = lmsr.MIN_B
    cases: list[Case] = [
        (0, 0, b, True, 0),
        (b // 1000, b // 1000, b, True, b // 1000),
        (3_464_101_615 * 100, 0, b, True, 1),
        (3_464_101_616 * 100, 0, b, True, P),
        (5 * b, 0, b, True, b),
        (0, 5 * b, b, False, b),
        (20 * b, 0, b, True, 1),
        (20 * b + 100, 0, b, True, 1),
        (20 * b + 99, 0, b, True, 99),
        (5, 5, b - 1, True, 1),
        (5, 5, 0, True, 1),
        (5, 5, b, True, 6),
        (fixed.U64_MAX, fixed.U64_MAX, b, True, 1),
        (fixed.U64_MAX, 0, fixed.U64_MAX, True, 1),
        (fixed.U64_MAX + 1, 0, b, True, 1),
    ]
    assert in_sql(database, cases) == [in_python(case) for case in cases]
