"""Implements the JSON-RPC methods about landed transactions: status, content, signatures of an address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from zmart.domain.ids import Address, Signature

from .. import arguments, store, views
from ..arguments import Options, Params
from ..blocks import LandedTransaction
from ..rpc_errors import (
    BLOCK_CLEANED_UP,
    FILTER_NOT_FOUND,
    INVALID_PARAMS,
    NO_METHOD,
    RpcError,
)
from .node_view import NodeView

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
        return self._node.with_context(self._node.ledger.slot, found)

    def _status(self, signature: Signature, searches: bool) -> Any:
        chain = self._node.ledger
        landed = chain.find(signature) if searches else chain.recent.get(signature)
        if landed is None:
            return None
        status = self._node.commitment_of(landed.slot)
        return {
            "slot": landed.slot,
            "confirmations": None if status == "finalized" else self._confirmations(landed.slot),
            "err": landed.err,
            "status": views.status_json(landed),
            "confirmationStatus": status,
        }

    def _confirmations(self, slot: int) -> int:
        """Return the number of blocks after an unfinalized one; nodes no longer count them under Alpenglow."""
        return 0 if self._node.cluster.is_alpenglow else self._node.ledger.slot - slot

    def _index_fields(self, index: int) -> dict[str, int]:
        return {"transactionIndex": index} if self._node.cluster.returns_transaction_index else {}

    def get_transaction(self, params: Params) -> Any:
        """Return a confirmed transaction, or null."""
        options = arguments.read_options(params, 1)
        landed = self._node.ledger.find(arguments.read_signature(params[0]))
        if landed is None or landed.slot > self._node.closed_slot(options):
            return None
        return self._body(landed, options)

    def _body(self, landed: LandedTransaction, options: Options) -> dict[str, Any]:
        fields = views.transaction_json(landed, options)
        return {"blockTime": landed.block_time, "slot": landed.slot, **self._index_fields(landed.index), **fields}

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
                **self._index_fields(found.position),
            }
            for found in self._mentions(address, options, limit, top)
        ]

    def get_transactions_for_address(self, params: Params) -> dict[str, Any]:
        """Return a page of the transactions that name an account, with bodies, oldest first.

        Only this form of the method is served: Helius knows more options (solana.md 6).
        """
        if not self._node.cluster.lists_bodies:
            raise RpcError(NO_METHOD, "Method not found")
        options = arguments.read_options(params, 1)
        address, limit = arguments.read_address(params[0]), options.get("limit") or MAX_SIGNATURES
        if not 1 <= limit <= MAX_SIGNATURES:
            raise RpcError(INVALID_PARAMS, f"Invalid limit; max {MAX_SIGNATURES}")
        if options.get("transactionDetails") != "full" or options.get("sortOrder") != "asc":
            raise RpcError(INVALID_PARAMS, "Invalid params: transactionDetails full and sortOrder asc are served")
        slots = (options.get("filters") or {}).get("slot") or {}
        from_slot, up_to = slots.get("gte", 0), self._node.closed_slot(options)
        self._require_window(from_slot)
        after = (from_slot, -1)
        if token := options.get("paginationToken"):
            slot, _, position = str(token).partition(":")
            after = (int(slot), int(position))
        stored = self._node.ledger.store
        up_to = min(up_to, slots.get("lte", up_to))
        found = [] if stored is None else stored.bodies(address, after=after, up_to=up_to, limit=limit)
        rows = [self._body(landed, options) for landed in found]
        token = f"{found[-1].slot}:{found[-1].index}" if len(found) == limit else None
        rows, token = self._node.page_faults.apply(rows, token)
        return {"data": rows, "paginationToken": token}

    def _require_window(self, from_slot: int) -> None:
        window = self._node.cluster.body_window_slots
        if window is not None and from_slot < self._node.ledger.slot - window:
            raise RpcError(BLOCK_CLEANED_UP, f"Slot {from_slot} is older than the history of this node")

    def _mentions(self, address: Address, options: Options, limit: int, top: int) -> Sequence[store.AddressMention]:
        if self._node.ledger.store is None:
            return ()
        before, until = (top + 1, -1), store.FIRST_PLACE
        if options.get("before"):
            place = self._filter_place(options["before"], self._node.ledger.store)
            if place is None:
                return ()
            before = min(before, place)
        if options.get("until"):
            until = self._filter_place(options["until"], self._node.ledger.store) or until
        return self._node.ledger.store.mentions(address, before=before, until=until, limit=limit)

    def _filter_place(self, text: Any, stored: store.LedgerStore) -> store.Place | None:
        """Return the place of `before` or `until`; RpcError for an unknown one, None from a node before 4.0."""
        signature = arguments.read_signature(text)
        place = stored.place_of(signature)
        if place is None and self._node.cluster.rejects_unknown_filters:
            raise RpcError(FILTER_NOT_FOUND, f"Transaction {signature} not found")
        return place
