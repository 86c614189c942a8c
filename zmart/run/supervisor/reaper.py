"""Ends the processes that are left when the supervisor is gone; a small process of its own.

It reads its standard input. `+GROUP SIGNAL SECONDS` adds a process group with its stop signal and the time it may take,
`-GROUP` removes a group that has ended. The input ends when the supervisor ends, for any reason. The reaper then ends
every group it has read and every process that carries the run's mark in its environment, which finds processes that
left their group. It sends the stop signal first, then SIGKILL.

It runs as a file in an isolated interpreter and imports only a little of the standard library, so that it costs next to
nothing while it waits.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

#: Strays outlived the process they belonged to; they get a short time, not the time of a service.
STRAY_GRACE_SECONDS = 1.0
#: After this additional time only zombies are left, and they do nothing.
EXTRA_SECONDS = 5.0
#: A group's stop signal, and how many seconds it has from then.
StopRule = tuple[int, float]


def main(mark: str) -> None:
    """Wait until the supervisor is gone, then end the processes that it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    end_groups(read_groups(), mark.encode())


def read_groups() -> dict[int, StopRule]:
    """Return the groups that were alive at the end of the input."""
    groups: dict[int, StopRule] = {}
    for line in sys.stdin:
        if line.startswith("+"):
            group, number, grace = line[1:].split()
            groups[int(group)] = (int(number), float(grace))
        else:
            groups.pop(int(line[1:]), None)
    return groups


def end_groups(groups: dict[int, StopRule], mark: bytes) -> None:
    """End `groups` and every process that carries `mark`; return when none is left."""
    began = time.monotonic()
    timeout_seconds = EXTRA_SECONDS + max((grace for _, grace in groups.values()), default=0)
    for group, (number, _) in groups.items():
        _signal_group(group, number)
    signalled: set[int] = set()
    while time.monotonic() < began + timeout_seconds:
        strays = _marked_pids(mark) - set(groups)
        alive = [group for group in groups if _is_alive(group)]
        if not strays and not alive:
            return
        _end_late(alive, groups, time.monotonic() - began)
        _end_strays(strays, signalled, time.monotonic() - began)
        time.sleep(0.05)


def _end_late(alive: list[int], groups: dict[int, StopRule], elapsed: float) -> None:
    for group in alive:
        if elapsed > groups[group][1]:
            _signal_group(group, signal.SIGKILL)


def _end_strays(strays: set[int], signalled: set[int], elapsed: float) -> None:
    late = elapsed > STRAY_GRACE_SECONDS
    for pid in strays if late else strays - signalled:
        _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
    signalled |= strays


def _marked_pids(mark: bytes) -> set[int]:
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
