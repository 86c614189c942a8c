"""Streams the log's entries on some topics, in order and each once, and reconnects by itself.

The stream stores the `position` of the last frame, an opaque string that only servers build. When the connection is
lost it waits, connects to any process that answers, and sends the position back, so no entry is missed. Entries that
arrive twice are recognized by `epoch` and `seq` and dropped. A server sends `resync` if its log does not have the
position (a restored database): the stream calls `on_resync`, which should read the state again, and continues from
the new position. An error of `on_resync` ends the stream.

Topics may begin at positions of their own. The server then sends the entries that each topic lacks, and the stream
follows all topics together from there (`has_one_position`). Until then it remembers what each topic has received, so
that a disconnect repeats nothing and omits nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Literal, Protocol, TypeAlias

import httpx
import websockets

from . import answers
from .types import Frame

Transport: TypeAlias = Literal["sse", "websocket"]
#: A position for all topics, or one for each topic.
Since: TypeAlias = "str | Mapping[str, str]"
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


class _Subscription:
    """Topics that share a position, and the newest entry that was yielded for them."""

    def __init__(self, topics: list[str], position: str | None) -> None:
        self.topics = topics
        self.position = position
        #: None and -1 before the first frame.
        self.epoch: str | None = None
        self.seq = -1

    def is_new(self, received: dict[str, Any]) -> bool:
        return bool(received["epoch"] != self.epoch or received["seq"] > self.seq)

    def advance(self, received: dict[str, Any]) -> None:
        self.position, self.epoch, self.seq = received["position"], received["epoch"], received["seq"]


class Stream:
    """Frames of some topics; iterate over it. Store `position` to start another stream with it as `since`.

    With a `since` for each topic, store `position` only while `has_one_position`: before that, one position does not
    say what each topic has received.
    """

    def __init__(
        self,
        url: str,
        topics: Iterable[str],
        *,
        since: Since | None = None,
        transport: Transport = "sse",
        on_resync: OnResync | None = None,
        token: TokenProvider | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._subscriptions = _subscriptions(list(topics), since)
        #: The last position that was received, unchanged.
        self.position = self._subscriptions[0].position if self.has_one_position else None
        #: What was yielded while the positions of the topics differ, over server-sent events: in the order of the log.
        self._received = _Subscription([], None)
        #: Over WebSocket: how many subscriptions the server has acknowledged on this connection.
        self._acknowledged = 0
        #: Set when the positions of all topics changed, so that they are subscribed again.
        self._must_reconnect = False
        self._connect = self._over_sse if transport == "sse" else self._over_websocket
        self._on_resync = on_resync
        self._tokens = token
        #: A new client reads the certificates of the system again, which takes most of a reconnect.
        self._http = http
        self._is_expired = False
        self._backoff = MIN_BACKOFF_SECONDS
        #: Seconds that the last refusal named; None if it named none.
        self._retry_after: float | None = None

    @property
    def has_one_position(self) -> bool:
        """Return whether all topics are at one position, which is always so with one `since` for all of them."""
        return len(self._subscriptions) == 1

    async def __aiter__(self) -> AsyncIterator[Frame]:
        while True:
            self._acknowledged, self._must_reconnect = 0, False
            async with contextlib.aclosing(self._connect()) as connection:
                while (received := await self._next_message(connection)) is not None:
                    if (frame := await self._frame_of(received)) is not None:
                        yield frame
                    if self._must_reconnect:
                        break
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
        subscription = self._current()
        match received.get("type"):
            case None if self._acknowledged > 1 and not received["messages"]:
                self._merge(self._acknowledged, received)
                return None
            case None if subscription.is_new(received):
                self._advance(subscription, received)
            case "subscribed":
                self._acknowledged = min(self._acknowledged + 1, len(self._subscriptions))
                self._advance(self._current(), received)
            case "resync":
                await self._call_on_resync(received["data"])
                self._must_reconnect = not self.has_one_position
                self._merge(len(self._subscriptions), received["data"])
                return None
            case "heartbeat":
                self._merge_all(received["position"])
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

    def _current(self) -> _Subscription:
        """Return the topics whose frames are arriving."""
        if self._acknowledged:
            # The newest subscription: until its topics have reached the earlier ones, frames are of them alone.
            return self._subscriptions[self._acknowledged - 1]
        return self._subscriptions[0] if self.has_one_position else self._received

    def _advance(self, subscription: _Subscription, received: dict[str, Any]) -> None:
        self.position = received["position"]
        self._backoff = MIN_BACKOFF_SECONDS
        subscription.advance(received)

    def _merge(self, count: int, received: dict[str, Any]) -> None:
        """Make one subscription of the first ones, whose topics have all received everything up to a position."""
        merged = _Subscription([topic for one in self._subscriptions[:count] for topic in one.topics], None)
        self._subscriptions[:count] = [merged]
        self._acknowledged = min(self._acknowledged, 1)
        self._advance(merged, received)

    def _merge_all(self, position: str) -> None:
        """Move all topics to a position up to which the server has sent everything."""
        self._backoff = MIN_BACKOFF_SECONDS
        merged = self._current()
        merged.topics = [topic for one in self._subscriptions for topic in one.topics]
        self.position = merged.position = position
        self._subscriptions = [merged]

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
        token = await self._token()
        # A connection that is used again may lead to a process that is shutting down.
        headers = {"Connection": "close", **({"Authorization": f"Bearer {token}"} if token else {})}
        if self.has_one_position:
            query = _query(self._subscriptions[0].topics, self.position)
        else:
            query = [pair for one in self._subscriptions for pair in _query(one.topics, one.position)]
            if self.position is not None:
                # Frames come in the order of the log, so the last one moves every earlier position forward.
                headers["Last-Event-ID"] = self.position
        timeout = httpx.Timeout(SILENCE_TIMEOUT_SECONDS)
        if self._http is None:
            self._http = httpx.AsyncClient()
        address = f"{self._url}/api/stream"
        async with self._http.stream("GET", address, params=query, headers=headers, timeout=timeout) as answer:
            if answer.is_error:
                problem = answers.parse_problem(await answer.aread())
                self._retry_after = answers.parse_seconds(answer.headers.get("retry-after"))
                code, message = problem.get("code", ""), problem.get("message", answer.reason_phrase)
                self._fail(code, message)
                if answers.is_final(answer.status_code) and code != _EXPIRED:
                    raise StreamRejected(code or str(answer.status_code), message)
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
            token = await self._token()
            for subscription in self._subscriptions:
                request: dict[str, Any] = {"action": "subscribe", "topics": subscription.topics}
                if subscription.position:
                    request["since"] = subscription.position
                if token:
                    request["token"] = token
                await socket.send(json.dumps(request))
            while True:
                async with asyncio.timeout(SILENCE_TIMEOUT_SECONDS):
                    text = await socket.recv()
                yield json.loads(text)


def _subscriptions(topics: list[str], since: Since | None) -> list[_Subscription]:
    """Return the topics grouped by their position; raise ValueError if one of several positions is missing."""
    if since is None or isinstance(since, str):
        return [_Subscription(topics, since)]
    if missing := [topic for topic in topics if topic not in since]:
        raise ValueError(f"`since` has no position for {', '.join(missing)}.")
    groups: dict[str, list[str]] = {}
    for topic in topics:
        groups.setdefault(since[topic], []).append(topic)
    return [_Subscription(group, position) for position, group in groups.items()]


def _query(topics: list[str], since: str | None) -> list[tuple[str, str | int | float | bool | None]]:
    return [("topics", ",".join(topics)), *([("since", since)] if since else [])]


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
