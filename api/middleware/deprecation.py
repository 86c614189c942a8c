"""Marks the answers of deprecated paths, so that clients learn of them before the paths are removed.

A path is deprecated if its handler has a newer one. The answer then carries `Deprecation` (RFC 9745), `Link` to the
newer path, and `Sunset` (RFC 8594) once the day of its removal is decided.
"""

from __future__ import annotations

import datetime
import email.utils
import functools
import re
from collections.abc import Mapping
from typing import Any, Final

from litestar.types import Message, Scope

from . import access_log

#: The paths of earlier clients were deprecated with the first version of this API.
DEPRECATED_SINCE: Final = datetime.datetime(2026, 11, 30, tzinfo=datetime.UTC)
#: The day on which a path is removed, at least 180 days after it was announced in the changelog; none is decided.
SUNSETS: Final[Mapping[str, datetime.datetime]] = {}
#: If a handler has several paths, the shortest under /api is canonical; here two have the same length.
_CANONICAL: Final = {"sign_in": "/api/auth/verify"}


@functools.cache
def canonical_path(handler: Any) -> str:
    """Return the newest path of a handler, as OpenAPI writes it."""
    if (chosen := _CANONICAL.get(handler.fn.__name__)) is not None:
        return chosen
    paths = [_plain(path) for path in handler.paths]
    return min(paths, key=lambda path: (not path.startswith("/api/"), path.count("/"), len(path), path))


async def add_deprecation(message: Message, scope: Scope) -> None:
    """Add the headers to the answer of a deprecated path; a `before_send` hook."""
    if message["type"] != "http.response.start" or not access_log.is_http(scope):
        return
    handler, template = scope.get("route_handler"), scope.get("path_template")
    if handler is None or template is None or len(getattr(handler, "paths", ())) < 2:
        return
    message["headers"] = [*message["headers"], *_headers(handler, _plain(template))]


def _headers(handler: Any, path: str) -> tuple[tuple[bytes, bytes], ...]:
    canonical = canonical_path(handler)
    if path == canonical:
        return ()
    headers = [
        (b"deprecation", b"@%d" % DEPRECATED_SINCE.timestamp()),
        (b"link", f'<{canonical}>; rel="successor-version"'.encode()),
    ]
    if (day := SUNSETS.get(path)) is not None:
        headers.append((b"sunset", email.utils.format_datetime(day, usegmt=True).encode()))
    return tuple(headers)


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
