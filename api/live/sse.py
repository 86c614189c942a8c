"""A client's stream as server-sent events.

    id: position           event: (none)   data: {"epoch", "seq", "position", "messages": [...]}   one per entry
    id: position           event: welcome  the same shape without messages: where the stream begins
    id: position           event: resync   {"reason", "epoch", "seq", "position"}: read the state again, go on here
                           event: close    {"reason"}: connect again, with the last id (slow, shutdown,
                                           token_expired: with a new token)
    id: position           (no data)       every 15 s of silence, so that a quiet client's position moves

The browser returns the last id by itself (`Last-Event-ID`). An id is sent when everything up to it
has been, so what follows it is exactly what the client has not seen.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import structlog
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from zmart.db import feed

from .authentication import Identity
from .client import ResyncRequired, StreamClient, StreamClosed
from .frames import Frame, FrameBatch, position_fields
from .hub import PING_SECONDS, Hub

log = structlog.get_logger()

#: A peer that takes nothing for this long is gone, or might as well be.
SEND_SECONDS = 20.0
#: How long streams may take to say goodbye; the process stops within five seconds.
SHUTDOWN_GRACE_SECONDS = 2.0
#: What a browser waits before it comes back.
RETRY_MILLISECONDS = 1000


class SseResponse(EventSourceResponse):
    """The response; a peer that stopped reading ends it without a fuss."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        super().__init__(
            content,
            # Pings are made in line with the frames: an id must never overtake what it stands for.
            ping=0,
            send_timeout=SEND_SECONDS,
            shutdown_grace_period=SHUTDOWN_GRACE_SECONDS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream until one side ends it."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("stream_stalled", path=scope["path"])


async def events(
    hub: Hub,
    topics: frozenset[str],
    address: str,
    since: feed.FeedPosition | None,
    identity: Identity | None = None,
) -> AsyncIterator[bytes]:
    """What to send, in order, until the client leaves, is closed, or its proof runs out."""
    with hub.register(StreamClient(topics, address)) as client:
        try:
            async for chunk in _initial_events(hub, client, since):
                yield chunk
            async for chunk in _live_events(hub, client, identity):
                yield chunk
            reason = "token_expired"
        except StreamClosed as closed:
            reason = closed.reason
        yield _event(event="close", data=json.dumps({"reason": reason}))


async def _initial_events(hub: Hub, client: StreamClient, since: feed.FeedPosition | None) -> AsyncIterator[bytes]:
    """Where the stream begins, and for a client that comes back what it missed."""
    if since is None:
        start = await hub.subscribe(client)
        yield _event(event="welcome", position=start, data=Frame(start, ()).text)
        return
    yield _event(retry=RETRY_MILLISECONDS)
    try:
        async for frames in hub.resume(client, since):
            if frames:
                yield _chunk(frames)
    except ResyncRequired as resync:
        yield _resync(resync.reason, await hub.subscribe(client))


async def _live_events(hub: Hub, client: StreamClient, identity: Identity | None) -> AsyncIterator[bytes]:
    """What comes from now on, and a sign of life when nothing does; ends when the identity's proof does."""
    while identity is None or identity.seconds_left > 0:
        try:
            async with asyncio.timeout(_take_timeout(identity)):
                frames = await client.take()
        except TimeoutError:
            # Nothing is queued, so all that concerns this client up to here was sent.
            yield _event(comment="ping", position=hub.position)
        except ResyncRequired as resync:
            yield _resync(resync.reason, resync.found)
        else:
            yield _chunk(frames)


def _take_timeout(identity: Identity | None) -> float:
    return PING_SECONDS if identity is None else min(PING_SECONDS, max(0.0, identity.seconds_left))


def _chunk(frames: list[Frame]) -> bytes:
    return FrameBatch(frames).events


def _resync(reason: str, position: feed.FeedPosition) -> bytes:
    data = {"reason": reason, **position_fields(position)}
    return _event(event="resync", position=position, data=json.dumps(data))


def _event(
    *,
    event: str | None = None,
    position: feed.FeedPosition | None = None,
    data: str | None = None,
    comment: str | None = None,
    retry: int | None = RETRY_MILLISECONDS,
) -> bytes:
    lines = [
        None if comment is None else f": {comment}",
        None if retry is None else f"retry: {retry}",
        None if position is None else f"id: {position}",
        None if event is None else f"event: {event}",
        None if data is None else f"data: {data}",
    ]
    return ("\n".join(line for line in lines if line is not None) + "\n\n").encode()
