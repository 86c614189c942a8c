"""`make check` lints every SQL file, or the reason against it is written down; it skips files that did not change."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_documents import module

ROOT = Path(__file__).resolve().parents[3]
CLEAN = "select 1 as one\n"


@pytest.fixture
def lint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """deploy/lint_sql.py with one clean file for a repository; `linted` lists the files that sqlfluff reads."""
    lint = module(ROOT / "deploy" / "lint_sql.py")
    for name in (".sqlfluff", ".sqlfluffignore"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    (tmp_path / "queries").mkdir()
    (tmp_path / "queries" / "one.sql").write_text(CLEAN)
    lint.ROOT, lint.CACHE = tmp_path, tmp_path / "cache" / "clean"
    lint.GROUPS, lint.linted = (lint.Group(paths=("queries",), options=("--templater", "raw")),), []
    start = lint.start

    def record(group: Any, files: Any) -> subprocess.Popen[str]:
        lint.linted += [file.name for file in files]
        return start(group, files)

    monkeypatch.setattr(lint, "start", record)
    return lint


def run(lint: Any) -> tuple[bool, list[str]]:
    """Lint once; return whether all files are clean, and the files that sqlfluff read."""
    lint.linted.clear()
    return lint.lint(lint.GROUPS, cache=lint.CACHE), list(lint.linted)


def test_every_sql_file_is_linted() -> None:
    """A file in a new folder needs a group in deploy/lint_sql.py, or an entry with a reason in .sqlfluffignore."""
    lint = module(ROOT / "deploy" / "lint_sql.py")
    linted, ignored = {file for group in lint.GROUPS for file in group.files()}, set(lint.ignored_paths())
    assert len(linted) > len(ignored) > 0
    folders = [path for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "target"))]
    files = {file for folder in folders for file in folder.rglob("*.sql")}
    assert {file for file in files - linted if ignored.isdisjoint((file, *file.parents))} == set()


def test_every_exception_has_a_reason() -> None:
    """The line above an entry of .sqlfluffignore is a sentence."""
    lines = (ROOT / ".sqlfluffignore").read_text().splitlines()
    entries = [(line, above) for above, line in zip(["", *lines], lines, strict=False) if not line.startswith("#")]
    assert len(entries) > 0
    assert [entry for entry, above in entries if not re.fullmatch(r"# [A-Z].*\.", above)] == []


def test_a_clean_file_is_linted_once(lint: Any) -> None:
    """It is linted again when its content, a configuration or the version of sqlfluff changes."""
    assert run(lint) == (True, ["one.sql"])
    assert run(lint) == (True, [])

    (lint.ROOT / "queries" / "two.sql").write_text("select 2 as two\n")
    assert run(lint) == (True, ["two.sql"])
    (lint.ROOT / "queries" / "one.sql").write_text("select 11 as one\n")
    assert run(lint) == (True, ["one.sql"])
    (lint.ROOT / ".sqlfluff").write_text((ROOT / ".sqlfluff").read_text() + "\n")
    assert run(lint) == (True, ["one.sql", "two.sql"])


def test_another_version_of_sqlfluff_lints_again(lint: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer sqlfluff has other rules."""
    assert run(lint) == (True, ["one.sql"])
    monkeypatch.setattr(lint.metadata, "version", lambda name: f"{name} of tomorrow")
    assert run(lint) == (True, ["one.sql"])


def test_a_file_with_an_error_is_reported_until_it_is_corrected(lint: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """It never becomes a known clean file, and neither does a file that was linted beside it."""
    path = lint.ROOT / "queries" / "two.sql"
    path.write_text("SELECT 2 as two\n")
    for _ in range(2):
        assert run(lint) == (False, ["one.sql", "two.sql"])
        assert "two.sql" in capsys.readouterr().out
    path.write_text("select 2 as two\n")
    assert run(lint) == (True, ["one.sql", "two.sql"])
