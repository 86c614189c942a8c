"""Streams the log's entries on some topics, in order and each once, and reconnects by itself.

The stream stores the `position` of the last frame, an opaque string that only servers build. When the connection is
lost it waits, connects to any process that answers, and sends the position back, so no entry is missed. Entries that
arrive twice are recognized by `epoch` and `seq` and dropped. A server sends `resync` if its log does not have the
position (a restored database): the stream calls `on_resync`, which should read the state again, and continues from
the new position. An error of `on_resync` ends the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Literal, Protocol, TypeAlias

import httpx
import websockets

from .types import Frame

Transport: TypeAlias = Literal["sse", "websocket"]
#: Called with the reason (`foreign_epoch`, `future_position`, `mark_mismatch`) and the new position.
OnResync: TypeAlias = Callable[[str, str], "Awaitable[None] | None"]

#: The server sends something every 15 seconds; a connection that is silent for three times that is dead.
SILENCE_TIMEOUT_SECONDS = 45.0
#: Minimum and maximum wait before a reconnect; the wait doubles after each attempt that received nothing.
MIN_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.25, 30.0
#: Error codes for which a retry is useless.
_FINAL = {
    "unknown_topic",
    "too_many_topics",
    "not_signed_in",
    "forbidden",
    "wrong_wallet",
    "invalid_since",
    "validation_failed",
}
_EXPIRED = "token_expired"


class TokenProvider(Protocol):
    """Returns the access token of the wallet that is signed in."""

    async def __call__(self, *, is_expired: bool) -> str | None:
        """Return the token, a new one if the last has expired, or None if no wallet is signed in."""
        ...


class StreamRejected(Exception):
    """The server refuses this stream permanently; `code` is the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Stream:
    """Frames of some topics; iterate over it. Store `position` to start another stream with it as `since`."""

    def __init__(
        self,
        url: str,
        topics: Iterable[str],
        *,
        since: str | None = None,
        transport: Transport = "sse",
        on_resync: OnResync | None = None,
        token: TokenProvider | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        #: The last position that was received, unchanged.
        self.position = since
        #: The newest entry that was yielded; None and -1 before the first frame.
        self._epoch: str | None = None
        self._seq = -1
        self._url = url.rstrip("/")
        self._topics = list(topics)
        self._connect = self._over_sse if transport == "sse" else self._over_websocket
        self._on_resync = on_resync
        self._tokens = token
        #: A new client reads the certificates of the system again, which takes most of a reconnect.
        self._http = http
        self._is_expired = False
        self._backoff = MIN_BACKOFF_SECONDS
        #: Seconds that the last refusal named; None if it named none.
        self._retry_after: float | None = None

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while True:
            async with contextlib.aclosing(self._connect()) as connection:
                while (received := await self._next_message(connection)) is not None:
                    if (frame := await self._frame_of(received)) is not None:
                        yield frame
            await asyncio.sleep(self._next_delay())

    def _next_delay(self) -> float:
        """Return the seconds until the next attempt, spread so that clients do not all reconnect at once."""
        if self._retry_after is not None:
            # The server knows better: one that restarts is back long before a doubled wait has passed.
            delay, self._retry_after = self._retry_after, None
            return delay * random.uniform(1.0, 1.5)  # noqa: S311
        delay = self._backoff
        self._backoff = min(delay * 2, MAX_BACKOFF_SECONDS)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311

    async def _next_message(self, connection: AsyncGenerator[dict[str, Any], None]) -> dict[str, Any] | None:
        """Return the next message, or None when the connection is lost."""
        try:
            received = await anext(connection, None)
        except (OSError, TimeoutError, httpx.HTTPError, websockets.WebSocketException):
            return None
        match received:
            case {"type": "close", "data": {"reason": reason}}:
                self._is_expired = reason == _EXPIRED
                return None
            case {"type": "error", "data": {"code": code, "error": message}}:
                self._fail(code, message)
                return None
        return received

    async def _frame_of(self, received: dict[str, Any]) -> Frame | None:
        """Process a message; return it as a frame to yield, or None."""
        match received.get("type"):
            case None if self._is_new(received):
                self._advance(received)
            case "subscribed":
                self._advance(received)
            case "resync":
                await self._call_on_resync(received["data"])
                self._advance(received["data"])
                return None
            case "heartbeat":
                self.position = received["position"]
                self._backoff = MIN_BACKOFF_SECONDS
                return None
            case _:
                return None
        if not received["messages"]:
            return None
        return Frame(
            epoch=received["epoch"],
            seq=received["seq"],
            position=received["position"],
            messages=received["messages"],
        )

    def _is_new(self, received: dict[str, Any]) -> bool:
        return bool(received["epoch"] != self._epoch or received["seq"] > self._seq)

    def _advance(self, received: dict[str, Any]) -> None:
        self.position, self._epoch, self._seq = received["position"], received["epoch"], received["seq"]
        self._backoff = MIN_BACKOFF_SECONDS

    async def _call_on_resync(self, data: dict[str, Any]) -> None:
        if self._on_resync is not None:
            awaitable = self._on_resync(data["reason"], data["position"])
            if awaitable is not None:
                await awaitable

    def _fail(self, code: str, message: str) -> None:
        """Raise StreamRejected if a reconnect would not help."""
        if code in _FINAL:
            raise StreamRejected(code, message)
        self._is_expired = code == _EXPIRED

    async def _token(self) -> str | None:
        if self._tokens is None:
            return None
        token = await self._tokens(is_expired=self._is_expired)
        self._is_expired = False
        return token

    # --- over server-sent events ------------------------------------------------------------------

    async def _over_sse(self) -> AsyncGenerator[dict[str, Any], None]:
        query = {"topics": ",".join(self._topics), **({"since": self.position} if self.position else {})}
        token = await self._token()
        # A connection that is used again may lead to a process that is shutting down.
        headers = {"Connection": "close", **({"Authorization": f"Bearer {token}"} if token else {})}
        timeout = httpx.Timeout(SILENCE_TIMEOUT_SECONDS)
        if self._http is None:
            self._http = httpx.AsyncClient()
        address = f"{self._url}/api/stream"
        async with self._http.stream("GET", address, params=query, headers=headers, timeout=timeout) as answer:
            if answer.is_error:
                problem = _parse_problem(await answer.aread())
                self._retry_after = _parse_seconds(answer.headers.get("retry-after"))
                self._fail(problem.get("code", ""), problem.get("message", ""))
                return
            event: dict[str, str] = {}
            async for line in answer.aiter_lines():
                if line:
                    name, _, value = line.partition(":")
                    event[name] = value.removeprefix(" ")
                else:
                    # An event is complete at its empty line; the server sends an event again that was cut off.
                    if (received := _parse_event(event)) is not None:
                        yield received
                    event = {}

    # --- over WebSocket ---------------------------------------------------------------------------

    async def _over_websocket(self) -> AsyncGenerator[dict[str, Any], None]:
        address = f"ws{self._url.removeprefix('http')}/ws"
        async with websockets.connect(address, max_size=None, compression=None) as socket:
            request: dict[str, Any] = {"action": "subscribe", "topics": self._topics}
            if self.position:
                request["since"] = self.position
            if token := await self._token():
                request["token"] = token
            await socket.send(json.dumps(request))
            while True:
                async with asyncio.timeout(SILENCE_TIMEOUT_SECONDS):
                    text = await socket.recv()
                yield json.loads(text)


def _parse_problem(body: bytes) -> dict[str, Any]:
    """Return the problem of a response; an empty one for a page of a proxy, after which a reconnect may help."""
    try:
        problem = json.loads(body)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _parse_seconds(text: str | None) -> float | None:
    """Return the seconds of a Retry-After header; None for a date, which this API never sends."""
    return float(text) if text is not None and text.isdecimal() else None


def _parse_event(event: dict[str, str]) -> dict[str, Any] | None:
    """Return a server-sent event in the format of the WebSocket messages, or None if it has no content."""
    match event.get("event", ""):
        case "" | "welcome" if "data" in event:
            frame: dict[str, Any] = json.loads(event["data"])
            return frame
        case "resync" | "close" as kind:
            return {"type": kind, "data": json.loads(event["data"])}
    # An id without data: the server has sent everything up to this position.
    return {"type": "heartbeat", "position": event["id"]} if "id" in event else None
