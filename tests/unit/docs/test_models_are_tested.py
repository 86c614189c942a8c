"""A model has its tests: rows in and rows out, and a test of its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[3] / "sql_models"
MODELS = sorted(path.stem for path in FOLDER.glob("*/*.sql"))
PAGES: list[dict[str, Any]] = [yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*/*.yml"))]
DESCRIBED = {model["name"]: model for page in PAGES for model in page.get("models", ())}
UNIT_TESTED = {test["model"] for page in PAGES for test in page.get("unit_tests", ())}


def _kinds(tests: list[Any]) -> set[str]:
    return {next(iter(test)) if isinstance(test, dict) else test for test in tests}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_a_unit_test(name: str) -> None:
    """Every select has a unit test with the rows that its description promises."""
    assert name in UNIT_TESTED


@pytest.mark.parametrize("name", [name for name in MODELS if not name.startswith("stg_")])
def test_a_mart_names_its_rows(name: str) -> None:
    """A unique column, or a grain of several; ephemeral models have neither."""
    model = DESCRIBED[name]
    columns = [_kinds(column.get("data_tests", [])) for column in model["columns"]]
    assert "grain" in _kinds(model.get("data_tests", [])) or any("unique" in kinds for kinds in columns)
