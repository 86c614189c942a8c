"""Relays signed transactions to the chain and reports their progress.

The API relays only transactions that a wallet signed for this program; otherwise any client could use its node to send
anything. A client may submit the same bytes several times; they land once.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from solders.transaction import SanitizeError, VersionedTransaction

from zmart.chain import rpc_errors, transactions
from zmart.chain.client import ChainClient, SignatureStatus
from zmart.domain.ids import Address, Signature
from zmart.settings import Cluster

from .. import errors

Stage: TypeAlias = Literal["sent", "processed", "confirmed", "finalized", "failed"]
COMPUTE_BUDGET: Final = Address("ComputeBudget111111111111111111111111111111")
_READ: Final = "confirmed"


@dataclass(frozen=True, kw_only=True)
class TransactionProgress:
    """How far a transaction has progressed."""

    signature: Signature
    stage: Stage
    slot: int | None = None
    #: The reason why it failed, as a message.
    error: str | None = None


class TransactionRelay:
    """Relays signed transactions."""

    def __init__(self, chain: ChainClient, program_id: Address) -> None:
        self._chain = chain
        self._program_id = program_id

    async def send(self, encoded: str) -> TransactionProgress:
        """Check a transaction in base64, simulate it and send it.

        Raises Unprocessable if the API does not relay it, ProgramError if the program refuses it, BlockhashUnknown if
        it is too old, NodeError if no node answers.
        """
        raw = _raw(encoded)
        signature = self._check(raw)
        progress = await self.follow(signature)
        if progress is not None:
            return progress
        simulation = await self._chain.simulate(raw, commitment=_READ, verify_signatures=True)
        refusal = simulation.error(self._program_id)
        if refusal is not None and not isinstance(refusal, rpc_errors.AlreadyProcessed):
            raise refusal
        with contextlib.suppress(rpc_errors.AlreadyProcessed):
            await self._chain.send(raw, preflight_commitment=_READ)
        return TransactionProgress(signature=signature, stage="sent")

    async def follow(self, signature: Signature) -> TransactionProgress | None:
        """Return the transaction's progress on the chain, None if the chain does not know it."""
        found = await self._chain.signature_statuses([signature], search_history=True)
        status = found.value[0]
        return None if status is None else _progress(signature, status, self._program_id)

    def _check(self, raw: bytes) -> Signature:
        """Return the signature of a transaction that may be relayed; raise Unprocessable otherwise."""
        transaction = _parse(raw)
        message = transaction.message
        if getattr(message, "address_table_lookups", None):
            raise errors.Unprocessable(
                "The transaction loads accounts from lookup tables, which the relay does not accept."
            )
        keys = message.account_keys
        programs = {str(keys[item.program_id_index]) for item in message.instructions}
        if foreign := programs - {self._program_id, COMPUTE_BUDGET}:
            raise errors.Unprocessable(
                f"The transaction calls {min(foreign)}; the relay accepts only {self._program_id} and ComputeBudget."
            )
        if self._program_id not in programs:
            raise errors.Unprocessable(f"The transaction does not call {self._program_id}.")
        if not all(transaction.verify_with_results()):
            raise errors.Unprocessable("A signature is missing, or does not belong to this transaction.")
        return Signature(str(transaction.signatures[0]))


def explorer_url(signature: str, cluster: Cluster) -> str:
    """Return the explorer's URL of a transaction."""
    query = (
        "" if cluster is Cluster.MAINNET else f"?cluster={'custom' if cluster is Cluster.LOCALNET else cluster.value}"
    )
    return f"https://explorer.solana.com/tx/{signature}{query}"


def _raw(encoded: str) -> bytes:
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise errors.InvalidParameter("transaction", "expected base64 of a signed transaction") from None
    if len(raw) > transactions.MAX_TRANSACTION_BYTES:
        raise errors.Unprocessable(
            f"The transaction has {len(raw):,} bytes; the limit is {transactions.MAX_TRANSACTION_BYTES:,}."
        )
    return raw


def _parse(raw: bytes) -> VersionedTransaction:
    try:
        transaction = VersionedTransaction.from_bytes(raw)
        transaction.sanitize()
    except ValueError as error:
        raise errors.Unprocessable("These bytes are not a transaction.") from error
    except SanitizeError as error:
        # solders derives it directly from Exception, so `except ValueError` does not catch it.
        raise errors.Unprocessable(f"The transaction is not consistent ({error}). Build and sign it again.") from error
    # Bytes after the end are not covered by any signature.
    if bytes(transaction) != raw:
        raise errors.Unprocessable("These bytes are not a transaction.")
    return transaction


def _progress(signature: Signature, status: SignatureStatus, program_id: str) -> TransactionProgress:
    if status.err is not None:
        return TransactionProgress(
            signature=signature,
            stage="failed",
            slot=status.slot,
            error=str(rpc_errors.error_from_transaction(status.err, program_id=program_id)),
        )
    stage: Stage = "finalized" if status.is_finalized else "confirmed" if status.is_confirmed else "processed"
    return TransactionProgress(signature=signature, stage=stage, slot=status.slot)
