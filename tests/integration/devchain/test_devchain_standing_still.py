"""A paused chain: actors finish their step, and nothing happens afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from devchain import testing
from devchain.service import DirectSender, Options


class Slow:
    """Sends its transaction when it is allowed to."""

    def __init__(self, direct: DirectSender) -> None:
        self._direct = direct
        self.entered, self.go = asyncio.Event(), asyncio.Event()
        self.sent = 0

    async def send(self, move: Any) -> None:
        """Wait, then send."""
        self.entered.set()
        await self.go.wait()
        await self._direct.send(move)
        self.sent += 1


async def test_standing_still_waits_for_who_is_acting(tmp_path: Path) -> None:
    """Otherwise a test that runs the actors would do so in the middle of their step."""
    async with testing.serve(tmp_path, Options(pace=20.0, past_hours=0.01)) as node:
        slow = Slow(DirectSender(node.ledger))
        node.chain.sender = slow
        async with asyncio.timeout(60):
            await slow.entered.wait()
        standing = asyncio.create_task(node.chain.freeze_and_wait())
        for _ in range(10):
            await asyncio.sleep(0)
        assert not standing.done()

        slow.go.set()
        async with asyncio.timeout(60):
            await standing
        sent, slot = slow.sent, node.ledger.clock.slot
        assert sent > 0
        await node.call("getHealth")
        assert (slow.sent, node.ledger.clock.slot) == (sent, slot)
