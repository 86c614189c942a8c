"""The model in docs/folds.md, in a project with only that model and the files that the page lists."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

import event_histories

from ingest.records import TransactionRow
from ingest.store.writer import Writer
from zmart import testing
from zmart.run.deploy import rebuild

PAGE = (rebuild.PROJECT / "docs" / "folds.md").read_text()


def block(language: str, holding: str) -> str:
    """Return the page's code block that contains some words."""
    (found,) = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if holding in text]
    return str(found)


def project(folder: Path) -> Path:
    """A dbt project of one model."""
    (macros,) = re.findall(r"`sql_macros/\{([\w,]+)\}\.sql`", PAGE)
    (folder / "sql_macros").mkdir()
    for name in macros.split(","):
        shutil.copy(rebuild.PROJECT / "sql_macros" / f"{name}.sql", folder / "sql_macros")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(rebuild.PROJECT / name, folder / name)
    models = folder / "sql_models" / "folds"
    models.mkdir(parents=True)
    shutil.copy(rebuild.PROJECT / "sql_models" / "staging" / "sources.yml", models)
    (models / "trade_counts.sql").write_text(block("sql", "materialized='fold'"))
    (models / "trade_counts.yml").write_text(block("yaml", "trade_counts"))
    return folder


def deliver(database: testing.PostgresDatabase, rows: list[TransactionRow]) -> None:
    """Write these transactions like ingest."""

    async def run() -> None:
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        await writer.append(rows, source="webhook")
        await writer.close()

    asyncio.run(run())


def test_the_documented_model_follows_the_log(marts_database: testing.PostgresDatabase, tmp_path: Path) -> None:
    """Installed on an existing log, it counts old and new events, and equals its rebuild."""
    story = event_histories.EventHistory(1)
    for wallet in range(101):
        bought = {"outcome": True, "shares": "5", "cost": "11", "new_price_yes": str(600 - wallet)}
        story.append(("SharesBought", 1, wallet, bought, None))
    deliver(marts_database, story.transactions[:99])

    completed = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "run", "--profiles-dir", ".", "--no-partial-parse"],
        cwd=project(tmp_path),
        env={
            **rebuild.dbt_environment(marts_database.dsn()),
            "DBT_TARGET_PATH": str(tmp_path),
            "DBT_LOG_PATH": str(tmp_path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout

    row = "select market_no, trades_count, last_price, is_busy, last_seq from marts.trade_counts"
    with marts_database.connect() as owner:
        assert owner.execute(row).fetchall() == [(1, 99, 502, False, 99)]
        deliver(marts_database, story.transactions[99:])
        assert owner.execute(row).fetchall() == [(1, 101, 500, True, 101)]
        slot = story.transactions[9].slot
        assert owner.execute("select trades_count from marts.trade_counts_as_of(%s)", (slot,)).fetchone() == (12,)
    assert all(verdict.is_consistent for verdict in rebuild.verify(marts_database.dsn()))
