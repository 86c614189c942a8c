"""Looks up the index in the block for transactions that were delivered without one.

Some deliveries lack `indexWithinBlock`, and nodes before Agave 4.0 have no index in `getTransaction` either
(solana.md 3); the order of their events is then provisional. A block's list of signatures gives the indexes of all its
transactions at once. The corrected order goes through the writer, so that marts follow in the same commit and readers
of the feed receive the moved events.
"""

from __future__ import annotations

import structlog

from zmart import errors
from zmart.chain import rpc_errors
from zmart.chain.client import ChainClient

from ..store.group_commit import Pipeline
from .database import SyncDatabase, sql

log = structlog.get_logger()

#: Slots looked up at once.
CHUNK = 100


class BlockOrderResolver:
    """Resolves provisional order, the oldest slot first."""

    def __init__(self, client: ChainClient, pipeline: Pipeline, database: SyncDatabase) -> None:
        self._client = client
        self._pipeline = pipeline
        self._database = database
        #: Slots that no node serves any more; this process does not request them again.
        self._unavailable_slots: set[int] = set()

    async def resolve(self, from_slot: int, top: int) -> int:
        """Resolve the order of every slot from `from_slot` to `top` that a node serves; return how many were resolved.

        `top` must be confirmed. Raises NodeError. If the block lacks a transaction of ours, then a fork dropped it or
        it never existed; the finalized walk handles that.
        """
        resolved, after = 0, from_slot - 1
        while slots := await self._database.fetch_all(sql.slots_without_order, top=top, after=after, limit=CHUNK):
            for (slot,) in slots:
                resolved += slot not in self._unavailable_slots and await self._resolve_slot(slot)
            ((after,),) = slots[-1:]
        return resolved

    async def first_unresolved_slot(self) -> int | None:
        """Return the lowest slot whose order could still be resolved, or None."""
        ((slot,),) = await self._database.fetch_all(
            sql.first_slot_without_order, forgotten=sorted(self._unavailable_slots)
        )
        return None if slot is None else int(slot)

    async def _resolve_slot(self, slot: int) -> bool:
        try:
            block = await self._client.block_signatures(slot, commitment="confirmed")
        except errors.NotFound as error:
            log.warning("block_order_unavailable", slot=slot, reason=str(error))
            self._unavailable_slots.add(slot)
            return False
        except rpc_errors.UnsupportedVersion as refused:
            # Nodes require no transaction version for signatures alone; a node that does must not stop the whole walk.
            log.warning("block_version_unsupported", slot=slot, reason=str(refused))
            return False
        if block is None:
            # This node does not serve the block: the next walk requests it again, and finality waits meanwhile.
            return False
        indexes = {signature: index for index, signature in enumerate(block.signatures)}
        async with self._pipeline.exclusive_writer() as writer:
            await writer.set_block_order(slot, indexes)
        return True
