"""Answers pages of origins that may not use the API: with the setting that would allow them, and a line in the log.

A browser does not show a page why a request failed, so the developer looks at the response in the network view, or at
the log. Both name CORS_ORIGINS. Requests other than a preflight pass: their response has no header that allows the
page to read it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

log = structlog.get_logger()

#: The most origins that are remembered, so that each is logged once.
_MAX_LOGGED: Final = 100
_SHOWN: Final = 100


class RefusedOrigins:
    """Refuses preflight requests of origins that are not allowed."""

    def __init__(self, app: ASGIApp, allowed: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(allowed)
        self._logged: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refused preflight; pass every other request on."""
        if scope["type"] != ScopeType.HTTP or "*" in self._allowed:
            await self._app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        if origin is None or origin in self._allowed or origin.partition("://")[2] == headers.get(b"host"):
            await self._app(scope, receive, send)
            return
        self._log_once(origin)
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _refuse(origin, send)
        else:
            await self._app(scope, receive, send)

    def _log_once(self, origin: str) -> None:
        if origin not in self._logged and len(self._logged) < _MAX_LOGGED:
            self._logged.add(origin)
            log.warning("origin_refused", origin=origin[:_SHOWN], help="Add it to CORS_ORIGINS to allow its pages.")


async def _refuse(origin: str, send: Send) -> None:
    body = f"Pages of {origin[:_SHOWN]} may not use this API. Add this origin to CORS_ORIGINS.\n".encode()
    await send(
        {
            "type": "http.response.start",
            "status": 403,
            "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})
