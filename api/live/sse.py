"""Sends a client's stream as server-sent events.

    id: position           event: (none)   data: {"epoch", "seq", "position", "messages": [...]}   one per entry
    id: position           event: welcome  the same shape without messages: the start of the stream
    id: position           event: resync   {"reason", "epoch", "seq", "position"}: read the state again, continue here
                           event: close    {"reason"}: reconnect with the last id (slow, shutdown,
                                           token_expired: with a new token; key_revoked: with another API key)
    id: position           (no data)       every 15 s of silence, so that an idle client's position advances; and
                                           after the missed entries of a client whose lists of topics resume from
                                           several positions: from this one on, one position is enough

The browser sends the last id back by itself (`Last-Event-ID`). An id is sent only after everything up to it, so the
entries after it are exactly those that the client has not received.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from typing import TypeAlias

import structlog
from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from zmart.db import feed

from ..auth.api_keys import KeyClaims
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


class StartPositions:
    """Leaves out what a client has already received, if its topics resume from several positions."""

    def __init__(self, starts: Sequence[tuple[frozenset[str], feed.FeedPosition]]) -> None:
        self._seq_by_topic: dict[str, int] = {}
        for topics, since in starts:
            for topic in topics:
                self._seq_by_topic[topic] = min(since.seq, self._seq_by_topic.get(topic, since.seq))
        self._has_several = len(starts) > 1
        #: Distinct positions, the earliest first.
        self.positions = sorted({since for _, since in starts}, key=lambda since: since.seq)
        self._newest = self.positions[-1].seq if len(self.positions) > 1 else -1

    def common_position(self, sent: feed.FeedPosition | None) -> feed.FeedPosition | None:
        """Return the position that serves all topics, given that of the last missed frame; None for a single list.

        The client of several lists waits for it, even if its lists resume from the same position.
        """
        if not self._has_several:
            return None
        newest = self.positions[-1]
        return newest if sent is None or sent.seq < newest.seq else sent

    def forget(self) -> None:
        """Leave out nothing from now on: the positions are of another log."""
        self._newest = -1

    def filter(self, frames: list[Frame]) -> list[Frame]:
        """Return the frames with the messages after the positions of their topics."""
        if not frames or frames[0].position.seq > self._newest:
            return frames
        remaining = []
        for frame in frames:
            seq = frame.position.seq
            messages = tuple(
                message
                for message in frame.messages
                if any(self._seq_by_topic.get(topic, seq) < seq for topic in message.topics)
            )
            if messages:
                remaining.append(Frame(frame.position, messages))
        return remaining


#: Closes a stream when its API key ends, for as long as a block lasts.
WatchKey: TypeAlias = Callable[[KeyClaims, StreamClient], AbstractContextManager[None]]


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
    starts: StartPositions | None,
    identity: Identity | None = None,
    *,
    watch: WatchKey | None = None,
) -> AsyncIterator[bytes]:
    """Yield the events in order until the client leaves or is closed, or its authentication expires."""
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(hub.register(StreamClient(topics, address)))
        if identity is not None and identity.key is not None and watch is not None:
            stack.enter_context(watch(identity.key, client))
        try:
            async for chunk in _initial_events(hub, client, identity, starts):
                yield chunk
            async for chunk in _live_events(hub, client, identity, starts):
                yield chunk
            reason = "token_expired"
        except StreamClosed as closed:
            reason = closed.reason
        yield _event(event="close", data=json.dumps({"reason": reason}))


async def _initial_events(
    hub: Hub, client: StreamClient, identity: Identity | None, starts: StartPositions | None
) -> AsyncIterator[bytes]:
    """Yield the start of the stream, or the missed entries of a client that resumes.

    They may take minutes, so they end as soon as the identity's authentication expires. Raises StreamClosed.
    """
    if starts is None:
        start = await hub.subscribe(client)
        yield _event(event="welcome", position=start, data=Frame(start, ()).text)
        return
    yield _event(retry=RETRY_MILLISECONDS)
    try:
        since, *later = starts.positions
        for position in later:
            await hub.check_position(position, client)
        if later:
            # The missed entries end where the hub is, so they include those between the positions.
            await hub.wait_until_reached(later[-1], client)
        sent = None
        async for frames in hub.resume(client, since):
            if client.closed is not None:
                raise StreamClosed(client.closed)
            if _is_expired(identity):
                return
            if missed := starts.filter(frames):
                sent = missed[-1].position
                yield _chunk(missed)
        if (common := starts.common_position(sent)) is not None:
            yield _event(comment="one position", position=common)
    except ResyncRequired as resync:
        starts.forget()
        yield _resync(resync.reason, await hub.subscribe(client))


async def _live_events(
    hub: Hub, client: StreamClient, identity: Identity | None, starts: StartPositions | None
) -> AsyncIterator[bytes]:
    """Yield new events, or a ping when there are none; end when the identity's authentication expires."""
    while not _is_expired(identity):
        try:
            async with asyncio.timeout(_take_timeout(identity)):
                frames = await client.take()
        except TimeoutError:
            # Nothing is queued, so everything for this client up to here has been sent.
            yield _event(comment="ping", position=hub.position)
        except ResyncRequired as resync:
            if starts is not None:
                starts.forget()
            yield _resync(resync.reason, resync.found)
        else:
            if starts is not None:
                frames = starts.filter(frames)
            if frames:
                yield _chunk(frames)


def _is_expired(identity: Identity | None) -> bool:
    return identity is not None and identity.seconds_left <= 0


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
