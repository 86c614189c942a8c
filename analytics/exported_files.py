"""Reads exported files with DuckDB, Polars, pandas and ClickHouse; amounts stay exact. docs/files.md shows these lines.

`folder` is EXPORT_URL, or a copy of it. Files count only if a manifest names them: a file without one belongs to an
export that was stopped.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import chdb.session
import duckdb
import pandas
import polars


def manifests(folder: Path, dataset: str) -> list[Path]:
    """Return the manifests of the newest epoch, the oldest first; `dataset` is `log` or `marts`."""
    found = sorted(folder.glob(f"epoch-*/{dataset}/*/manifest.json"), key=lambda path: path.parent.name)
    newest = max(found, key=lambda path: json.loads(path.read_text())["exported_at"])
    return [path for path in found if path.parents[2] == newest.parents[2]]


def log_files(folder: Path, table: str = "entries") -> list[str]:
    """Return the files of the log; `table` is `entries` or `commits`."""
    return [str(path.parent / f"{table}.parquet") for path in manifests(folder, "log")]


def mart_files(folder: Path) -> dict[str, list[str]]:
    """Return the files of each mart in the newest snapshot."""
    manifest = manifests(folder, "marts")[-1]
    files: dict[str, list[str]] = {}
    for file in json.loads(manifest.read_text())["files"]:
        files.setdefault(file["table"], []).append(str(manifest.parent / file["path"]))
    return files


def with_duckdb(folder: Path) -> duckdb.DuckDBPyConnection:
    """Return a database with a view for each mart, and `entries` of the log; sums of amounts are exact."""
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    for table, files in {**mart_files(folder), "entries": log_files(folder)}.items():
        connection.read_parquet(files).create_view(table)
    return connection


def with_polars(folder: Path, mart: str) -> polars.LazyFrame:
    """Return a mart; amounts are decimals of 38 digits. Only the columns that a query uses are read."""
    return polars.scan_parquet(mart_files(folder)[mart])


def with_pandas(folder: Path, mart: str) -> pandas.DataFrame:
    """Return a mart; amounts are decimals of Arrow, which sum exactly, and never floats."""
    return pandas.read_parquet(mart_files(folder)[mart], dtype_backend="pyarrow")


def with_clickhouse(folder: Path) -> chdb.session.Session:
    """Return ClickHouse in this process, with a view for each mart, and `entries` of the log."""
    session: Any = chdb.session.Session()
    session.query("create database files")
    session.query("use files")
    for table, files in {**mart_files(folder), "entries": log_files(folder)}.items():
        sources = " union all ".join(f"from file('{file}', Parquet) select *" for file in files)
        session.query(f"create view {table} as {sources}")
    return session
