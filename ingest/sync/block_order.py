"""Resolves the index in the block of transactions that were delivered without one.

Some deliveries lack `indexWithinBlock`; the order of their events is then provisional. Nodes since Agave 4.0 give the
index with each transaction and in the list of signatures, which costs no further request. Only for older nodes a
block's list of signatures is requested, which gives the indexes of all its transactions at once. The corrected order
goes through the writer, so that marts follow in the same commit and readers of the feed receive the moved events.

A block that is not served leaves only the order in its slot provisional. Finality waits for it for UNSERVED_SECONDS and
then moves on; the block is requested again, with ever longer delays.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from zmart import errors
from zmart.chain import rpc_errors
from zmart.chain.client import ChainClient, Commitment

from ..store.group_commit import Pipeline
from .database import SyncDatabase, sql

log = structlog.get_logger()

#: Slots looked up at once.
CHUNK = 100
#: How long finality waits for a block that no node serves.
UNSERVED_SECONDS: Final = 120.0
#: Delays between two requests for a block that is not served.
FIRST_DELAY_SECONDS: Final = 2.0
LONGEST_DELAY_SECONDS: Final = 600.0
#: Errors of the node, whatever is requested: the next block would fail, too.
_NODE_ERRORS: Final = (rpc_errors.Unreachable, rpc_errors.TimedOut, rpc_errors.RateLimited)


class UnservedBlock(NamedTuple):
    """A block that could not be read."""

    since: float
    next_attempt_at: float
    #: Whether the node has deleted it, so that waiting cannot help.
    is_pruned: bool


class BlockOrderResolver:
    """Resolves provisional order, the oldest slot first."""

    def __init__(
        self,
        client: ChainClient,
        pipeline: Pipeline,
        database: SyncDatabase,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._pipeline = pipeline
        self._database = database
        self.clock = clock
        #: Blocks that could not be read, by slot.
        self._unserved: dict[int, UnservedBlock] = {}

    async def apply_listed(self, commitment: Commitment) -> int:
        """Settle the order that the latest list of signatures contains; return how many slots were settled."""
        settled, after = 0, -1
        while rows := await self._database.fetch_all(sql.listed_order, commitment=commitment, after=after, limit=CHUNK):
            for slot, signatures, indexes in rows:
                await self._settle(slot, dict(zip(signatures, indexes, strict=True)))
            settled, after = settled + len(rows), rows[-1][0]
        return settled

    async def resolve(self, from_slot: int, top: int) -> int:
        """Resolve the order of every slot from `from_slot` to `top` that a node serves; return how many were resolved.

        `top` must be confirmed. Raises the errors of a node that answers nothing, and of the writer. If the block lacks
        a transaction of ours, then a fork dropped it or it never existed; the finalized walk handles that.
        """
        commitment = await self._client.read_commitment()
        resolved, after = 0, from_slot - 1
        while slots := await self._database.fetch_all(sql.slots_without_order, top=top, after=after, limit=CHUNK):
            for (slot,) in slots:
                resolved += self._is_due(slot) and await self._resolve_slot(slot, commitment)
            ((after,),) = slots[-1:]
        return resolved

    async def first_unresolved_slot(self) -> int | None:
        """Return the lowest slot for whose order finality still waits, or None."""
        now = self.clock()
        given_up = [
            slot for slot, one in self._unserved.items() if one.is_pruned or now - one.since >= UNSERVED_SECONDS
        ]
        ((slot,),) = await self._database.fetch_all(sql.first_slot_without_order, forgotten=sorted(given_up))
        return None if slot is None else int(slot)

    def _is_due(self, slot: int) -> bool:
        known = self._unserved.get(slot)
        return known is None or self.clock() >= known.next_attempt_at

    async def _resolve_slot(self, slot: int, commitment: Commitment) -> bool:
        try:
            block = await self._client.block_signatures(slot, commitment=commitment)
        except (errors.Overloaded, errors.ConfigurationError):
            raise
        except errors.ZmartError as error:
            self._record_unserved(slot, str(error), is_pruned=isinstance(error, errors.NotFound))
            if isinstance(error, _NODE_ERRORS):
                raise
            return False
        if block is None:
            self._record_unserved(slot, "The node returns no block.", is_pruned=False)
            return False
        self._unserved.pop(slot, None)
        await self._settle(slot, {signature: index for index, signature in enumerate(block.signatures)})
        return True

    async def _settle(self, slot: int, indexes: dict[str, int]) -> None:
        async with self._pipeline.exclusive_writer() as writer:
            await writer.set_block_order(slot, indexes)

    def _record_unserved(self, slot: int, reason: str, *, is_pruned: bool) -> None:
        now = self.clock()
        since = self._unserved[slot].since if slot in self._unserved else now
        delay = min(max(FIRST_DELAY_SECONDS, now - since), LONGEST_DELAY_SECONDS)
        if slot not in self._unserved:
            log.warning("block_order_unavailable", slot=slot, reason=reason)
        self._unserved[slot] = UnservedBlock(since, now + delay, is_pruned)
