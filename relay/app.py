"""Answers /health, /ready and /metrics of the relay."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from zmart.http import metrics as http_metrics
from zmart.settings import Secret

from .metrics import RelayMetrics

Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]


class RelayApp:
    """An ASGI application with three paths."""

    def __init__(self, metrics: RelayMetrics, token: Secret | None) -> None:
        self._metrics = metrics
        self._token = token

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Send) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope.get("client")
        status, content_type, body = self.answer(scope["path"], client[0] if client else None, headers)
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", content_type.encode())]}
        )
        await send({"type": "http.response.body", "body": body if scope["method"] != "HEAD" else b""})

    def answer(self, path: str, address: str | None, headers: dict[str, str]) -> tuple[int, str, bytes]:
        """Return status, content type and body for a path."""
        if path == "/health":
            return 200, "application/json", _encode({"status": "healthy", "service": "relay"})
        if path == "/ready":
            reasons = self._metrics.problems()
            body = {"status": "unready" if reasons else "ready", "service": "relay", "reasons": reasons}
            return (503 if reasons else 200), "application/json", _encode(body)
        if path == "/metrics":
            if http_metrics.may_read(address, headers, self._token):
                return 200, http_metrics.CONTENT_TYPE, http_metrics.render(self._metrics.registry)
            return 403, "text/plain; charset=utf-8", f"{http_metrics.FORBIDDEN_MESSAGE}\n".encode()
        return 404, "text/plain; charset=utf-8", b"The relay has /health, /ready and /metrics.\n"


def _encode(body: object) -> bytes:
    return json.dumps(body).encode()
