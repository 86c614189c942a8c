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

from solders.transaction import VersionedTransaction

from zmart import errors as zmart_errors
from zmart.chain import rpc_errors, transactions
from zmart.chain.client import ChainClient, SignatureStatus
from zmart.domain.ids import Address, Signature
from zmart.settings import Cluster

from .. import errors

Stage: TypeAlias = Literal["sent", "processed", "confirmed", "finalized", "failed", "expired"]
EXPIRED: Final = "It expired and nothing happened. Prepare it again, then sign again."
COMPUTE_BUDGET: Final = Address("ComputeBudget111111111111111111111111111111")


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

    async def send(self, encoded: str, *, last_valid_block_height: int | None = None) -> TransactionProgress:
        """Check a transaction in base64, simulate it and send it.

        Raises Unprocessable if the API does not relay it, ProgramError if the program refuses it, BlockhashUnknown if
        it is too old, NodeError if no node answers. Returns the stage `expired` instead of BlockhashUnknown if the
        height proves that it never landed and never will.
        """
        raw = _raw(encoded)
        signature = self._check(raw)
        progress = await self.follow(signature, last_valid_block_height=last_valid_block_height)
        if progress is not None:
            return progress
        commitment = await self._chain.read_commitment()
        simulation = await self._chain.simulate(raw, commitment=commitment, verify_signatures=True)
        refusal = simulation.error(self._program_id)
        if isinstance(refusal, rpc_errors.BlockhashUnknown):
            refusal.help = "Nothing was sent. With last_valid_block_height the answer shows whether it has expired."
        if refusal is not None and not isinstance(refusal, rpc_errors.AlreadyProcessed):
            raise refusal
        with contextlib.suppress(rpc_errors.AlreadyProcessed):
            await self._chain.send(raw, preflight_commitment=commitment)
        return TransactionProgress(signature=signature, stage="sent")

    async def follow(
        self, signature: Signature, *, last_valid_block_height: int | None = None
    ) -> TransactionProgress | None:
        """Return the transaction's progress on the chain, None if the chain does not know it.

        With `last_valid_block_height`, a transaction is `expired` once the finalized chain is past that height and the
        same node, its whole history searched, does not know it afterwards. Only then is it safe to sign another one.
        A transaction with an error is `failed` once that cannot change: its block is confirmed, and if it may never
        have run, it is past that height, too. Before that it is `processed`, with the error.
        """
        node = self._chain.pin_node()
        is_dead = (
            last_valid_block_height is not None
            and await node.block_height(commitment="finalized") > last_valid_block_height
        )
        found = await node.signature_statuses([signature], search_history=True)
        status = found.value[0]
        if status is not None:
            may_land_again = last_valid_block_height is not None and not is_dead
            return _progress(signature, status, self._program_id, may_land_again=may_land_again)
        return TransactionProgress(signature=signature, stage="expired", error=EXPIRED) if is_dead else None

    def _check(self, raw: bytes) -> Signature:
        """Return the signature of a transaction that may be relayed; raise Unprocessable otherwise."""
        transaction = _parse(raw)
        message = transaction.message
        # A message of version 1 has no such attribute.
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
    return raw


def _parse(raw: bytes) -> VersionedTransaction:
    try:
        return transactions.parse(raw)
    except zmart_errors.InvalidInput as error:
        raise errors.Unprocessable(str(error)) from error


def _progress(
    signature: Signature, status: SignatureStatus, program_id: str, *, may_land_again: bool
) -> TransactionProgress:
    """Return the progress of a transaction in a block; `may_land_again` unless its blockhash is dead or unknown."""
    stage: Stage = "finalized" if status.is_finalized else "confirmed" if status.is_confirmed else "processed"
    if status.err is None:
        return TransactionProgress(signature=signature, stage=stage, slot=status.slot)
    # A block that is only processed may be skipped, and then the same bytes may land again and succeed.
    is_over = status.is_confirmed and (rpc_errors.has_run(status.err) or not may_land_again)
    return TransactionProgress(
        signature=signature,
        stage="failed" if is_over else "processed",
        slot=status.slot,
        error=str(rpc_errors.error_from_transaction(status.err, program_id=program_id)),
    )
