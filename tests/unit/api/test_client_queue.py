"""A client's queue is bounded, and a loss is visible."""

from __future__ import annotations

import pytest

from api.live import client as clients
from api.live.client import ResyncRequired, StreamClient, StreamClosed
from api.live.frames import Frame, FrameBatch, StreamMessage
from zmart.db import feed

START = feed.FeedPosition("0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11", 0)


def log_frames(first: int, count: int) -> list[Frame]:
    """Frames of the log."""
    return [
        Frame(START.with_seq(n), (StreamMessage(("trades",), None, "trade", "{}"),))
        for n in range(first, first + count)
    ]


def state_frames(first: int, count: int, *, keys: int) -> list[Frame]:
    """Frames that repeat the states of `keys`."""
    return [
        Frame(START.with_seq(n), (StreamMessage(("markets",), f"price:{n % keys}", "price_update", f'"{n}"'),))
        for n in range(first, first + count)
    ]


def client() -> StreamClient:
    """A client that has not read any frame yet."""
    return StreamClient(frozenset({"trades"}), "127.0.0.1")


async def test_a_client_gets_what_was_queued_in_order() -> None:
    """Frames of several windows are taken together, in seq order."""
    slow = client()
    slow.offer(FrameBatch(log_frames(1, 3)))
    slow.offer(FrameBatch(log_frames(4, 2)))
    assert [frame.position.seq for frame in await slow.take()] == [1, 2, 3, 4, 5]


async def test_states_never_fill_a_queue() -> None:
    """After any time, it finds the newest of each state and no more."""
    slow = client()
    for first in range(1, 20_001, 100):
        slow.offer(FrameBatch(state_frames(first, 100, keys=10)))
    taken = await slow.take()
    assert [frame.position.seq for frame in taken] == list(range(19_991, 20_001))


async def test_a_client_that_does_not_keep_up_is_closed() -> None:
    """Frames of the log are never dropped to make room: the client is closed with a message."""
    slow = client()
    slow.offer(FrameBatch(log_frames(1, clients.QUEUE_FRAMES)))
    slow.offer(FrameBatch(log_frames(clients.QUEUE_FRAMES + 1, 1)))
    slow.offer(FrameBatch(log_frames(clients.QUEUE_FRAMES + 2, 1)))
    with pytest.raises(StreamClosed) as closed:
        await slow.take()
    assert closed.value.reason == "slow"


async def test_at_shutdown_what_is_queued_is_still_sent() -> None:
    """A process that shuts down delivers outstanding frames, then closes."""
    leaving = client()
    leaving.offer(FrameBatch(log_frames(1, 2)))
    leaving.close("shutdown")
    assert len(await leaving.take()) == 2
    with pytest.raises(StreamClosed) as closed:
        await leaving.take()
    assert closed.value.reason == "shutdown"


async def test_a_resync_replaces_what_is_queued() -> None:
    """Frames of a former log are not sent after the resync."""
    lost = client()
    lost.offer(FrameBatch(log_frames(1, 2)))
    lost.resync(ResyncRequired("foreign_epoch", START.with_seq(9)))
    with pytest.raises(ResyncRequired) as resync:
        await lost.take()
    assert (resync.value.reason, resync.value.found.seq) == ("foreign_epoch", 9)
    lost.offer(FrameBatch(log_frames(10, 1)))
    assert [frame.position.seq for frame in await lost.take()] == [10]


async def test_frames_the_transport_accepts_are_not_queued() -> None:
    """A batch is sent at once while the queue is empty, and after the queued frames otherwise."""
    quick = client()
    written: list[int] = []
    room = 1

    def take(batch: FrameBatch) -> bool:
        if len(written) >= room:
            return False
        written.extend(frame.position.seq for frame in batch.frames)
        return True

    quick.outlet = take
    quick.offer(FrameBatch(log_frames(1, 1)))
    quick.offer(FrameBatch(log_frames(2, 1)))
    room = 9
    quick.offer(FrameBatch(log_frames(3, 1)))
    assert written == [1]
    assert [frame.position.seq for frame in quick.take_now()] == [2, 3]
    quick.offer(FrameBatch(log_frames(4, 1)))
    assert written == [1, 4]
