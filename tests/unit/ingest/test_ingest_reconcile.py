"""The proof that a transaction is not on the chain: the served block of its slot, or parent links past the slot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ingest.sync import node_answers
from zmart import errors
from zmart.chain import rpc_errors
from zmart.chain.client import BlockSignatures

SLOT = 100
TOP = 1_000


def block(parent_slot: int, *signatures: str) -> BlockSignatures:
    """A block after `parent_slot`."""
    return BlockSignatures(blockhash="h", parent_slot=parent_slot, signatures=signatures)


class Node:
    """A node that serves these blocks, and answers None or raises for all others."""

    def __init__(self, blocks: dict[int, BlockSignatures], other: errors.ZmartError | None = None) -> None:
        self.blocks = blocks
        self.other = other
        self.asked: list[int] = []

    async def block_signatures(self, slot: int, *, commitment: str) -> BlockSignatures | None:
        """Return a block, or this node's replacement."""
        assert commitment == "finalized"
        self.asked.append(slot)
        if slot not in self.blocks and self.other is not None:
            raise self.other
        return self.blocks.get(slot)


def is_absent(node: Any, *, top: int = TOP) -> bool:
    """Return whether the node proves that transaction s of SLOT is not on the chain."""
    return asyncio.run(node_answers.FinalizedBlocks(node).prove_absence("s", SLOT, top))


NOT_SERVED = [
    None,
    rpc_errors.SlotSkipped(),
    rpc_errors.NodeBehind("-32004"),
    rpc_errors.HistoryPruned(),
    rpc_errors.UnsupportedVersion(),
]


@pytest.mark.parametrize("other", NOT_SERVED, ids=lambda other: type(other).__name__)
@pytest.mark.parametrize(
    ("blocks", "proves"),
    [
        ({SLOT: block(SLOT - 1, "a", "b")}, True),
        ({SLOT: block(SLOT - 1, "a", "s")}, False),
        ({}, False),
        ({SLOT + 4: block(SLOT - 1), SLOT - 1: block(SLOT - 2)}, True),
        ({SLOT + 1: block(SLOT), SLOT - 1: block(SLOT - 2)}, False),
        ({SLOT + 4: block(SLOT + 2), SLOT - 1: block(SLOT - 2)}, False),
        ({SLOT + 1: block(0)}, False),
        ({SLOT + 1 + node_answers.MOST_SKIPPED: block(SLOT - 1), SLOT - 1: block(SLOT - 2)}, False),
    ],
    ids=[
        "its block lacks it",
        "its block holds it",
        "no block at all",
        "a later block's parent is before",
        "its block exists but is not served",
        "links that end above it",
        "a parent that is not served",
        "the next block is too far above",
    ],
)
def test_absence_needs_a_served_block_or_parent_links(
    blocks: dict[int, BlockSignatures], proves: bool, other: errors.ZmartError | None
) -> None:
    """For any response to blocks that it does not serve."""
    assert is_absent(Node(blocks, other)) is proves


def test_blocks_above_the_list_prove_nothing() -> None:
    """The search ends at the finalized slot of the walk."""
    node = Node({SLOT + 4: block(SLOT - 1), SLOT - 1: block(SLOT - 2)})
    assert not is_absent(node, top=SLOT + 3)
    assert max(node.asked) == SLOT + 3


def test_a_rate_limit_ends_the_proof() -> None:
    """It is not a response about a block; the walk ends without any conclusion."""
    with pytest.raises(rpc_errors.RateLimited):
        is_absent(Node({}, rpc_errors.RateLimited("wait")))


def test_neighbouring_slots_share_their_blocks() -> None:
    """Each block is fetched once, for any number of transactions."""
    node: Any = Node({SLOT + 4: block(SLOT - 1), SLOT - 1: block(SLOT - 2)})
    blocks = node_answers.FinalizedBlocks(node)

    async def prove() -> list[bool]:
        return [await blocks.prove_absence("s", slot, TOP) for slot in (SLOT, SLOT, SLOT + 1, SLOT + 2)]

    assert asyncio.run(prove()) == [True] * 4
    assert len(node.asked) == len(set(node.asked))
