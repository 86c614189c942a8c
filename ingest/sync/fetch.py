"""Signatures we know of without their logs: fetched, decoded and written like any delivery.

Enhanced webhook items carry no logs (protocol.md 8.3), a walk lists signatures alone, and two deliveries of one
signature may disagree. All of these leave a row in raw.wanted, and all of them end here: `getTransaction`, the one
decoder, the one writer.

    found            written with source fetch, walk or backfill; the row goes
    differs          the finalized version takes the place of ours, or ours stays (`Writer.replace`)
    unknown          asked again later, each time twice as late; a signature that only a delivery named is given up
                     after ATTEMPTS and becomes a dead letter
    node in trouble  nobody's fault: asked again after as long as the node wants
    -32015           the transaction's version is above our ceiling: alert, asked again ever later, never skipped, never
                     a dead letter (an indexer that skipped such transactions lost data)

A signature that could not be fetched for UNFETCHED_SECONDS is named by an alert, whatever the reason.

A silent or failing node proves nothing, so nothing is ever given up because of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from zmart import errors
from zmart.chain import rpc_errors
from zmart.chain.client import ChainClient

from ..decode.decoder import Decoded, Decoder, Outcome, Wanted
from ..records import DeadLetter, TransactionRow
from ..store.group_commit import Pipeline
from ..store.writer import MAX_INDEX_IN_BLOCK
from .database import Notebook, sql
from .sources import Intake

log = structlog.get_logger()

#: Requests under way at once.
CONCURRENT = 8
#: Signatures of one round; others get their turn after it.
ROUND = 200
#: Unknown that often, over about forty minutes: whoever named it was wrong.
ATTEMPTS = 12
LONGEST_WAIT_SECONDS = 600.0
#: Reasons that the chain itself gave; what it lists it has to give.
LISTED = frozenset({"walk", "backfill"})
DIFFERS = "differs"


#: Troubles of the node, whatever it is asked; any other may be that of one transaction, and must not hold up the rest.
_AWAY = (rpc_errors.Unreachable, rpc_errors.TimedOut, rpc_errors.RateLimited, rpc_errors.NodeBehind)
#: Errors of a request that say nothing about the transaction.
_REFUSALS = (rpc_errors.NodeError, rpc_errors.ApiKeyRejected, rpc_errors.BadRequest, rpc_errors.UnsupportedVersion)
#: How long one transaction's own trouble is left alone.
TROUBLE_SECONDS = 30.0
#: How long a signature may resist before an operator is alerted: it may hold verification and finality.
UNFETCHED_SECONDS = 300.0
#: Signatures that an alert names.
NAMED = 5


class Due(NamedTuple):
    """A signature to fetch."""

    signature: str
    reason: str
    #: How often a node has answered that it does not know it.
    attempts: int
    #: For how long attempts have brought nothing.
    failing_seconds: float = 0.0

    @property
    def source(self) -> str:
        """Under which name the log counts it."""
        return self.reason if self.reason in LISTED else "fetch"


class Found(NamedTuple):
    """What asking for one of them gave."""

    due: Due
    outcome: Outcome = None
    #: Why there is no outcome yet.
    trouble: Exception | None = None
    is_unknown: bool = False


class Fetcher:
    """Works off raw.wanted."""

    def __init__(self, client: ChainClient, decoder: Decoder, pipeline: Pipeline, notebook: Notebook) -> None:
        self._client = client
        self._decoder = decoder
        self._pipeline = pipeline
        self._intake = Intake(decoder, pipeline)
        self._notebook = notebook
        #: Transactions that came.
        self.fetched = 0

    async def round(self, limit: int = ROUND) -> int:
        """Fetch what is due, the oldest slot first; how many were written.

        Raises NodeTrouble where no node can be asked, and whatever keeps the log from taking them.
        """
        rows = await self._notebook.all(sql.due, limit=limit)
        written = 0
        due = [Due(*row) for row in rows]
        for start in range(0, len(due), CONCURRENT):
            found = await asyncio.gather(*(self._ask(one) for one in due[start : start + CONCURRENT]))
            written += await self._write(found)
            await self._put_off(found)
        self.fetched += written
        return written

    async def drain(self) -> int:
        """Rounds until nothing more comes."""
        total = 0
        while written := await self.round():
            total += written
        return total

    async def _ask(self, due: Due) -> Found:
        commitment = "finalized" if due.reason == DIFFERS else "confirmed"
        try:
            words = await self._client.transaction(due.signature, commitment=commitment)  # type: ignore[arg-type]
        except errors.Overloaded:
            raise
        except (*_REFUSALS, errors.NotFound) as trouble:
            return Found(due, trouble=trouble)
        if words is None:
            return Found(due, is_unknown=True)
        return self._read(due, words)

    def _read(self, due: Due, words: dict[str, Any]) -> Found:
        outcome = self._decoder.item(msgspec.json.encode(words))
        match outcome:
            case TransactionRow(signature=signature) | DeadLetter(signature=str(signature)) if (
                signature != due.signature
            ):
                return Found(due, trouble=rpc_errors.InvalidResponse(f"The node answers with transaction {signature}."))
            case Wanted():
                return Found(
                    due, trouble=rpc_errors.InvalidResponse("The node gives the transaction without its logs.")
                )
        return Found(due, outcome)

    async def _write(self, found: Sequence[Found]) -> int:
        written = 0
        for source in sorted({one.due.source for one in found}):
            written += await self._submit([one for one in found if one.due.source == source], source)
        for one in found:
            if one.due.reason == DIFFERS and isinstance(one.outcome, TransactionRow):
                written += await self._decide(one.outcome)
        done = [one.due.signature for one in found if one.trouble is None and not one.is_unknown]
        if done:
            await self._notebook.do(sql.unwant, signatures=done)
        return written

    async def _submit(self, found: Sequence[Found], source: str) -> int:
        outcomes = [one.outcome for one in found if one.due.reason != DIFFERS]
        rows = [one for one in outcomes if isinstance(one, TransactionRow)]
        letters = [one for one in outcomes if isinstance(one, DeadLetter)]
        if rows or letters:
            decoded = Decoded(transactions=await self._placed(rows), dead_letters=letters)
            await self._intake.take(decoded, source=source)
        return len(rows)

    async def _placed(self, rows: Sequence[TransactionRow]) -> list[TransactionRow]:
        """The rows with their places in their blocks, so that their order need not be settled afterwards."""
        slots = sorted({row.slot for row in rows if row.index_in_block is None})
        blocks = dict(zip(slots, await asyncio.gather(*map(self._places, slots)), strict=True))
        return [
            row if row.index_in_block is not None else row._replace(index_in_block=blocks[row.slot].get(row.signature))
            for row in rows
        ]

    async def _places(self, slot: int) -> dict[str, int]:
        """Index by signature in a slot's block; empty where no node tells, which leaves the order provisional."""
        try:
            block = await self._client.block_signatures(slot, commitment="confirmed")
        except (*_REFUSALS, errors.NotFound):
            return {}
        signatures = block.signatures[: MAX_INDEX_IN_BLOCK + 1] if block else ()
        return {signature: index for index, signature in enumerate(signatures)}

    async def _decide(self, row: TransactionRow) -> int:
        async with self._pipeline.borrowed() as writer:
            try:
                was_other = await writer.replace(row, source="fetch")
            except errors.NotFound:
                await writer.append([row], source="fetch")
                was_other = False
        if was_other:
            log.warning("transaction replaced by the finalized version", signature=row.signature, slot=row.slot)
        return 1

    async def _put_off(self, found: Sequence[Found]) -> None:
        for one in found:
            if one.is_unknown:
                await self._wait_or_give_up(one.due)
            elif one.trouble is not None:
                seconds, kind = _pause_seconds(one.due, one.trouble), type(one.trouble).__name__
                await self._postpone(one.due, str(one.trouble), seconds, kind=kind, counted=0)
        if any(isinstance(one.trouble, rpc_errors.UnsupportedVersion) for one in found):
            await self.report()
        away = [one.trouble for one in found if isinstance(one.trouble, _AWAY)]
        if away and len(away) == len(found):
            raise away[0]

    async def _wait_or_give_up(self, due: Due) -> None:
        if due.reason in LISTED or due.reason == DIFFERS or due.attempts + 1 < ATTEMPTS:
            seconds = min(2.0**due.attempts, LONGEST_WAIT_SECONDS)
            await self._postpone(due, "No node knows this signature yet.", seconds, kind="Unknown", counted=1)
            return
        reason = f"No node knows this signature after {ATTEMPTS} attempts."
        letter = DeadLetter(due.signature, None, "unknown", reason, None)
        await self._intake.take(Decoded(dead_letters=[letter]), source=due.source)
        await self._notebook.do(sql.unwant, signatures=[due.signature])

    async def _postpone(self, due: Due, error: str, seconds: float, *, kind: str, counted: int) -> None:
        await self._notebook.do(
            sql.postpone, signature=due.signature, error=error[:500], kind=kind, seconds=seconds, counted=counted
        )

    async def report(self) -> None:
        """Raise or resolve the alerts about signatures that cannot be fetched."""
        if refused := await self._failing(seconds=0.0, kind=rpc_errors.UnsupportedVersion.__name__):
            await self._notebook.alert(
                "unsupported_version",
                f"This release cannot read the version of some transactions, and proof of the log stops before them. "
                f"Install a release that can (docs/runbook.md, unsupported_version). Signatures: {refused}",
                severity="critical",
            )
        else:
            await self._notebook.resolve("unsupported_version")
        if failing := await self._failing(seconds=UNFETCHED_SECONDS):
            await self._notebook.alert(
                "unfetched",
                f"Signatures could not be fetched for {UNFETCHED_SECONDS / 60:g} minutes. They are tried on; "
                f"see docs/runbook.md, unfetched. Signatures: {failing}",
            )
        else:
            await self._notebook.resolve("unfetched")

    async def _failing(self, *, seconds: float, kind: str | None = None) -> str:
        """Signatures that fail for so long, for an alert; empty where none does."""
        rows = await self._notebook.all(sql.failing, kind=kind, seconds=seconds, limit=NAMED)
        if not rows:
            return ""
        count, error = rows[0][3], rows[0][2]
        named = ", ".join(f"{signature}{'' if slot is None else f' (slot {slot})'}" for signature, slot, *_ in rows)
        more = f" and {count - len(rows)} more" if count > len(rows) else ""
        return f"{named}{more}. The first error: {error}"


def _pause_seconds(due: Due, trouble: Exception) -> float:
    if isinstance(trouble, rpc_errors.UnsupportedVersion):
        # As long again as it has failed already: the cure is a newer release, and until then every request is spent.
        return min(max(TROUBLE_SECONDS, due.failing_seconds), LONGEST_WAIT_SECONDS)
    return trouble.retry_after_seconds if isinstance(trouble, _AWAY) else TROUBLE_SECONDS
