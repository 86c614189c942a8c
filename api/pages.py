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
_REVALIDATE = "no-cache"
#: The version stands in the path.
_IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """One file as it was at `changed_ns`."""

    name: str
    changed_ns: int
    content: bytes

    @cached_property
    def tag(self) -> str:
        """The content's hash, without the quotes of an ETag."""
        return hashlib.sha256(self.content).hexdigest()[:32]

    @cached_property
    def gzipped(self) -> bytes:
        """The content for clients that take gzip."""
        return gzip.compress(self.content, compresslevel=6, mtime=0)

    @property
    def media_type(self) -> str:
        """What it is."""
        return _TYPES.get(Path(self.name).suffix, _PLAIN)

    @property
    def cache_control(self) -> str:
        """How long a copy may be used without asking."""
        return _IMMUTABLE if self.name.startswith("vendor/") else _REVALIDATE

    def response(self, *, accepted: str = "", if_none_match: str = "") -> Response[bytes]:
        """The file for a request's Accept-Encoding and If-None-Match; 304 when the client has it."""
        is_gzip = "gzip" in accepted
        # Two encodings are two representations, and a strong tag names one of them.
        tag = f'"{self.tag}-gzip"' if is_gzip else f'"{self.tag}"'
        response_headers = {
            "etag": tag,
            "cache-control": self.cache_control,
            "vary": "Accept-Encoding",
            "content-security-policy": security_headers.policy(self.name),
        }
        if _has_tag(if_none_match, tag):
            return Response(b"", status_code=304, headers=response_headers)
        if is_gzip:
            response_headers["content-encoding"] = "gzip"
        return Response(self.gzipped if is_gzip else self.content, media_type=self.media_type, headers=response_headers)


class StaticFiles:
    """The files under a folder, by name; there are no others, whatever a path says."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = (path for path in folder.rglob("*") if path.is_file())
        self._paths = {path.relative_to(folder).as_posix(): path for path in paths}
        self._read: dict[str, StaticFile] = {}

    def find(self, name: str) -> StaticFile | None:
        """The file as it is now, or None when there is none of this name."""
        path = self._paths.get(name)
        if path is None:
            return None
        changed_ns = path.stat().st_mtime_ns
        found = self._read.get(name)
        if found is None or found.changed_ns != changed_ns:
            found = self._read[name] = StaticFile(name, changed_ns, path.read_bytes())
        return found


def models_page(state_dir: Path) -> StaticFile | None:
    """The models' documentation as dbt wrote it last (`docs/models` in Dagster), or None while it never has."""
    path = state_dir / "dbt" / "static_index.html"
    if not path.is_file():
        return None
    return StaticFile("models.html", path.stat().st_mtime_ns, path.read_bytes())


def _has_tag(if_none_match: str, tag: str) -> bool:
    tags = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in tags or "*" in tags
