"""Joins the transactions of a gRPC stream with the times of their blocks, which come in separate updates; pure.

A server sends a slot's transactions and the block's metadata close together, in any order, and after a resumption
again. A transaction waits for its block's time for at most HOLD_SECONDS: one without a time is complete enough, and the
walk adds the time. So a lost update delays a transaction by a second and loses nothing.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from zmart.chain.geyser.geyser_pb2 import BlockMeta, TransactionUpdate

#: How long a transaction waits for the time of its block.
HOLD_SECONDS: Final = 1.0
#: Blocks whose times are cached, for transactions that arrive after them.
CACHED_BLOCKS: Final = 1_000
#: Transactions that may wait; more are released, the oldest slot first.
MAX_HELD: Final = 5_000


class ReadyTransaction(NamedTuple):
    """A transaction with the time of its block, in seconds since 1970; None where the time did not arrive."""

    update: TransactionUpdate
    block_time: int | None


class SlotAssembly:
    """The transactions that wait for a time, and the times of recent blocks."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: collections.OrderedDict[int, int | None] = collections.OrderedDict()
        #: The transactions of a slot, and when the first of them arrived.
        self._held: dict[int, tuple[float, list[TransactionUpdate]]] = {}
        self.held = 0

    def add_transaction(self, update: TransactionUpdate) -> list[ReadyTransaction]:
        """Add a transaction; return what is ready, which may be others."""
        slot = int(update.slot)
        if slot in self._times:
            return [ReadyTransaction(update, self._times[slot])]
        _, waiting = self._held.setdefault(slot, (self._clock(), []))
        waiting.append(update)
        self.held += 1
        return self._release(min(self._held), None) if self.held > MAX_HELD else []

    def add_block(self, block: BlockMeta) -> list[ReadyTransaction]:
        """Add the metadata of a block; return its transactions."""
        slot = int(block.slot)
        block_time = int(block.block_time.timestamp) if block.HasField("block_time") else None
        self._times[slot] = block_time
        if len(self._times) > CACHED_BLOCKS:
            self._times.popitem(last=False)
        return self._release(slot, block_time)

    def release_overdue(self) -> list[ReadyTransaction]:
        """Return the transactions that have waited long enough."""
        now = self._clock()
        overdue = [slot for slot, (since, _) in self._held.items() if now - since >= HOLD_SECONDS]
        return [ready for slot in sorted(overdue) for ready in self._release(slot, None)]

    def _release(self, slot: int, block_time: int | None) -> list[ReadyTransaction]:
        _, waiting = self._held.pop(slot, (0.0, []))
        self.held -= len(waiting)
        return [ReadyTransaction(update, block_time) for update in waiting]
