"""A model with an error is refused with a sentence that names the next step, and nothing is installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_documented_model import project

from zmart import testing
from zmart.run.deploy import rebuild

RULE = ", config: {meta: {combine: sum}}"
#: What is wrong: the file, the text in it and its replacement, and what the error says.
MISTAKES = {
    "a column without a rule": ("yml", RULE, "", "Column trades_count has no combine rule. Add config.meta.combine"),
    "an unknown rule": ("yml", "combine: sum", "combine: total", "Column trades_count: unknown rule 'total'."),
    "a rule of the key": (
        "yml",
        "data_type: int\n",
        "data_type: int\n        config: {meta: {combine: max}}\n",
        "Column market_no is part of the key, so it has no combine rule.",
    ),
    "a rule in the .sql": (
        "sql",
        "fold_scope=",
        "combine={'trades_count': 'sum'}, fold_scope=",
        "A fold has no config",
    ),
    "kinds in the .sql": ("sql", "fold_scope=", "listens_to=['SharesBought'], fold_scope=", "A fold has no config"),
    "a marker of its own": (
        "sql",
        "{{ log_events(['SharesBought', 'SharesSold']) }}",
        "(select * from raw.events where (true /*fold*/))",
        "This fold reads the log without log_events([...]) or log_ballots().",
    ),
    "another type": ("sql", "count(*) as trades_count", "count(*)::int as trades_count", "does not keep the contract"),
    "a column that the .yml does not name": (
        "sql",
        "max(seq) as",
        "1 as other,\n    max(seq) as",
        "does not keep the contract",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_model_with_an_error_is_refused(
    marts_database: testing.PostgresDatabase, tmp_path: Path, mistake: str
) -> None:
    """The documented model with one mistake."""
    suffix, right, wrong, error = MISTAKES[mistake]
    path = project(tmp_path) / "sql_models" / "folds" / f"trade_counts.{suffix}"
    text = path.read_text()
    assert right in text
    path.write_text(text.replace(right, wrong, 1))

    completed = run_dbt(marts_database, tmp_path)

    assert completed.returncode == 1
    assert error in " ".join(completed.stdout.split())
    with marts_database.connect() as owner:
        assert owner.execute("select to_regclass('marts.trade_counts')").fetchone() == (None,)


def test_the_kinds_are_those_that_the_select_reads(marts_database: testing.PostgresDatabase) -> None:
    """Of its own calls, of the shared step's, and what prices a trade; a ballot of the API is a kind, too."""
    with marts_database.connect() as owner:
        kinds: dict[str, list[str]] = dict(
            owner.execute("select name, listens_to from ops.models").fetchall()  # type: ignore[arg-type]
        )
    assert kinds["ballots"] == ["ballot", "DisputeVoteSubmitted", "ProposalVoteSubmitted"]
    assert kinds["position_costs"] == ["SharesBought", "SharesSold"]
    assert kinds["priced_trades"] == [
        *("ConfigUpdated", "GlobalConfigInitialized", "MarketCreated", "SharesBought", "SharesSold"),
    ]
    assert {*kinds["priced_trades"], "WinningsClaimed", "ProposalVoteSubmitted"} < {*kinds["markets"]}


def run_dbt(database: testing.PostgresDatabase, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the project in the folder against the database."""
    return subprocess.run(
        [Path(sys.executable).with_name("dbt"), "run", "--profiles-dir", ".", "--no-partial-parse"],
        cwd=folder,
        env={
            **rebuild.dbt_environment(database.dsn()),
            "DBT_TARGET_PATH": str(folder),
            "DBT_LOG_PATH": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )
