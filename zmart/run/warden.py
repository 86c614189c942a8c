"""The supervisor's last will: a small process that ends what is left when the supervisor is gone.

It reads its standard input. `+GROUP SIGNAL` tells of a process group and what asks it to end,
`-GROUP` that the group is no more. The end of input is the end of the supervisor, by whatever
death; the warden then ends every group it was told of and every process that carries the run's mark
in its environment, which finds those that left their group. First politely, then not.

Run as a file by an isolated interpreter, it imports nothing but the standard library, and little of
that: it should cost next to nothing while it waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

#: A fast shutdown of Postgres writes a checkpoint; everything else is dead long before.
GRACE_SECONDS = 30.0
#: After this much more only the dead that nobody buries are left, and they do nothing.
PATIENCE_SECONDS = 5.0


def main(mark: str) -> None:
    """Listen until the supervisor is gone, then end what it left behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    finish(listen(), mark.encode())


def listen() -> dict[int, int]:
    """Return the groups that were alive at the end of input, each with its stop signal."""
    groups: dict[int, int] = {}
    for line in sys.stdin:
        if line.startswith("+"):
            group, number = line[1:].split()
            groups[int(group)] = int(number)
        else:
            groups.pop(int(line[1:]), None)
    return groups


def finish(groups: dict[int, int], mark: bytes) -> None:
    """End `groups` and whatever carries `mark`; return when nothing is left."""
    for group, number in groups.items():
        _signal_group(group, number)
    deadline = time.monotonic() + GRACE_SECONDS
    asked: set[int] = set()
    while (left := _marked(mark)) or any(_is_alive(group) for group in groups):
        late = time.monotonic() > deadline
        if time.monotonic() > deadline + PATIENCE_SECONDS:
            return
        for pid in left - (set() if late else asked):
            _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked |= left
        for group in groups if late else ():
            _signal_group(group, signal.SIGKILL)
        time.sleep(0.05)


def _marked(mark: bytes) -> set[int]:
    found = set()
    for name in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as environ:
                    if mark in environ.read().split(b"\0"):
                        found.add(int(name))
            except OSError:
                continue
    return found


def _is_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


if __name__ == "__main__":
    main(sys.argv[1])
