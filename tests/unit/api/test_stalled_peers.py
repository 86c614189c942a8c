"""Peers that do not read: a sender does not wait for them for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.live import sse, websocket_session
from api.live.frames import Frame, StreamMessage
from api.live.websocket_session import CLOSE_SLOW, WebSocketSession
from zmart.db import feed

START = feed.FeedPosition("0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11", 1)


class StalledTransport:
    """A WebSocket transport whose peer does not read any more."""

    is_ready = is_gone = False

    def __init__(self) -> None:
        self.ended: tuple[int, str] | None = None

    def write_all(self, packets: Any) -> None:
        """Store the bytes."""

    async def drain(self, within_seconds: float) -> None:
        """Report that the time limit has passed."""
        raise TimeoutError

    def end(self, code: int, reason: str = "") -> None:
        """Store the close code."""
        self.ended = code, reason


async def test_a_socket_that_reads_no_history_is_closed() -> None:
    """Reading its history stops: it is closed as slow, and can reconnect with its position."""
    transport = StalledTransport()
    session = WebSocketSession(hub=None, authenticator=None, transport=transport, address="::1")  # type: ignore[arg-type]
    with pytest.raises(websocket_session.ConnectionClosed):
        await session.send_and_drain([Frame(START, (StreamMessage(("trades",), None, "trade", "{}"),))])
    assert transport.ended == (CLOSE_SLOW, "slow")


async def test_an_unread_stream_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its source is closed with it, and nothing is raised."""
    monkeypatch.setattr(sse, "SEND_SECONDS", 0.01)
    ended = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: {}\n\n"
        finally:
            ended.set()

    async def never(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            await never()

    scope: Any = {"type": "http", "method": "GET", "path": "/api/stream", "headers": []}
    async with asyncio.timeout(10):
        await sse.SseResponse(events())(scope, never, send)
        await ended.wait()
