"""Places in the block for transactions that came without one.

Some deliveries lack `indexWithinBlock` and `getTransaction` never says it; the order of their events is provisional
then. A block's list of signatures says it for all of them at once. The corrected order goes through the writer, so
that marts follow in the same commit, and readers of the feed learn what moved.
"""

from __future__ import annotations

import structlog

from zmart import errors
from zmart.chain.client import Client

from .notebook import Notebook, sql
from .pipeline import Pipeline

log = structlog.get_logger()

#: Blocks asked for in one round.
ROUND = 100


class Order:
    """Settles provisional order, the oldest slot first."""

    def __init__(self, client: Client, pipeline: Pipeline, notebook: Notebook) -> None:
        self._client = client
        self._pipeline = pipeline
        self._notebook = notebook
        #: Slots no node can tell about any more, or that have no block; not asked again by this process.
        self._hopeless: set[int] = set()
        #: Slots settled since the start.
        self.settled = 0

    async def round(self, top: int, *, limit: int = ROUND) -> int:
        """Settle slots up to `top`, which must be confirmed; how many. Raises NodeTrouble."""
        slots = await self._notebook.all(sql.unsettled, top=top, after=-1, limit=limit + len(self._hopeless))
        settled = 0
        for (slot,) in slots:
            if slot not in self._hopeless:
                settled += await self._settle(slot)
        self.settled += settled
        return settled

    async def _settle(self, slot: int) -> int:
        try:
            block = await self._client.block_signatures(slot, commitment="confirmed")
        except errors.NotFound as gone:
            log.warning("a block is no longer kept; its order stays provisional", slot=slot, reason=str(gone))
            self._hopeless.add(slot)
            return 0
        if block is None:
            # A fork took the slot's block; the finalized walk will say what became of the transaction.
            self._hopeless.add(slot)
            return 0
        places = {signature: index for index, signature in enumerate(block.signatures)}
        async with self._pipeline.borrowed() as writer:
            await writer.settle(slot, places)
        return 1
