"""Implements the JSON-RPC methods about blocks."""

from __future__ import annotations

from typing import Any, Final

from .. import arguments, views
from ..arguments import Options, Params
from ..blocks import Block
from ..rpc_errors import (
    BLOCK_CLEANED_UP,
    BLOCK_NOT_AVAILABLE,
    INVALID_PARAMS,
    SLOT_SKIPPED,
    RpcError,
)
from .node_view import NodeView

MAX_BLOCKS: Final = 500_000


class BlockMethods:
    """The methods about blocks."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def get_block(self, params: Params) -> dict[str, Any]:
        """Return a block, with its transactions in the requested detail."""
        options = arguments.read_options(params, 1)
        block = self._block(arguments.read_integer(params[0]), options)
        fields: dict[str, Any] = {
            "blockHeight": block.height,
            "blockTime": block.time,
            "blockhash": block.blockhash,
            "parentSlot": block.parent_slot,
            "previousBlockhash": block.previous_blockhash,
        }
        if options.get("rewards", True):
            fields["rewards"] = []
        return fields | views.transactions_json(block, options)

    def get_block_time(self, params: Params) -> int:
        """Return the time of a slot's block, in seconds since 1970."""
        slot = arguments.read_integer(params[0])
        # A node knows the time of a slot that it has processed before it returns its block.
        if slot <= self._node.slot({"commitment": "processed"}) and (block := self._node.newest_fork_block(slot)):
            return block.time
        return self._block(slot, {"commitment": "confirmed"}).time

    def get_blocks(self, params: Params) -> list[int]:
        """Return the slots between two slots that have a block."""
        first = arguments.read_integer(params[0])
        rest = list(params[1:])
        last = rest.pop(0) if rest and not isinstance(rest[0], dict) else None
        top = self._node.closed_slot(arguments.read_options(rest, 0))
        last = top if last is None else min(arguments.read_integer(last), top)
        if last - first > MAX_BLOCKS:
            raise RpcError(INVALID_PARAMS, f"Slot range too large; max {MAX_BLOCKS}")
        return self._slots(first, last, MAX_BLOCKS)

    def get_blocks_with_limit(self, params: Params) -> list[int]:
        """Return the first `limit` slots that have a block, beginning at a slot."""
        first, limit = arguments.read_integer(params[0]), arguments.read_integer(params[1])
        if limit > MAX_BLOCKS:
            raise RpcError(INVALID_PARAMS, f"Limit too large; max {MAX_BLOCKS}")
        return self._slots(first, self._node.closed_slot(arguments.read_options(params, 2)), limit)

    def _block(self, slot: int, options: Options) -> Block:
        if slot > self._node.closed_slot(options):
            raise RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
        block = self._node.ledger.block(slot)
        if block is not None:
            return block
        first = self._node.first_slot()
        if slot < first:
            text = f"Block {slot} cleaned up, does not exist on node. First available block: {first}"
            raise RpcError(BLOCK_CLEANED_UP, text)
        text = f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot"
        raise RpcError(SLOT_SKIPPED, text)

    def _slots(self, first: int, last: int, limit: int) -> list[int]:
        if self._node.ledger.store is not None:
            return self._node.ledger.store.slots(first, last, limit)
        return [slot for slot in self._node.ledger.blocks if first <= slot <= last][:limit]
