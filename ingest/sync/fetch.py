"""Fetches transactions that are known by signature but lack their logs; they are decoded and written like any delivery.

Enhanced webhook items carry no logs (protocol.md 8.3), a walk lists signatures alone, and two deliveries of one
signature may disagree. Each of these leaves a row in raw.pending_signatures, and all of these rows are processed here:
`getTransaction`, the one decoder, the one writer.

    found            written with source fetch, walk or backfill; the row is deleted
    differs          the finalized version replaces ours, or ours stays (`Writer.replace`)
    many in a range  a page of bodies at a time, where a node serves getTransactionsForAddress (`body_pages`)
    unknown          requested again later, with twice the delay each time; a signature that only a delivery named
                     becomes a dead letter after MAX_ATTEMPTS attempts
    node error       proves nothing about the transaction: requested again after the delay that the node asks for
    -32015           the transaction's version is above our limit: alert, requested again with ever longer delays, never
                     skipped, never a dead letter (an indexer that skipped such transactions lost data)

An alert reports the signatures that could not be fetched for UNFETCHED_SECONDS, whatever the reason.

A silent or failing node proves nothing, so no signature is ever dropped because of one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from zmart import errors
from zmart.chain import rpc_errors
from zmart.chain.client import ChainClient, Commitment

from ..decode.decoder import DecodedDelivery, DecodedItem, Decoder, PendingSignature
from ..records import DeadLetter, TransactionRow
from ..store.group_commit import Pipeline
from ..store.writer import MAX_INDEX_IN_BLOCK
from .body_pages import BodyPages
from .database import SyncDatabase, sql
from .sources import Intake

log = structlog.get_logger()

#: Concurrent requests.
CONCURRENT = 8
#: Signatures fetched per round; the others follow in the next rounds.
ROUND_SIZE = 200
#: After this many responses "unknown", over about forty minutes, the source that named the signature was wrong.
MAX_ATTEMPTS = 12
LONGEST_WAIT_SECONDS = 600.0
#: Reasons given by the chain itself: it must serve the transactions that it lists.
LISTED = frozenset({"walk", "backfill"})
DIFFERS = "differs"


#: Errors of the node, whatever is requested. Any other error may concern one transaction and must not delay the rest.
NODE_ERRORS = (rpc_errors.Unreachable, rpc_errors.TimedOut, rpc_errors.RateLimited, rpc_errors.NodeBehind)
#: Errors that do not come from the node's answer: our own request budget, and nodes of two clusters.
_OWN_ERRORS = (errors.Overloaded, errors.ConfigurationError)
#: Delay before a transaction is requested again after an error of its own.
TRANSACTION_RETRY_SECONDS = 30.0
#: How long a signature may fail before an operator is alerted: it may block verification and finality.
UNFETCHED_SECONDS = 240.0
#: Maximum number of signatures that an alert names.
NAMED = 5


class DueSignature(NamedTuple):
    """A signature to fetch."""

    signature: str
    reason: str
    #: How often a node has answered that it does not know the signature.
    attempts: int
    #: For how many seconds the attempts have failed.
    failing_seconds: float = 0.0

    @property
    def source(self) -> str:
        """The source that the log records for it."""
        return self.reason if self.reason in LISTED else "fetch"


class FetchResult(NamedTuple):
    """The result of requesting one signature."""

    due: DueSignature
    outcome: DecodedItem = None
    #: The error, if there is no outcome yet.
    error: Exception | None = None
    is_unknown: bool = False


class Fetcher:
    """Fetches the signatures in raw.pending_signatures."""

    def __init__(self, client: ChainClient, decoder: Decoder, pipeline: Pipeline, database: SyncDatabase) -> None:
        self._client = client
        self._decoder = decoder
        self._pipeline = pipeline
        self._intake = Intake(decoder, pipeline)
        self._database = database
        self.pages = BodyPages(client, decoder.program_id, self._intake, database)
        #: Transactions fetched since the start.
        self.fetched = 0

    async def fetch_due(self, limit: int = ROUND_SIZE) -> int:
        """Fetch the signatures that are due, the oldest slot first; return how many were written.

        Many at once are read in pages where a node offers that (`BodyPages`), then up to `limit` one by one. Raises
        NodeError if no node answers, and the errors of the writer.
        """
        if from_pages := await self.pages.fetch_due():
            self.fetched += from_pages
            return from_pages
        rows = await self._database.fetch_all(sql.due_signatures, limit=limit)
        written = 0
        due = [DueSignature(*row) for row in rows]
        for start in range(0, len(due), CONCURRENT):
            found = await asyncio.gather(*(self._fetch(one) for one in due[start : start + CONCURRENT]))
            written += await self._write(found)
            await self._postpone_failed(found)
        self.fetched += written
        return written

    async def drain(self) -> int:
        """Repeat `fetch_due` until it writes nothing more; return how many were written."""
        total = 0
        while written := await self.fetch_due():
            total += written
        return total

    async def request_each(self, signatures: Sequence[str]) -> list[FetchResult]:
        """Request listed signatures now, and store nothing."""
        found: list[FetchResult] = []
        for start in range(0, len(signatures), CONCURRENT):
            chunk = signatures[start : start + CONCURRENT]
            found += await asyncio.gather(*(self._fetch(DueSignature(one, "walk", 0)) for one in chunk))
        return found

    async def _fetch(self, due: DueSignature) -> FetchResult:
        try:
            commitment = "finalized" if due.reason == DIFFERS else await self._client.read_commitment()
            response = await self._request(due.signature, commitment)
        except _OWN_ERRORS:
            raise
        except errors.ZmartError as error:
            # Any answer may concern this transaction alone, and none of them proves that it does not exist.
            return FetchResult(due, error=error)
        if response is None:
            return FetchResult(due, is_unknown=True)
        return self.decode_response(due, response)

    async def _request(self, signature: str, commitment: Commitment) -> dict[str, Any] | None:
        """Return the transaction from the first node that serves it: "unknown" of one node proves nothing."""
        response = await self._client.transaction(signature, commitment=commitment)
        nodes = self._client.each_node() if response is None else ()
        for node in nodes if len(nodes) > 1 else ():
            with contextlib.suppress(rpc_errors.NodeError, errors.Unauthorized, errors.NotFound):
                response = await node.transaction(signature, commitment=commitment)
            if response is not None:
                break
        return response

    def decode_response(self, due: DueSignature, response: dict[str, Any]) -> FetchResult:
        """Decode the response of a node; the result holds an error unless it is the complete due transaction."""
        outcome = self._decoder.decode_item(msgspec.json.encode(response))
        match outcome:
            case TransactionRow(signature=signature) | DeadLetter(signature=str(signature)) if (
                signature != due.signature
            ):
                return FetchResult(
                    due, error=rpc_errors.InvalidResponse(f"The node returned another transaction: {signature}.")
                )
            case PendingSignature():
                return FetchResult(
                    due, error=rpc_errors.InvalidResponse("The node returned the transaction without its logs.")
                )
        return FetchResult(due, outcome)

    async def _write(self, found: Sequence[FetchResult]) -> int:
        written = 0
        for source in sorted({one.due.source for one in found}):
            written += await self._submit([one for one in found if one.due.source == source], source)
        for one in found:
            if one.due.reason == DIFFERS and isinstance(one.outcome, TransactionRow):
                written += await self._replace_version(one.outcome)
        completed = [one.due.signature for one in found if one.error is None and not one.is_unknown]
        if completed:
            await self._database.execute(sql.delete_pending, signatures=completed)
        return written

    async def _submit(self, found: Sequence[FetchResult], source: str) -> int:
        outcomes = [one.outcome for one in found if one.due.reason != DIFFERS]
        rows = [one for one in outcomes if isinstance(one, TransactionRow)]
        dead_letters = [one for one in outcomes if isinstance(one, DeadLetter)]
        if rows or dead_letters:
            decoded = DecodedDelivery(transactions=await self._with_block_indexes(rows), dead_letters=dead_letters)
            await self._intake.submit_decoded(decoded, source=source)
        return len(rows)

    async def _with_block_indexes(self, rows: Sequence[TransactionRow]) -> list[TransactionRow]:
        """Return the rows with their index in the block, so that their order need not be resolved afterwards."""
        slots = sorted({row.slot for row in rows if row.index_in_block is None})
        blocks = dict(zip(slots, await asyncio.gather(*map(self._block_indexes, slots)), strict=True))
        return [
            row if row.index_in_block is not None else row._replace(index_in_block=blocks[row.slot].get(row.signature))
            for row in rows
        ]

    async def _block_indexes(self, slot: int) -> dict[str, int]:
        """Return index by signature for a slot's block; empty if no node serves it: the order stays provisional."""
        try:
            block = await self._client.block_signatures(slot, commitment=await self._client.read_commitment())
        except _OWN_ERRORS:
            raise
        except errors.ZmartError:
            return {}
        signatures = block.signatures[: MAX_INDEX_IN_BLOCK + 1] if block else ()
        return {signature: index for index, signature in enumerate(signatures)}

    async def _replace_version(self, row: TransactionRow) -> int:
        async with self._pipeline.exclusive_writer() as writer:
            try:
                was_other = await writer.replace(row, source="fetch")
            except errors.NotFound:
                await writer.append([row], source="fetch")
                was_other = False
        if was_other:
            log.warning("transaction_replaced", signature=row.signature, slot=row.slot)
        return 1

    async def _postpone_failed(self, found: Sequence[FetchResult]) -> None:
        for one in found:
            if one.is_unknown:
                await self._wait_or_give_up(one.due)
            elif one.error is not None:
                seconds, kind = _pause_seconds(one.due, one.error), type(one.error).__name__
                await self._postpone(one.due, str(one.error), seconds, kind=kind, counted=0)
        if any(isinstance(one.error, rpc_errors.UnsupportedVersion) for one in found):
            await self.report()
        node_errors = [one.error for one in found if isinstance(one.error, NODE_ERRORS)]
        if node_errors and len(node_errors) == len(found):
            raise node_errors[0]

    async def _wait_or_give_up(self, due: DueSignature) -> None:
        if due.reason in LISTED or due.reason == DIFFERS or due.attempts + 1 < MAX_ATTEMPTS:
            seconds = min(2.0**due.attempts, LONGEST_WAIT_SECONDS)
            await self._postpone(due, "No node has this signature yet.", seconds, kind="Unknown", counted=1)
            return
        reason = f"No node has this signature after {MAX_ATTEMPTS} attempts."
        dead_letter = DeadLetter(due.signature, None, "unknown", reason, None)
        await self._intake.submit_decoded(DecodedDelivery(dead_letters=[dead_letter]), source=due.source)
        await self._database.execute(sql.delete_pending, signatures=[due.signature])

    async def _postpone(self, due: DueSignature, error: str, seconds: float, *, kind: str, counted: int) -> None:
        await self._database.execute(
            sql.postpone, signature=due.signature, error=error[:500], kind=kind, seconds=seconds, counted=counted
        )

    async def report(self) -> None:
        """Raise or resolve the alerts about signatures that cannot be fetched."""
        if refused := await self._failing(seconds=0.0, kind=rpc_errors.UnsupportedVersion.__name__):
            await self._database.alert(
                "unsupported_version",
                "This release cannot decode the version of some transactions, and the proof of the log stops "
                "before them. Install a release that can (docs/runbook.md, unsupported_version). Signatures: "
                f"{refused}",
                severity="critical",
            )
        else:
            await self._database.resolve("unsupported_version")
        if failing := await self._failing(seconds=UNFETCHED_SECONDS):
            await self._database.alert(
                "unfetched",
                f"Signatures could not be fetched for {UNFETCHED_SECONDS / 60:g} minutes. Fetching is retried; rows of "
                "raw.pending_signatures have the reasons. Add a node that serves them to SOLANA_RPC_URL. If there is "
                f"none, see: zmart gap list. Signatures: {failing}",
            )
        else:
            await self._database.resolve("unfetched")

    async def _failing(self, *, seconds: float, kind: str | None = None) -> str:
        """Return a list, for an alert, of the signatures that fail for at least `seconds`; empty if none do."""
        rows = await self._database.fetch_all(sql.failing, kind=kind, seconds=seconds, limit=NAMED)
        if not rows:
            return ""
        count, error = rows[0][3], rows[0][2]
        named = ", ".join(f"{signature}{'' if slot is None else f' (slot {slot})'}" for signature, slot, *_ in rows)
        more = f" and {count - len(rows)} more" if count > len(rows) else ""
        return f"{named}{more}. The first error: {error}"


def _pause_seconds(due: DueSignature, error: Exception) -> float:
    if isinstance(error, rpc_errors.UnsupportedVersion):
        # Wait as long again as it has failed already: only a newer release helps, and until then every request is
        # wasted.
        return min(max(TRANSACTION_RETRY_SECONDS, due.failing_seconds), LONGEST_WAIT_SECONDS)
    return error.retry_after_seconds if isinstance(error, NODE_ERRORS) else TRANSACTION_RETRY_SECONDS
