"""Finds gaps, lets an operator accept them, and closes accepted ones when they are filled.

A gap is a range of slots with transactions that finality waits for because no node proves them:

    unlisted    the log holds it, and no node lists it or reports it as finalized
    unfetched   a node lists it as successful, and no node serves it

Once an operator accepts a gap, finality passes exactly these transactions in exactly these slots. They stay unproven:
the log's own are not final (`raw.is_final`), and keepers of their markets wait (`ops.gap_of_market`). What arrives in
the same slots later is not covered. An accepted gap closes itself when each of its transactions is listed, fetched,
delivered, replaced or proven absent. Where nodes contradict each other, or the log, nothing can be accepted, an
accepted transaction stays open, and an alert names it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias

import structlog
from psycopg.types.json import Jsonb

from zmart import errors
from zmart.chain import client as chain
from zmart.chain import rpc_errors
from zmart.chain.cluster_facts import BLOCKHASH_BLOCKS
from zmart.db import queries
from zmart.db.connection import connect, translate_all_errors

from .database import SyncDatabase
from .fetch import NODE_ERRORS, Fetcher
from .node_answers import MOST_ASKED, NodeAnswers, ask_blocks, ask_statuses
from .reconcile import NAMED, ListedRange, Reconciler

log = structlog.get_logger()
sql = queries.load("ingest.sync", "gaps.sql")

Kind: TypeAlias = Literal["unlisted", "unfetched"]

#: How long finality must have waited for a transaction before it can be accepted as missing: nodes may only lag.
LEAST_SECONDS: Final = 240.0
#: Interval at which all nodes are asked about the transactions of open gaps; they are asked at the start as well.
PROBE_SECONDS: Final = 300.0
#: Slots whose blocks are requested at each probe: one that no node serves takes up to 17 requests to each node.
SLOTS_ASKED: Final = 8
#: The most markets whose lists are read to find out which of them an unfetched transaction names, and pages of each.
MOST_MARKETS: Final = 500
MOST_PAGES: Final = 3
ALERT: Final = "gap_contradicted"
STATEMENT_TIMEOUT_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class GapTransaction:
    """A transaction that finality waits for."""

    signature: str
    slot: int
    kind: Kind
    #: How long it has been in the log, or could not be fetched.
    age_seconds: float
    #: The class of the last error of fetching it, or "".
    error_kind: str = ""
    #: Why it cannot be accepted as missing; "" if it can.
    obstacle: str = ""
    #: The markets that it names; None if unknown. Those of an unlisted one are known from its events.
    market_nos: Sequence[int] | None = None


@dataclass(frozen=True, kw_only=True)
class OpenGap:
    """Transactions between which nothing is proven, in order of slot."""

    transactions: Sequence[GapTransaction]

    @property
    def from_slot(self) -> int:
        """The slot of its first transaction."""
        return self.transactions[0].slot

    @property
    def to_slot(self) -> int:
        """The slot of its last transaction."""
        return self.transactions[-1].slot

    def part(self, from_slot: int, to_slot: int) -> OpenGap | None:
        """Return the transactions between two slots, both included; None if there are none."""
        inside = [one for one in self.transactions if from_slot <= one.slot <= to_slot]
        return OpenGap(transactions=inside) if inside else None


class FoundGaps(NamedTuple):
    """The gaps above the final slot."""

    listed: ListedRange
    gaps: Sequence[OpenGap]


class GapRecord(NamedTuple):
    """An accepted gap as stored."""

    gap_no: int
    from_slot: int
    to_slot: int
    accepted_at: Any
    who: str
    reason: str
    closed_at: Any
    #: Its open transactions, by kind, and all of them.
    unlisted: int
    unfetched: int
    total: int


class OpenGaps(NamedTuple):
    """Counts of what is open."""

    gaps: int = 0
    unlisted: int = 0
    unfetched: int = 0


class GapFinder:
    """Finds the gaps that finality waits for, and records that an operator accepts one."""

    def __init__(
        self, client: chain.ChainClient, reconciler: Reconciler, fetcher: Fetcher, database: SyncDatabase
    ) -> None:
        self._client = client
        self._reconciler = reconciler
        self._fetcher = fetcher
        self._database = database

    async def find(self) -> FoundGaps:
        """List the finalized chain and return the gaps. Raises NodeError if no node answers."""
        listed = await self._reconciler.list_transactions("finalized")
        await self._reconciler.request_missing(listed)
        await self._reconciler.ask_other_nodes(listed)
        gaps: list[list[GapTransaction]] = []
        rows = await self._database.fetch_all(sql.blockers, floor=listed.floor, top=listed.top)
        for signature, slot, kind, age_seconds, error_kind, contradiction, starts_gap in rows:
            if starts_gap or not gaps:
                gaps.append([])
            gaps[-1].append(
                GapTransaction(
                    signature=signature,
                    slot=slot,
                    kind=kind,
                    age_seconds=age_seconds,
                    error_kind=error_kind,
                    obstacle=contradiction,
                )
            )
        return FoundGaps(listed, [OpenGap(transactions=one) for one in gaps])

    async def accept(self, from_slot: int, to_slot: int, *, who: str, reason: str) -> GapRecord:
        """Accept what is missing between two slots, both included, and return the stored gap.

        Raises InvalidInput for a reason or a range that is not valid, NotFound where the slots contain no gap, Conflict
        where it is accepted already or where something may still fill it or contradicts it, and NodeError if a node
        does not answer: it might fill the gap.
        """
        require_request(from_slot, to_slot, reason)
        await self._require_open(from_slot, to_slot)
        part = await self._examine(*await self._find_part(from_slot, to_slot))
        stored = [
            {"signature": one.signature, "slot": one.slot, "kind": one.kind, "market_nos": one.market_nos}
            for one in part.transactions
        ]
        rows = await self._database.fetch_all(
            sql.accept_gap,
            from_slot=from_slot,
            to_slot=to_slot,
            who=who,
            reason=reason,
            details=Jsonb({"transactions": stored, "nodes": len(self._client.each_node())}),
            transactions=Jsonb(stored),
        )
        if rows[0][0] is None:
            raise errors.Conflict("A transaction of the gap has been filled meanwhile.", help="See: zmart gap list")
        log.warning("gap_accepted", gap_no=rows[0][0], from_slot=from_slot, to_slot=to_slot, who=who)
        (accepted,) = [one for one in await accepted_gaps(self._database) if one.gap_no == rows[0][0]]
        return accepted

    async def _require_open(self, from_slot: int, to_slot: int) -> None:
        rows = await self._database.fetch_all(sql.accepted_at, from_slot=from_slot, to_slot=to_slot)
        if not rows:
            return
        gap_no, who, at, closed_at = rows[0]
        accepted = f"{who} accepted gap {gap_no} in slots {from_slot} to {to_slot} on {at:%Y-%m-%d %H:%M} UTC"
        if closed_at is None:
            raise errors.Conflict(f"{accepted}; it is open.", help="Nothing is left to do. See: zmart gap list")
        raise errors.Conflict(
            f"{accepted}, and it was filled on {closed_at:%Y-%m-%d %H:%M} UTC.",
            help="Nothing is left to do. See: zmart gap list --all",
        )

    async def _find_part(self, from_slot: int, to_slot: int) -> tuple[ListedRange, OpenGap]:
        """Return what is missing between two slots, which must lie inside one gap."""
        listed, gaps = await self.find()
        touched = [gap for gap in gaps if gap.part(from_slot, to_slot)]
        if not touched:
            is_final = to_slot <= listed.floor
            raise errors.NotFound(
                f"Nothing is missing in slots {from_slot} to {to_slot}"
                + (": they are final." if is_final else f"; the finalized chain is at slot {listed.top}."),
                help="See: zmart gap list",
            )
        gap = touched[0]
        if len(touched) > 1 or from_slot < gap.from_slot or to_slot > gap.to_slot:
            raise errors.InvalidInput(
                f"Slots {from_slot} to {to_slot} reach beyond the gap, which is slots {gap.from_slot} to "
                f"{gap.to_slot}.",
                help=f"Run: zmart gap accept {gap.from_slot} {gap.to_slot} --reason TEXT",
            )
        part = gap.part(from_slot, to_slot)
        assert part is not None
        return listed, part

    async def _examine(self, listed: ListedRange, part: OpenGap) -> OpenGap:
        """Return the gap with the markets that it names.

        Raises Conflict for what could be filled or is contradicted.
        """
        transactions = {one.signature: one.slot for one in part.transactions}
        if len(transactions) > MOST_ASKED:
            raise errors.InvalidInput(
                f"{len(transactions)} transactions are missing there; at most {MOST_ASKED} are accepted at once.",
                help="Choose a smaller range of slots.",
            )
        for one in part.transactions:
            if one.obstacle:
                raise _contradicted(one, one.obstacle)
            if one.age_seconds < LEAST_SECONDS:
                raise errors.Conflict(
                    f"Finality has waited for {one.signature} (slot {one.slot}) for {one.age_seconds:.0f} s only.",
                    help=f"Nodes may lag. Try again in {LEAST_SECONDS - one.age_seconds:.0f} s.",
                )
        answers = await ask_statuses(self._client, transactions)
        await ask_blocks(self._client, transactions, listed.top, answers)
        if answers.silent:
            raise rpc_errors.Unreachable(
                f"A node of SOLANA_RPC_URL does not answer, and it might fill the gap: {answers.error}",
                help="Run the command again when each node answers, or remove the node from SOLANA_RPC_URL.",
            )
        for one in part.transactions:
            self._require_unfillable(one, answers)
        unfetched = [one for one in part.transactions if one.kind == "unfetched"]
        await self._require_unserved(unfetched)
        markets = await self._find_markets(unfetched) if unfetched else {}
        return OpenGap(transactions=[replace(one, market_nos=markets.get(one.signature)) for one in part.transactions])

    def _require_unfillable(self, one: GapTransaction, answers: NodeAnswers) -> None:
        if one.signature in answers.contradictions:
            raise _contradicted(one, answers.contradictions[one.signature])
        if one.kind == "unfetched" and one.signature in answers.absent:
            raise _contradicted(one, "One node lists it, and the finalized blocks of another one do not contain it.")
        if one.signature in answers.absent:
            raise errors.Conflict(
                f"The blocks of a node prove that {one.signature} (slot {one.slot}) is not on the chain.",
                help="Ingest retracts it within minutes, and finality goes on. See: zmart alerts list",
            )
        if one.kind == "unlisted" and one.signature in answers.known:
            raise errors.Conflict(
                f"A node knows {one.signature} (slot {one.slot}), so the gap can be filled.",
                help="Wait for the next walk of ingest. See: zmart gap list",
            )

    async def _require_unserved(self, unfetched: Sequence[GapTransaction]) -> None:
        """Request these now; raise Conflict if a node serves one, and NodeError if a node may yet serve one."""
        results = await self._fetcher.request_each([one.signature for one in unfetched])
        for one, result in zip(unfetched, results, strict=True):
            if isinstance(result.error, rpc_errors.UnsupportedVersion):
                raise errors.Conflict(
                    f"A node serves {one.signature} (slot {one.slot}) in a version that this release cannot decode.",
                    help="Install a release that can. See docs/runbook.md, unsupported_version.",
                )
            if isinstance(result.error, NODE_ERRORS):
                raise result.error
            if result.error is None and not result.is_unknown:
                raise errors.Conflict(
                    f"A node serves {one.signature} (slot {one.slot}), so the gap can be filled.",
                    help="Ingest fetches it within minutes. See: zmart gap list",
                )

    async def _find_markets(self, unfetched: Sequence[GapTransaction]) -> dict[str, list[int] | None]:
        """Return the markets whose accounts these transactions name, by the nodes' lists of each account.

        None for all of them if there are too many markets. A market whose list does not reach back to the transactions
        counts as named.
        """
        named: dict[str, list[int]] = {one.signature: [] for one in unfetched}
        first, last = min(one.slot for one in unfetched), max(one.slot for one in unfetched)
        markets = await self._database.fetch_all(sql.known_markets, slot=last)
        if len(markets) > MOST_MARKETS:
            return dict.fromkeys(named)
        node = self._client.pin_node()
        for market_no, account in markets:
            found = await _listed_signatures(node, account, first)
            for signature, market_nos in named.items():
                if found is None or signature in found:
                    market_nos.append(market_no)
        return dict(named)


async def _listed_signatures(node: chain.ChainClient, account: str, floor: int) -> set[str] | None:
    """Return what a node lists for an account at and above slot `floor`; None if the list ends before that."""
    found: set[str] = set()
    before = None
    for _ in range(MOST_PAGES):
        page = await node.signatures_for_address(
            account, commitment="finalized", before=before, limit=chain.MAX_SIGNATURES
        )
        found.update(one.signature for one in page)
        if not page or page[-1].slot < floor:
            return found
        before = page[-1].signature
    return None


def require_request(from_slot: int, to_slot: int, reason: str) -> None:
    """Raise InvalidInput for a range or a reason that no gap can be accepted with."""
    if not reason.strip():
        raise errors.InvalidInput("The reason is empty.", help="Say why no node can fill the gap: --reason TEXT")
    if to_slot < from_slot:
        raise errors.InvalidInput(
            f"Slot {to_slot} is before slot {from_slot}.", help=f"Run: zmart gap accept {to_slot} {from_slot}"
        )


def _contradicted(one: GapTransaction, sentence: str) -> errors.Conflict:
    return errors.Conflict(
        f"{one.signature} (slot {one.slot}) is not missing but contradicted. {sentence}",
        help="The finalized chain decides. Compare the nodes of SOLANA_RPC_URL, and remove one that is wrong.",
    )


class GapWatch:
    """Closes accepted gaps that have been filled, and reports contradictions about them."""

    def __init__(
        self,
        client: chain.ChainClient,
        reconciler: Reconciler,
        database: SyncDatabase,
        *,
        probe_seconds: float = PROBE_SECONDS,
    ) -> None:
        self._client = client
        self._reconciler = reconciler
        self._database = database
        self.probe_seconds = probe_seconds
        self._next_probe = float("-inf")
        #: The last slot whose block was requested, and the contradictions that blocks have shown.
        self._last_slot = -1
        self._denied: dict[str, str] = {}

    async def update(self, listed: ListedRange) -> OpenGaps:
        """Close what is filled, as the finalized list and, at intervals, all nodes prove; return what is open."""
        rows = await self._database.fetch_all(sql.open_transactions)
        proven = {signature for signature, _, _, is_listed in rows if is_listed}
        if time.monotonic() >= self._next_probe:
            self._next_probe = time.monotonic() + self.probe_seconds
            unlisted = {signature: slot for signature, slot, kind, _ in rows if kind == "unlisted"}
            proven |= await self._probe(unlisted, listed)
        if not rows:
            return OpenGaps()
        for (gap_no,) in await self._database.fetch_all(sql.close_gaps, listed=sorted(proven)):
            log.info("gap_closed", gap_no=gap_no)
        return await count_open(self._database)

    async def _probe(self, unlisted: dict[str, int], listed: ListedRange) -> set[str]:
        """Ask all nodes about unlisted transactions; return the proven ones, and retract those that are proven absent.

        Statuses are requested of all of them, blocks of SLOTS_ASKED slots in turn. What the nodes and the log, or two
        nodes, report differently is requested from the finalized chain and reported.
        """
        proven: set[str] = set()
        differing: dict[str, str] = {}
        pairs = list(unlisted.items())
        for start in range(0, len(pairs), MOST_ASKED):
            answers = await ask_statuses(self._client, dict(pairs[start : start + MOST_ASKED]))
            await self._reconciler.request_versions(answers.other_slots)
            proven |= answers.proven
            differing |= answers.contradictions
        asked = self._next_slots({signature: slot for signature, slot in pairs if signature not in proven})
        answers = await ask_statuses(self._client, asked)
        await ask_blocks(self._client, asked, listed.top, answers)
        self._denied = {
            signature: sentence
            for signature, sentence in (self._denied | answers.contradictions).items()
            if signature in unlisted and (signature not in asked or signature in answers.contradictions)
        }
        await self._report(self._denied | differing, unlisted)
        await self._retract_expired(answers.absent - answers.known, listed)
        return proven | answers.proven

    def _next_slots(self, unproven: dict[str, int]) -> dict[str, int]:
        """Return the transactions of the slots whose blocks are requested next."""
        slots = sorted(set(unproven.values()))
        later = [slot for slot in slots if slot > self._last_slot]
        chosen = (later + [slot for slot in slots if slot <= self._last_slot])[:SLOTS_ASKED]
        self._last_slot = chosen[-1] if chosen else -1
        return dict([pair for pair in unproven.items() if pair[1] in chosen][:MOST_ASKED])

    async def _retract_expired(self, absent: set[str], listed: ListedRange) -> None:
        """Retract those of the absent transactions whose blockhashes have expired."""
        if not absent:
            return
        expired = await self._database.fetch_all(
            sql.expired_gap_transactions, height=listed.height, blockhash_age=BLOCKHASH_BLOCKS
        )
        candidates = [(signature, slot) for signature, slot in expired if signature in absent]
        await self._reconciler.retract_proven(candidates, listed.top)

    async def _report(self, contradictions: dict[str, str], slots: dict[str, int]) -> None:
        if not contradictions:
            await self._database.resolve(ALERT)
            return
        named = " ".join(
            f"{signature} (slot {slots[signature]}): {sentence}"
            for signature, sentence in sorted(contradictions.items())[:NAMED]
        )
        await self._database.alert(
            ALERT,
            f"Nodes contradict each other, or the log, about {len(contradictions)} transactions of accepted gaps. "
            f"{named} They stay unproven, and keepers of their markets wait. See: zmart gap list, and "
            "docs/runbook.md, gap_contradicted.",
            severity="critical",
        )


async def require_operator(dsn: str) -> None:
    """Raise Unauthorized for a login that may not accept gaps. Other logins cannot use the rest of this module."""
    connection = await connect(dsn, application_name="zmart gap", statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS)
    try:
        with translate_all_errors("The log cannot be read"):
            row = await (await connection.execute(sql.may_accept)).fetchone()
    finally:
        await connection.close()
    assert row is not None
    may_accept, login = row
    if not may_accept:
        raise errors.Unauthorized(
            f"The login {login} may not accept gaps.",
            help="Run the command as an operator, with the DATABASE_URL_INGEST of ingest.",
        )


async def accepted_gaps(database: SyncDatabase, *, shows_all: bool = False, limit: int = 1_000) -> list[GapRecord]:
    """Return the open accepted gaps, or all, the newest first."""
    rows = await database.fetch_all(sql.accepted_gaps, shows_all=shows_all, limit=limit)
    return [GapRecord(*row) for row in rows]


async def count_open(database: SyncDatabase) -> OpenGaps:
    """Return the number of open gaps, and of their transactions by kind."""
    return OpenGaps(*await database.fetch_one(sql.count_open))
