"""Serves static files: the console at `/`, the documentation page at `/docs`, and the files they load.

The files are in `api/console` exactly as they are served; there is no build step. A file's ETag is the hash of its
content: a browser that already has the file receives a 304 of a few hundred bytes, and a file that was changed on disk
is served in its new version without a restart. Vendored files have their version in the path, so browsers never
request them again.

Litestar's own static files support neither conditional requests nor compression (ADR 14).
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
#: A browser revalidates its copy each time; usually the response is a 304.
_REVALIDATE = "no-cache"
#: For files with the version in the path.
_IMMUTABLE = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class StaticFile:
    """One file as it was at `changed_ns`."""

    name: str
    changed_ns: int
    content: bytes

    @cached_property
    def tag(self) -> str:
        """Return the content's hash, without the quotes of an ETag."""
        return hashlib.sha256(self.content).hexdigest()[:32]

    @cached_property
    def gzipped(self) -> bytes:
        """Return the content for clients that accept gzip."""
        return gzip.compress(self.content, compresslevel=6, mtime=0)

    @property
    def media_type(self) -> str:
        """Return the media type by the file name's suffix."""
        return _TYPES.get(Path(self.name).suffix, _PLAIN)

    @property
    def cache_control(self) -> str:
        """Return the Cache-Control value: how long a copy may be used without revalidation."""
        return _IMMUTABLE if self.name.startswith("vendor/") else _REVALIDATE

    def response(self, *, accepted: str = "", if_none_match: str = "") -> Response[bytes]:
        """Return the file for a request's Accept-Encoding and If-None-Match; 304 if the client has it."""
        is_gzip = "gzip" in accepted
        # Two encodings are two representations, and a strong tag identifies one of them.
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
    """The files in a folder by name; only these can be served, whatever the path contains."""

    def __init__(self, folder: Path = FOLDER) -> None:
        paths = (path for path in folder.rglob("*") if path.is_file())
        self._paths = {path.relative_to(folder).as_posix(): path for path in paths}
        self._read: dict[str, StaticFile] = {}

    def find(self, name: str) -> StaticFile | None:
        """Return the current version of the file, or None if there is no file of this name."""
        path = self._paths.get(name)
        if path is None:
            return None
        changed_ns = path.stat().st_mtime_ns
        found = self._read.get(name)
        if found is None or found.changed_ns != changed_ns:
            found = self._read[name] = StaticFile(name, changed_ns, path.read_bytes())
        return found


def models_page(state_dir: Path) -> StaticFile | None:
    """Return the latest page of the models' documentation (`docs/models` in Dagster), or None before its first run."""
    path = state_dir / "dbt" / "static_index.html"
    if not path.is_file():
        return None
    return StaticFile("models.html", path.stat().st_mtime_ns, path.read_bytes())


def _has_tag(if_none_match: str, tag: str) -> bool:
    tags = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag in tags or "*" in tags
