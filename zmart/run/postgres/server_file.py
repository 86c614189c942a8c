"""The file in the state directory that says where the embedded Postgres is and how to log in to it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from zmart import errors


@dataclass(kw_only=True)
class ServerFile:
    """The content of server.json."""

    port: int
    database: str
    data: str
    passwords: dict[str, str] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Return the record, or None where there is no file."""
        try:
            return cls(**json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except PermissionError:
            raise wrong_owner_error(path) from None
        except (ValueError, TypeError):
            raise errors.ConfigurationError(
                f"{path} is damaged.", help=f"Move {path.parent} away to start with an empty database."
            ) from None

    def add_passwords(self, names: Iterable[str]) -> bool:
        """Choose a password for each role that has none; return whether there was one."""
        missing = [name for name in names if name not in self.passwords]
        self.passwords |= {name: secrets.token_urlsafe(24) for name in missing}
        return bool(missing)

    def write(self, path: Path) -> None:
        """Replace the file in one step, readable by its owner only."""
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(vars(self), file, indent=1)
        fresh.replace(path)


def wrong_owner_error(path: Path) -> errors.ConfigurationError:
    """Return the error for a file or folder of ours that another account owns."""
    return errors.ConfigurationError(
        f"{path} belongs to another user.",
        help="Run as that user, or set ZMART_STATE_DIR to a folder of yours.",
    )
