"""A model with an error is refused with a sentence that names the next step, and nothing is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from test_documented_model import project

from zmart import testing
from zmart.run.deploy import rebuild

MODEL = "trade_counts"
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


@pytest.fixture(scope="module")
def complaints(
    postgres_server: testing.PostgresServer,
    marts_template: testing.PostgresDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """The output of dbt about each mistake, from one run of a project that has the documented model once for each."""
    folder = project(tmp_path_factory.mktemp("mistakes"))
    models = folder / "sql_models" / "folds"
    texts = {suffix: (models / f"{MODEL}.{suffix}").read_text() for suffix in ("sql", "yml")}
    for suffix in texts:
        (models / f"{MODEL}.{suffix}").unlink()
    for number, (suffix, right, wrong, _) in enumerate(MISTAKES.values()):
        assert right in texts[suffix]
        for each, text in {**texts, suffix: texts[suffix].replace(right, wrong, 1)}.items():
            (models / f"{MODEL}_{number}.{each}").write_text(text.replace(MODEL, f"{MODEL}_{number}"))

    with postgres_server.clone(marts_template) as database:
        completed = run_dbt(database, folder)
        with database.connect() as owner:
            installed = "select relname from pg_class where relname like %s"
            assert owner.execute(installed, (f"{MODEL}%",)).fetchall() == []
    assert completed.returncode == 1, completed.stdout
    _, *parts = re.split(rf" in model {MODEL}_(\d+) \(", " ".join(completed.stdout.split()))
    found = {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}
    return {mistake: found[number] for number, mistake in enumerate(MISTAKES)}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_model_with_an_error_is_refused(complaints: dict[str, str], mistake: str) -> None:
    """The documented model with one mistake: dbt names it, and installs nothing."""
    assert MISTAKES[mistake][-1] in complaints[mistake]


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
