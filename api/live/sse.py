"""Sends a client's stream as server-sent events.

    id: position           event: (none)   data: {"epoch", "seq", "position", "messages": [...]}   one per entry
    id: position           event: welcome  the same shape without messages: the start of the stream
    id: position           event: resync   {"reason", "epoch", "seq", "position"}: read the state again, continue here
                           event: close    {"reason"}: reconnect with the last id (slow, shutdown,
                                           token_expired: with a new token)
    id: position           (no data)       every 15 s of silence, so that an idle client's position advances

The browser sends the last id back by itself (`Last-Event-ID`). An id is sent only after everything up to it, so the
entries after it are exactly those that the client has not received.
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

#: A peer that accepts no data for this long is treated as gone.
SEND_SECONDS = 20.0
#: Time for streams to send their close event; the process stops within five seconds.
SHUTDOWN_GRACE_SECONDS = 2.0
#: Delay before a browser reconnects.
RETRY_MILLISECONDS = 1000


class SseResponse(EventSourceResponse):
    """The SSE response; a peer that stopped reading ends it without an error."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        super().__init__(
            content,
            # Pings are sent in order with the frames: an id must never be sent before the messages up to it.
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
    """Yield the events in order until the client leaves or is closed, or its authentication expires."""
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
    """Yield the start of the stream, or the missed entries of a client that resumes."""
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
    """Yield new events, or a ping when there are none; end when the identity's authentication expires."""
    while identity is None or identity.seconds_left > 0:
        try:
            async with asyncio.timeout(_take_timeout(identity)):
                frames = await client.take()
        except TimeoutError:
            # Nothing is queued, so everything for this client up to here has been sent.
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
