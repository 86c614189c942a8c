"""The Python client's stream with a position for each topic, against servers that end connections as told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "clients" / "python"))

from zmart_client import Stream
from zmart_client import stream as client_stream

TIMEOUT_SECONDS = 60.0
EPOCH = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"
SINCE = {"trades": "at-10", "markets": "at-4", "status": "at-10"}
Message = dict[str, Any]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits before a reconnect are shortened."""
    monkeypatch.setattr(client_stream, "MIN_BACKOFF_SECONDS", 0.01)


def fields(seq: int) -> Message:
    """The members that say where an entry is."""
    return {"epoch": EPOCH, "seq": seq, "position": f"at-{seq}"}


def frame(seq: int, topic: str | None = None) -> Message:
    """An entry; without a topic, one without messages."""
    messages = [] if topic is None else [{"type": topic, "market_id": None, "timestamp": "", "data": {}}]
    return {**fields(seq), "messages": messages}


def subscribed(seq: int) -> Message:
    """The acknowledgement of a subscription that resumes."""
    return {"type": "subscribed", "topics": [], **frame(seq)}


class ScriptedSockets:
    """Answers the subscriptions of each connection with the next script, and ends the connection after it."""

    def __init__(self, *scripts: list[list[Message]]) -> None:
        #: For each connection, for each of its subscriptions, what follows it.
        self._scripts = iter(scripts)
        self.requests: list[list[tuple[list[str], str | None]]] = []

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its address."""
        async with websockets.serve(self._serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, socket: websockets.ServerConnection) -> None:
        requests: list[tuple[list[str], str | None]] = []
        self.requests.append(requests)
        for script in next(self._scripts):
            request = json.loads(await socket.recv())
            requests.append((request["topics"], request.get("since")))
            for message in script:
                await socket.send(json.dumps(message))


class ScriptedEvents:
    """Answers each connection with the next script, and ends it."""

    def __init__(self, *scripts: list[str]) -> None:
        self._scripts = iter(scripts)
        self.requests: list[tuple[list[tuple[str, str]], str | None]] = []

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its address."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        query = httpx.URL(lines[0].split()[1]).params.multi_items()
        self.requests.append((query, headers.get("last-event-id")))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        writer.write("".join(next(self._scripts)).encode())
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()


def event(message: Message, name: str | None = None) -> str:
    """A server-sent event."""
    return f"id: {message['position']}\n" + (f"event: {name}\n" if name else "") + f"data: {json.dumps(message)}\n\n"


async def follow(url: str, transport: Any, last: int, resyncs: list[str] | None = None) -> list[tuple[int, bool]]:
    """The entries up to one, each with whether the topics had one position."""
    found: list[tuple[int, bool]] = []
    on_resync = (lambda reason, _: resyncs.append(reason)) if resyncs is not None else None
    async with asyncio.timeout(TIMEOUT_SECONDS), httpx.AsyncClient() as http:
        stream = Stream(url, list(SINCE), since=SINCE, transport=transport, on_resync=on_resync, http=http)
        assert (stream.has_one_position, stream.position) == (False, None)
        async for received in stream:
            found.append((received["seq"], stream.has_one_position))
            if received["seq"] == last:
                assert stream.position == f"at-{last}"
                return found
    pytest.fail("the stream ended")


async def test_topics_over_a_websocket_resume_from_what_each_has_received() -> None:
    """Topics with the same position are one subscription. A disconnect before they have one keeps both positions."""
    both = ["trades", "status"]
    server = ScriptedSockets(
        [[subscribed(10), frame(12, "trade")], [subscribed(4), frame(5, "market")]],
        # Some entries come twice, and the subscriptions have one position at 20.
        [
            [subscribed(12), frame(12, "trade"), frame(13, "trade")],
            [subscribed(5), frame(5, "market"), frame(9, "market"), frame(20)],
        ],
        [[subscribed(20), frame(20, "trade"), frame(21, "trade")]],
    )
    async with server.listening() as url:
        found = await follow(url, "websocket", 21)
    assert found == [(12, False), (5, False), (13, False), (9, False), (21, True)]
    assert server.requests == [
        [(both, "at-10"), (["markets"], "at-4")],
        [(both, "at-12"), (["markets"], "at-5")],
        [([*both, "markets"], "at-20")],
    ]


async def test_topics_over_events_resume_from_the_last_one() -> None:
    """The positions of the topics are sent again, with the last event; after an id without data one is enough."""
    server = ScriptedEvents(
        [event(frame(5, "market"))],
        [event(frame(5, "market")), event(frame(12, "trade")), ": one position\nid: at-14\n\n"],
        [event(frame(12, "trade")), event(frame(15, "trade"))],
    )
    async with server.listening() as url:
        found = await follow(url, "sse", 15)
    # The server pairs the lists with the positions by their order.
    lists = [("topics", "trades,status"), ("topics", "markets"), ("since", "at-10"), ("since", "at-4")]
    assert found == [(5, False), (12, False), (15, True)]
    assert server.requests == [
        (lists, None),
        (lists, "at-5"),
        ([("topics", "trades,status,markets"), ("since", "at-14")], None),
    ]


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_after_a_resync_all_topics_go_on_from_its_position(transport: str) -> None:
    """They are subscribed again, together."""
    resync = {"reason": "foreign_epoch", **fields(30)}
    resyncs: list[str] = []
    if transport == "sse":
        events = ScriptedEvents([event(resync, "resync"), event(frame(31, "trade"))], [event(frame(32, "trade"))])
        async with events.listening() as url:
            found = await follow(url, transport, 32, resyncs)
        assert events.requests[1] == ([("topics", "trades,status,markets"), ("since", "at-30")], None)
    else:
        sockets = ScriptedSockets(
            [[{"type": "resync", "data": resync}, subscribed(30)], [subscribed(30)]],
            [[subscribed(30), frame(32, "trade")]],
        )
        async with sockets.listening() as url:
            found = await follow(url, transport, 32, resyncs)
        assert sockets.requests[1] == [(["trades", "status", "markets"], "at-30")]
    assert found == [(32, True)]
    assert resyncs == ["foreign_epoch"]


def test_a_topic_without_a_position_is_refused() -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="no position for status"):
        Stream("http://127.0.0.1:1", list(SINCE), since={"trades": "a", "markets": "b"})
