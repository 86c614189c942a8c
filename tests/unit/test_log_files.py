"""Output of services: classified by severity, and stored in files of limited size."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from zmart.run.supervisor import log_files


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
        ("2026-01-01 UTC [1] 53100 ERROR:  no space", "error"),
        ("2026-01-01 UTC [1] ZM409 ERROR:  this wallet has already cast its proposal ballot on this market", "detail"),
        ("WARNING: deprecated", "warning"),
        ("GET /errors 200", "detail"),
    ],
)
def test_lines_have_a_severity(line: str, weight: str) -> None:
    """The level of JSON lines decides, and keywords in other text."""
    assert log_files.severity(line) == weight


def test_logs_rotate(tmp_path: Path) -> None:
    """A full file is rotated, the oldest is deleted, and nothing is lost in between."""
    log = log_files.RotatedLog(tmp_path / "api.log", limit_bytes=10)
    for number in range(12):
        log.write(b"line %02d\n" % number)
    log.close()

    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["api.log", "api.log.1", "api.log.2", "api.log.3"]
    contents = [(tmp_path / name).read_text() for name in reversed(files)]
    assert "".join(contents) == "line 08\nline 09\nline 10\nline 11\n"


def test_a_full_disk_loses_lines_and_nothing_else(tmp_path: Path) -> None:
    """Lines that fit are written, others are counted, one report is made, and the log continues when there is space."""
    reports: list[tuple[str, str]] = []
    failures = log_files.WriteFailures(lambda text, weight: reports.append((text, weight)))
    log = log_files.RotatedLog(tmp_path / "api.log", failures=failures)
    log.write(b"before\n")

    with at_most(10):
        for number in range(3):
            log.write(b"during %d\n" % number)
        log.retry()
        assert log.tail().split() == ["before", "during", "0", "during", "1", "during", "2"]
    assert [weight for _, weight in reports] == ["error"]
    assert f"{tmp_path / 'api.log'} cannot be written: File too large. The services continue" in reports[0][0]

    log.retry()
    log.write(b"after\n")
    log.close()
    notice = "zmart: 3 lines were lost here: the file could not be written."
    assert (tmp_path / "api.log").read_text() == f"before\ndur\n{notice}\nafter\n"
    assert reports[1:] == [("The state directory is writable again; 3 log lines were lost.", "warning")]


def test_a_log_that_cannot_be_opened_goes_on_later(tmp_path: Path) -> None:
    """A folder that cannot be created has the same effect as a full disk."""
    (tmp_path / "logs").touch()
    log = log_files.RotatedLog(tmp_path / "logs" / "api.log")
    log.write(b"lost\n")
    log.retry()

    (tmp_path / "logs").unlink()
    log.write(b"line\n")

    log.close()
    assert (tmp_path / "logs" / "api.log").read_text().endswith("could not be written.\nline\n")
    assert log.tail() == "\n    lost\n    line"


@contextlib.contextmanager
def at_most(size_bytes: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_several_files_are_one_report(tmp_path: Path) -> None:
    """A full disk fails every log; it is reported once, and its end when the last one is written."""
    reports: list[str] = []
    failures = log_files.WriteFailures(lambda text, _: reports.append(text))
    for name in ("a", "b", "a"):
        failures.record_failure(tmp_path / name, OSError(28, "No space left on device"))
    failures.record_success(tmp_path / "a", lost_lines=2)
    assert len(reports) == 1

    failures.record_success(tmp_path / "b")

    assert reports[1:] == ["The state directory is writable again; 2 log lines were lost."]


def test_last_words_are_the_last_lines(tmp_path: Path) -> None:
    """The quoted output of a service that does not start is its end."""
    log = log_files.RotatedLog(tmp_path / "api.log")
    for number in range(8):
        log.write(b"%d\n" % number)
    log.close()

    assert log.tail() == "\n    3\n    4\n    5\n    6\n    7"
