"""Compares the log with the chain's own list of our transactions, and so proves the log first complete, then final.

`getSignaturesForAddress` lists every transaction that names the program, newest first. A walk lists from the newest
slot back to the slots that are already proven, compares the list with the log, and finds the slot through which the two
agree:

    confirmed   nothing listed is missing here    raw.coverage, source walk         raw.verified_through()
    finalized   listed and held are the same      raw.coverage, source finalized    raw.finalized_through()

On a cluster that has moved to Alpenglow both words mean the same, so one finalized list proves both with half the
requests.

Missing transactions are noted in raw.pending_signatures and fetched, the oldest slot first; then the walk compares
again. A transaction that we hold and the finalized list lacks is at first only a suspect: a node may lag, give false
data, or have lost a page. It is retracted only when all of this holds, at one node that has seen every slot that we
ever considered final:

    - transactions before and after its slot are listed, twice, more than 150 blocks apart, and it is not;
    - so its blockhash has expired, and it cannot land any more;
    - the node's whole history does not know its status;
    - the node serves the slot's block and it does not hold the transaction, or parent links prove that the slot has no
      block: the next served block's parent is an older block, which the node serves too.

"Slot skipped", "block not available" and null mean only that this node does not serve the block; nothing follows from
them (solana.md 3). A node that had lost six slots answered so, and six genuine transactions were retracted after 81 s.

An error during a walk ends it without any conclusion.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import structlog

from zmart import errors
from zmart.chain import client as chain
from zmart.chain import rpc_errors
from zmart.chain.cluster_facts import BLOCKHASH_BLOCKS

from ..store.group_commit import Pipeline
from ..store.writer import MAX_INDEX_IN_BLOCK, CoverageProof
from .database import SyncDatabase, sql
from .node_answers import MOST_ASKED, ask_blocks, ask_statuses, has_block

log = structlog.get_logger()

Commitment: TypeAlias = Literal["confirmed", "finalized"]

#: How long a transaction of ours may be missing from the finalized list before an operator is alerted. A transaction of
#: a fork is retracted sooner (150 blocks), and with one walk per minute the alert is raised within five minutes.
UNLISTED_SECONDS: Final = 240.0
#: How far above the highest slot that the chain can have reached a stored transaction must be before it is retracted:
#: an hour of slots of 0.2 s. The node may lag, and what is nearer is soon compared with the finalized list.
IMPOSSIBLE_SLOTS: Final = 18_000
#: How far the first node's slot may be above the lowest one that nodes report, before any slot is stored.
FIRST_SLOTS_AHEAD: Final = 600
#: Maximum number of signatures that an alert names.
NAMED: Final = 10
#: Signatures in one proof, so that comparing digests locks the log for milliseconds only.
PROOF_SIZE: Final = 10_000
#: The sources under which raw.coverage records the two proofs.
VERIFIED: Final = "walk"
FINALIZED: Final = "finalized"


@dataclass(frozen=True, kw_only=True)
class ListedRange:
    """The range of slots that a list covers."""

    commitment: Commitment
    #: It contains everything above this slot ...
    floor: int
    #: ... up to this one.
    top: int
    #: Finalized block height when the list was begun; 0 for confirmed lists.
    height: int


class Reconciler:
    """Lists, compares and proves the transactions of one program."""

    def __init__(
        self,
        client: chain.ChainClient,
        program_id: str,
        pipeline: Pipeline,
        database: SyncDatabase,
        *,
        page: int = chain.MAX_SIGNATURES,
        may_jump: bool = False,
    ) -> None:
        self._client = client
        self._program_id = program_id
        self._pipeline = pipeline
        self._database = database
        self._page = page
        #: Whether slots may pass faster than by the clock: on a development chain an operator closes blocks at will.
        self.may_jump = may_jump
        #: The highest slot that a node has shown us, by commitment; a response from before it is rejected.
        self._highest: dict[Commitment, int] = {"confirmed": 0, "finalized": 0}
        #: Transactions retracted since the start.
        self.retracted = 0
        #: What nodes report differently of transactions that the finalized list lacks, by signature.
        self._contradictions: Mapping[str, str] = {}
        #: What the watermark waits for; "" if it waits for nothing.
        self.waits_for = ""

    async def list_transactions(self, commitment: Commitment) -> ListedRange:
        """Store what the chain lists above the proven slots. Raises NodeError; then nothing is concluded."""
        _, final, has_ground = await self._database.fetch_one(sql.proven_slots)
        node = self._client.pin_node()
        top = await node.slot(commitment=commitment, min_context_slot=max(self._highest[commitment], final, 0))
        await self._require_reachable(node, top, commitment)
        height = await node.block_height(commitment="finalized") if commitment == "finalized" else 0
        await self._database.execute(sql.clear_listing, commitment=commitment)
        await self._database.execute(sql.vacuum_listing)
        lowest = await self._list_pages(node, commitment, final, top)
        if has_ground and lowest > final:
            raise rpc_errors.NodeBehind(f"The node's list ends at slot {lowest}, above slots that were proven before.")
        self._highest[commitment] = max(self._highest[commitment], top)
        return ListedRange(commitment=commitment, floor=final, top=top, height=height)

    async def proven_slot(self) -> int | None:
        """Return the last slot in which log and finalized chain are equal; None before the first one."""
        (final,) = await self._database.fetch_one(sql.final_slot)
        return None if final is None else int(final)

    async def has_block(self, slot: int, blockhash: str) -> bool | None:
        """Return whether a slot's block has this hash; None where no node serves the block now."""
        return await has_block(self._client, slot, blockhash)

    async def _require_reachable(self, node: chain.ChainClient, top: int, commitment: Commitment) -> None:
        """Check that the chain can have reached the node's slot, and store the lowest slot that the nodes report.

        The lowest, because no single node can then loosen the bound on slots, and one that lags does not tighten it:
        the bound grows with the clock from the last stored slot (raw.newest_possible_slot). A median needs three nodes.
        Before the first stored slot a single node is asked twice. Raises InvalidResponse.
        """
        (bound,) = await self._database.fetch_one(sql.newest_possible_slot)
        lowest = top
        for other in self._client.each_node()[1:] or ([node] if bound is None else []):
            with contextlib.suppress(rpc_errors.NodeError, errors.Unauthorized, errors.NotFound):
                lowest = min(lowest, await other.slot(commitment=commitment))
        reachable = lowest + FIRST_SLOTS_AHEAD if bound is None else bound
        if top > reachable and not self.may_jump:
            raise rpc_errors.InvalidResponse(
                f"The node reports slot {top}, and the chain cannot have passed slot {reachable} yet."
            )
        await self._database.execute(sql.save_node_slot, slot=top if self.may_jump else lowest)

    async def _list_pages(self, node: chain.ChainClient, commitment: Commitment, floor: int, top: int) -> int:
        """Page back to `floor` or to the beginning; return the lowest slot listed."""
        before, slot = None, top + 1
        while slot > floor:
            page = await node.signatures_for_address(
                self._program_id, commitment=commitment, before=before, limit=self._page, min_context_slot=top
            )
            if not page:
                await (self._require_known(node, before) if before else self._require_empty_log(top))
                return slot
            _require_order(page, slot if before else None)
            await self._record_listing(commitment, [one for one in page if one.slot <= top])
            before, slot = page[-1].signature, page[-1].slot
        return slot

    async def _require_empty_log(self, top: int) -> None:
        """Check that an empty list is genuine: a node that lists nothing has lost what the log holds."""
        (holds_anything,) = await self._database.fetch_one(sql.holds_anything, top=top)
        if holds_anything:
            raise rpc_errors.NodeBehind("The node lists no transaction of the program, but the log holds some.")

    async def _require_known(self, node: chain.ChainClient, signature: str) -> None:
        """Check that the end of the list is genuine: the last listed signature must still be on the chain."""
        statuses = await node.signature_statuses([signature], search_history=True)
        if statuses.value[0] is None:
            raise rpc_errors.CursorUnknown("The list changed while it was being read.")

    async def _record_listing(self, commitment: Commitment, page: Sequence[chain.SignatureInfo]) -> None:
        await self._database.execute(
            sql.record_listing,
            commitment=commitment,
            signatures=[one.signature for one in page],
            slots=[one.slot for one in page],
            succeeded=[one.err is None for one in page],
            indexes=[_valid_index(one.transaction_index) for one in page],
        )

    async def request_missing(self, listed: ListedRange) -> int:
        """Note listed transactions that we lack or hold differently; return how many successful ones are missing."""
        missing, _ = await self._database.fetch_one(sql.request_missing, commitment=listed.commitment)
        if listed.commitment == "finalized":
            await self._database.execute(sql.request_differing, commitment=listed.commitment)
        return int(missing)

    async def verify(self, listed: ListedRange) -> int:
        """Record as proven the slots in which no listed transaction is missing; return the slot verified through."""
        verified, _, _ = await self._database.fetch_one(sql.proven_slots)
        (hole,) = await self._database.fetch_one(sql.first_missing_slot, commitment=listed.commitment)
        through = listed.top if hole is None else min(listed.top, hole - 1)
        if hole is not None and hole <= verified:
            log.warning("verified_slot_incomplete", slot=hole)
        while verified < through:
            proof = await self._proof(VERIFIED, listed.commitment, verified + 1, through)
            async with self._pipeline.exclusive_writer() as writer:
                await writer.cover(proof)
            verified = proof.to_slot
        return int(verified)

    async def finalize(self, listed: ListedRange, *, below: int | None = None) -> int:
        """Move the watermark as far as list and log agree, below slot `below`; return the slot finalized through."""
        reasons = await self._disagreements(listed)
        if below is not None:
            reasons[below] = "the order of its transactions is not settled, because no node serves its block"
        end = min(reasons, default=listed.top + 1)
        through = min(listed.top, end - 1)
        self.waits_for = f"slot {end}: {reasons[end]}" if through < listed.top else ""
        _, final, _ = await self._database.fetch_one(sql.proven_slots)
        while final < through:
            proof = await self._proof(FINALIZED, listed.commitment, final + 1, through)
            async with self._pipeline.exclusive_writer() as writer:
                if not await writer.finalize(proof):
                    # Something arrived meanwhile; the next walk compares again.
                    break
            final = proof.to_slot
        return int(final)

    async def _disagreements(self, listed: ListedRange) -> dict[int, str]:
        """Return the first slots in which list and log differ, with the alert and the command that name more."""
        (first_missing,) = await self._database.fetch_one(sql.first_missing_slot, commitment=listed.commitment)
        (first_unlisted,) = await self._database.fetch_one(
            sql.first_unlisted, commitment=listed.commitment, floor=listed.floor, top=listed.top
        )
        found = {
            first_unlisted: "a delivered transaction is not in the finalized list (alert unlisted, zmart gap list)",
            first_missing: "a listed transaction is not in the log (raw.pending_signatures, zmart gap list)",
        }
        return {slot: reason for slot, reason in found.items() if slot is not None}

    async def _proof(self, source: str, commitment: Commitment, from_slot: int, to_slot: int) -> CoverageProof:
        bounds = {"commitment": commitment, "from_slot": from_slot, "to_slot": to_slot}
        (end,) = await self._database.fetch_one(sql.chunk_end, **bounds, size=PROOF_SIZE)
        count, digest = await self._database.fetch_one(sql.listed_successes, **{**bounds, "to_slot": end})
        return CoverageProof(source, from_slot, end, count, digest)

    # Transactions that the log holds and the chain does not list

    async def ask_other_nodes(self, listed: ListedRange) -> int:
        """Add to the finalized list what any node reports as finalized although the list lacks it; return how many.

        A node that has lost slots lists nothing of them, and its silence proves nothing. A node that fails is skipped.
        """
        bounds = {"floor": listed.floor, "top": listed.top}
        rows = await self._database.fetch_all(sql.unlisted, **bounds, seconds=0.0, limit=MOST_ASKED)
        unlisted = {signature: slot for signature, slot, _ in rows}
        answers = await ask_statuses(self._client, unlisted)
        await self.request_versions(answers.other_slots)
        self._contradictions = answers.contradictions
        listing = [chain.SignatureInfo(signature=one, slot=unlisted[one]) for one in sorted(answers.proven)]
        if listing:
            await self._record_listing(listed.commitment, listing)
        return len(listing)

    async def request_versions(self, slots: Mapping[str, int]) -> None:
        """Request the finalized version of transactions that a node has in these slots, unlike the log."""
        if slots:
            await self._database.execute(
                sql.request_versions, signatures=list(slots), slots=[slots[signature] for signature in slots]
            )

    async def retract_absent(self, listed: ListedRange) -> int:
        """Note what the finalized list lacks, and retract what is proven absent; return how many were retracted."""
        await self._database.execute(sql.clear_suspects)
        bounds = {"floor": listed.floor, "top": listed.top, "height": listed.height}
        await self._database.execute(sql.note_suspects, **bounds)
        candidates = await self._database.fetch_all(sql.retraction_candidates, **bounds, blockhash_age=BLOCKHASH_BLOCKS)
        return await self.retract_proven([(signature, slot) for signature, slot in candidates], listed.top)

    async def retract_proven(self, candidates: Sequence[tuple[str, int]], top: int) -> int:
        """Retract those candidates (signature and slot) that are proven absent; return how many were retracted."""
        absent = await self._find_absent(candidates, top) if candidates else []
        if absent:
            await self._retract(absent, "are proven absent from the chain")
        return len(absent)

    async def retract_impossible(self) -> int:
        """Retract transactions in slots that the chain cannot have reached; return how many were retracted.

        Deliveries of such slots are refused once the node's slot is known, so these arrived before. One that the node
        knows is requested instead: the chain has it in another slot. Raises NodeError.
        """
        rows = await self._database.fetch_all(sql.impossible_transactions, margin=IMPOSSIBLE_SLOTS)
        if not rows:
            return 0
        statuses = await self._client.signature_statuses([signature for signature, _ in rows], search_history=True)
        known = {row[0]: status.slot for row, status in zip(rows, statuses.value, strict=True) if status}
        unknown = [row[0] for row, status in zip(rows, statuses.value, strict=True) if not status]
        await self.request_versions(known)
        if unknown:
            await self._retract(unknown, "are in slots that the chain has not reached")
        return len(unknown)

    async def _retract(self, signatures: Sequence[str], cause: str) -> None:
        async with self._pipeline.exclusive_writer() as writer:
            await writer.retract(signatures)
        self.retracted += len(signatures)
        log.error("transactions_retracted", signatures=signatures)
        more = f" and {len(signatures) - NAMED} more" if len(signatures) > NAMED else ""
        await self._database.alert(
            "retracted",
            f"{len(signatures)} transactions {cause} and were retracted: "
            f"{', '.join(signatures[:NAMED])}{more}. Check each on a second node (docs/runbook.md, retracted).",
            severity="critical",
        )

    async def report_unlisted(self, listed: ListedRange) -> None:
        """Raise or resolve the alert about transactions of ours that hold the watermark because no node lists them."""
        bounds = {"floor": listed.floor, "top": listed.top}
        rows = await self._database.fetch_all(sql.unlisted, **bounds, seconds=UNLISTED_SECONDS, limit=NAMED)
        if not rows:
            await self._database.resolve("unlisted")
            return
        count = rows[0][2]
        named = ", ".join(f"{signature} (slot {slot})" for signature, slot, _ in rows)
        more = f" and {count - len(rows)} more" if count > len(rows) else ""
        contradicted = "".join(
            f" {signature}: {self._contradictions[signature]}"
            for signature, *_ in rows
            if signature in self._contradictions
        )
        await self._database.alert(
            "unlisted",
            f"{count} delivered transactions are missing from the finalized list, and finality waits before "
            f"slot {rows[0][1]}: {named}{more}.{contradicted} Nothing is retracted without proof. "
            "Add a node that serves these slots to SOLANA_RPC_URL. If there is none, see: zmart gap list",
            severity="critical",
        )

    async def _find_absent(self, candidates: Sequence[tuple[str, int]], top: int) -> list[str]:
        """Return the candidates that no node's history knows and that no block of their slot contains.

        The second condition must be proven by the blocks of one node (`FinalizedBlocks`), and no other node may serve a
        block that contains the candidate: where nodes contradict each other, nothing is absent.
        """
        node = self._client.pin_node()
        await node.slot(commitment="finalized", min_context_slot=top)
        statuses = await node.signature_statuses([signature for signature, _ in candidates], search_history=True)
        if statuses.slot < top:
            raise rpc_errors.NodeBehind(f"The node is at slot {statuses.slot}, before {top}.")
        unknown = dict(pair for pair, status in zip(candidates, statuses.value, strict=True) if status is None)
        answers = await ask_statuses(self._client, unknown)
        unknown = {signature: slot for signature, slot in unknown.items() if signature not in answers.known}
        await ask_blocks(self._client, unknown, top, answers)
        return [signature for signature in unknown if signature in answers.absent - answers.known]


def _valid_index(index: int | None) -> int | None:
    return index if index is not None and 0 <= index <= MAX_INDEX_IN_BLOCK else None


def _require_order(page: Sequence[chain.SignatureInfo], below: int | None) -> None:
    """Raise InvalidResponse unless the slots of the list descend."""
    slots = [one.slot for one in page]
    if slots != sorted(slots, reverse=True) or (below is not None and slots[0] > below):
        raise rpc_errors.InvalidResponse("The node's list of signatures is not in order.")
