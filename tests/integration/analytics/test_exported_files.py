"""Files of an export are read exactly by each library, and the worked queries give equal answers in each engine."""

from __future__ import annotations

import ast
import datetime
import decimal
import json
import re
import runpy
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zmart import testing
from zmart.run.export import exporter
from zmart.run.export.store import FolderStore

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "files.md"
SOURCE = ROOT / "analytics" / "exported_files.py"
READERS = SimpleNamespace(**runpy.run_path(str(SOURCE)))
QUERIES = {query.path.stem: query for query in runpy.run_path(str(ROOT / "docs" / "analytics.py"))["queries"]()}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BUYS = "select sum(cost) from trades where trade_type = 'buy'"


@pytest.fixture(scope="module")
def files(
    postgres_server: testing.PostgresServer,
    month_template: testing.PostgresDatabase,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The generated month as files, in several segments."""
    folder = tmp_path_factory.mktemp("files")
    with postgres_server.clone(month_template) as database:
        exporter.export(database.dsn(), FolderStore(folder), segment_entries=1_500)
    return folder


@pytest.fixture(scope="module")
def clickhouse(files: Path) -> Iterator[Any]:
    """ClickHouse with a view for each mart."""
    with READERS.with_clickhouse(files) as session:
        yield session


def normalize(value: Any) -> Any:
    """Return a value in the form in which answers of different engines are compared: six decimals, days as text."""
    if isinstance(value, datetime.date):
        return str(value)[:10]
    if value is None or isinstance(value, str):
        return value
    return round(decimal.Decimal(str(value)), 6) + 0


def text_of(name: str, engine: str) -> str:
    """The text of a worked query for an engine."""
    own = ROOT / "analytics" / "queries" / engine / f"{name}.sql"
    return own.read_text() if own.exists() else str(QUERIES[name].statement)


def rows_of_clickhouse(session: Any, statement: str) -> list[tuple[Any, ...]]:
    """The rows of a statement; numbers are exact, because ClickHouse writes them as text."""
    answer = json.loads(str(session.query(statement, "JSONCompactStrings")))
    numbers = [re.match(r"(?:Nullable\()?(?:U?Int|Decimal|Float)", each["type"]) for each in answer["meta"]]
    dates = [re.match(r"(?:Nullable\()?Date", each["type"]) for each in answer["meta"]]

    def value(text: str, *, is_number: bool, is_date: bool) -> Any:
        if text == "ᴺᵁᴸᴸ":
            return None
        return decimal.Decimal(text) if is_number else text[:10] if is_date else text

    return [
        tuple(
            value(text, is_number=bool(number), is_date=bool(date))
            for text, number, date in zip(row, numbers, dates, strict=True)
        )
        for row in answer["data"]
    ]


def normalized(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Rows in the form that is compared."""
    return [tuple(map(normalize, row)) for row in rows]


@pytest.mark.parametrize("name", sorted(QUERIES))
def test_worked_queries_give_equal_answers(
    month: testing.PostgresDatabase, files: Path, clickhouse: Any, name: str
) -> None:
    """In Postgres, DuckDB and ClickHouse, row by row."""
    with month.connect("analyst") as analyst:
        expected = normalized(analyst.execute(QUERIES[name].statement.encode()).fetchall())
    with READERS.with_duckdb(files) as duckdb:
        assert normalized(duckdb.execute(text_of(name, "duckdb")).fetchall()) == expected
    assert normalized(rows_of_clickhouse(clickhouse, text_of(name, "clickhouse"))) == expected
    assert expected


def test_every_reader_sums_exactly(month: testing.PostgresDatabase, files: Path, clickhouse: Any) -> None:
    """The lamports of all buys, to the last one, without a float."""
    import polars

    with month.connect("analyst") as analyst:
        row = analyst.execute(BUYS).fetchone()
    assert row is not None
    with READERS.with_duckdb(files) as duckdb:
        found = [duckdb.execute(BUYS).fetchall()[0][0], rows_of_clickhouse(clickhouse, BUYS)[0][0]]
    buys = READERS.with_polars(files, "trades").filter(polars.col("trade_type") == "buy")
    found.append(buys.select(polars.col("cost").sum()).collect().item())
    trades = READERS.with_pandas(files, "trades")
    found.append(trades[trades["trade_type"] == "buy"]["cost"].sum())
    assert all(isinstance(value, decimal.Decimal | int) for value in found), found
    assert [int(value) for value in found] == [int(str(row[0]))] * 4


def test_the_log_is_read_too(month: testing.PostgresDatabase, files: Path) -> None:
    """Every entry once, over all segments."""
    with month.connect("analyst") as analyst:
        expected = analyst.execute("select count(*), max(seq) from log.feed").fetchall()
    with READERS.with_duckdb(files) as duckdb:
        assert duckdb.execute("select count(*), max(seq) from entries").fetchall() == expected
    assert len(READERS.log_files(files)) > 2


def test_files_without_a_manifest_do_not_count(files: Path, tmp_path: Path) -> None:
    """A segment of a stopped export is not read."""
    copy = tmp_path / "copy"
    shutil.copytree(files, copy)
    last = READERS.manifests(copy, "log")[-1]
    before = READERS.log_files(copy)
    last.unlink()

    assert READERS.log_files(copy) == before[:-1]


def test_the_page_shows_the_code_that_runs(files: Path) -> None:
    """Each Python block of docs/files.md is text of analytics/exported_files.py; the block for DuckDB runs."""
    source = SOURCE.read_text()
    blocks = BLOCK.findall(PAGE.read_text())
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    shown = "\n".join(text for language, text in blocks if language == "python")
    for function in functions:
        assert ast.get_source_segment(source, function) in shown, f"docs/files.md lacks {function.name} as it is"
    (query,) = (text for language, text in blocks if language == "sql" and "from trades\n" in text)
    with READERS.with_duckdb(files) as duckdb:
        assert [row[0] for row in duckdb.execute(query).fetchall()] == ["NO", "YES"]


def test_statements_for_a_cluster_run(month: testing.PostgresDatabase, files: Path) -> None:
    """The statements of the page for s3Cluster, with `file` instead, and the days add up to the markets' volume."""
    import chdb.session

    folder = files.as_posix()
    snapshot = READERS.manifests(files, "marts")[-1].parent
    blocks = [text for language, text in BLOCK.findall(PAGE.read_text()) if language == "sql"]
    statements = [text for text in blocks if "s3Cluster" in text or "local_trades" in text]
    assert len(statements) == 4
    with chdb.session.Session() as session:
        session.query("create database cluster")
        session.query("use cluster")
        for statement in statements:
            local = re.sub(
                r"s3Cluster\('default', 'https://BUCKET\.s3\.REGION\.amazonaws\.com/PREFIX/([^']*)', 'KEY', 'SECRET', ",
                rf"file('{folder}/\1', ",
                statement,
            ).replace("epoch-EPOCH", snapshot.parents[1].name)
            local = local.replace("/SEQ/", f"/{snapshot.name}/")
            if local.lstrip().startswith("select"):
                days = rows_of_clickhouse(session, local)
            else:
                session.query(local)
        entries = rows_of_clickhouse(session, "select count(*) from entries")
    with month.connect("analyst") as analyst:
        assert analyst.execute("select sum(total_volume) from markets").fetchone() == (sum(day[2] for day in days),)
        assert analyst.execute("select count(*) from log.feed").fetchall() == entries
