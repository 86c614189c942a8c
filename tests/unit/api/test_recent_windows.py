"""Windows of the past are found again only where they contain everything that a client needs."""

from __future__ import annotations

from api.live import recent_windows
from api.live.frames import LogWindow, StreamMessage
from zmart.db import feed

EPOCH = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11"
START = feed.FeedPosition(EPOCH, 0)
TRADES = frozenset({"trades"})


def read_window(first: int, last: int, *, head: int) -> LogWindow:
    """A window of one trade for each seq."""
    trades = (StreamMessage(("trades",), None, "trade", "{}"),)
    return LogWindow(
        head=START.with_seq(head),
        position=START.with_seq(last),
        messages=[(START.with_seq(seq), trades) for seq in range(first, last + 1)],
    )


def test_a_full_window_is_found_by_every_client() -> None:
    """It does not end where the log ended, so it is the same when it is read again; its frames are the same objects."""
    windows = recent_windows.RecentWindows()
    stored = windows.store(START, TRADES, read_window(1, 200, head=900))
    assert windows.find(START, TRADES, None) is stored
    assert windows.find(START, TRADES, 900) is stored
    assert [frame.position.seq for frame in stored.frames] == list(range(1, 201))


def test_a_window_at_the_end_of_the_log_is_found_up_to_that_end() -> None:
    """A client that needs a newer entry reads again; an empty window would never advance."""
    windows = recent_windows.RecentWindows()
    stored = windows.store(START, TRADES, read_window(1, 20, head=20))
    assert windows.find(START, TRADES, 20) is stored
    assert windows.find(START, TRADES, 21) is None
    assert windows.find(START, TRADES, None) is None
    windows.store(START.with_seq(20), TRADES, read_window(21, 20, head=20))
    assert windows.find(START.with_seq(20), TRADES, 21) is None


def test_only_the_same_position_and_topics_are_found() -> None:
    """Two positions are equal even if their marks differ, but a window is found only with the mark it was read with."""
    windows = recent_windows.RecentWindows()
    marked = START.with_seq(0, "0123456789abcdef")
    windows.store(marked, TRADES, read_window(1, 200, head=900))
    assert windows.find(marked, TRADES, None)
    assert windows.find(START.with_seq(0, "fedcba9876543210"), TRADES, None) is None
    assert windows.find(START, TRADES, None) is None
    assert windows.find(marked, frozenset({"markets"}), None) is None


def test_they_are_few_and_young() -> None:
    """The least used are forgotten first, all of them after ten seconds or with another log."""
    now = 0.0
    windows = recent_windows.RecentWindows(lambda: now)
    for seq in range(recent_windows.MOST_WINDOWS):
        windows.store(START.with_seq(seq), TRADES, read_window(seq + 1, seq + 2, head=900))
    assert windows.find(START, TRADES, None)
    windows.store(START.with_seq(800), TRADES, read_window(801, 802, head=900))
    assert windows.find(START, TRADES, None)
    assert windows.find(START.with_seq(1), TRADES, None) is None
    now = recent_windows.MAX_AGE_SECONDS + 0.1
    assert windows.find(START, TRADES, None) is None
    windows.store(START, TRADES, read_window(1, 2, head=900))
    windows.clear()
    assert windows.find(START, TRADES, None) is None
