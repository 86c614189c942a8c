"""Tests use public names only, so that private members can change without any test."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]

#: Public methods of named tuples, whose underscore keeps them apart from fields.
NAMED_TUPLE = {"_replace", "_asdict", "_fields", "_field_defaults", "_make"}

#: Private names of libraries, by file, each with the reason for its use.
ALLOWED = {
    ("unit/chain/anchorpy_oracle.py", "_get_layout"): "anchorpy has no public way to encode a single type",
    ("unit/ingest/test_ingest_metrics.py", "_collector_to_names"): "prometheus_client cannot list its collectors",
    ("unit/ingest/test_ingest_metrics.py", "_labelnames"): "prometheus_client shows no labels of an empty metric",
    ("unit/docs/test_command_help.py", "_actions"): "argparse has no public list of arguments",
    ("unit/docs/test_command_help.py", "_choices_actions"): "argparse has no public list of commands",
    ("unit/docs/test_command_help.py", "_SubParsersAction"): "argparse has no public type of commands",
}

#: Functions that take the name of an attribute as text.
BY_TEXT = {"getattr", "setattr", "delattr", "hasattr", "object"}


def is_private(name: str) -> bool:
    """Return whether a name begins with one underscore."""
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLE


def is_own(node: ast.expr) -> bool:
    """Return whether an attribute of this expression belongs to the class that is being defined."""
    return isinstance(node, ast.Name) and node.id in {"self", "cls"}


def names_in_text(call: ast.Call) -> Iterator[str]:
    """Yield the last parts of the dotted names in calls of `setattr` and similar functions."""
    function = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    if function in BY_TEXT and not (call.args and is_own(call.args[0])):
        for argument in call.args[:2]:
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield argument.value.rpartition(".")[2]


def private_names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of each private member or import of another module."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=name) if is_private(name) and not is_own(value):
                yield node.lineno, name
            case ast.ImportFrom(names=aliases) | ast.Import(names=aliases):
                parts = (part for alias in aliases for part in alias.name.split("."))
                yield from ((node.lineno, part) for part in parts if is_private(part))
            case ast.Call():
                yield from ((node.lineno, name) for name in names_in_text(node) if is_private(name))


def found_in_tests() -> Iterator[tuple[str, int, str]]:
    """Yield the file, the line and the name of every private name in the tests."""
    for path in sorted(TESTS.rglob("*.py")):
        file = path.relative_to(TESTS).as_posix()
        yield from ((file, line, name) for line, name in private_names(ast.parse(path.read_text())))


def test_tests_use_public_names() -> None:
    """No test reads, sets or imports a private name, except those of libraries that are listed with a reason."""
    wrong = [f"{file}:{line} {name}" for file, line, name in found_in_tests() if (file, name) not in ALLOWED]
    assert not wrong, "give the product a public name or an argument, or test its public behaviour"


def test_every_allowed_name_is_used() -> None:
    """The list of allowed names has no unused entry."""
    assert set(ALLOWED) == {(file, name) for file, _, name in found_in_tests()}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("writer._connection.close()", ["_connection"]),
        ("from api.errors import _path", ["_path"]),
        ("import ingest._store", ["_store"]),
        ('monkeypatch.setattr(hub, "_RETRY_SECONDS", 0)', ["_RETRY_SECONDS"]),
        ('monkeypatch.setattr("api.hub._RETRY_SECONDS", 0)', ["_RETRY_SECONDS"]),
        ('getattr(hub, "_clients")', ["_clients"]),
        ("self._clients.clear()", []),
        ("row._replace(slot=1)", []),
        ("hub.__class__", []),
        ('monkeypatch.setattr(hub, "SECONDS", 0)', []),
    ],
)
def test_the_check_finds_private_names(source: str, names: list[str]) -> None:
    """Attributes, imports and names in texts are found; a class's own members and named tuples are not."""
    assert [name for _, name in private_names(ast.parse(source))] == names
