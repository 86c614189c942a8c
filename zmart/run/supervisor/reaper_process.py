"""Runs the reaper as a child of the supervisor and sends it which process groups are alive."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from typing import Self

from zmart.settings import RUN_VARIABLE

from . import reaper


class ReaperProcess:
    """Runs the reaper process and writes to its standard input."""

    def __init__(self, run_id: str) -> None:
        self._mark = f"{RUN_VARIABLE}={run_id}"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", reaper.__file__, self._mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd="/",
            env={},
            start_new_session=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        with contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        self._process.wait()

    def remember(self, group: int, stop_signal: signal.Signals, grace_seconds: float) -> None:
        """Name a process group that runs, its stop signal and the time it may take."""
        self._write(f"+{group} {int(stop_signal)} {grace_seconds}\n")

    def forget(self, group: int) -> None:
        """Name a process group that has ended."""
        self._write(f"-{group}\n")

    def _write(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line)
            self._process.stdin.flush()
