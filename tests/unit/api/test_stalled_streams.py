"""A hub that cannot read logs why once, however often it tries."""

from __future__ import annotations

import asyncio
from typing import Any, Self, cast

import pytest
import structlog

from api.live import hub
from api.live.notifications import ChangeSignal
from api.live.reader import Reader
from zmart import errors, tasks


class FailingReader:
    """Fails with one error five times, then with another."""

    def __init__(self) -> None:
        self.tried = 0
        self.is_done = asyncio.Event()

    async def head(self) -> Any:
        """Fail."""
        self.tried += 1
        if self.tried > 6:
            self.is_done.set()
        if self.tried > 5:
            raise ValueError("a bug")
        raise errors.Unavailable("Postgres is away.")


class NoSignal:
    """Signals nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


async def test_each_reason_is_logged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two reasons, two lines, seven attempts."""

    async def at_once(_: float) -> None:
        await asyncio.get_running_loop().run_in_executor(None, int)

    reader = FailingReader()
    waiting = hub.Hub(cast("Reader", reader), cast("ChangeSignal", NoSignal()))
    with structlog.testing.capture_logs() as lines:
        monkeypatch.setattr("api.live.hub.asyncio.sleep", at_once)
        running = asyncio.create_task(waiting.run())
        await asyncio.wait_for(reader.is_done.wait(), 30)
        monkeypatch.undo()
        await tasks.cancel_until_done(running)
    assert [line["event"] for line in lines] == ["streams_stalled", "streams_stalled"]
