"""Asks every node of SOLANA_RPC_URL about transactions, and keeps apart what they prove, do not know and contradict.

A transaction is on the finalized chain if one node reports its status as finalized, or serves the block that holds it.
It is absent if a served block of its slot lacks it, or parent links show that the slot has no block. "Unknown", "not
served" and errors prove nothing. Where one node proves what another one denies, or reports another slot or an error,
nothing is concluded: that is a contradiction.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from zmart import errors
from zmart.chain import client as chain
from zmart.chain import rpc_errors

#: Signatures whose statuses are requested at once.
MOST_ASKED: Final = 256
#: How far above a slot the next served block is searched for. One absent leader leaves 4 slots empty, two leave 8.
MOST_SKIPPED: Final = 16
#: Errors of one node of several, which is not asked further.
_SKIPPED: Final = (rpc_errors.NodeError, errors.Unauthorized, errors.NotFound)
#: Errors about one block that prove nothing, whatever the node's generation or its provider's filter.
_NOT_SERVED: Final = (
    errors.NotFound,
    rpc_errors.NodeBehind,
    rpc_errors.UnsupportedVersion,
    rpc_errors.MethodUnavailable,
    rpc_errors.BadRequest,
)


@dataclass
class NodeAnswers:
    """The answers of all nodes about some transactions, given by signature and slot."""

    #: Signatures that a node proves to be on the finalized chain in their slot, without an error.
    listed: set[str] = field(default_factory=set)
    #: Signatures that a node knows, whatever it reports of them.
    known: set[str] = field(default_factory=set)
    #: Signatures that a node's blocks prove to be absent.
    absent: set[str] = field(default_factory=set)
    #: Signatures that a node reports in another slot or as failed, with a sentence.
    differing: dict[str, str] = field(default_factory=dict)
    #: The slot in which a node has a differing transaction as finalized.
    other_slots: dict[str, int] = field(default_factory=dict)
    #: Nodes that did not answer, with the last error.
    silent: int = 0
    error: str = ""

    @property
    def contradictions(self) -> dict[str, str]:
        """A sentence for each signature about which the nodes' answers exclude each other, or differ from the log."""
        denial = "One node knows it, and the finalized blocks of another one do not contain it."
        denied = dict.fromkeys(self.absent & self.known, denial)
        return denied | self.differing

    @property
    def proven(self) -> set[str]:
        """Signatures that a node proves to be on the finalized chain and that no answer contradicts."""
        return self.listed - self.contradictions.keys()


async def ask_statuses(client: chain.ChainClient, transactions: Mapping[str, int]) -> NodeAnswers:
    """Return what the nodes' statuses say of at most MOST_ASKED transactions, given as signature and slot."""
    answers = NodeAnswers()
    for node in client.each_node() if transactions else ():
        try:
            statuses = (await node.signature_statuses(list(transactions), search_history=True)).value
        except _SKIPPED as error:
            answers.silent, answers.error = answers.silent + 1, str(error)
            continue
        for (signature, slot), status in zip(transactions.items(), statuses, strict=True):
            if status is not None:
                _add_status(answers, signature, slot, status)
    return answers


def _add_status(answers: NodeAnswers, signature: str, slot: int, status: chain.SignatureStatus) -> None:
    answers.known.add(signature)
    if not status.is_finalized:
        return
    if status.slot == slot and status.err is None:
        answers.listed.add(signature)
        return
    failed = "" if status.err is None else " as failed"
    answers.differing[signature] = f"A node has it on the finalized chain in slot {status.slot}{failed}."
    answers.other_slots[signature] = status.slot


async def ask_blocks(
    client: chain.ChainClient, transactions: Mapping[str, int], top: int, answers: NodeAnswers
) -> None:
    """Add what the nodes' blocks up to slot `top` prove of these transactions."""
    for node in client.each_node() if transactions else ():
        blocks = FinalizedBlocks(node)
        try:
            for signature, slot in transactions.items():
                holds = await blocks.contains(signature, slot, top)
                if holds is None:
                    continue
                (answers.listed if holds else answers.absent).add(signature)
                if holds:
                    answers.known.add(signature)
        except _SKIPPED as error:
            answers.silent, answers.error = answers.silent + 1, str(error)


class FinalizedBlocks:
    """Caches finalized blocks of one node, because neighbouring slots need the same ones."""

    def __init__(self, node: chain.ChainClient) -> None:
        self._node = node
        self._found: dict[int, chain.BlockSignatures | None] = {}

    async def prove_absence(self, signature: str, slot: int, top: int) -> bool:
        """Return whether the slot's served block lacks the transaction, or parent links prove that no block exists."""
        return await self.contains(signature, slot, top) is False

    async def contains(self, signature: str, slot: int, top: int) -> bool | None:
        """Return whether the block of a slot holds a transaction; None where neither is proven."""
        block = await self._served(slot)
        if block is not None:
            return signature in block.signatures
        for later in range(slot + 1, min(slot + MOST_SKIPPED, top) + 1):
            child = await self._served(later)
            if child is not None:
                # A parent that is not served may be a default: nodes write 0 where they do not know it.
                is_skipped = child.parent_slot < slot and await self._served(child.parent_slot) is not None
                return False if is_skipped else None
        return None

    async def _served(self, slot: int) -> chain.BlockSignatures | None:
        """Return the block, or None where this node does not serve it, which proves nothing about the slot."""
        if slot not in self._found:
            try:
                self._found[slot] = await self._node.block_signatures(slot, commitment="finalized")
            except _NOT_SERVED:
                self._found[slot] = None
        return self._found[slot]


async def has_block(client: chain.ChainClient, slot: int, blockhash: str) -> bool | None:
    """Return whether a slot's block has this hash; None where no node serves the block now."""
    for node in client.each_node():
        with contextlib.suppress(*_SKIPPED, *_NOT_SERVED):
            block = await node.block_signatures(slot, commitment=await client.read_commitment())
            if block is not None:
                return block.blockhash == blockhash
    return None
