"""Defines the errors of the RPC: the codes of JSON-RPC and of Solana, and Agave's messages for them."""

from __future__ import annotations

from typing import Any, Final

from .blocks import ExecutionResult

PARSE_ERROR, INVALID_REQUEST, NO_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
BLOCK_CLEANED_UP, PREFLIGHT_FAILURE, INVALID_SIGNATURE = -32001, -32002, -32003
BLOCK_NOT_AVAILABLE, NODE_BEHIND, SLOT_SKIPPED = -32004, -32005, -32007
UNSUPPORTED_VERSION, CONTEXT_SLOT_NOT_REACHED, FILTER_NOT_FOUND = -32015, -32016, -32020


class RpcError(Exception):
    """The RPC method failed; this becomes the `error` of the response."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def json(self) -> dict[str, Any]:
        """Return the error object; `data` is present only where it is set."""
        fields: dict[str, Any] = {"code": self.code, "message": self.message}
        return fields if self.data is None else {**fields, "data": self.data}


#: Agave's message for each transaction error.
_TEXTS: Final = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AddressLookupTableNotFound": "Transaction loads an address table account that doesn't exist",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
    "InvalidAccountForFee": "This account may not be used to pay transaction fees",
    "MaxLoadedAccountsDataSizeExceeded": "Transaction exceeded max loaded accounts data size cap",
    "ProgramAccountNotFound": "Attempt to load a program that does not exist",
    "SanitizeFailure": "Transaction failed to sanitize accounts offsets correctly",
    "SignatureFailure": "Transaction did not pass signature verification",
}


def error_text(error: Any, outcome: ExecutionResult | None) -> str:
    """Return Agave's message for a transaction's error."""
    if isinstance(error, str):
        return _TEXTS.get(error, error)
    if "InstructionError" in error:
        index, inner = error["InstructionError"]
        return f"Error processing Instruction {index}: {_instruction_text(inner, outcome)}"
    index = error.get("InsufficientFundsForRent", {}).get("account_index")
    return f"Transaction results in an account ({index}) with insufficient funds for rent"


def _instruction_text(error: Any, outcome: ExecutionResult | None) -> str:
    if isinstance(error, dict) and "Custom" in error:
        return f"custom program error: {error['Custom']:#x}"
    last = outcome.logs[-1] if outcome and outcome.logs else ""
    return last.partition(" failed: ")[2] or str(error)
