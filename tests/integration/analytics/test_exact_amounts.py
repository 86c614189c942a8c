"""The lines of docs/analytics.md that read amounts into data frames are exact, beyond 2^53 as well."""

from __future__ import annotations

import decimal
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zmart import testing

ROOT = Path(__file__).resolve().parents[3]
READERS = runpy.run_path(str(ROOT / "analytics" / "exact_amounts.py"))
#: Odd numbers above 2^53, which no float holds; the greatest is that of the program's u64.
AMOUNTS = (2**53 + 1, 2**60 + 3, 2**64 - 1)
QUERY = "select amount::numeric(39, 0) as cost from unnest(array[{}]::numeric[]) as amount".format(
    ", ".join(map(str, AMOUNTS))
)
TRADES = "select seq, cost from marts.trades order by seq"


def costs(name: str, rows: Any) -> list[int]:
    """Return the column `cost` of a reader's rows as integers; a float fails."""
    match name:
        case "with_pandas":
            found = rows["cost"].tolist()
        case "with_duckdb":
            found = [row[-1] for row in rows.fetchall()]
        case _:
            found = rows["cost"].to_list()
    assert all(isinstance(value, decimal.Decimal) for value in found), found[:3]
    return [int(value) for value in found]


@pytest.mark.parametrize("name", ["with_pandas", "with_polars", "with_adbc", "with_duckdb"])
def test_amounts_are_read_exactly(month: testing.PostgresDatabase, name: str) -> None:
    """Every lamport, of the greatest amounts and of all trades of a month."""
    read: Callable[[str, str], Any] = READERS[name]
    dsn = month.dsn("analyst")
    assert costs(name, read(dsn, QUERY)) == list(AMOUNTS)
    with month.connect("analyst") as connection:
        expected = [int(cost) for _, cost in connection.execute(TRADES).fetchall()]
    assert costs(name, read(dsn, TRADES)) == expected
    assert len(expected) > 1_000


def test_the_sums_are_exact(month: testing.PostgresDatabase) -> None:
    """In each library, and in pandas only with coerce_float=False, which is why the page names it."""
    dsn = month.dsn("analyst")
    total = sum(AMOUNTS)
    assert int(READERS["with_pandas"](dsn, QUERY)["cost"].sum()) == total
    assert int(READERS["with_polars"](dsn, QUERY)["cost"].sum()) == total
    assert int(READERS["with_duckdb"](dsn, QUERY).sum("cost").fetchall()[0][0]) == total

    import pandas
    import sqlalchemy

    engine = sqlalchemy.create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    assert int(pandas.read_sql(QUERY, engine)["cost"].sum()) != total
