"""Helper classes and files of the tests have unique names, so that a name means one thing in every test."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]


def test_helper_classes_have_unique_names() -> None:
    """No two classes of the tests share a name: equal helpers are one, others are named for their difference."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path.relative_to(TESTS)}:{node.lineno}")
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_test_files_have_unique_names() -> None:
    """Two files of one name cannot be collected in one run."""
    places: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        places[path.name].append(str(path.relative_to(TESTS)))
    assert not {name: found for name, found in places.items() if len(found) > 1}
