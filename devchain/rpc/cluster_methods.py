"""Implements the JSON-RPC methods about the cluster: versions, epochs, slots, blockhashes, fees."""

from __future__ import annotations

from typing import Any, Final

from solders.signature import Signature as SoldersSignature

from .. import arguments, ledger, wire
from ..admission import TransactionRejected
from ..arguments import Params
from ..rpc_errors import (
    INVALID_PARAMS,
    NO_METHOD,
    NODE_BEHIND,
    RpcError,
)
from .node_view import NodeView

#: A number that names the features of a node's version; clients compare it at most.
FEATURE_SET: Final = 3_294_202_862


class ClusterMethods:
    """The methods about the cluster."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def get_genesis_hash(self, params: Params) -> str:
        """Return the hash that identifies this cluster."""
        return self._node.ledger.genesis.hash

    def get_version(self, params: Params) -> dict[str, Any]:
        """Return the version of the RPC interface that this node follows."""
        return {"feature-set": FEATURE_SET, "solana-core": self._node.cluster.version_text}

    def get_ag_genesis_cert(self, params: Params) -> dict[str, Any] | None:
        """Return the certificate of the first Alpenglow block, or null where the cluster runs Tower."""
        if not self._node.cluster.knows_certificate:
            raise RpcError(NO_METHOD, "Method not found")
        return self._node.cluster.genesis_certificate(self._node.ledger.genesis.hash)

    def get_health(self, params: Params) -> str:
        """Return `ok`, or raise the RpcError that has the number of slots the node is behind."""
        if self._node.slots_behind:
            text = f"Node is behind by {self._node.slots_behind} slots"
            raise RpcError(NODE_BEHIND, text, {"numSlotsBehind": self._node.slots_behind})
        return "ok"

    def get_identity(self, params: Params) -> dict[str, str]:
        """Return the node's identity, which is the faucet's address here."""
        return {"identity": self._node.ledger.faucet.address}

    def get_slot_leader(self, params: Params) -> str:
        """Return the only leader, which is the faucet's address."""
        return self._node.ledger.faucet.address

    def get_epoch_info(self, params: Params) -> dict[str, int]:
        """Return the current epoch, and the slot's index in it."""
        slot = self._node.slot(arguments.read_options(params, 0))
        return {
            "absoluteSlot": slot,
            "blockHeight": self._node.height(slot),
            "epoch": slot // ledger.SLOTS_PER_EPOCH,
            "slotIndex": slot % ledger.SLOTS_PER_EPOCH,
            "slotsInEpoch": ledger.SLOTS_PER_EPOCH,
            "transactionCount": self._node.ledger.transaction_count(),
        }

    def get_epoch_schedule(self, params: Params) -> dict[str, Any]:
        """Return the length of epochs."""
        return {
            "firstNormalEpoch": 0,
            "firstNormalSlot": 0,
            "leaderScheduleSlotOffset": ledger.SLOTS_PER_EPOCH,
            "slotsPerEpoch": ledger.SLOTS_PER_EPOCH,
            "warmup": False,
        }

    def get_slot(self, params: Params) -> int:
        """Return the newest slot of a commitment."""
        return self._node.slot(arguments.read_options(params, 0))

    def get_block_height(self, params: Params) -> int:
        """Return the number of blocks up to a commitment."""
        return self._node.height(self._node.slot(arguments.read_options(params, 0)))

    def get_latest_blockhash(self, params: Params) -> dict[str, Any]:
        """Return a blockhash to sign with, and the last height at which it is valid."""
        slot = self._node.slot(arguments.read_options(params, 0))
        return self._node.with_context(slot, self._node.latest_blockhash(slot))

    def is_blockhash_valid(self, params: Params) -> dict[str, Any]:
        """Return whether a transaction with a blockhash can still land."""
        blockhash = arguments.read_blockhash(params[0])
        slot = self._node.slot(arguments.read_options(params, 1))
        return self._node.with_context(slot, self._node.ledger.is_valid_blockhash(blockhash))

    def get_fee_for_message(self, params: Params) -> dict[str, Any]:
        """Return the fee of a message, or null where its blockhash has expired."""
        slot = self._node.slot(arguments.read_options(params, 1))
        message = arguments.read_message(params[0])
        if not self._node.ledger.is_valid_blockhash(str(message.recent_blockhash)):
            return self._node.with_context(slot, None)
        signatures = [SoldersSignature.default()] * message.header.num_required_signatures
        try:
            fee = self._node.ledger.fee(wire.attach_signatures(message, signatures))
        except TransactionRejected as rejected:
            raise RpcError(INVALID_PARAMS, f"invalid transaction message: {rejected}") from rejected
        return self._node.with_context(slot, fee)

    def get_minimum_balance_for_rent_exemption(self, params: Params) -> int:
        """Return the lamports that exempt an account of a size from rent."""
        return self._node.cluster.rent.exempt_lamports(arguments.read_integer(params[0]))

    def get_recent_prioritization_fees(self, params: Params) -> list[dict[str, int]]:
        """Return the prioritization fees of recent slots, which are always 0."""
        slots = list(self._node.ledger.blocks)[-150:]
        return [{"slot": slot, "prioritizationFee": 0} for slot in slots]

    def get_first_available_block(self, params: Params) -> int:
        """Return the slot of the oldest stored block."""
        return self._node.first_slot()

    def minimum_ledger_slot(self, params: Params) -> int:
        """Return the slot of the oldest stored block; the older name of `getFirstAvailableBlock`."""
        return self._node.first_slot()

    def get_transaction_count(self, params: Params) -> int:
        """Return the number of transactions that have landed."""
        return self._node.ledger.transaction_count()
