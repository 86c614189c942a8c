"""Creates files and folders that only their owner can open, whatever the umask is.

State and logs name signatures, hosts and pids, and the state directory contains secrets. Files of earlier versions,
which others could read, get the mode when they are opened again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO, Literal

FILE_MODE = 0o600
FOLDER_MODE = 0o700
#: Root's state directory: the embedded server's account has to enter it, and cannot list it.
_ENTERED_MODE = 0o711


def make_folder(folder: Path, *, is_entered: bool = False) -> None:
    """Create a folder and its parents, or restrict an existing one; raise OSError.

    `is_entered` lets other accounts enter the folder where root runs the services. A folder of another account, or one
    that everybody shares as /tmp, stays as it is.
    """
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid == os.geteuid() and not status.st_mode & stat.S_ISVTX:
        folder.chmod(_ENTERED_MODE if is_entered and os.geteuid() == 0 else FOLDER_MODE)


def open_append(path: Path, mode: Literal["ab", "ab+"] = "ab") -> IO[bytes]:
    """Open a file for appending, unbuffered and with mode 0600; raise OSError."""
    flags = os.O_APPEND | os.O_CREAT | (os.O_RDWR if mode == "ab+" else os.O_WRONLY)
    return os.fdopen(_open(path, flags), mode, buffering=0)


def write_text(path: Path, text: str) -> None:
    """Write a file with mode 0600; raise OSError."""
    with os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "w") as file:
        file.write(text)


def _open(path: Path, flags: int) -> int:
    descriptor = os.open(path, flags, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    return descriptor
