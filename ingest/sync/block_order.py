"""Places in the block for transactions that came without one.

Some deliveries lack `indexWithinBlock` and `getTransaction` never says it; the order of their events is provisional
then. A block's list of signatures says it for all of them at once. The corrected order goes through the writer, so
that marts follow in the same commit, and readers of the feed learn what moved.
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
    """Settles provisional order, the oldest slot first."""

    def __init__(self, client: ChainClient, pipeline: Pipeline, database: SyncDatabase) -> None:
        self._client = client
        self._pipeline = pipeline
        self._database = database
        #: Slots no node can tell about any more; not asked again by this process.
        self._unavailable_slots: set[int] = set()

    async def resolve(self, from_slot: int, top: int) -> int:
        """Settle every slot between the two that a node knows; `top` must be confirmed. How many. Raises NodeTrouble.

        Where the block lacks a transaction of ours a fork took it or it never was; that is for the finalized walk.
        """
        resolved, after = 0, from_slot - 1
        while slots := await self._database.fetch_all(sql.slots_without_order, top=top, after=after, limit=CHUNK):
            for (slot,) in slots:
                resolved += slot not in self._unavailable_slots and await self._resolve_slot(slot)
            ((after,),) = slots[-1:]
        return resolved

    async def first_unresolved_slot(self) -> int | None:
        """The lowest slot whose order could still be settled, or None."""
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
            # Nodes ask for no version where only signatures are wanted; one that does must not stop the whole walk.
            log.warning("block_version_unsupported", slot=slot, reason=str(refused))
            return False
        if block is None:
            # This node does not serve the block: asked again at the next walk, and finality waits meanwhile.
            return False
        indexes = {signature: index for index, signature in enumerate(block.signatures)}
        async with self._pipeline.exclusive_writer() as writer:
            await writer.set_block_order(slot, indexes)
        return True
