"""dbt's manifest, kept where many processes can read it at once.

dbt writes `manifest.json` in place, and every other dbt at work in the same folder writes it too, so whoever reads it
there can meet half of one. What is kept here is replaced whole, and says which sources of the models it speaks of: a
reader finds the manifest of its own checkout or none.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Manifest: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Kept:
    """The one file, in the folder that dbt works in."""

    folder: Path

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / "models.json"

    def read(self, digest: str) -> Manifest | None:
        """The manifest of the sources with this digest; None when another's is kept, or none that can be read."""
        try:
            kept = json.loads(self.path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        manifest: Manifest = kept["manifest"]
        return manifest if kept["digest"] == digest else None

    def take(self, written: Path, digest: str) -> bool:
        """Keep what dbt wrote there; False, and nothing changed, when another dbt is writing it at the moment."""
        try:
            manifest = json.loads(written.read_bytes())
        except (FileNotFoundError, ValueError):
            return False
        with tempfile.NamedTemporaryFile(
            "w", dir=self.folder, prefix=".models-", encoding="utf-8", delete=False
        ) as file:
            json.dump({"digest": digest, "manifest": manifest}, file)
        os.replace(file.name, self.path)
        return True
