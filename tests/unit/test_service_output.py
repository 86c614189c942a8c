"""What services print: weighed, and kept in files that do not grow for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from zmart.run import output


@pytest.mark.parametrize(
    ("line", "weight"),
    [
        ('{"level": "error", "event": "x"}', "error"),
        ('{"level": "warning", "event": "ERROR in the text"}', "warning"),
        ('{"level": "info", "event": "ERROR in the text"}', "detail"),
        ('{"broken', "detail"),
        ("Traceback (most recent call last):", "error"),
        ("zmart.errors.DecodeError: x", "error"),
        ("ValueError: x", "error"),
        ("2026-01-01 UTC [1] FATAL:  no space", "error"),
        ("WARNING: deprecated", "warning"),
        ("GET /errors 200", "detail"),
    ],
)
def test_lines_are_weighed(line: str, weight: str) -> None:
    """The level of JSON lines decides, and telling words in prose."""
    assert output.importance(line) == weight


def test_logs_rotate(tmp_path: Path) -> None:
    """A full file is put aside, the oldest goes, and nothing is lost in between."""
    log = output.RotatedLog(tmp_path / "api.log", limit_bytes=10)
    for number in range(12):
        log.write(b"line %02d\n" % number)
    log.close()

    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["api.log", "api.log.1", "api.log.2", "api.log.3"]
    kept = [(tmp_path / name).read_text() for name in reversed(files)]
    assert "".join(kept) == "line 08\nline 09\nline 10\nline 11\n"


def test_last_words_are_the_last_lines(tmp_path: Path) -> None:
    """What is quoted when a service does not start is the end of what it said."""
    log = output.RotatedLog(tmp_path / "api.log")
    for number in range(8):
        log.write(b"%d\n" % number)
    log.close()

    assert log.last_words() == "\n    3\n    4\n    5\n    6\n    7"
