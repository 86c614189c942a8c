"""The word list of tests/data/words.txt: names use the standard terms of the field."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = (
    "analytics",
    "api",
    "bench",
    "clients",
    "deploy",
    "devchain",
    "relay",
    "docs",
    "ingest",
    "orchestration",
    "tests",
    "zmart",
)
#: Generated or vendored files, whose names others choose.
EXCLUDED = ("vendor", "node_modules", "__pycache__")

#: Names that contain a listed word for a reason.
ALLOWED = {
    # `dead letter` is the standard term of message queues.
    "dead_letter": "standard term",
    # nbformat and nbclient call it so; the analysts' notebook is a Jupyter notebook.
    "NotebookClient": "class of nbclient",
    "analytics_notebook": "a Jupyter notebook",
}

_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_SCRIPT_NOISE = re.compile(
    r"//[^\n]*|/\*.*?\*/|`(?:\\.|[^`\\])*`|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL
)
_SCRIPT_NAME = re.compile(r"[A-Za-z_$][\w$]*")
#: A sentence in a comment or a text of SQL that begins with one of these words.
_OPENING = re.compile(r"(?:--|\bis '|^'|\. )\s*(?:What|Who|Whoever)\b")


@functools.cache
def words() -> dict[str, str]:
    """Return each listed word with the terms to use instead."""
    lines = (ROOT / "tests" / "data" / "words.txt").read_text().splitlines()
    pairs = (line.partition(": ") for line in lines if line and not line.startswith("#"))
    return {word: instead for word, _, instead in pairs}


def files(*suffixes: str, folders: Sequence[str] = FOLDERS) -> list[Path]:
    """Return the project's own files with one of these suffixes."""
    return sorted(
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in suffixes and not set(path.parts) & set(EXCLUDED)
    )


def python_names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every identifier in a Python file."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.keyword(arg=str(name)) | ast.MatchAs(name=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.alias(name=name, asname=alias):
                yield from ((node.lineno, part) for part in (*name.split("."), alias) if part)


def script_names(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of every identifier in a JavaScript or TypeScript file."""
    text = _SCRIPT_NOISE.sub(lambda noise: "\n" * noise[0].count("\n"), path.read_text())
    for number, line in enumerate(text.splitlines(), start=1):
        yield from ((number, name) for name in _SCRIPT_NAME.findall(line))


@functools.cache
def listed_words(name: str) -> frozenset[str]:
    """Return the listed words that a name contains."""
    for allowed in ALLOWED:
        name = name.replace(allowed, "").replace(allowed.upper(), "")
    name = name.replace("DeadLetter", "").replace("deadLetter", "")
    parts = {part.lower() for part in _PARTS.findall(name)}
    return frozenset(word for word in words() if word in parts or f"{word}s" in parts)


@pytest.mark.parametrize("folder", FOLDERS)
def test_python_names_use_standard_terms(folder: str) -> None:
    """No identifier of a Python file contains a listed word."""
    found = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in files(".py", folders=[folder])
        for line, name in python_names(path)
        if listed_words(name)
    }
    assert not found, "see tests/data/words.txt for the standard terms"


def test_script_names_use_standard_terms() -> None:
    """No identifier of a JavaScript or TypeScript file contains a listed word."""
    found = {
        f"{path.relative_to(ROOT)}:{line} {name}"
        for path in files(".js", ".mjs", ".ts")
        for line, name in script_names(path)
        if listed_words(name)
    }
    assert not found, "see tests/data/words.txt for the standard terms"


def test_the_schema_uses_standard_terms() -> None:
    """No name and no sentence of the schema contains a listed word; no sentence begins with What, Who or Whoever."""
    folder = ROOT / "zmart" / "db"
    found = {
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in sorted(folder.rglob("*.sql"))
        # Migrations contain the names that they replace.
        if path.parent.name != "migrations"
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if listed_words(line.replace("dead letter", "")) or _OPENING.search(line)
    }
    assert not found, "see tests/data/words.txt for the standard terms"


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_have_standard_names(folder: str) -> None:
    """No file or folder name contains a listed word."""
    names = {path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if not set(path.parts) & set(EXCLUDED)}
    assert not {str(name) for name in names if listed_words(name.name.replace("-", "_").split(".")[0])}


def test_the_check_finds_listed_words() -> None:
    """The check splits names at underscores and capitals, and allows dead letters."""
    assert listed_words("was_told") == {"told"}
    assert listed_words("NodeTrouble") == {"trouble"}
    assert listed_words("OLD_TOWNS") == {"town"}
    assert listed_words("DeadLetter") == listed_words("dead_letters") == listed_words("delegate") == set()
