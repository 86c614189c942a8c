"""What the nodes of SOLANA_RPC_URL prove, do not know and contradict about a transaction."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import pytest

from ingest.sync import node_answers
from zmart import errors
from zmart.chain import rpc_errors
from zmart.chain.client import BlockSignatures, SignatureStatus

SLOT, TOP = 100, 1_000


class Statuses(NamedTuple):
    """An answer of getSignatureStatuses."""

    value: list[SignatureStatus | None]


class AnsweringNode:
    """A node with one answer about the only transaction, and about the block of its slot."""

    def __init__(
        self, status: SignatureStatus | errors.ZmartError | None, *signatures: str, serves: bool = True
    ) -> None:
        self.status = status
        self.block = BlockSignatures(blockhash="h", parent_slot=SLOT - 1, signatures=signatures) if serves else None

    async def signature_statuses(self, signatures: list[str], *, search_history: bool) -> Statuses:
        """Return the status, or raise the error."""
        assert (signatures, search_history) == (["s"], True)
        if isinstance(self.status, errors.ZmartError):
            raise self.status
        return Statuses([self.status])

    async def block_signatures(self, slot: int, *, commitment: str) -> BlockSignatures | None:
        """Return the block of the slot; no other one is served."""
        assert commitment == "finalized"
        return self.block if slot == SLOT else None


class Nodes:
    """A client of these nodes."""

    def __init__(self, *nodes: AnsweringNode) -> None:
        self.nodes = nodes

    def each_node(self) -> tuple[AnsweringNode, ...]:
        """Return the nodes."""
        return self.nodes


def ask(*nodes: AnsweringNode) -> node_answers.NodeAnswers:
    """Ask these nodes for status and block."""
    client: Any = Nodes(*nodes)

    async def run() -> node_answers.NodeAnswers:
        answers = await node_answers.ask_statuses(client, {"s": SLOT})
        await node_answers.ask_blocks(client, {"s": SLOT}, TOP, answers)
        return answers

    return asyncio.run(run())


def status(slot: int = SLOT, *, err: Any = None, commitment: Any = "finalized") -> SignatureStatus:
    """A status."""
    return SignatureStatus(slot=slot, err=err, confirmation_status=commitment)


HOLDS, LACKS, SILENT = (
    AnsweringNode(status(), "s"),
    AnsweringNode(None, "a"),
    AnsweringNode(rpc_errors.Unreachable("away"), serves=False),
)
KNOWS = AnsweringNode(status(commitment="confirmed"), serves=False)
LOST = AnsweringNode(None, serves=False)


@pytest.mark.parametrize(
    ("nodes", "proven", "absent", "contradiction"),
    [
        ([HOLDS], True, False, ""),
        ([LOST], False, False, ""),
        ([LACKS], False, True, ""),
        ([LOST, AnsweringNode(None, "s")], True, False, ""),
        ([LOST, HOLDS], True, False, ""),
        ([LOST, LACKS], False, True, ""),
        ([SILENT, LOST], False, False, ""),
        ([KNOWS], False, False, ""),
        ([HOLDS, LACKS], False, True, "One node knows it"),
        ([LACKS, AnsweringNode(None, "s")], False, True, "One node knows it"),
        ([KNOWS, LACKS], False, True, "One node knows it"),
        ([HOLDS, AnsweringNode(status(7), serves=False)], False, False, "in slot 7"),
        ([HOLDS, AnsweringNode(status(err={"Custom": 1}), serves=False)], False, False, "as failed"),
    ],
)
def test_only_answers_that_nothing_contradicts_prove_something(
    nodes: list[AnsweringNode], *, proven: bool, absent: bool, contradiction: str
) -> None:
    """In either order of the nodes; "unknown", "not served" and errors prove nothing."""
    for order in (nodes, nodes[::-1]):
        answers = ask(*order)
        assert (answers.proven, answers.absent) == ({"s"} if proven else set(), {"s"} if absent else set())
        assert contradiction in answers.contradictions.get("s", "")
        assert ("s" in answers.contradictions) is bool(contradiction)
        assert answers.silent == nodes.count(SILENT)
