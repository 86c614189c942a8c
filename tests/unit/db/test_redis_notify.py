"""`zmart.db.redis_notify`: a notifier ends even if its driver loses a cancellation."""

from __future__ import annotations

import asyncio
from typing import Self

import broadcaster
import pytest

from zmart.db import redis_notify


class LosingCarrier:
    """A transport that swallows the first cancellation, as drivers built on `asyncio.wait_for` can."""

    def __init__(self) -> None:
        self.publishing = asyncio.Event()
        self.lost = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def publish(self, channel: str, message: str) -> None:
        """Wait for ever; a first cancellation is lost."""
        self.publishing.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.lost += 1
            if self.lost > 1:
                raise


async def test_a_notifier_ends_although_a_cancellation_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaving the notifier cancels its task until it has ended."""
    carrier = LosingCarrier()
    monkeypatch.setattr(broadcaster, "Broadcast", lambda url: carrier)

    async with asyncio.timeout(10):
        async with redis_notify.Notifier("redis://127.0.0.1:1") as notifier:
            notifier.notify()
            await carrier.publishing.wait()
            notifier.notify()

    assert carrier.lost >= 1
