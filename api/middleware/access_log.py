"""Assigns an id to every request, counts all requests and logs most of them.

The id is the caller's `X-Request-Id` if that is a plain one, else a generated one. It is in the response and in every
line that is logged for the request, so a user's report can be matched with the log. A line contains method, path,
status, time and address. It contains nothing of the query, headers or body, because these can contain secrets.
Successful reads are frequent and of little interest, so they are logged only at LOG_LEVEL=debug.
"""

from __future__ import annotations

import logging
import random
import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeGuard

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from zmart.http import client_address
from zmart.settings import Network

log = structlog.get_logger()

REQUEST_ID_HEADER: Final = b"x-request-id"
#: Short, and without characters that a log or a terminal would interpret.
_PLAIN: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_LONGEST_PATH: Final = 200
_READ_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Request ids must be different, but need not be hard to guess.
_RANDOM: Final = random.Random(secrets.randbits(128))  # noqa: S311


#: Counts a request: method, template of the route (None without a handler), status, seconds to the response's start.
CountRequest: TypeAlias = Callable[[str, str | None, int, float], None]


class AccessLog:
    """ASGI middleware around the whole application, including responses for unknown routes."""

    def __init__(self, app: ASGIApp, trusted_proxies: Sequence[Network], count_request: CountRequest) -> None:
        self._app = app
        self._proxies = trusted_proxies
        self._count_request = count_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Assign an id to the request, answer it and log it."""
        if not is_http(scope):
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        started_at = time.perf_counter()
        status, seconds_to_start = 0, 0.0

        async def send_with_request_id(message: Message) -> None:
            nonlocal status, seconds_to_start
            if message["type"] == "http.response.start":
                status, seconds_to_start = message["status"], time.perf_counter() - started_at
                message["headers"] = [*message["headers"], (REQUEST_ID_HEADER, request_id)]
            await send(message)

        # The server runs each request in its own context, so nothing has to be unbound.
        structlog.contextvars.bind_contextvars(request_id=request_id.decode())
        try:
            await self._app(scope, receive, send_with_request_id)
        finally:
            # A stream ends hours after its response began, so the time of a request ends there.
            self._count_request(scope["method"], scope.get("path_template") or None, status, seconds_to_start)
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
    """Return whether this is an HTTP request, and not a WebSocket."""
    return scope["type"] == ScopeType.HTTP


def _request_id(scope: Scope) -> bytes:
    for header, value in scope["headers"]:
        if header == REQUEST_ID_HEADER and _PLAIN.fullmatch(value):
            return bytes(value)
    return b"%016x" % _RANDOM.getrandbits(64)
