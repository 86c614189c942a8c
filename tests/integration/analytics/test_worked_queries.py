"""The results of the worked queries are those of their page, for the role analyst."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from zmart import testing

ROOT = Path(__file__).resolve().parents[3]


PAGE = SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "analytics.py")))
QUERIES = list(PAGE.queries())


def answer(month: testing.PostgresDatabase, name: str) -> list[dict[str, object]]:
    """The rows of one worked query, by column."""
    (query,) = [query for query in QUERIES if query.path.stem.endswith(name)]
    with month.connect("analyst") as analyst:
        rows = analyst.execute(query.statement.encode())
        assert rows.description is not None
        names = [column.name for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in rows]


def test_the_page_shows_what_the_queries_answer(month: testing.PostgresDatabase) -> None:
    """The results on the page are those of its queries on the generated month, to the last digit."""
    assert PAGE.PAGE.read_text() == PAGE.page(month.dsn("analyst")), "run: python docs/analytics.py"


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.path.stem)
def test_a_query_asks_and_is_answered(month: testing.PostgresDatabase, query: SimpleNamespace) -> None:
    """Each file begins with a question, and the month has rows for it."""
    with month.connect("analyst") as analyst:
        assert query.question.endswith("?")
        assert analyst.execute(query.statement.encode()).fetchall()


def test_an_analyst_only_reads_and_not_for_ever(month: testing.PostgresDatabase) -> None:
    """The role writes nothing and is bounded in time, whatever its query does."""
    with month.connect("analyst") as analyst:
        assert analyst.execute("show statement_timeout").fetchone() == ("1min",)
        assert analyst.execute("show search_path").fetchone() == ("marts, public",)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            analyst.execute("delete from markets")
        analyst.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            analyst.execute("delete from markets")


def test_the_days_add_up_to_the_markets(month: testing.PostgresDatabase) -> None:
    """Volume by day uses the markets' definition."""
    with month.connect("analyst") as analyst:
        days = "select sum(case trade_type when 'buy' then cost else gross end) from trades"
        assert analyst.execute(days).fetchone() == analyst.execute("select sum(total_volume) from markets").fetchone()


def test_profit_counted_by_hand_is_that_of_the_leaderboard(month: testing.PostgresDatabase) -> None:
    """No wallet has a difference; one would be in the first row."""
    assert {row["differs_by_lamports"] for row in answer(month, "who_profits")} == {0}


def test_the_classes_of_voters_add_up_to_the_tallies(month: testing.PostgresDatabase) -> None:
    """Every ballot is of one class; all three occur."""
    rows = [row for row in answer(month, "vote_participation") if row["kind"] == "proposal"]
    with month.connect("analyst") as analyst:
        total = analyst.execute("select sum(total) from vote_tallies where kind = 'proposal'").fetchone()
    assert all(row["ballots"] for row in rows)
    assert (sum(int(str(row["ballots"])) for row in rows),) == total


def test_the_funnel_narrows(month: testing.PostgresDatabase) -> None:
    """No step is reached by more markets than the previous one."""
    steps = {str(row["step"]): int(str(row["markets"])) for row in answer(month, "funnel")}
    reached = [steps[name] for name in ("proposed", "approved", "opened", "outcome proposed", "finalized")]

    assert reached == sorted(reached, reverse=True)
    assert reached[-1] > 0


def test_larger_buys_move_the_price_further(month: testing.PostgresDatabase) -> None:
    """Slippage grows with size."""
    moved = [float(str(row["moved_points"])) for row in answer(month, "slippage_by_size")]

    assert moved == sorted(moved)
