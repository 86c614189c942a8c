"""Reads the `.env` file of the working directory and the environment of this process."""

from __future__ import annotations

import os
import re
from pathlib import Path

from zmart import errors

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")

#: Set by the supervisor for its children: they receive only the variables they need, and nothing from `.env`.
RUN_VARIABLE = "ZMART_RUN"


def process_environment() -> dict[str, str]:
    """Return the environment of this process, with the variables that only `.env` sets."""
    file = Path(".env")
    if RUN_VARIABLE in os.environ:
        return dict(os.environ)
    written = dotenv(file.read_text()) if file.is_file() else {}
    return {**written, **os.environ}


def dotenv(text: str) -> dict[str, str]:
    """Parse the lines of a `.env` file: NAME=value, quotes optional, # starts a comment.

    Raises ConfigurationError with the line's number for anything else.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _ASSIGNMENT.fullmatch(line)
        if match is None:
            raise errors.ConfigurationError(
                f".env line {number} is not NAME=value.", help="Write it as NAME=value, or begin it with #."
            )
        values[match[1]] = _unquote(match[2])
    return values


def _unquote(value: str) -> str:
    quoted = re.match(r"""(["'])(.*?)\1\s*(?:#.*)?$""", value)
    return quoted[2] if quoted else re.sub(r"\s+#.*$|^#.*$", "", value)
