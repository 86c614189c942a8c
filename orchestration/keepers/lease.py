"""The name under which a process holds the lease of keepers, and a sentence about who holds it."""

from __future__ import annotations

import os
import socket


def name_holder() -> str:
    """Return the name under which this process holds the lease."""
    return f"{socket.gethostname()} pid {os.getpid()}"


def describe(holder: str, seconds_left: float) -> str:
    """Return a sentence about the lease; a process of this machine that no longer exists is named as ended."""
    host, _, pid = holder.rpartition(" pid ")
    if host == socket.gethostname() and pid.isdigit() and not _is_alive(int(pid)):
        return (
            f"The keeper process {pid} has ended without giving its lease back. "
            f"The lease ends in {seconds_left:.0f} s. Run the command again then."
        )
    return f"Another keeper process is running: {holder}, for {seconds_left:.0f} more seconds."


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
