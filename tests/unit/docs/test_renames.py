"""docs/renames.csv, the table for users of the earlier names, agrees with the code."""

from __future__ import annotations

import ast
import csv
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[3]
TABLE = ROOT / "docs" / "renames.csv"
#: Kinds whose `where` is the new file itself.
FILES = {"module", "sql_file"}
#: Kinds that are Python definitions.
DEFINITIONS = {"class", "function", "constant", "method", "attribute", "field"}
#: Kinds that are names in a JSON document.
DOCUMENTED = {"schema", "operation", "tag", "message", "stream_operation"}
#: Kinds that are quoted strings in a source file.
STRINGS = {
    "environment",
    "cli_option",
    "close_reason",
    "log_event",
    "schedule",
    "sensor",
    "value",
    "bench_figure",
    "client_class",
    "client_attribute",
}
#: Kinds that are names in the database.
SQL = {"sql_table", "sql_column", "sql_function", "sql_policy", "sql_value"}
#: Old names that the same file still uses for something else.
REUSED = {
    ("log_event", "rejected"): "the outcome of a lone transaction whose batch was rejected",
}


class Rename(NamedTuple):
    """One line of the table."""

    kind: str
    old: str
    new: str
    where: str


def renames() -> list[Rename]:
    """Return the lines of the table."""
    with TABLE.open(newline="") as file:
        return [Rename(**line) for line in csv.DictReader(file)]


@functools.cache
def definitions(where: str) -> frozenset[str]:
    """Return the top-level names of a Python file, and the members of its classes as `Class.member`."""
    return frozenset(_defined(ast.parse((ROOT / where).read_text()).body))


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        match node:
            case ast.ClassDef(name=name, body=members):
                yield name
                yield from (f"{name}.{member}" for member in _defined(members))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name


@functools.cache
def documented(where: str) -> dict[str, frozenset[str]]:
    """Return the names of an OpenAPI or AsyncAPI document by kind."""
    document: dict[str, Any] = json.loads((ROOT / where).read_text())
    operations = [operation for methods in document.get("paths", {}).values() for operation in methods.values()]
    schemas = frozenset(document["components"]["schemas"])
    return {
        "schema": schemas,
        "message": schemas,
        "operation": frozenset(o["operationId"] for o in operations if isinstance(o, dict) and "operationId" in o),
        "tag": frozenset(tag["name"] for tag in document.get("tags", [])),
        "stream_operation": frozenset(document.get("operations", {})),
    }


def is_present(rename: Rename, name: str) -> bool:
    """Return whether `where` has this name, in the sense of the line's kind."""
    path = ROOT / (name if rename.kind in FILES else rename.where)
    if rename.kind in FILES:
        return path.is_file()
    if rename.kind in DEFINITIONS:
        return name in definitions(rename.where)
    if rename.kind in DOCUMENTED:
        return name in documented(rename.where)[rename.kind]
    text = path.read_text()
    if rename.kind == "sql_statement":
        return re.search(rf"^-- name: {re.escape(name)}$", text, flags=re.MULTILINE) is not None
    forms = {
        "sensor": rf"def {name}\(",
        "value": rf'"{name}"|\b{name}=',
        "client_class": rf"class {name}\b",
        "sql_table": rf"^create (table|view) {re.escape(name)}\b",
        # In the schema, or among the columns of a model.
        "sql_column": rf"^    {name.rpartition('.')[2]} |^      - name: {name.rpartition('.')[2]}$",
        "sql_function": rf"^create or replace function {re.escape(name)}\(",
        "sql_policy": rf"^create policy {name} on ",
        "sql_value": rf"'{name}'|\bmaterialization {name},",
        "client_attribute": rf"(self|this)\.{name.partition('.')[2]}\b",
    }
    return re.search(forms.get(rename.kind, rf'"{re.escape(name)}"'), text, flags=re.MULTILINE) is not None


def test_each_line_has_a_known_kind_and_two_names() -> None:
    """The table parses, no line is there twice, and each kind is checked below."""
    lines = renames()

    assert len(lines) == len(set(lines)) > 0
    assert {line.kind for line in lines} <= FILES | DEFINITIONS | DOCUMENTED | STRINGS | SQL | {"sql_statement"}
    assert [line for line in lines if not all(line) or line.old == line.new] == []
    assert [line for line in lines if line.kind in FILES and line.new != line.where] == []


@pytest.mark.parametrize("kind", sorted({line.kind for line in renames()}))
def test_new_names_exist(kind: str) -> None:
    """Each new name is defined in the file that the table gives."""
    assert [line for line in renames() if line.kind == kind and not is_present(line, line.new)] == []


@pytest.mark.parametrize("kind", sorted({line.kind for line in renames()}))
def test_old_names_are_gone(kind: str) -> None:
    """No old name is defined there any more."""
    lines = [line for line in renames() if line.kind == kind and (kind, line.old) not in REUSED]

    assert [line for line in lines if is_present(line, line.old)] == []
