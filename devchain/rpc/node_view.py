"""Presents the ledger as one node sees it: slots by commitment, and how far the node is behind."""

from __future__ import annotations

from typing import Any, Final

from .. import arguments, ledger
from ..arguments import Options
from ..blocks import Block
from ..faults import PageFaults
from ..ledger import Ledger
from ..rpc_errors import (
    CONTEXT_SLOT_NOT_REACHED,
    INVALID_PARAMS,
    RpcError,
)

COMMITMENTS: Final = ("processed", "confirmed", "finalized")


class NodeView:
    """A ledger as one node presents it."""

    def __init__(self, chain: Ledger) -> None:
        self.ledger = chain
        self.cluster = chain.cluster
        #: Slots by which this node simulates being behind.
        self.slots_behind = 0
        #: The faults of getTransactionsForAddress.
        self.page_faults = PageFaults()

    def slot(self, options: Options) -> int:
        """Return the newest slot of the requested commitment; RpcError where it is below `minContextSlot`."""
        commitment = options.get("commitment") or "finalized"
        if commitment not in COMMITMENTS:
            text = f"Invalid params: unknown variant `{commitment}`"
            raise RpcError(INVALID_PARAMS, text)
        slot = max(0, self.ledger.slot_at(commitment) - self.slots_behind)
        min_slot = options.get("minContextSlot")
        if min_slot is not None and arguments.read_integer(min_slot) > slot:
            text = "Minimum context slot has not been reached"
            raise RpcError(CONTEXT_SLOT_NOT_REACHED, text, {"contextSlot": slot})
        return slot

    def closed_slot(self, options: Options) -> int:
        """Return the same as `slot`, for methods that do not support `processed`."""
        if options.get("commitment") == "processed":
            text = "Method does not support commitment below `confirmed`"
            raise RpcError(INVALID_PARAMS, text)
        return self.slot(options)

    def newest_fork_block(self, slot: int) -> Block | None:
        """Return the block of a slot on the newest fork, also the open one; None if the slot was skipped."""
        chain = self.ledger
        return chain.open if slot == chain.open.slot else chain.block(slot)

    def newest_closed_block(self, slot: int) -> Block:
        """Return the newest closed block at or before a slot."""
        blocks = self.ledger.blocks
        return next(block for block in reversed(blocks.values()) if block.slot <= slot)

    def height(self, slot: int) -> int:
        """Return the number of blocks up to a slot."""
        if slot >= self.ledger.slot:
            return self.ledger.open.height
        return self.newest_closed_block(slot).height

    def first_slot(self) -> int:
        """Return the oldest slot whose block is stored."""
        if self.ledger.store is not None:
            return self.ledger.store.first_slot()
        return next(iter(self.ledger.blocks))

    def commitment_of(self, slot: int) -> str:
        """Return the commitment of a slot."""
        if slot <= self.ledger.finalized_slot:
            return "finalized"
        return "confirmed" if slot <= self.ledger.confirmed_slot else "processed"

    def latest_blockhash(self, slot: int) -> dict[str, Any]:
        """Return the newest blockhash at a slot, and the last height at which it is valid."""
        block = self.newest_closed_block(slot)
        return {"blockhash": block.blockhash, "lastValidBlockHeight": block.height + ledger.BLOCKHASH_AGE}

    def with_context(self, slot: int, value: Any) -> dict[str, Any]:
        """Return a result with the slot at which it was read."""
        return {"context": {"apiVersion": self.cluster.version_text, "slot": slot}, "value": value}
