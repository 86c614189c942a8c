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
from .database import Notebook, sql

log = structlog.get_logger()

#: Slots looked up at once.
CHUNK = 100


class Order:
    """Settles provisional order, the oldest slot first."""

    def __init__(self, client: ChainClient, pipeline: Pipeline, notebook: Notebook) -> None:
        self._client = client
        self._pipeline = pipeline
        self._notebook = notebook
        #: Slots no node can tell about any more; not asked again by this process.
        self._forgotten: set[int] = set()

    async def settle(self, from_slot: int, top: int) -> int:
        """Settle every slot between the two that a node knows; `top` must be confirmed. How many. Raises NodeTrouble.

        Where the block lacks a transaction of ours a fork took it or it never was; that is for the finalized walk.
        """
        settled, after = 0, from_slot - 1
        while slots := await self._notebook.all(sql.unsettled, top=top, after=after, limit=CHUNK):
            for (slot,) in slots:
                settled += slot not in self._forgotten and await self._settle(slot)
            ((after,),) = slots[-1:]
        return settled

    async def first_open(self) -> int | None:
        """The lowest slot whose order could still be settled, or None."""
        ((slot,),) = await self._notebook.all(sql.first_unsettled, forgotten=sorted(self._forgotten))
        return None if slot is None else int(slot)

    async def _settle(self, slot: int) -> bool:
        try:
            block = await self._client.block_signatures(slot, commitment="confirmed")
        except errors.NotFound as gone:
            log.warning("a block is no longer kept; its order stays provisional", slot=slot, reason=str(gone))
            self._forgotten.add(slot)
            return False
        except rpc_errors.UnsupportedVersion as refused:
            # Nodes ask for no version where only signatures are wanted; one that does must not stop the whole walk.
            log.warning(
                "a block of an unsupported version; its order stays provisional", slot=slot, reason=str(refused)
            )
            return False
        if block is None:
            # This node does not serve the block: asked again at the next walk, and finality waits meanwhile.
            return False
        places = {signature: index for index, signature in enumerate(block.signatures)}
        async with self._pipeline.borrowed() as writer:
            await writer.settle(slot, places)
        return True
