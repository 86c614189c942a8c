"""What is sent: messages, grouped into one frame per entry of the log.

A `Window` is what the hub read: consecutive entries with their messages. `Frame` is the part of one
entry that one subscription hears. Frames are made once per distinct subscription and shared by all
clients that have it, so a frame's text is built once however many read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from zmart.db import feed


class Message(NamedTuple):
    """One message, finished, and who hears it."""

    topics: tuple[str, ...]
    #: What newer messages with the same key replace; None for a message of the log.
    state_key: str | None
    #: JSON.
    text: str


@dataclass(frozen=True, kw_only=True)
class Window:
    """Consecutive entries of the log, and the messages they mean."""

    #: Where the log ended when this was read.
    head: feed.Position
    #: The reader's place after this window.
    position: feed.Position
    #: By seq, ascending; entries without messages are left out.
    messages: Sequence[tuple[int, Sequence[Message]]]

    @property
    def is_last(self) -> bool:
        """Whether nothing more was there."""
        return self.position.seq == self.head.seq


@dataclass(frozen=True)
class Frame:
    """The messages of one entry that one subscription hears."""

    position: feed.Position
    messages: tuple[Message, ...]

    @property
    def is_state_only(self) -> bool:
        """Whether it tells nothing but how things stand."""
        return all(message.state_key is not None for message in self.messages)

    @cached_property
    def text(self) -> str:
        """The frame as JSON."""
        said = ",".join(message.text for message in self.messages)
        return f'{{"epoch":"{self.position.epoch}","seq":{self.position.seq},"messages":[{said}]}}'

    @cached_property
    def event(self) -> bytes:
        """The frame as a server-sent event. Postgres writes JSON without line ends."""
        return f"id: {self.position}\ndata: {self.text}\n\n".encode()


def heard(window: Window, topics: frozenset[str]) -> list[Frame]:
    """What a subscription hears of a window, in seq order."""
    frames = []
    for seq, messages in window.messages:
        mine = tuple(m for m in messages if not topics.isdisjoint(m.topics))
        if mine:
            frames.append(Frame(window.position.at(seq), mine))
    return frames


def coalesced(frames: Sequence[Frame]) -> list[Frame]:
    """The same frames without messages of state that a later one replaces.

    Messages of the log all stay, and so does the order.
    """
    replaced: set[str] = set()
    kept: list[Frame] = []
    for frame in reversed(frames):
        messages = tuple(m for m in frame.messages if m.state_key not in replaced)
        replaced.update(m.state_key for m in messages if m.state_key is not None)
        if len(messages) == len(frame.messages):
            kept.append(frame)
        elif messages:
            kept.append(Frame(frame.position, messages))
    return kept[::-1]
