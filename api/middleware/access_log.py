"""A name for every request, and a line of log for most.

The name is the caller's `X-Request-Id` where it is a plain one, else ours; it stands in the answer and
in every line logged on the way, so a person with a problem and a person with a log can meet. A line says
method, path, status, time and address. It says nothing of the query, headers or body, where secrets
are. Reads that succeed are many and dull: they are told at LOG_LEVEL=debug only.
"""

from __future__ import annotations

import logging
import random
import re
import secrets
import time
from collections.abc import Sequence
from typing import Final, TypeGuard

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from zmart.settings import Network

from . import client_address

log = structlog.get_logger()

REQUEST_ID_HEADER: Final = b"x-request-id"
#: Short and without anything that a log or a terminal would read as more than a name.
_PLAIN: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LONGEST_PATH: Final = 200
_READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Names have to differ, not to be hard to guess.
_RANDOM: Final = random.Random(secrets.randbits(128))  # noqa: S311


class AccessLog:
    """ASGI middleware around everything, refusals of unknown routes included."""

    def __init__(self, app: ASGIApp, trusted_proxies: Sequence[Network]) -> None:
        self._app = app
        self._proxies = trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Name a request, answer it, tell of it."""
        if not is_http(scope):
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started_at = time.perf_counter()
        status = 0

        async def send_with_request_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER, request_id)]
            await send(message)

        # The server runs each request in a context of its own, so nothing has to be unbound.
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        try:
            await self._app(scope, receive, send_with_request_id)
        finally:
            self._log(scope, status, time.perf_counter() - started_at)

    def _log(self, scope: HTTPScope, status: int, seconds: float) -> None:
        is_routine_read = status < 400 and scope["method"] in _READ_METHODS
        level = logging.DEBUG if is_routine_read else logging.INFO
        if not logging.getLogger().isEnabledFor(level):
            return
        log.log(
            level,
            "request",
            method=scope["method"],
            path=scope["path"][:_LONGEST_PATH],
            status=status,
            milliseconds=round(seconds * 1000, 1),
            address=client_address.address(scope, self._proxies),
        )


def is_http(scope: Scope) -> TypeGuard[HTTPScope]:
    """Whether this is a request, and not a WebSocket."""
    return scope["type"] == ScopeType.HTTP


def _request_id(scope: Scope) -> bytes:
    for header, value in scope["headers"]:
        if header == REQUEST_ID_HEADER and _PLAIN.fullmatch(value):
            return bytes(value)
    return b"%016x" % _RANDOM.getrandbits(64)
