"""Groups messages into frames: one frame per entry of the log.

A `LogWindow` is the result of one read of the hub: consecutive entries with their messages. A `Frame` contains the
messages of one entry that one subscription receives, and a `FrameBatch` the frames of one window. They are created
once per distinct subscription and shared by all clients with that subscription. The bytes on the wire are shared
too: an SSE event and a WebSocket frame (frames from a server are not masked, RFC 6455 section 5.3) are the same for
all clients, so each is encoded once, when the first client needs it.

WebSocket has two dialects. Clients that subscribe to topics receive frames,
`{epoch, seq, position, messages}`. Older clients, which subscribe to a market, receive one message at a time, with
epoch, seq and position beside it (protocol.md 7.1).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

from zmart.db import feed

#: The format for a WebSocket client: one frame per entry, or, for older clients, one message at a time.
Dialect: TypeAlias = Literal["frames", "messages"]

#: The types that clients of the older dialect know (protocol.md 7.2); newer ones are not sent in it.
EARLIER_TYPES = frozenset({"market_state", "trade", "vote", "discussion"})

_FINAL_TEXT = 0x81
_LENGTH_16, _LENGTH_64 = 126, 127


class StreamMessage(NamedTuple):
    """One finished message and the topics whose subscribers receive it."""

    #: Whole topics, and their parts with the type of the message.
    topics: tuple[str, ...]
    #: A newer message replaces older ones with the same key; None for a message of the log.
    state_key: str | None
    #: The message's `type`.
    type: str
    #: A JSON object.
    text: str


@dataclass(frozen=True, kw_only=True)
class LogWindow:
    """Consecutive entries of the log with the messages made from them."""

    #: The end of the log at the time of this read.
    head: feed.FeedPosition
    #: The reader's position after this window.
    position: feed.FeedPosition
    #: By position, ascending; entries without messages are left out.
    messages: Sequence[tuple[feed.FeedPosition, Sequence[StreamMessage]]]
    #: Seconds from writing each entry in the log to this read, one for each entry.
    ages: Sequence[float] = ()
    #: The marks of the commits that hold the entries, each once.
    marks: Sequence[str] = ()
    #: Whether states are missing because a mart was behind the log.
    lacks_states: bool = False

    @property
    def is_last(self) -> bool:
        """Return whether the window reaches the end of the log."""
        return self.position.seq == self.head.seq


@dataclass(frozen=True)
class Frame:
    """The messages of one entry that one subscription receives."""

    position: feed.FeedPosition
    messages: tuple[StreamMessage, ...]

    @cached_property
    def text(self) -> str:
        """Return the frame as JSON."""
        messages = ",".join(message.text for message in self.messages)
        return f'{{{position_members(self.position)},"messages":[{messages}]}}'

    @cached_property
    def event(self) -> bytes:
        """Return the frame as a server-sent event. Postgres writes JSON without line ends."""
        return f"id: {self.position}\ndata: {self.text}\n\n".encode()

    @cached_property
    def _packet(self) -> bytes:
        return packet(self.text)

    @cached_property
    def _envelopes(self) -> bytes:
        earlier = (message for message in self.messages if message.type in EARLIER_TYPES)
        return b"".join(packet(envelope(message.text, self.position)) for message in earlier)

    def packets(self, dialect: Dialect) -> bytes:
        """Return the frame as bytes for a WebSocket; no bytes if the dialect has none of its messages."""
        return self._packet if dialect == "frames" else self._envelopes


@dataclass(frozen=True)
class FrameBatch:
    """The frames of one window that one subscription receives, in seq order; at least one."""

    frames: list[Frame]

    @cached_property
    def events(self) -> bytes:
        """Return all frames as server-sent events."""
        return b"".join(frame.event for frame in self.frames)

    @cached_property
    def _frames(self) -> bytes:
        return b"".join(frame.packets("frames") for frame in self.frames)

    @cached_property
    def _messages(self) -> bytes:
        return b"".join(frame.packets("messages") for frame in self.frames)

    def packets(self, dialect: Dialect) -> bytes:
        """Return all frames as bytes for a WebSocket."""
        if len(self.frames) == 1:
            return self.frames[0].packets(dialect)
        return self._frames if dialect == "frames" else self._messages


def packet(text: str) -> bytes:
    """Return text as one unmasked WebSocket frame (RFC 6455 section 5.2)."""
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
    """Add the position's fields to a message, in the format for older clients."""
    return f"{text[:-1]},{position_members(position)}}}"


def frames_for_topics(window: LogWindow, topics: frozenset[str]) -> list[Frame]:
    """Return the frames that a subscription receives from a window, in seq order."""
    frames = []
    for position, messages in window.messages:
        matching = tuple(m for m in messages if not topics.isdisjoint(m.topics))
        if matching:
            frames.append(Frame(position, matching))
    return frames


def coalesce(frames: Sequence[Frame]) -> list[Frame]:
    """Return the frames without state messages that a later message replaces.

    All messages of the log remain, and the order does not change.
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
