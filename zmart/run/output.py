"""What services print: kept in rotated files, and weighed for the terminal."""

from __future__ import annotations

import collections
import json
import re
from pathlib import Path
from typing import IO, Literal, TypeAlias

Importance: TypeAlias = Literal["detail", "warning", "error"]

LOG_BYTES = 10 * 1024 * 1024
#: Files kept besides the current one.
LOG_GENERATIONS = 3
#: Lines quoted when a service did not start.
LAST_WORDS = 5

_ERROR = re.compile(r"\b(ERROR|CRITICAL|FATAL|PANIC)\b|^Traceback |^[\w.]*(Error|Exception)\b")
_WARNING = re.compile(r"\bWARN(ING)?\b")
_LEVELS: dict[str, Importance] = {
    "warning": "warning",
    "warn": "warning",
    "error": "error",
    "critical": "error",
    "exception": "error",
}


def importance(line: str) -> Importance:
    """Weigh one line of output, JSON or prose."""
    if line.startswith("{"):
        try:
            return _LEVELS.get(str(json.loads(line).get("level")), "detail")
        except ValueError:
            return "detail"
    if _ERROR.search(line):
        return "error"
    return "warning" if _WARNING.search(line) else "detail"


class RotatedLog:
    """A file that is put aside at 10 MB; three older ones are kept as NAME.log.1 to .3."""

    def __init__(self, path: Path, *, limit_bytes: int = LOG_BYTES) -> None:
        self.path = path
        self._limit = limit_bytes
        self._file: IO[bytes] | None = None
        self._size = 0
        self._last: collections.deque[str] = collections.deque(maxlen=LAST_WORDS)

    def write(self, line: bytes) -> None:
        """Append one line."""
        if self._file is None or self._size + len(line) > self._limit:
            self._open()
        assert self._file is not None
        self._file.write(line)
        self._size += len(line)
        self._last.append(line.decode(errors="replace").rstrip())

    def close(self) -> None:
        """Close the file; the next line opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def last_words(self) -> str:
        """Return the last lines, each on a line of its own and indented."""
        return "".join(f"\n    {line}" for line in self._last if line)

    def _open(self) -> None:
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size >= self._limit // 2:
            self._rotate()
        # Unbuffered: what a service said before it died is on disk.
        self._file = self.path.open("ab", buffering=0)
        self._size = self.path.stat().st_size

    def _rotate(self) -> None:
        for generation in range(LOG_GENERATIONS, 0, -1):
            older = self._generation(generation)
            newer = self._generation(generation - 1)
            if newer.exists():
                newer.replace(older)

    def _generation(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path
