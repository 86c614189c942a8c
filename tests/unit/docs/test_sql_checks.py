"""`make check` lints every SQL file, or the reason against it is written down."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def linted_paths() -> set[Path]:
    """Return the files and folders that deploy/check.sh gives to sqlfluff."""
    script = (ROOT / "deploy" / "check.sh").read_text().replace("\\\n", " ")
    runs = re.findall(r"sqlfluff lint ((?:--(?:config|dialect|templater|rules) \S+ )*)([^>\n]+)>", script)
    return {path for _, paths in runs for pattern in paths.split() for path in ROOT.glob(pattern)}


def ignored_paths() -> dict[str, str]:
    """Return the entries of .sqlfluffignore with the comment above each."""
    lines = (ROOT / ".sqlfluffignore").read_text().splitlines()
    return {line: above for above, line in zip(["", *lines], lines, strict=False) if line and not line.startswith("#")}


def test_every_sql_file_is_linted() -> None:
    """A file in a new folder needs a run of sqlfluff, or an entry with a reason in .sqlfluffignore."""
    linted, ignored = linted_paths(), [ROOT / entry for entry in ignored_paths()]
    assert len(linted) > len(ignored) > 0
    files = {path for path in ROOT.rglob("*.sql") if not {".venv", ".state", "target"} & set(path.parts)}
    covered = {path for path in files if {path, *path.parents} & {*linted, *ignored}}
    assert files - covered == set()


def test_every_exception_has_a_reason() -> None:
    """The line above an entry of .sqlfluffignore is a sentence."""
    assert [entry for entry, above in ignored_paths().items() if not re.fullmatch(r"# [A-Z].*\.", above)] == []
