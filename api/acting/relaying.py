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
from zmart.chain.cluster_facts import BLOCKHASH_BLOCKS
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

        A transaction with an error is `processed`, with the error, until its block is final: a fork may undo a block
        that is only confirmed, and then the same bytes may land again and succeed. Then it is `failed` if it ran or
        paid its fee. If it never ran, nothing happened: it is `expired` once its blockhash is dead, which follows from
        the height of its block where no height is given.
        """
        node = self._chain.pin_node()
        is_dead = (
            last_valid_block_height is not None
            and await node.block_height(commitment="finalized") > last_valid_block_height
        )
        found = await node.signature_statuses([signature], search_history=True)
        status = found.value[0]
        if status is None:
            return TransactionProgress(signature=signature, stage="expired", error=EXPIRED) if is_dead else None
        if status.err is None or not status.is_finalized or rpc_errors.has_run(status.err):
            return _progress(signature, status, self._program_id)
        if await _has_paid(node, signature):
            return _progress(signature, status, self._program_id)
        if last_valid_block_height is None:
            last_valid_block_height = await _last_valid_block_height(node, status.slot)
            if last_valid_block_height is not None:
                # Height and status once more, in this order: the same bytes may have landed again in the meantime.
                return await self.follow(signature, last_valid_block_height=last_valid_block_height)
        return _progress_without_run(signature, status, self._program_id, is_dead=is_dead)

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


async def _has_paid(node: ChainClient, signature: Signature) -> bool:
    """Return whether a transaction that no instruction failed was charged all the same; False if it is not known.

    Such a one is over: its signature is recorded. One without a fee never ran (SIMD-0290).
    """
    try:
        found = await node.transaction(signature, commitment="finalized")
    except (rpc_errors.NodeError, zmart_errors.Permanent):
        return False
    meta = (found or {}).get("meta")
    fee = meta.get("fee") if isinstance(meta, dict) else None
    return isinstance(fee, int) and fee > 0


async def _last_valid_block_height(node: ChainClient, slot: int) -> int | None:
    """Return the height above which nothing of a finalized slot can land again; None where the block is not served."""
    try:
        block = await node.block_signatures(slot, commitment="finalized")
    except (rpc_errors.NodeError, zmart_errors.Permanent):
        return None
    return None if block is None or block.block_height is None else block.block_height + BLOCKHASH_BLOCKS


def _progress(signature: Signature, status: SignatureStatus, program_id: str) -> TransactionProgress:
    """Return the progress of a transaction in a block, whose error counts only where the block is final."""
    if status.err is None:
        stage: Stage = "finalized" if status.is_finalized else "confirmed" if status.is_confirmed else "processed"
        return TransactionProgress(signature=signature, stage=stage, slot=status.slot)
    return TransactionProgress(
        signature=signature,
        stage="failed" if status.is_finalized else "processed",
        slot=status.slot,
        error=_describe_error(status, program_id),
    )


def _progress_without_run(
    signature: Signature, status: SignatureStatus, program_id: str, *, is_dead: bool
) -> TransactionProgress:
    """Return the progress of a transaction in a final block that, as far as is known, never ran."""
    error = _describe_error(status, program_id)
    return TransactionProgress(
        signature=signature,
        stage="expired" if is_dead else "processed",
        slot=status.slot,
        error=f"{error} {EXPIRED}" if is_dead else error,
    )


def _describe_error(status: SignatureStatus, program_id: str) -> str:
    return str(rpc_errors.error_from_transaction(status.err, program_id=program_id))
