"""What a child process is born with: an account, a group of its own, and an end when we end.

Linux can signal a child when the *thread* that forked it dies (PR_SET_PDEATHSIG), so children are
started from a thread that lives as long as they should: the main one. The setting does not reach
grandchildren; `zmart.run.warden` looks after those.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user of this system that a child runs as."""

    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Whether this user may go through every folder down to `folder` and read it."""
        return self._holds("-r", folder) and self._holds("-x", folder)

    def can_execute(self, file: Path) -> bool:
        """Whether this user may reach and run `file`."""
        return self._holds("-x", file)

    def _holds(self, test: str, path: Path) -> bool:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["/bin/sh", "-c", f'test {test} "$0"', str(path)],
            cwd="/",
            user=self.uid,
            group=self.gid,
            extra_groups=[],
            check=False,
        )
        return done.returncode == 0


def account_of(uid: int) -> Account | None:
    """Return the user with that number, or None when the system has no entry for it."""
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return None
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid)


def unprivileged_account() -> Account | None:
    """Return an existing user that is not root, for programs that refuse to be root."""
    for name in ("postgres", "nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    return None


def born(dies_by: signal.Signals) -> Callable[[], None]:
    """Return what a child runs before its program: default signals, and `dies_by` when we are gone.

    For `preexec_fn`. It runs after the change of user, which would clear the setting.
    """
    parent = os.getpid()

    def prepare() -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if _LIBC is not None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, int(dies_by), 0, 0, 0)
        # The parent may have died between the fork and the line above.
        if os.getppid() != parent:
            os._exit(1)

    return prepare
