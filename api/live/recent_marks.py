"""Holds the marks of recent positions, so that a client that resumes needs no statement for the check."""

from __future__ import annotations

from collections import OrderedDict

from zmart.db import feed

#: About half a megabyte. A client that was away for longer is checked by the statement that reads what it missed.
MAX_MARKS = 4_096


class RecentMarks:
    """The marks of the positions that this process has sent lately, of one epoch."""

    def __init__(self) -> None:
        self._epoch: str | None = None
        self._marks: OrderedDict[int, str] = OrderedDict()

    def add(self, position: feed.FeedPosition) -> None:
        """Store the mark of a position; forget all marks where it belongs to another epoch."""
        if position.epoch != self._epoch:
            self._epoch = position.epoch
            self._marks.clear()
        if position.mark is not None:
            self._marks[position.seq] = position.mark
            if len(self._marks) > MAX_MARKS:
                self._marks.popitem(last=False)

    def clear(self) -> None:
        """Forget all marks."""
        self._marks.clear()

    def has(self, position: feed.FeedPosition) -> bool:
        """Return whether the position's mark is known to be that of its seq."""
        return position.epoch == self._epoch and self._marks.get(position.seq) == position.mark is not None
