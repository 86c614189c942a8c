"""Translates errors of the operating system into ours: the file, the reason, and the next step."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from . import errors

_NEXT_STEPS: Final[Mapping[int, str]] = {
    errno.EACCES: "Correct its permissions, or run the command as its owner.",
    errno.EPERM: "Correct its permissions, or run the command as its owner.",
    errno.ENOENT: "Check the path.",
    errno.ENOSPC: "Free some disk space.",
    errno.EROFS: "Set ZMART_STATE_DIR to a folder that can be written.",
    errno.EADDRINUSE: "Stop the process that listens there, or set another port.",
}
_OTHERWISE: Final = "Run it again as `zmart --debug` to see where it failed."


def translate(error: OSError) -> errors.Permanent:
    """Return the error with its file and the next step instead of its number."""
    reason = error.strerror or str(error) or type(error).__name__
    subject = f"{error.filename}: " if error.filename else ""
    step = _NEXT_STEPS.get(error.errno or 0, _OTHERWISE)
    return errors.Permanent(f"{subject}{reason}.", help=step)
