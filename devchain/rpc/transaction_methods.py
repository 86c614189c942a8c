"""Implements the JSON-RPC methods about landed transactions: status, content, signatures of an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from zmart.domain.ids import Address, Signature

from .. import arguments, store, views
from ..arguments import Options, Params
from ..rpc_errors import (
    INVALID_PARAMS,
    RpcError,
)
from .node_view import NodeView, with_context

MAX_STATUSES: Final = 256
MAX_SIGNATURES: Final = 1_000


class TransactionMethods:
    """The methods about landed transactions."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def get_signature_statuses(self, params: Params) -> dict[str, Any]:
        """Return the status of transactions; only recent ones, unless the caller asks to search the history."""
        signatures = arguments.read_list(params[0], MAX_STATUSES)
        searches = arguments.read_options(params, 1).get("searchTransactionHistory", False)
        found = [self._status(arguments.read_signature(text), searches) for text in signatures]
        return with_context(self._node.ledger.slot, found)

    def _status(self, signature: Signature, searches: bool) -> Any:
        chain = self._node.ledger
        landed = chain.find(signature) if searches else chain.recent.get(signature)
        if landed is None:
            return None
        status = self._node.commitment_of(landed.slot)
        return {
            "slot": landed.slot,
            "confirmations": None if status == "finalized" else chain.slot - landed.slot,
            "err": landed.err,
            "status": views.status_json(landed),
            "confirmationStatus": status,
        }

    def get_transaction(self, params: Params) -> Any:
        """Return a confirmed transaction, or null."""
        options = arguments.read_options(params, 1)
        landed = self._node.ledger.find(arguments.read_signature(params[0]))
        if landed is None or landed.slot > self._node.closed_slot(options):
            return None
        fields = views.transaction_json(landed, options)
        return {"blockTime": landed.block_time, "slot": landed.slot, **fields}

    def get_signatures_for_address(self, params: Params) -> list[dict[str, Any]]:
        """Return the transactions that name an account, newest first."""
        options = arguments.read_options(params, 1)
        address, limit = arguments.read_address(params[0]), options.get("limit") or MAX_SIGNATURES
        if not 1 <= limit <= MAX_SIGNATURES:
            raise RpcError(INVALID_PARAMS, f"Invalid limit; max {MAX_SIGNATURES}")
        top = self._node.closed_slot(options)
        return [
            {
                "blockTime": found.block_time,
                "confirmationStatus": self._node.commitment_of(found.slot),
                "err": found.err,
                "memo": None,
                "signature": found.signature,
                "slot": found.slot,
            }
            for found in self._mentions(address, options, limit, top)
        ]

    def _mentions(self, address: Address, options: Options, limit: int, top: int) -> Sequence[store.AddressMention]:
        if self._node.ledger.store is None:
            return ()
        before, until = (top + 1, -1), store.FIRST_PLACE
        if options.get("before"):
            place = self._node.ledger.store.place_of(arguments.read_signature(options["before"]))
            if place is None:
                return ()
            before = min(before, place)
        if options.get("until"):
            place = self._node.ledger.store.place_of(arguments.read_signature(options["until"]))
            until = place or until
        return self._node.ledger.store.mentions(address, before=before, until=until, limit=limit)
