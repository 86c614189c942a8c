"""Creates secrets for a development machine once and stores them in the state directory; for localnet only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

NAMES = ("HELIUS_AUTH_HEADER", "JWT_SECRET")


def load_or_create(state_dir: Path) -> dict[str, str]:
    """Return the development secrets by variable name; create them at the first call (mode 0600)."""
    path = state_dir / "secrets.json"
    stored: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    missing = {name: secrets.token_hex(32) for name in NAMES if name not in stored}
    if missing:
        _write(path, {**stored, **missing})
    return {**stored, **missing}


def _write(path: Path, values: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(values, file, indent=1)
    fresh.replace(path)
