"""The decisions in docs/adr state the size of the code that they are about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: A path in code style, followed by its number of lines: ", 190 lines", " (260 lines of Jinja)".
SIZE = re.compile(r"`([\w./{},]+)`,? \(?([\d,]+) lines")
#: How far a stated size may be from the counted one.
TOLERANCE = 0.15


def stated_sizes() -> list[tuple[str, str, int]]:
    """Return page, path and stated number of lines."""
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    found = [(page.name, match) for page in pages for match in SIZE.finditer(" ".join(page.read_text().split()))]
    return [(page, match[1], int(match[2].replace(",", ""))) for page, match in found]


def count_lines(path: str) -> int:
    """Return the lines of a file, of `a/{b,c}.py`, or of all sources below a folder."""
    head, brace, rest = path.partition("{")
    names, _, tail = rest.partition("}")
    files = [ROOT / f"{head}{name}{tail}" for name in names.split(",")] if brace else [ROOT / path]
    if files[0].is_dir():
        files = [file for suffix in ("py", "sql") for file in files[0].rglob(f"*.{suffix}")]
    return sum(len(file.read_text().splitlines()) for file in files)


def test_sizes_are_found() -> None:
    """The pattern finds the sizes of the decisions that state some."""
    stated = {page[:4] for page, _, _ in stated_sizes()}
    numbers = (1, 4, 5, 6, 9, 11, 14, 15, 16, 21, 22, 23, 24)
    assert {f"{number:04}" for number in numbers} <= stated


@pytest.mark.parametrize(("page", "path", "stated"), stated_sizes())
def test_a_stated_size_is_that_of_the_code(page: str, path: str, stated: int) -> None:
    """Within 15 %, because small changes do not matter to a decision."""
    assert count_lines(path) == pytest.approx(stated, rel=TOLERANCE), page
