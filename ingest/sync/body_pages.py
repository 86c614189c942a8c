"""Fetches many listed transactions at once, in pages with bodies, where a node serves getTransactionsForAddress.

The chain's list of signatures stays the proof of what exists: a walk or a backfill has compared all of it with the log
and noted what is missing in raw.pending_signatures. This module only fills such a range faster, up to a thousand bodies
for one request instead of one. So nothing depends on the quality of a page:

    wrong order, repeats       the log does not depend on the order of arrival, and counts what it knows
    missing rows, early end    the rows stay pending, and are fetched one by one
    foreign or other rows      decoded like any delivery; slots outside the range are dropped
    errors, a window that      the rest of the range is fetched one by one; the next range is tried again
    is too short, -32015
    "method not found"         nothing is read in pages; the node is asked again after hours

Helius and QuickNode serve the method, Helius with a window of two weeks on devnet (solana.md 6). It is not configured:
the first request shows whether a node has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import structlog

from zmart import errors
from zmart.chain import client as chain
from zmart.chain import rpc_errors

from .database import SyncDatabase, sql
from .sources import Intake

log = structlog.get_logger()

#: Fewer signatures are fetched one by one.
MIN_SIGNATURES: Final = 50
#: Signatures of one range.
RANGE_SIGNATURES: Final = 5_000
#: A range of which the log holds more than this many times what is missing is fetched one by one.
MAX_STORED_RATIO: Final = 4
#: The pages of providers that allow less than MAX_SIGNATURES with bodies.
SMALL_PAGE: Final = 100
#: Failures in a row of one page after which the rest of a range is fetched one by one.
MAX_FAILURES: Final = 3
#: How long a range that pages did not fill is fetched one by one.
RETRY_SECONDS: Final = 600.0
_LONGEST_PAUSE_SECONDS: Final = 10.0
#: Errors that do not come from the node's answer: our own request budget, and nodes of two clusters.
_OWN_ERRORS = (errors.Overloaded, errors.ConfigurationError)


@dataclass(frozen=True, kw_only=True)
class PendingRange:
    """Signatures that are missing, and the slots that contain them, both ends included."""

    signatures: frozenset[str]
    from_slot: int
    to_slot: int
    #: The source that the log records for them.
    source: str


class BodyPages:
    """Fetches ranges of pending signatures in pages."""

    def __init__(
        self,
        client: chain.ChainClient,
        program_id: str,
        intake: Intake,
        database: SyncDatabase,
        *,
        page: int = chain.MAX_SIGNATURES,
    ) -> None:
        self._client = client
        self._program_id = program_id
        self._intake = intake
        self._database = database
        #: Transactions of one page; a provider that refuses it gets SMALL_PAGE.
        self.page = page
        #: Up to this slot pages have been read; what is left there is fetched one by one until `_retry_at`.
        self._read_through = -1
        self._retry_at = 0.0

    async def fetch_due(self) -> int:
        """Fetch one range of what is due; return how many of its signatures arrived, 0 where pages do not help.

        Raises Overloaded where the request budget is spent, and the errors of the writer.
        """
        if time.monotonic() >= self._retry_at:
            self._read_through, self._retry_at = -1, time.monotonic() + RETRY_SECONDS
        due = await self._next_range()
        if due is None:
            return 0
        arrived: set[str] = set()
        async for items in self._read(due):
            decoded = self._intake.decoder.decode_items(items)
            decoded.transactions = [row for row in decoded.transactions if due.from_slot <= row.slot <= due.to_slot]
            # Dead letters and transactions without logs are left to the requests of single transactions.
            decoded.dead_letters, decoded.wanted = [], []
            await self._intake.submit_decoded(decoded, source=due.source)
            arrived.update(row.signature for row in decoded.transactions)
        self._read_through = due.to_slot
        found = len(arrived & due.signatures)
        if arrived and found < len(due.signatures):
            log.warning("body_pages_incomplete", missing=len(due.signatures) - found, to_slot=due.to_slot)
        return found

    async def _next_range(self) -> PendingRange | None:
        """Return the oldest range that is worth its pages; None if there is none."""
        rows = await self._database.fetch_all(sql.due_listed, after=self._read_through, limit=RANGE_SIGNATURES)
        if len(rows) < MIN_SIGNATURES:
            return None
        from_slot, to_slot = rows[0][1], rows[-1][1]
        limit = MAX_STORED_RATIO * len(rows) + 1
        (stored,) = await self._database.fetch_one(sql.count_stored, from_slot=from_slot, to_slot=to_slot, limit=limit)
        if stored >= limit:
            return None
        source = rows[0][2] if rows[0][2] in ("walk", "backfill") else "fetch"
        return PendingRange(
            signatures=frozenset(row[0] for row in rows), from_slot=from_slot, to_slot=to_slot, source=source
        )

    async def _read(self, due: PendingRange) -> AsyncIterator[tuple[bytes, ...]]:
        """Yield the items of each page of a range, from the first node that offers pages."""
        for node in self._client.each_node():
            try:
                async for items in self._read_node(node, due):
                    yield items
            except rpc_errors.MethodUnavailable:
                continue
            except _OWN_ERRORS:
                raise
            except _PagesFailed as error:
                log.warning("body_pages_failed", reason=str(error))
            return

    async def _read_node(self, node: chain.ChainClient, due: PendingRange) -> AsyncIterator[tuple[bytes, ...]]:
        token: str | None = None
        # A page with the same items again and again must end: no range has more pages than rows.
        used: set[str] = set()
        while True:
            page = await self._request(node, due, token)
            yield tuple(bytes(item) for item in page.data)
            token = page.pagination_token
            if token is None:
                return
            if token in used or not page.data:
                raise _PagesFailed("The node's pages do not end.")
            used.add(token)

    async def _request(self, node: chain.ChainClient, due: PendingRange, token: str | None) -> chain.TransactionPage:
        """Return one page, with a few attempts; raise MethodUnavailable, or _PagesFailed with the node's reason."""
        failures = 0
        while True:
            try:
                return await node.transactions_for_address(
                    self._program_id,
                    commitment=await self._client.read_commitment(),
                    from_slot=due.from_slot,
                    to_slot=due.to_slot,
                    token=token,
                    limit=self.page,
                )
            except (*_OWN_ERRORS, rpc_errors.MethodUnavailable):
                raise
            except rpc_errors.BadRequest as error:
                if self.page <= SMALL_PAGE:
                    raise _PagesFailed(str(error)) from None
                self.page = SMALL_PAGE
            except rpc_errors.NodeError as error:
                failures += 1
                if failures >= MAX_FAILURES:
                    raise _PagesFailed(str(error)) from None
                await asyncio.sleep(min(error.retry_after_seconds, _LONGEST_PAUSE_SECONDS))
            except errors.ZmartError as error:
                # A window that is too short, a version above our limit, a refused key: single requests show which.
                raise _PagesFailed(str(error)) from None


class _PagesFailed(Exception):
    """The rest of a range cannot be read in pages."""
