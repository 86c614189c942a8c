"""Stores dbt's manifest where many processes can read it at the same time.

dbt writes `manifest.json` in place, and every other dbt that works in the same folder writes it too, so a reader there
can get half a file. The file of this cache is replaced as a whole and contains the digest of the models' sources: a
reader finds the manifest of its own checkout or none.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Manifest: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ManifestCache:
    """The single cache file, in the folder that dbt works in."""

    folder: Path

    @property
    def path(self) -> Path:
        """Return the path of the cache file."""
        return self.folder / "models.json"

    def read(self, digest: str) -> Manifest | None:
        """Return the manifest of the sources with this digest; None when another, or no readable one, is stored."""
        try:
            cached = json.loads(self.path.read_bytes())
            manifest: Manifest = cached["manifest"]
            return manifest if cached["digest"] == digest else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def read_any(self) -> Manifest | None:
        """Return the stored manifest, whatever its sources were; None when no readable one is stored."""
        try:
            manifest: Manifest = json.loads(self.path.read_bytes())["manifest"]
        except (OSError, ValueError, LookupError, TypeError):
            return None
        return manifest

    def store(self, manifest: Manifest, digest: str) -> None:
        """Replace the stored manifest; ignore a failed write, because the cache only saves time."""
        written = self.folder / f".models-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            written.write_text(json.dumps({"digest": digest, "manifest": manifest}), encoding="utf-8")
            written.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                written.unlink(missing_ok=True)


def read_dbt_manifest(path: Path) -> Manifest | None:
    """Return the manifest that dbt wrote; None where there is none, or where another dbt is just writing it."""
    try:
        manifest: Manifest = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return manifest
