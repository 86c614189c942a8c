"""Publishes the state of a running supervisor in the state directory, and sends it restart requests.

run.lock            locked while the supervisor runs; contains its pid
run.json            the state of every service
run.requests/NAME   a request to restart NAME, announced by SIGUSR1
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from zmart import errors
from zmart.run import private_files

from .log_files import WriteFailures

#: A restart of Dagster takes half a minute on a busy machine.
RESTARTED_WITHIN_SECONDS = 150.0
POLL_SECONDS = 0.1

State: TypeAlias = Literal["waiting", "starting", "ready", "done", "restarting", "failed", "stopped"]


@dataclass(kw_only=True)
class ServiceStatus:
    """One service as recorded in `run.json`."""

    name: str
    state: State = "waiting"
    pid: int | None = None
    #: Unix time of the last change of state.
    since: float = field(default_factory=time.time)
    restarts: int = 0
    #: Failures in a row, without a longer time of working in between.
    failures: int = 0
    #: Requested restarts that were not made, because the configuration cannot work.
    refused_restarts: int = 0
    memory_bytes: int = 0
    url: str | None = None
    message: str = ""


@contextlib.contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Lock the state directory; raise Conflict when another supervisor has locked it."""
    try:
        private_files.make_folder(folder, is_entered=True)
        # Unbuffered: closing a file whose buffer could not be written to a full disk would raise a second time.
        file = private_files.open_append(folder / "run.lock", "ab+")
    except OSError as error:
        raise _unwritable(folder, error) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise errors.Conflict(
                f"zmart is already running here (pid {file.read().decode().strip() or 'unknown'}).",
                help="See `zmart ps`, or set ZMART_STATE_DIR to run a second instance.",
            ) from None
        try:
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield


def _unwritable(folder: Path, error: OSError) -> errors.ConfigurationError:
    return errors.ConfigurationError(
        f"The state directory {folder} cannot be written: {error.strerror or error}.",
        help="Free disk space or make it writable, or set ZMART_STATE_DIR to another folder.",
    )


def running_pid(folder: Path) -> int | None:
    """Return the pid of the supervisor that holds `folder`, or None when nothing runs."""
    try:
        # Opened for reading only: the file system may have become read-only.
        with (folder / "run.lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read().strip() or 0) or None
    except FileNotFoundError:
        pass
    return None


def restart(folder: Path, name: str, *, within_seconds: float = RESTARTED_WITHIN_SECONDS) -> ServiceStatus:
    """Request a restart and wait until the service is ready in a new process; return its status then.

    Raise NotFound and Unavailable as `request_restart` does, Conflict for a task that is done, and Unavailable when the
    service fails, takes too long, or the supervisor ends meanwhile.
    """
    before = _status_of(folder, name)
    if before is not None and before.state == "done":
        raise errors.Conflict(
            f"{name} has finished its task and is not running.", help="Start all services again: zmart up"
        )
    request_restart(folder, name)
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        now = _status_of(folder, name)
        if now is None:
            raise errors.Unavailable("zmart stopped in the meantime.", help="Start it with `zmart up`.")
        if _is_restarted(before, now) and now.state == "ready":
            return now
        if _is_restarted(before, now) and (now.state == "failed" or now.failures):
            raise errors.Unavailable(f"{name} failed: {now.message}.", help=f"See the reason: zmart logs {name}")
        if before is not None and now.refused_restarts > before.refused_restarts:
            raise errors.ConfigurationError(f"{name} continues unchanged: {now.message}")
        time.sleep(POLL_SECONDS)
    raise errors.Unavailable(
        f"{name} is not ready after {within_seconds:.0f} s.", help=f"See the reason: zmart logs {name}; zmart ps"
    )


def _is_restarted(before: ServiceStatus | None, now: ServiceStatus) -> bool:
    if before is None or now.restarts > before.restarts:
        return True
    return now.pid not in {before.pid, None}


def _status_of(folder: Path, name: str) -> ServiceStatus | None:
    return next((status for status in StateFile.read(folder / "run.json") if status.name == name), None)


def request_restart(folder: Path, name: str) -> None:
    """Request that the running supervisor restart one service.

    Raise Unavailable when nothing runs, and NotFound when there is no such service.
    """
    pid = running_pid(folder)
    if pid is None:
        raise errors.Unavailable("zmart is not running.", help="Start it with `zmart up`.")
    names = [status.name for status in StateFile.read(folder / "run.json")]
    if name not in names:
        raise errors.NotFound(f"There is no service {name!r}.", help=f"Use one of: {', '.join(names)}.")
    request = request_file(folder, name)
    try:
        request.parent.mkdir(exist_ok=True)
        request.touch()
    except OSError as error:
        raise _unwritable(folder, error) from error
    os.kill(pid, signal.SIGUSR1)


def request_file(folder: Path, name: str) -> Path:
    """Return the path of the file that requests a restart."""
    return folder / "run.requests" / name


class StateFile:
    """Writes `run.json`, the state of every service; each change replaces the file in one step.

    A write that fails is reported and never raised: services do not depend on this file.
    """

    def __init__(self, path: Path, failures: WriteFailures | None = None) -> None:
        self._path = path
        self._failures = failures
        self._statuses: list[ServiceStatus] = []
        self._is_open = False

    def add(self, name: str, *, url: str | None) -> ServiceStatus:
        """Add a service and return its status object."""
        status = ServiceStatus(name=name, url=url)
        self._statuses.append(status)
        return status

    def open(self) -> None:
        """Start writing the file."""
        self._is_open = True
        self.write()

    def write(self) -> None:
        """Write the current statuses, if the file is open."""
        if not self._is_open:
            return
        fresh = self._path.with_suffix(".new")
        try:
            private_files.write_text(fresh, json.dumps([asdict(status) for status in self._statuses], indent=1))
            fresh.replace(self._path)
        except OSError as error:
            if self._failures is not None:
                self._failures.record_failure(self._path, error)
        else:
            if self._failures is not None:
                self._failures.record_success(self._path)

    def close(self) -> None:
        """Remove the file, because no service runs any more."""
        self._is_open = False
        # A file that stays on a read-only disk does not mislead: the lock shows whether a supervisor runs.
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    @staticmethod
    def read(path: Path) -> list[ServiceStatus]:
        """Return the statuses that a running supervisor wrote; empty when there is no file."""
        try:
            return [ServiceStatus(**status) for status in json.loads(path.read_text())]
        except FileNotFoundError:
            return []
