"""The documents are complete: every setting, mart, model and column is described, and decisions are numbered."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import yaml

from zmart import settings

ROOT = Path(__file__).resolve().parents[3]
#: The sections of docs/protocol.md that list paths of the earlier services.
EARLIER_SECTION = re.compile(r"^## (?:4\.2|4\.3|5\.2|5\.3) .*?(?=^#)", re.MULTILINE | re.DOTALL)
#: The tables of the earlier database that docs/protocol.md does not describe.
EARLIER_TABLES = {
    "users",
    "markets",
    "positions",
    "trades",
    "ipfs_anchors",
    "market_finalization_errors",
    "events",
    "resolutions",
    "disputes",
    "proposals",
    "schema_version",
}


def module(path: Path) -> ModuleType:
    """A script of the documents as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def test_every_setting_is_in_the_example() -> None:
    """.env.example has every variable that the settings read, and no other."""
    source = "".join(path.read_text() for path in Path(settings.__file__).parent.glob("[a-z]*.py"))
    read = set(re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"', source)) - set(settings.REPLACED_VARIABLES)
    named = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), flags=re.MULTILINE))

    assert {name for name in named if name not in source} == set()
    read -= {name.removesuffix("_FILE") for name in named}
    assert {name for name in read - named if not name.startswith(("PG", "ZMART_TEST", "ZMART_RUN"))} == set()


def test_the_migration_page_names_everything_of_the_earlier_system() -> None:
    """Each path, table, message and replaced variable has a row in docs/migrating.md."""
    page = (ROOT / "docs" / "migrating.md").read_text()
    rows = "\n".join(re.findall(r"^\| ([^|]+) \|", page, flags=re.MULTILINE))
    earlier = (ROOT / "docs" / "protocol.md").read_text()
    paths = set(re.findall(r"(?:GET|POST|DELETE)`?,? `?(/[\w/:.-]+)", "".join(EARLIER_SECTION.findall(earlier))))
    assert len(paths) > 25
    # The frontend's base address ends in /api; the page has whole paths.
    assert {path for path in paths if f"{path}`" not in rows and f"/api{path}`" not in rows} == set()

    tables = set(re.findall(r"^## 9\.\d+ (.+)$", earlier, flags=re.MULTILINE))
    names = {name for heading in tables for name in heading.split(" and ")} | EARLIER_TABLES
    messages = {"welcome", "market_state", "trade", "vote", "discussion", "error"}
    assert {name for name in names | messages | set(settings.REPLACED_VARIABLES) if f"`{name}`" not in rows} == set()


def test_the_marts_page_equals_the_generated_one() -> None:
    """docs/marts.md equals the generator's output for the current models."""
    reference = module(ROOT / "docs" / "reference.py")

    assert reference.PAGE.read_text() == reference.page(), "run: python docs/reference.py"


def test_every_model_and_column_is_described() -> None:
    """Each model has a yml file, and each of its columns a sentence."""
    described = {}
    for path in ROOT.glob("sql_models/**/*.yml"):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            described[model["name"]] = [column.get("description") for column in model.get("columns", [])]
            assert model.get("description"), model["name"]

    assert {path.stem for path in ROOT.glob("sql_models/**/*.sql")} == set(described)
    assert all(all(columns) for columns in described.values())


def test_pages_agree_on_how_a_changed_model_is_deployed() -> None:
    """Each paragraph on a change in sql_models/ names `zmart migrate`, which tests/acceptance/test_command.py runs."""
    pages = [*(ROOT / "docs").glob("**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    paragraphs = [
        (page.name, paragraph)
        for page in pages
        for paragraph in re.split(r"\n\n|\n(?=[|-] )", page.read_text())
        if re.search(r"(after|change|edit)\w*\s[^.|]*`sql_models/`", paragraph, flags=re.IGNORECASE)
    ]

    assert {"folds.md", "operations.md"} <= {name for name, _ in paragraphs}
    assert [paragraph for _, paragraph in paragraphs if "`zmart migrate`" not in paragraph] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    """The pages in docs/adr are numbered from 0001."""
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs" / "adr").glob("[0-9]*.md"))

    assert numbers == list(range(1, len(numbers) + 1))
