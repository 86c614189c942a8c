"""Defines the exit statuses of all commands and services, so that a script can rely on them.

0  everything succeeded
1  it failed, or a server does not answer; the same command may succeed later
2  the command or the configuration is refused; it has to be changed first
3  an operator has to review something (`zmart keeper`)
4  another process does this work at the moment (`zmart keeper`)
"""

from __future__ import annotations

from typing import Final

from . import errors

OK: Final = 0
FAILED: Final = 1
REFUSED: Final = 2
MANUAL_REVIEW: Final = 3
BUSY: Final = 4
_REFUSALS: Final = (errors.ConfigurationError, errors.InvalidInput, errors.NotFound, errors.Unauthorized)


def of_error(error: Exception) -> int:
    """Return REFUSED for an error that only another command or configuration can cure, FAILED for any other."""
    return REFUSED if isinstance(error, _REFUSALS) else FAILED
