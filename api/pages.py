"""The files a browser is given: the console at `/`, the documentation page at `/docs`, and what they load.

They lie in `api/console` as they are served; nothing builds them. A file's ETag is the hash of its
content, so a browser that has it is answered 304 in a few hundred bytes, and one that was changed on
disk is served anew without a restart. What is vendored has its version in its path and is never asked
for again.

Litestar's own static files know no conditional requests and no compression (ADR 14).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from litestar import Response

from .middleware import security_headers

FOLDER = Path(__file__).with_name("console")

_TYPES: Mapping[str, str] = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".svg": "image/svg+xml",
}
_PLAIN = "text/plain"
#: A browser asks each time whether its copy still holds; the answer is a 304.
_ASK = "no-cache"
#: The version stands in the path.
_FOR_EVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class File:
    """One file as it was at `changed_ns`."""

    name: str
    changed_ns: int
    content: bytes

    @cached_property
    def tag(self) -> str:
        """The content's hash, without the quotes of an ETag."""
        return hashlib.sha256(self.content).hexdigest()[:32]

    @cached_property
    def packed(self) -> bytes:
        """The content for clients that take gzip."""
        return gzip.compress(self.content, compresslevel=6, mtime=0)

    @property
    def media_type(self) -> str:
        """What it is."""
        return _TYPES.get(Path(self.name).suffix, _PLAIN)

    @property
    def cache_control(self) -> str:
        """How long a copy may be used without asking."""
        return _FOR_EVER if self.name.startswith("vendor/") else _ASK

    def answer(self, *, accepted: str = "", known: str = "") -> Response[bytes]:
        """The file for a request's Accept-Encoding and If-None-Match; 304 when the client has it."""
        is_packed = "gzip" in accepted
        # Two encodings are two representations, and a strong tag names one of them.
        tag = f'"{self.tag}-gzip"' if is_packed else f'"{self.tag}"'
        said = {
            "etag": tag,
            "cache-control": self.cache_control,
            "vary": "Accept-Encoding",
            "content-security-policy": security_headers.policy(self.name),
        }
        if _names(known, tag):
            return Response(b"", status_code=304, headers=said)
        if is_packed:
            said["content-encoding"] = "gzip"
        return Response(self.packed if is_packed else self.content, media_type=self.media_type, headers=said)


class Files:
    """The files under a folder, by name; there are no others, whatever a path says."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = (path for path in folder.rglob("*") if path.is_file())
        self._paths = {path.relative_to(folder).as_posix(): path for path in paths}
        self._read: dict[str, File] = {}

    def find(self, name: str) -> File | None:
        """The file as it is now, or None when there is none of this name."""
        path = self._paths.get(name)
        if path is None:
            return None
        changed_ns = path.stat().st_mtime_ns
        found = self._read.get(name)
        if found is None or found.changed_ns != changed_ns:
            found = self._read[name] = File(name, changed_ns, path.read_bytes())
        return found


def models(state_dir: Path) -> File | None:
    """The models' documentation as dbt wrote it last (`docs/models` in Dagster), or None while it never has."""
    path = state_dir / "dbt" / "static_index.html"
    if not path.is_file():
        return None
    return File("models.html", path.stat().st_mtime_ns, path.read_bytes())


def _names(known: str, tag: str) -> bool:
    tags = [one.strip().removeprefix("W/") for one in known.split(",")]
    return tag in tags or "*" in tags
