"""Implements the JSON-RPC methods that send and simulate transactions."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from .. import arguments, views, wire
from ..admission import TransactionRejected
from ..arguments import Options, Params
from ..blocks import ExecutionResult
from ..rpc_errors import (
    INVALID_PARAMS,
    INVALID_SIGNATURE,
    PREFLIGHT_FAILURE,
    RpcError,
    error_text,
)
from .node_view import NodeView

#: The error of a transaction with an invalid signature.
SIGNATURE_FAILURE: Final = "SignatureFailure"


class SendingMethods:
    """The methods that send and simulate."""

    def __init__(self, node: NodeView) -> None:
        self._node = node

    def send_transaction(self, params: Params) -> str:
        """Land a transaction and return its signature."""
        options = arguments.read_options(params, 1)
        self._node.slot({**options, "commitment": options.get("preflightCommitment", "finalized")})
        transaction = arguments.read_transaction(params[0], options)
        verified = wire.has_valid_signatures(transaction.raw)
        if options.get("skipPreflight"):
            return self._land(transaction) if verified else transaction.signature
        if not verified:
            self._reject_signature_where_old()
            raise _preflight_failure(SIGNATURE_FAILURE, None)
        return self._land_checked(transaction)

    def _land(self, transaction: wire.WireTransaction) -> str:
        """Land without preflight; drop a transaction that cannot land, because a node replies before it knows that."""
        with contextlib.suppress(TransactionRejected):
            self._node.ledger.submit(transaction)
        return transaction.signature

    def _land_checked(self, transaction: wire.WireTransaction) -> str:
        try:
            self._node.ledger.require_not_landed(transaction)
            outcome = self._node.ledger.run(transaction)
        except TransactionRejected as rejected:
            raise _preflight_failure(rejected.error, None) from rejected
        if outcome.err is not None:
            raise _preflight_failure(outcome.err, outcome)
        self._node.ledger.land(transaction, outcome)
        return transaction.signature

    def simulate_transaction(self, params: Params) -> dict[str, Any]:
        """Return the effects that a transaction would have."""
        options = arguments.read_options(params, 1)
        slot = self._node.slot(options)
        transaction = arguments.read_transaction(params[0], options)
        if options.get("sigVerify") and options.get("replaceRecentBlockhash"):
            text = "sigVerify may not be used with replaceRecentBlockhash"
            raise RpcError(INVALID_PARAMS, text)
        if options.get("sigVerify") and not wire.has_valid_signatures(transaction.raw):
            self._reject_signature_where_old()
            return self._node.with_context(slot, _simulation_json(SIGNATURE_FAILURE, None))
        try:
            if not options.get("replaceRecentBlockhash"):
                self._node.ledger.require_not_landed(transaction)
            outcome = self._node.ledger.run(transaction)
        except TransactionRejected as rejected:
            return self._node.with_context(slot, _simulation_json(rejected.error, None))
        value = _simulation_json(outcome.err, outcome)
        value["accounts"] = self._simulated_accounts(outcome, options)
        if options.get("innerInstructions"):
            value["innerInstructions"] = views.inner_json(transaction.keys, outcome.inner)
        if options.get("replaceRecentBlockhash"):
            value["replacementBlockhash"] = self._node.latest_blockhash(self._node.slot({}))
        return self._node.with_context(slot, value)

    def _reject_signature_where_old(self) -> None:
        """Raise RpcError on a node before 3.1, which does not simulate a transaction with an invalid signature."""
        if not self._node.cluster.simulates_invalid_signatures:
            raise RpcError(INVALID_SIGNATURE, "Transaction signature verification failure")

    def _simulated_accounts(self, outcome: ExecutionResult, options: Options) -> Any:
        requested = options.get("accounts")
        if not requested:
            return None
        encoding = {"encoding": requested.get("encoding", "base64")}
        found = []
        for text in requested.get("addresses", ()):
            address = arguments.read_address(text)
            account = outcome.changed.get(address) or self._node.ledger.account(address)
            is_missing = account is None or account.is_empty
            found.append(None if is_missing or account is None else views.account_json(account, encoding))
        return found


def _preflight_failure(error: Any, outcome: ExecutionResult | None) -> RpcError:
    text = f"Transaction simulation failed: {error_text(error, outcome)}"
    return RpcError(PREFLIGHT_FAILURE, text, _simulation_json(error, outcome))


def _simulation_json(error: Any, outcome: ExecutionResult | None) -> dict[str, Any]:
    return {
        "accounts": None,
        "err": error,
        "fee": outcome.fee_lamports if outcome else None,
        "innerInstructions": None,
        "loadedAccountsDataSize": outcome.loaded_bytes if outcome else 0,
        "logs": outcome.logs if outcome else [],
        "replacementBlockhash": None,
        "returnData": None,
        "unitsConsumed": outcome.units_consumed if outcome else 0,
    }
