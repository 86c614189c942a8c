"""dbt's manifest, kept where many processes can read it at once.

dbt writes `manifest.json` in place, and every other dbt at work in the same folder writes it too, so whoever reads it
there can meet half of one. What is kept here is replaced whole, and says which sources of the models it speaks of: a
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
    """The one file, in the folder that dbt works in."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / "models.json"

    def read(self, digest: str) -> Manifest | None:
        """The manifest of the sources with this digest; None when another's is kept, or none that can be read."""
        try:
            cached = json.loads(self.path.read_bytes())
            manifest: Manifest = cached["manifest"]
            return manifest if cached["digest"] == digest else None
        except (OSError, ValueError, LookupError, TypeError):
            return None

    def store(self, manifest: Manifest, digest: str) -> None:
        """Keep it in place of another; nothing where it cannot be written, for it only saves time."""
        written = self.folder / f".models-{os.getpid()}-{secrets.token_hex(4)}"
        try:
            written.write_text(json.dumps({"digest": digest, "manifest": manifest}), encoding="utf-8")
            written.replace(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                written.unlink(missing_ok=True)


def read_dbt_manifest(path: Path) -> Manifest | None:
    """What dbt wrote there; None where it wrote none, or another dbt is writing it at the moment."""
    try:
        manifest: Manifest = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return manifest
