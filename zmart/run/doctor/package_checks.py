"""Judges the interpreter and the installed packages: facts in, findings out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .doctor_checks import Check, Finding

PYTHONS = ((3, 11), (3, 12), (3, 13))

_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)\s*(;?)")


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One package of a lock file."""

    name: str
    version: str
    #: True if it is installed only where its marker holds.
    is_conditional: bool


def parse_pins(lock: str) -> list[Pin]:
    """Return the packages of a requirements file."""
    found = (_PIN.match(line) for line in lock.splitlines())
    return [Pin(name=match[1], version=match[2], is_conditional=bool(match[3])) for match in found if match]


def check_python(version: tuple[int, int], lock: Sequence[Pin] | None, installed: Mapping[str, str]) -> list[Finding]:
    """Check the interpreter and the installed packages against the lock; `installed` is by canonical name."""
    check = Check("python")
    if version not in PYTHONS:
        check.fail(f"This is Python {version[0]}.{version[1]}.", "make setup PYTHON=/path/to/python3.13")
    if lock is None:
        check.warn("There is no requirements.lock to compare with.", "Run from a checkout, with its .venv.")
    differing = [difference for pin in lock or () if (difference := _difference(pin, installed))]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        check.fail(
            f"Installed packages differ from the lock: {', '.join(differing[:3])}{more}.",
            "rm -f .venv/.ready && make setup",
        )
    return check.finish(f"Python {version[0]}.{version[1]}, {len(lock or ())} packages as locked.")


def _difference(pin: Pin, installed: Mapping[str, str]) -> str:
    have = installed.get(canonical_name(pin.name))
    if have == pin.version or (have is None and pin.is_conditional):
        return ""
    return f"{pin.name} {have or 'missing'} (locked {pin.version})"


def canonical_name(name: str) -> str:
    """Return a package's name in the form used for comparison (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
