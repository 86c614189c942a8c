"""Starts child processes under a given account, each in its own process group, and ends them with their parent.

Linux can signal a child when the *thread* that forked it ends (PR_SET_PDEATHSIG), so children are started from a thread
that lives as long as they should: the main one. The setting does not reach grandchildren; `zmart.run.supervisor.reaper`
ends those.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

#: A process, its parent and its group.
ProcessRelation: TypeAlias = tuple[int, int, int]
#: The unit of the times in /proc.
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class SystemAccount:
    """A user of this system as which a child runs."""

    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Return whether this user may enter every folder down to and including `folder`."""
        return self._passes_test("-x", folder)

    def can_execute(self, file: Path) -> bool:
        """Return whether this user may reach and execute `file`."""
        return self._passes_test("-x", file)

    def _passes_test(self, test: str, path: Path) -> bool:
        completed = subprocess.run(  # noqa: S603 - fixed arguments
            ["/bin/sh", "-c", f'test {test} "$0"', str(path)],
            cwd="/",
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            check=False,
        )
        return completed.returncode == 0


def account_of(uid: int) -> SystemAccount | None:
    """Return the user with that number, or None when the system has no entry for it."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return SystemAccount(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def unprivileged_account() -> SystemAccount | None:
    """Return an existing user that is not root, for programs that refuse to run as root."""
    for name in ("postgres", "nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return SystemAccount(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    return None


@dataclass(frozen=True, kw_only=True)
class Launch:
    """Describes how to run a program."""

    command: tuple[str, ...]
    #: The whole environment; it may hold secrets.
    environment: Mapping[str, str] = field(repr=False)
    account: SystemAccount | None = None
    cwd: str = "/"
    #: The signal that requests its end.
    stop_signal: signal.Signals = signal.SIGTERM
    #: The signal it gets when its parent is gone.
    death_signal: signal.Signals = signal.SIGKILL


def start(launch: Launch, *, output: int, passed_files: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    """Start a program in its own process group, with its output going to the file descriptor `output`.

    It also gets the open files `passed_files`, under the same numbers.

    Call it from a thread that lives as long as the child should. Raise OSError when the program cannot run.
    """
    return subprocess.Popen(  # noqa: S603 - our own programs and arguments
        launch.command,
        cwd=launch.cwd,
        env=dict(launch.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=passed_files,
        process_group=0,
        preexec_fn=_child_setup(launch.death_signal),  # noqa: PLW1509 - it takes no lock
        **identity(launch.account),
    )


def identity(account: SystemAccount | None) -> dict[str, Any]:
    """Return the arguments of subprocess for running as `account`."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def signal_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a process group; do nothing when the group is gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def is_stopped(pid: int) -> bool:
    """Return whether a process is stopped by a signal; one that a debugger holds is not."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    return False


def memory_bytes(root: int, relations: Sequence[ProcessRelation] | None = None) -> int:
    """Return the memory of a process, its descendants and its group, with shared pages counted in proportion.

    `relations` are those of `list_processes`, for callers that measure several. Return 0 where the system does not
    report it.
    """
    return sum(_memory_bytes(pid) for pid in find_family(root, list_processes() if relations is None else relations))


def list_processes() -> list[ProcessRelation]:
    """Return every process of the machine with its parent and its group."""
    return list(_process_table())


def find_family(root: int, relations: Sequence[ProcessRelation]) -> set[int]:
    """Return `root`, the processes of its group, and the descendants of either (Postgres leaves the group)."""
    family = {root, *(pid for pid, _, group in relations if group == root)}
    while more := {pid for pid, parent, _ in relations if parent in family} - family:
        family |= more
    return family


def _process_table() -> Iterator[ProcessRelation]:
    """Yield every process as (pid, parent, group)."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # The command's name, in parentheses, may contain spaces: the fields are counted from behind it.
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            yield int(entry.name), int(fields[1]), int(fields[2])


def _memory_bytes(pid: int) -> int:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _child_setup(death_signal: signal.Signals) -> Callable[[], None]:
    """Return the function that a child runs before its program: default signals, and `death_signal` at the parent's
    end.

    It runs after the change of user, which would clear the setting.
    """
    parent = os.getpid()

    def prepare() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        # The parent may have died between the fork and the line above.
        if os.getppid() != parent:
            os._exit(1)

    return prepare
