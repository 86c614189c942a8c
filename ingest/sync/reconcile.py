"""Walks of the chain's own list of our transactions: what proves the log complete, and then final.

`getSignaturesForAddress` lists every transaction that names the program, newest first. A walk lists from the newest
slot back to ground that is proven already, compares, and says through which slot the two agree:

    confirmed   nothing listed is missing here    raw.coverage, source walk         raw.verified_through()
    finalized   listed and held are the same      raw.coverage, source finalized    raw.finalized_through()

What is missing goes to raw.wanted and is fetched, the oldest slot first; the walk then looks again. What we hold and
the finalized list does not have is a suspect, never more at first: a node may lag, or lie, or have lost a page. It is
retracted only when all of this holds, at one node that has seen every slot we ever believed final:

    - transactions before and after its slot are listed, twice, more than 150 blocks apart, and it is not;
    - so its blockhash is dead, and it cannot land any more;
    - the node's whole history does not know its status;
    - the node serves the slot's block and it does not hold the transaction, or parent links prove that the slot has no
      block: the next served block's parent is an older block, which the node serves too.

"Slot skipped", "block not available" and null say only that this node does not serve the block; nothing follows from
them. A node that had lost six slots answered so, and six genuine transactions were retracted after 81 s.

An error on the way ends the walk without any conclusion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import structlog

from zmart import errors
from zmart.chain import client as chain
from zmart.chain import rpc_errors

from ..store.group_commit import Pipeline
from ..store.writer import Proof
from .database import Notebook, sql

log = structlog.get_logger()

Commitment: TypeAlias = Literal["confirmed", "finalized"]

#: Blocks for which a blockhash is good.
BLOCKHASH_AGE: Final = 150
#: How far above a slot the next served block is searched for. A leader who is away leaves 4 slots empty, two 8.
MOST_SKIPPED: Final = 16
#: How long a transaction of ours may be missing from the finalized list before an operator is alerted. A fork's is
#: retracted sooner (150 blocks), and with a walk each minute the alert is out within five minutes.
UNLISTED_SECONDS: Final = 240.0
#: Signatures that an alert names.
NAMED: Final = 10
#: Signatures in one proof, so that comparing digests holds the log for milliseconds.
PROOF_SIZE: Final = 10_000
SOURCES: Final[dict[Commitment, str]] = {"confirmed": "walk", "finalized": "finalized"}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """How far a list reaches."""

    commitment: Commitment
    #: It holds everything above this slot ...
    floor: int
    #: ... up to this one.
    top: int
    #: Finalized block height when it was begun; 0 for confirmed lists.
    height: int


class Walk:
    """Lists, compares and proves, for one program."""

    def __init__(
        self,
        client: chain.ChainClient,
        program_id: str,
        pipeline: Pipeline,
        notebook: Notebook,
        *,
        page: int = chain.MAX_SIGNATURES,
    ) -> None:
        self._client = client
        self._program_id = program_id
        self._pipeline = pipeline
        self._notebook = notebook
        self._page = page
        #: The highest slot a node has shown us, by commitment: none may answer from before it.
        self._highest: dict[Commitment, int] = {"confirmed": 0, "finalized": 0}
        #: Transactions retracted since the start.
        self.retracted = 0

    async def listed(self, commitment: Commitment) -> Listed:
        """Write down what the chain lists above the proven ground. Raises NodeTrouble; then nothing is concluded."""
        _, final, has_ground = await self._notebook.one(sql.standing)
        node = self._client.pin_node()
        top = await node.slot(commitment=commitment, min_context_slot=max(self._highest[commitment], final, 0))
        height = await node.block_height(commitment="finalized") if commitment == "finalized" else 0
        await self._notebook.do(sql.forget_seen, commitment=commitment)
        lowest = await self._list(node, commitment, final, top)
        if has_ground and lowest > final:
            raise rpc_errors.NodeBehind(f"The node's list ends at slot {lowest}, above ground that was proven.")
        self._highest[commitment] = max(self._highest[commitment], top)
        return Listed(commitment=commitment, floor=final, top=top, height=height)

    async def _list(self, node: chain.ChainClient, commitment: Commitment, floor: int, top: int) -> int:
        """Page back to `floor` or the beginning; the lowest slot listed."""
        before, slot = None, top + 1
        while slot > floor:
            page = await node.signatures_for_address(
                self._program_id, commitment=commitment, before=before, limit=self._page, min_context_slot=top
            )
            if not page:
                await self._require_known(node, before)
                return slot
            _require_order(page, slot if before else None)
            await self._see(commitment, [one for one in page if one.slot <= top])
            before, slot = page[-1].signature, page[-1].slot
        return slot

    async def _require_known(self, node: chain.ChainClient, signature: str | None) -> None:
        """The end of the list is only the end where the page before it is still on the chain."""
        if signature is None:
            return
        statuses = await node.signature_statuses([signature], search_history=True)
        if statuses.value[0] is None:
            raise rpc_errors.NodeBehind("The list changed while it was read.")

    async def _see(self, commitment: Commitment, page: Sequence[chain.SignatureInfo]) -> None:
        await self._notebook.do(
            sql.see,
            commitment=commitment,
            signatures=[one.signature for one in page],
            slots=[one.slot for one in page],
            succeeded=[one.err is None for one in page],
        )

    async def want(self, listed: Listed) -> int:
        """Ask for what is listed and not held, or held otherwise; how many successes are missing."""
        missing, _ = await self._notebook.one(sql.want_missing, commitment=listed.commitment)
        if listed.commitment == "finalized":
            await self._notebook.do(sql.want_differing, commitment=listed.commitment)
        return int(missing)

    async def verify(self, listed: Listed) -> int:
        """Prove that nothing confirmed is missing, as far as that is so; the slot verified through."""
        verified, _, _ = await self._notebook.one(sql.standing)
        (hole,) = await self._notebook.one(sql.first_hole, commitment="confirmed")
        through = listed.top if hole is None else min(listed.top, hole - 1)
        if hole is not None and hole <= verified:
            log.warning("a slot that was verified has a hole; it is being fetched", slot=hole)
        while verified < through:
            proof = await self._proof(listed.commitment, verified + 1, through)
            async with self._pipeline.borrowed() as writer:
                await writer.cover(proof)
            verified = proof.to_slot
        return int(verified)

    async def finalize(self, listed: Listed, *, below: int | None = None) -> int:
        """Move the watermark as far as list and log are the same, and stay below a slot; the slot finalized through."""
        through = await self._agreed(listed)
        through = through if below is None else min(through, below - 1)
        _, final, _ = await self._notebook.one(sql.standing)
        while final < through:
            proof = await self._proof(listed.commitment, final + 1, through)
            async with self._pipeline.borrowed() as writer:
                if not await writer.finalize(proof):
                    # Something arrived meanwhile; the next walk sees what it is.
                    break
            final = proof.to_slot
        return int(final)

    async def _agreed(self, listed: Listed) -> int:
        (hole,) = await self._notebook.one(sql.first_hole, commitment=listed.commitment)
        (stranger,) = await self._notebook.one(
            sql.first_stranger, commitment=listed.commitment, floor=listed.floor, top=listed.top
        )
        ends: list[int] = [slot - 1 for slot in (hole, stranger) if slot is not None]
        return min([listed.top, *ends])

    async def _proof(self, commitment: Commitment, from_slot: int, to_slot: int) -> Proof:
        bounds = {"commitment": commitment, "from_slot": from_slot, "to_slot": to_slot}
        (end,) = await self._notebook.one(sql.chunk_end, **bounds, size=PROOF_SIZE)
        count, digest = await self._notebook.one(sql.seen_successes, **{**bounds, "to_slot": end})
        return Proof(SOURCES[commitment], from_slot, end, count, digest)

    # What is ours alone

    async def judge(self, listed: Listed) -> int:
        """Note what the finalized list lacks, and retract what is proven gone; how many were."""
        await self._notebook.do(sql.clear_suspects)
        bounds = {"floor": listed.floor, "top": listed.top, "height": listed.height}
        await self._notebook.do(sql.note_suspects, **bounds)
        condemned = await self._notebook.all(sql.condemned, **bounds, blockhash_age=BLOCKHASH_AGE)
        if not condemned:
            return 0
        gone = await self._absent([(signature, slot) for signature, slot in condemned], listed.top)
        if gone:
            async with self._pipeline.borrowed() as writer:
                await writer.retract(gone)
            self.retracted += len(gone)
            log.error("transactions retracted: the finalized chain does not hold them", signatures=gone)
            more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
            await self._notebook.alert(
                "retracted",
                f"{len(gone)} transactions were proven gone from the chain and retracted: "
                f"{', '.join(gone[:NAMED])}{more}. Check each on a second node (docs/runbook.md, retracted).",
                severity="critical",
            )
        return len(gone)

    async def report_unlisted(self, listed: Listed) -> None:
        """Raise or resolve the alert about transactions of ours that hold the watermark because no node lists them."""
        bounds = {"floor": listed.floor, "top": listed.top}
        rows = await self._notebook.all(sql.unlisted, **bounds, seconds=UNLISTED_SECONDS, limit=NAMED)
        if not rows:
            await self._notebook.resolve("unlisted")
            return
        count = rows[0][2]
        named = ", ".join(f"{signature} (slot {slot})" for signature, slot, _ in rows)
        more = f" and {count - len(rows)} more" if count > len(rows) else ""
        await self._notebook.alert(
            "unlisted",
            f"{count} delivered transactions are missing from the node's finalized list, and finality waits before "
            f"slot {rows[0][1]}: {named}{more}. Nothing is retracted without proof. "
            "Set SOLANA_RPC_URL to a node that serves these slots (docs/runbook.md, unlisted).",
            severity="critical",
        )

    async def _absent(self, condemned: Sequence[tuple[str, int]], top: int) -> list[str]:
        """Those that the node's history does not know, and that are proven not to be in a block of their slot."""
        node = self._client.pin_node()
        await node.slot(commitment="finalized", min_context_slot=top)
        statuses = await node.signature_statuses([signature for signature, _ in condemned], search_history=True)
        if statuses.slot < top:
            raise rpc_errors.NodeBehind(f"The node answers at slot {statuses.slot}, before {top}.")
        unknown = [pair for pair, status in zip(condemned, statuses.value, strict=True) if status is None]
        blocks = _Blocks(node)
        return [signature for signature, slot in unknown if await blocks.prove_absence(signature, slot, top)]


class _Blocks:
    """Finalized blocks of one node, each asked for once; neighbouring slots need the same ones."""

    def __init__(self, node: chain.ChainClient) -> None:
        self._node = node
        self._found: dict[int, chain.BlockSignatures | None] = {}

    async def prove_absence(self, signature: str, slot: int, top: int) -> bool:
        """Whether the served block of the slot lacks the transaction, or parent links pass the slot by."""
        block = await self._served(slot)
        if block is not None:
            return signature not in block.signatures
        for later in range(slot + 1, min(slot + MOST_SKIPPED, top) + 1):
            child = await self._served(later)
            if child is not None:
                # A parent that is not served may be a default: nodes write 0 where they do not know it.
                return child.parent_slot < slot and await self._served(child.parent_slot) is not None
        return False

    async def _served(self, slot: int) -> chain.BlockSignatures | None:
        """The block, None where this node does not serve it; that proves nothing about the slot."""
        if slot not in self._found:
            try:
                self._found[slot] = await self._node.block_signatures(slot, commitment="finalized")
            except (errors.NotFound, rpc_errors.NodeBehind, rpc_errors.UnsupportedVersion):
                self._found[slot] = None
        return self._found[slot]


def _require_order(page: Sequence[chain.SignatureInfo], below: int | None) -> None:
    """A list goes down; one that does not is no list."""
    slots = [one.slot for one in page]
    if slots != sorted(slots, reverse=True) or (below is not None and slots[0] > below):
        raise rpc_errors.InvalidResponse("The node's list of signatures is not in order.")
