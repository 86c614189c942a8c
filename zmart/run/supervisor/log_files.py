"""Writes the output of services to rotated log files, and classifies each line by severity for the terminal."""

from __future__ import annotations

import collections
import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Literal, TypeAlias

from zmart.run import private_files

Severity: TypeAlias = Literal["detail", "warning", "error"]
Report: TypeAlias = Callable[[str, Severity], None]

LOG_BYTES = 10 * 1024 * 1024
#: Rotated files besides the current one.
LOG_GENERATIONS = 3
#: Lines quoted when a service did not start.
TAIL_LINES = 5

_ERROR = re.compile(r"\b(ERROR|CRITICAL|FATAL|PANIC)\b|^Traceback |^[\w.]*(Error|Exception)\b")
_WARNING = re.compile(r"\bWARN(ING)?\b")
#: Postgres' line about a request that a function refused, such as a second ballot: the user's error, not the server's.
_REFUSAL = re.compile(r"\bZM\d{3} ERROR:")
_LEVELS: dict[str, Severity] = {
    "warning": "warning",
    "warn": "warning",
    "error": "error",
    "critical": "error",
    "exception": "error",
}


def severity(line: str) -> Severity:
    """Return the severity of one line of output, JSON or prose."""
    if line.startswith("{"):
        try:
            return _LEVELS.get(str(json.loads(line).get("level")), "detail")
        except ValueError:
            return "detail"
    if _ERROR.search(line) and not _REFUSAL.search(line):
        return "error"
    return "warning" if _WARNING.search(line) else "detail"


class WriteFailures:
    """Tracks which files of the state directory cannot be written; reports the first failure and the end of the last.

    A full disk makes every log fail at once and for every line: one report is enough, and no such failure may end a
    service.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._failing: set[str] = set()
        self._lost_lines = 0

    def record_failure(self, path: Path, error: OSError) -> None:
        """Record that `path` could not be written."""
        if not self._failing:
            self._report(
                f"{path} cannot be written: {error.strerror or error}. The services continue; until the file can "
                "be written, log lines are lost and `zmart ps` is out of date. Free disk space or make the file "
                "writable.",
                "error",
            )
        self._failing.add(str(path))

    def record_success(self, path: Path, *, lost_lines: int = 0) -> None:
        """Record that `path` was written, and that `lost_lines` earlier lines were lost."""
        if not self._failing or str(path) not in self._failing:
            return
        self._failing.discard(str(path))
        self._lost_lines += lost_lines
        if not self._failing:
            self._report(f"The state directory is writable again; {self._lost_lines} log lines were lost.", "warning")
            self._lost_lines = 0


class RotatedLog:
    """A log file that is rotated at 10 MB; three older files remain as NAME.log.1 to .3.

    A line that cannot be written is lost and counted, and raises no error, so that the service that printed it
    continues.
    """

    def __init__(self, path: Path, *, limit_bytes: int = LOG_BYTES, failures: WriteFailures | None = None) -> None:
        self.path = path
        self._limit = limit_bytes
        self._failures = failures
        self._file: IO[bytes] | None = None
        self._size = 0
        self._lost_lines = 0
        self._is_cut = False
        self._last: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)

    def write(self, line: bytes) -> None:
        """Append one line."""
        self._last.append(line.decode(errors="replace").rstrip())
        if not self._append(line):
            self._lost_lines += 1

    def retry(self) -> None:
        """Write the number of lost lines, if there are any; do nothing while that write fails, too."""
        if self._lost_lines:
            self._append(b"")

    def close(self) -> None:
        """Close the file; the next line reopens it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def last_line(self) -> str:
        """Return the last line that is not empty, or ""."""
        return next((line.strip() for line in reversed(self._last) if line.strip()), "")

    def last_error(self) -> str:
        """Return the last line with an error among the last ones, or ""."""
        return next((line.strip() for line in reversed(self._last) if severity(line) == "error"), "")

    def tail(self) -> str:
        """Return the last lines, each indented on its own line."""
        return "".join(f"\n    {line}" for line in self._last if line)

    def _append(self, line: bytes) -> bool:
        try:
            if self._file is None or self._size + len(line) > self._limit:
                self._open()
            if self._lost_lines:
                notice = f"zmart: {self._lost_lines} lines were lost here: the file could not be written.\n"
                self._write_whole(b"\n" * self._is_cut + notice.encode())
            self._write_whole(line)
        except OSError as error:
            # The next line reopens the file: the folder may have been replaced by then.
            with contextlib.suppress(OSError):
                self.close()
            self._file = None
            if self._failures is not None:
                self._failures.record_failure(self.path, error)
            return False
        if self._failures is not None:
            self._failures.record_success(self.path, lost_lines=self._lost_lines)
        self._lost_lines = 0
        self._is_cut = False
        return True

    def _write_whole(self, line: bytes) -> None:
        """Write all of `line`; on a full disk, an unbuffered file writes the part that fits and then fails."""
        assert self._file is not None
        while line:
            written = self._file.write(line)
            self._is_cut = written < len(line)
            self._size += written
            line = line[written:]

    def _open(self) -> None:
        self.close()
        private_files.make_folder(self.path.parent)
        if self.path.exists() and self.path.stat().st_size >= self._limit // 2:
            self._rotate()
        # Unbuffered, so that all output of a service is on disk when it dies.
        self._file = private_files.open_append(self.path)
        self._size = self.path.stat().st_size

    def _rotate(self) -> None:
        for generation in range(LOG_GENERATIONS, 0, -1):
            older = self._generation(generation)
            newer = self._generation(generation - 1)
            if newer.exists():
                newer.replace(older)

    def _generation(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path
