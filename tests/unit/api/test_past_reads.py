"""The past of clients: what one read serves for several of them, and what a replaced log or a lost end does to it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Self, cast

import pytest

from api.live import hub
from api.live.client import ResyncRequired, StreamClient
from api.live.frames import LogWindow, StreamMessage
from api.live.notifications import ChangeSignal
from api.live.reader import Reader
from zmart import tasks
from zmart.db import feed

EPOCH, OTHER_EPOCH = "0b54ae1e-6d0d-4f0c-9a3e-0d5b7f3b6a11", "9d5a2f34-0f0e-4f4f-8a5b-2f3f6f1f8a22"
TRADES = frozenset({"trades"})
WAIT_SECONDS = 10.0


async def until(is_so: Callable[[], bool]) -> None:
    """Let the other tasks run until something is so."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_so():  # noqa: ASYNC110 - the hub has no event for tests
            await asyncio.sleep(0)


class GivenSignal:
    """Signals when the test says so."""

    def __init__(self) -> None:
        self.reached: feed.FeedPosition | None = None
        self.silent_seconds = 0.0
        self._event = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def notify(self) -> None:
        """Wake the hub."""
        self._event.set()

    async def wait(self) -> None:
        """Wait for the next signal."""
        await self._event.wait()
        self._event.clear()


@dataclasses.dataclass
class GivenLog:
    """A log with one trade for each seq, and the number of windows that were read."""

    #: The seq of its last entry.
    end: int
    epoch: str = EPOCH
    #: Part of every mark after an entry: another history of the same epoch has another one.
    history: str = "a"
    forked_after: int = 0
    lacks_states: bool = False
    reads: int = 0
    #: Cleared to let a read wait.
    is_open: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    def position(self, seq: int) -> feed.FeedPosition:
        """The position of an entry, with its mark."""
        history = self.history if seq > self.forked_after else "a"
        return feed.FeedPosition(self.epoch, seq, f"{history * 8}{seq:08x}")

    async def head(self) -> feed.FeedPosition:
        """The position of the last entry."""
        return self.position(self.end)

    async def window(self, after: feed.FeedPosition, topics: frozenset[str] | None) -> LogWindow:
        """Everything after a position, as it was when the read began."""
        self.reads += 1
        head = self.position(self.end)
        feed.check_position(after, head, self.position(after.seq).mark)
        trades = (StreamMessage(("trades",), None, "trade", "{}"),)
        window = LogWindow(
            head=head,
            position=head,
            messages=[(self.position(seq), trades) for seq in range(after.seq + 1, self.end + 1)],
            lacks_states=self.lacks_states,
        )
        await self.is_open.wait()
        return window


class PastOfClients:
    """A hub that has reached an entry, over one log for itself and one for clients."""

    def __init__(self, *, reached: int, end: int) -> None:
        self.own, self.log = GivenLog(reached), GivenLog(end)
        for log in (self.own, self.log):
            log.is_open.set()
        self.signal = GivenSignal()
        self.hub = hub.Hub(
            cast("Reader", self.own), cast("ChangeSignal", self.signal), client_reader=cast("Reader", self.log)
        )

    async def follow(self) -> None:
        """Let the hub read what its log has now."""
        self.signal.notify()
        await until(lambda: self.hub.position == self.own.position(self.own.end))

    async def missed(self, since: int, until: int) -> list[int]:
        """The trades that a new client gets between two entries."""
        client = StreamClient(TRADES, "")
        past = self.hub.replay(client, self.log.position(since), self.log.position(until), TRADES)
        return [frame.position.seq async for frames in past for frame in frames]


@pytest.fixture
async def past() -> AsyncIterator[PastOfClients]:
    """A hub at the end of a log of five entries."""
    found = PastOfClients(reached=5, end=5)
    running = asyncio.create_task(found.hub.run())
    await found.follow()
    yield found
    await tasks.cancel_until_done(running)


async def test_a_window_that_the_hub_has_passed_is_read_once(past: PastOfClients) -> None:
    """The second client gets the same entries without a read."""
    assert await past.missed(2, 5) == await past.missed(2, 5) == [3, 4, 5]
    assert past.log.reads == 1


async def test_a_window_beyond_the_hub_is_read_again(past: PastOfClients) -> None:
    """Its end may be lost before the hub gets there."""
    past.log.end = 7
    assert await past.missed(2, 5) == await past.missed(2, 5) == [3, 4, 5]
    assert past.log.reads == 2


async def test_a_window_without_states_is_read_again(past: PastOfClients) -> None:
    """A mart was behind; when it has caught up, a client that resumes gets the states."""
    past.log.lacks_states = True
    await past.missed(2, 5)
    past.log.lacks_states = False
    await past.missed(2, 5)
    assert past.log.reads == 2


async def test_a_window_that_was_begun_in_a_replaced_log_is_read_again(past: PastOfClients) -> None:
    """The log is replaced while the read is on its way."""
    past.log.is_open.clear()
    reading = asyncio.create_task(past.missed(2, 5))
    await until(lambda: past.log.reads > 0)
    past.own.history = "b"
    past.signal.notify()
    await until(lambda: past.hub.position is not None and (past.hub.position.mark or "").startswith("b"))
    past.log.is_open.set()
    assert await reading == [3, 4, 5]
    past.own.history = past.log.history
    await past.missed(2, 5)
    assert past.log.reads == 2


async def test_a_position_is_checked_once_for_many_clients(past: PastOfClients) -> None:
    """The hub was at it, or another client has just asked: its mark is known."""
    for _ in range(3):
        await past.hub.check_position(past.log.position(2), StreamClient(TRADES, ""))
    assert past.log.reads == 1
    with pytest.raises(ResyncRequired):
        await past.hub.check_position(feed.FeedPosition(EPOCH, 2, "c" * 16), StreamClient(TRADES, ""))


async def test_a_client_that_waits_for_an_entry_that_is_lost_gets_a_resync(past: PastOfClients) -> None:
    """Other entries have the same numbers in the same epoch, but another mark."""
    past.log.end = 7
    waiting = asyncio.create_task(past.hub.wait_until_reached(past.log.position(7), StreamClient(TRADES, "")))
    await until(lambda: past.log.reads > 0)
    past.own = past.log
    past.log.history, past.log.forked_after, past.log.end = "b", 5, 8
    past.hub.reader = past.hub.client_reader
    await past.follow()
    with pytest.raises(ResyncRequired):
        await asyncio.wait_for(waiting, WAIT_SECONDS)


async def test_a_client_that_waits_gets_a_resync_from_another_log(past: PastOfClients) -> None:
    """The hub never reaches the position."""
    past.log.end = 7
    waiting = asyncio.create_task(past.hub.wait_until_reached(past.log.position(7), StreamClient(TRADES, "")))
    await until(lambda: past.log.reads > 0)
    past.own.epoch = past.log.epoch = OTHER_EPOCH
    past.signal.notify()
    with pytest.raises(ResyncRequired):
        await asyncio.wait_for(waiting, WAIT_SECONDS)
