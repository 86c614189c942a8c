"""Decides what a transaction may use, and whether any block could hold it."""

from __future__ import annotations

from collections.abc import Sequence

from . import builtins, runtime, wire
from .runtime import ErrorJson


class TransactionRejected(Exception):
    """A transaction cannot land in any block; `error` is the TransactionError of JSON-RPC."""

    def __init__(self, error: ErrorJson) -> None:
        super().__init__(str(error))
        self.error = error


class PayerRejected(TransactionRejected):
    """The payer of a transaction cannot pay for it."""


def resolve_instructions(transaction: wire.WireTransaction) -> list[runtime.ResolvedInstruction]:
    """Return a transaction's instructions; raise TransactionRejected where the message is invalid."""
    if transaction.uses_lookup_tables:
        raise TransactionRejected("AddressLookupTableNotFound")
    try:
        return transaction.resolve()
    except IndexError:
        raise TransactionRejected("SanitizeFailure") from None


def compute_budget_of(
    transaction: wire.WireTransaction, instructions: Sequence[runtime.ResolvedInstruction]
) -> builtins.ComputeBudget:
    """Return the compute budget that a transaction requests; raise TransactionRejected where the request is invalid."""
    if transaction.config is not None:
        return builtins.budget_of_config(transaction.config)
    try:
        return builtins.read_compute_budget(instructions)
    except ValueError as exc:
        raise TransactionRejected({"InstructionError": [exc.args[0], "InvalidInstructionData"]}) from None


def loading_error(loaded_bytes: int, budget: builtins.ComputeBudget) -> ErrorJson | None:
    """Return the error of a transaction that loads more account data than it may; it still pays its fee."""
    return "MaxLoadedAccountsDataSizeExceeded" if loaded_bytes > budget.loaded_data_limit else None
