"""What is sent: messages, grouped into one frame per entry of the log.

A `Window` is what the hub read: consecutive entries with their messages. A `Frame` is the part of one
entry that one subscription hears, a `Batch` the frames of one window. They are made once per distinct
subscription and shared by all clients that have it, and so are the bytes that go on the wire: an
event of SSE and a frame of WebSocket (the server's are not masked, RFC 6455 section 5.3) are the same
for everyone, so each is encoded when the first client needs it and never again.

WebSocket knows two dialects. Clients that ask for topics get frames, `{epoch, seq, position, messages}`; older
ones, which ask for a market, get one message each with epoch, seq and position beside it (protocol.md 7.1).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from zmart.db import feed

#: How a WebSocket client is spoken to: a frame per entry, or the older way, a message at a time.
Dialect: TypeAlias = Literal["frames", "messages"]

_FINAL_TEXT = 0x81
_LENGTH_16, _LENGTH_64 = 126, 127


class StreamMessage(NamedTuple):
    """One message, finished, and who hears it."""

    topics: tuple[str, ...]
    #: What newer messages with the same key replace; None for a message of the log.
    state_key: str | None
    #: JSON, an object.
    text: str


@dataclass(frozen=True, kw_only=True)
class LogWindow:
    """Consecutive entries of the log, and the messages they mean."""

    #: Where the log ended when this was read.
    head: feed.FeedPosition
    #: The reader's place after this window.
    position: feed.FeedPosition
    #: By seq, ascending; entries without messages are left out.
    messages: Sequence[tuple[int, Sequence[StreamMessage]]]

    @property
    def is_last(self) -> bool:
        """Whether nothing more was there."""
        return self.position.seq == self.head.seq


@dataclass(frozen=True)
class Frame:
    """The messages of one entry that one subscription hears."""

    position: feed.FeedPosition
    messages: tuple[StreamMessage, ...]

    @cached_property
    def text(self) -> str:
        """The frame as JSON."""
        messages = ",".join(message.text for message in self.messages)
        return f'{{{position_members(self.position)},"messages":[{messages}]}}'

    @cached_property
    def event(self) -> bytes:
        """The frame as a server-sent event. Postgres writes JSON without line ends."""
        return f"id: {self.position}\ndata: {self.text}\n\n".encode()

    @cached_property
    def _packet(self) -> bytes:
        return packet(self.text)

    @cached_property
    def _envelopes(self) -> bytes:
        return b"".join(packet(envelope(message.text, self.position)) for message in self.messages)

    def packets(self, dialect: Dialect) -> bytes:
        """The frame on a WebSocket's wire."""
        return self._packet if dialect == "frames" else self._envelopes


@dataclass(frozen=True)
class FrameBatch:
    """The frames of one window that one subscription hears, in seq order; at least one."""

    frames: list[Frame]

    @cached_property
    def events(self) -> bytes:
        """All of them as server-sent events."""
        return b"".join(frame.event for frame in self.frames)

    @cached_property
    def _frames(self) -> bytes:
        return b"".join(frame.packets("frames") for frame in self.frames)

    @cached_property
    def _messages(self) -> bytes:
        return b"".join(frame.packets("messages") for frame in self.frames)

    def packets(self, dialect: Dialect) -> bytes:
        """All of them on a WebSocket's wire."""
        if len(self.frames) == 1:
            return self.frames[0].packets(dialect)
        return self._frames if dialect == "frames" else self._messages


def packet(text: str) -> bytes:
    """Text as one unmasked WebSocket frame (RFC 6455 section 5.2)."""
    payload = text.encode()
    length = len(payload)
    if length < _LENGTH_16:
        return bytes((_FINAL_TEXT, length)) + payload
    if length < 1 << 16:
        return struct.pack("!BBH", _FINAL_TEXT, _LENGTH_16, length) + payload
    return struct.pack("!BBQ", _FINAL_TEXT, _LENGTH_64, length) + payload


def position_fields(position: feed.FeedPosition) -> dict[str, str | int]:
    """Return what every message carries about its position: epoch and seq to compare, position to send back."""
    return {"epoch": position.epoch, "seq": position.seq, "position": str(position)}


def position_members(position: feed.FeedPosition) -> str:
    """Return `position_fields` as the members of a JSON object; no value needs escaping."""
    return f'"epoch":"{position.epoch}","seq":{position.seq},"position":"{position}"'


def envelope(text: str, position: feed.FeedPosition) -> str:
    """Add the position's fields to a message, as older clients get it."""
    return f"{text[:-1]},{position_members(position)}}}"


def frames_for_topics(window: LogWindow, topics: frozenset[str]) -> list[Frame]:
    """What a subscription hears of a window, in seq order."""
    frames = []
    for seq, messages in window.messages:
        matching = tuple(m for m in messages if not topics.isdisjoint(m.topics))
        if matching:
            frames.append(Frame(window.position.with_seq(seq), matching))
    return frames


def coalesce(frames: Sequence[Frame]) -> list[Frame]:
    """The same frames without messages of state that a later one replaces.

    Messages of the log all stay, and so does the order.
    """
    replaced: set[str] = set()
    result: list[Frame] = []
    for frame in reversed(frames):
        messages = tuple(m for m in frame.messages if m.state_key not in replaced)
        replaced.update(m.state_key for m in messages if m.state_key is not None)
        if len(messages) == len(frame.messages):
            result.append(frame)
        elif messages:
            result.append(Frame(frame.position, messages))
    return result[::-1]
