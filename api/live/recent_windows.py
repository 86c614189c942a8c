"""Holds windows that were lately read for single clients, so that clients which missed the same entries read them once.

After a restart thousands of clients resume from the same few positions, with the same topics. Each of them would read
the same rows from Postgres and render the same frames: 16 ms a window, over a minute for 5,000 clients.

A window that was read before is right for a later client of the same history. Entries of the log do not change, and a
state message whose row has changed since then follows in a later window, because the change has an entry of its own.
What changes without an entry (a mart that is corrected by a rebuild, a post that is hidden) is sent in its earlier form
for MAX_AGE_SECONDS at most. A window that lacks states, because a mart was behind, is not stored.

The hub asks only for windows that end where it has been itself, and forgets all of them when the log is replaced.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from zmart.db import feed

from .frames import Frame, LogWindow, frames_for_topics

#: A window has up to 200 entries, each with a few messages of about a kilobyte, and their bytes for the transport.
MOST_WINDOWS = 16
#: How long a window is used.
MAX_AGE_SECONDS = 10.0


class PastWindow(NamedTuple):
    """The frames of one window for one set of topics. All clients share them, and so the bytes of each frame."""

    #: The reader's position after this window.
    position: feed.FeedPosition
    frames: list[Frame]
    #: Whether the log ended with this window when it was read.
    is_last: bool
    read_at: float


_Key: TypeAlias = tuple[str, int, str | None, frozenset[str]]


class RecentWindows:
    """The windows that were read for clients lately, the most used last."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: OrderedDict[_Key, PastWindow] = OrderedDict()

    def find(self, after: feed.FeedPosition, topics: frozenset[str], until_seq: int | None) -> PastWindow | None:
        """Return the window after a position; None if it is not stored, too old, or may end before `until_seq`.

        A window at the end of the log has fewer entries than one that is read now. It is returned only where the client
        needs none of the newer ones.
        """
        key = _key(after, topics)
        self._discard_old()
        window = self._windows.get(key)
        if window is None:
            return None
        if window.is_last and (until_seq is None or window.position.seq < until_seq):
            return None
        self._windows.move_to_end(key)
        return window

    def store(self, after: feed.FeedPosition, topics: frozenset[str], read: LogWindow) -> PastWindow:
        """Store the window that was read after a position, and return its frames for the topics."""
        self._discard_old()
        window = render_window(read, topics, read_at=self._clock())
        key = _key(after, topics)
        self._windows[key] = window
        self._windows.move_to_end(key)
        if len(self._windows) > MOST_WINDOWS:
            self._windows.popitem(last=False)
        return window

    def clear(self) -> None:
        """Forget all windows."""
        self._windows.clear()

    def _discard_old(self) -> None:
        oldest = self._clock() - MAX_AGE_SECONDS
        for key in [key for key, window in self._windows.items() if window.read_at < oldest]:
            del self._windows[key]


def render_window(read: LogWindow, topics: frozenset[str], *, read_at: float = 0.0) -> PastWindow:
    """Return the frames of a window for the topics."""
    return PastWindow(read.position, frames_for_topics(read, topics), read.is_last, read_at)


def _key(after: feed.FeedPosition, topics: frozenset[str]) -> _Key:
    # Positions are equal whatever their marks are, but a mark is checked when the window is read.
    return after.epoch, after.seq, after.mark, topics
