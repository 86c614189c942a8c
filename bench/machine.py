"""Describes the machine of a measurement, because numbers from two machines, or from two hours, are not comparable."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TypedDict

from zmart import errors
from zmart.run.postgres import binaries

PACKAGES = ("litestar", "uvicorn", "granian", "msgspec", "psycopg", "solders")


class Machine(TypedDict):
    """The facts about the machine that a result records."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    versions: dict[str, str]
    commit: str
    measured_at: str
    #: Averages over one, five and fifteen minutes at the start of the measurement; above the number of cores, other
    #: work was running.
    load_average: list[float]


def describe() -> Machine:
    """Return the facts about this machine now."""
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages * page_bytes / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "versions": _versions(),
        "commit": _command_output("git", "describe", "--always", "--dirty"),
        "measured_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _versions() -> dict[str, str]:
    found = {
        "python": platform.python_version(),
        "postgres": "none",
        "node": _command_output("node", "--version").lstrip("v"),
    }
    with contextlib.suppress(errors.ZmartError):
        found["postgres"] = binaries.find_binaries().version
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _command_output(*command: str) -> str:
    """Return the first line that a command prints, or `none`."""
    if shutil.which(command[0]) is None:
        return "none"
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return completed.stdout.strip().partition("\n")[0] or "none"
