"""Runs beside the webhooks: fetches wanted transactions, walks the chain, resolves order, proves the log and reports.

    at the start        checks which chain this is (genesis hash; a wrong one ends the task, a silent node does not)
    every second        fetches what is due in raw.pending_signatures
    every few seconds   checks whether the program was used without a delivery reaching us (the watchdog)
    every hour          checks that the webhook is registered as configured (where there is a Helius key)
    at slot pace        while something delivered is not final: reads the finalized slot (one request); a delivery after
                        a quiet time begins with it at once
    when that slot has passed something delivered, after silence, and every ten seconds
                        confirmed walk: fill gaps, resolve order, verified_through
                        finalized walk: finalized_through, suspects, retraction
                        one walk for both once the cluster has moved to Alpenglow

A node that does not answer changes nothing about deliveries: ingest stays ready and reports `unverified`, with the
reason. `reconcile` draws every conclusion. This module only decides when to run it, and publishes the results for
operators and programs: /ready, /metrics, ops.cursors and ops.alerts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal, TypeAlias

import structlog
from psycopg.types.json import Jsonb

from zmart import errors
from zmart.chain import client as chain
from zmart.chain import cluster_facts
from zmart.chain.cluster_facts import DEFAULT_SLOT_SECONDS, ConsensusModel, slots_in
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient
from zmart.settings import Cluster, Settings
from zmart.tasks import cancel_until_done

from ..decode.decoder import Decoder
from ..store.group_commit import Pipeline
from . import database as notes
from .block_order import BlockOrderResolver
from .database import SyncDatabase, sql
from .fetch import Fetcher
from .gaps import GapWatch, OpenGaps
from .race_check import SourceRaceCheck
from .reconcile import Commitment, ListedRange, Reconciler
from .slow_answers import SlowAnswerCheck
from .webhook_registration import WebhookRegistrationCheck

log = structlog.get_logger()

CompletenessState: TypeAlias = Literal["unverified", "verified", "behind", "refused"]

#: The request rate that public nodes allow one address, with a margin; a development chain is our own.
REQUESTS_PER_SECOND: Final = 8.0
DEVELOPMENT_REQUESTS_PER_SECOND: Final = 200.0
#: How long the first request to the chain may take before ingest starts without its response.
STARTUP_CHECK_SECONDS: Final = 3.0
#: A walk that misses something fetches and compares again, for at most this long.
FILL_SECONDS: Final = 20.0
#: A list that still misses something is reused, up to this age, before a new one is made.
LIST_MAX_AGE_SECONDS: Final = 300.0
#: How long the watermark may stay behind the finalized chain before an alert is raised; the measured slot length
#: converts it to slots.
STUCK_SECONDS: Final = 240.0
#: A delivered slot further above the last walk than this is no slot of the chain yet, and is not polled for.
FINALITY_WINDOW_SECONDS: Final = 120.0
#: The cursor that stores the genesis hash of a chain that has moved to Alpenglow.
MOVED_CURSOR: Final = "alpenglow"
LONGEST_PAUSE_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Intervals of the task's steps."""

    walk_seconds: float = 10.0
    #: The shortest interval between two walks that a delivery causes. Each is three to five requests, and public nodes
    #: allow eight a second.
    finality_seconds: float = 1.0
    #: The same before Alpenglow, where finality takes twelve seconds and a walk twice the requests.
    tower_finality_seconds: float = 4.0
    #: The shortest interval between two reads of the finalized slot; a slot may take 0.2 s.
    poll_seconds: float = 0.25
    probe_seconds: float = 10.0
    #: How long the program may be used without a delivery before an alert is raised; with a probe, well within a
    #: minute.
    silence_seconds: float = 30.0
    #: How long the chain may be out of reach before an alert is raised.
    unverified_alert_seconds: float = 240.0
    registration_seconds: float = 3_600.0
    idle_seconds: float = 1.0


#: A development chain is walked often, because it exists to show what happens: verified and final are within two
#: seconds of its head also while nothing is delivered. A walk with nothing new takes about 20 ms of one core.
DEVELOPMENT_INTERVALS = Intervals(
    walk_seconds=1.0, finality_seconds=0.2, tower_finality_seconds=0.5, poll_seconds=0.1, probe_seconds=5.0
)


@dataclass(frozen=True, kw_only=True)
class CompletenessStatus:
    """The known completeness of the log."""

    state: CompletenessState = "unverified"
    #: One sentence for an operator.
    reason: str = "The chain has not been read yet."
    verified_through: int | None = None
    finalized_through: int | None = None
    #: The newest slots that the node showed.
    confirmed_slot: int | None = None
    finalized_slot: int | None = None
    #: Signatures still to be fetched.
    wanted: int = 0
    #: Transactions of accepted gaps: those that the log lacks, and those that it holds without proof.
    missing_transactions: int = 0
    unproven_transactions: int = 0
    #: alpenglow (confirmed and finalized are the same), tower, or unknown.
    consensus: str = ConsensusModel.UNKNOWN.value
    #: The measured length of a slot.
    slot_seconds: float = DEFAULT_SLOT_SECONDS


class SilenceDetector:
    """Detects that the program is used without deliveries reaching us; pure, on a monotonic clock."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._newest: str | None = None
        self._since: float | None = None
        #: Whether the silence lasts longer than allowed.
        self.is_long = False

    def update(self, newest: str | None, delivered_at: float | None, now: float) -> bool:
        """Record the newest successful signature; return whether the silence has just become too long."""
        if self._newest is not None and newest != self._newest and self._since is None:
            self._since = now
        self._newest = newest
        if self._since is not None and delivered_at is not None and delivered_at >= self._since:
            self._since, self.is_long = None, False
        was_long = self.is_long
        self.is_long = self._since is not None and now - self._since >= self._limit_seconds
        return self.is_long and not was_long


class SyncTask:
    """The sync task; start it with the server, stop it before the pipeline closes."""

    def __init__(
        self,
        client: chain.ChainClient,
        database: SyncDatabase,
        pipeline: Pipeline,
        *,
        cluster: Cluster,
        program_id: str,
        intervals: Intervals | None = None,
        registration: WebhookRegistrationCheck | None = None,
    ) -> None:
        self.completeness = CompletenessStatus()
        self.intervals = intervals or Intervals()
        self.reconciler = Reconciler(client, program_id, pipeline, database, may_jump=cluster is Cluster.LOCALNET)
        self.fetcher = Fetcher(client, Decoder(program_id), pipeline, database)
        self.block_order = BlockOrderResolver(client, pipeline, database)
        self.gap_watch = GapWatch(client, self.reconciler, database)
        self.silence = SilenceDetector(self.intervals.silence_seconds)
        self._client = client
        self._database = database
        self._pipeline = pipeline
        self._cluster = cluster
        self._program_id = program_id
        self._is_identified = False
        self._genesis_hash = ""
        #: Whether the cluster has moved to Alpenglow.
        self.has_moved = False
        self._slot_seconds = DEFAULT_SLOT_SECONDS
        #: The finalized slot of the last walk, and when it began.
        self._walked_slot, self._walked_at = -1, float("-inf")
        #: Whether something delivered is not final yet.
        self._is_awaiting = False
        self._reusable_lists: dict[Commitment, tuple[ListedRange, int, float]] = {}
        self._registration = registration
        self._slow_answers = SlowAnswerCheck(pipeline.metrics)
        self._race = SourceRaceCheck(pipeline.metrics.race)
        self._next_walk = self._next_probe = self._next_registration = self._next_report = 0.0
        #: When the log became impossible to verify, on the monotonic clock; None while it can be verified.
        self._unverified_since: float | None = None
        #: Failures in a row.
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        pipeline.metrics.register_completeness(lambda: self.completeness)

    @classmethod
    def of(cls, configured: Settings, pipeline: Pipeline) -> SyncTask:
        """Return the task for a configuration."""
        is_ours = configured.chain.is_development
        per_second = DEVELOPMENT_REQUESTS_PER_SECOND if is_ours else REQUESTS_PER_SECOND
        return cls(
            RpcClient.of(configured.chain, pacer=RequestPacer(per_second=per_second, burst=20)),
            SyncDatabase(configured.postgres.dsn("zmart_ingest")),
            pipeline,
            cluster=configured.chain.cluster,
            program_id=configured.chain.program_id,
            intervals=DEVELOPMENT_INTERVALS if is_ours else Intervals(),
            registration=WebhookRegistrationCheck.of(configured),
        )

    def start(self) -> None:
        """Start the task."""
        self._task = asyncio.create_task(self._run(), name="ingest sync")

    async def stop(self) -> None:
        """Stop the task; what was under way is done again at the next start."""
        if self._task is not None:
            await cancel_until_done(self._task)
        await self._database.close()
        if isinstance(self._client, RpcClient):
            await self._client.close()

    async def _run(self) -> None:
        while True:
            pause, is_wakeable = self.intervals.idle_seconds, False
            self._pipeline.has_committed.clear()
            try:
                await self.tick()
                pause, is_wakeable = self._pause_seconds(), not self._is_awaiting
                self._failures = 0
            except errors.ConfigurationError as config_error:
                await self._on_wrong_chain(config_error)
                return
            except errors.ZmartError as error:
                pause = await self.on_error(error)
            except Exception:
                log.exception("sync_failed")
                self._set_state("unverified", "The walk failed; the log of ingest contains the reason.")
                pause = LONGEST_PAUSE_SECONDS
            await self._wait(pause, is_wakeable=is_wakeable)

    async def _wait(self, seconds: float, *, is_wakeable: bool) -> None:
        """Wait; if `is_wakeable`, a delivery ends the wait, but never earlier than a poll after the last tick."""
        shortest = min(self.intervals.poll_seconds, seconds) if is_wakeable else seconds
        await asyncio.sleep(shortest)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds - shortest):
                await self._pipeline.has_committed.wait()

    async def tick(self) -> None:
        """Run the steps that are due now."""
        now = time.monotonic()
        if self._registration is not None and now >= self._next_registration:
            self._next_registration = now + self.intervals.registration_seconds
            await self._registration.update_alert(self._database)
        if now >= self._next_report:
            # Report before any request to the chain: a node that fails every request must not suppress the alert.
            self._next_report = now + self.intervals.probe_seconds
            await self.fetcher.report()
            await self._slow_answers.update_alert(self._database)
            await self._race.update_alerts(self._database)
        await self._identify()
        await self.fetcher.fetch_due()
        now = time.monotonic()
        if now >= self._next_probe:
            self._next_probe = now + self.intervals.probe_seconds
            await self.probe()
        if now >= self._next_walk or await self._is_finality_due(now):
            self._next_walk = now + self.intervals.walk_seconds
            await self.verify()

    def _pause_seconds(self) -> float:
        return pause_seconds(
            self.intervals,
            is_awaiting=self._is_awaiting,
            until_walk=self._walked_at + self._shortest_interval - time.monotonic(),
            slot_seconds=self._slot_seconds,
        )

    @property
    def _shortest_interval(self) -> float:
        """Seconds between two walks that a delivery causes."""
        return self.intervals.finality_seconds if self.has_moved else self.intervals.tower_finality_seconds

    async def _is_finality_due(self, now: float) -> bool:
        """Return whether the finalized chain has passed something delivered that no walk has seen final.

        A slot that was walked without becoming final waits for the regular walk: something holds it.
        """
        window = slots_in(FINALITY_WINDOW_SECONDS, self._slot_seconds)
        (slot,) = await self._database.fetch_one(sql.awaiting_finality, walked=self._walked_slot, window=window)
        self._is_awaiting = slot is not None
        if slot is None or now - self._walked_at < self._shortest_interval:
            return False
        return await self._client.slot(commitment="finalized") >= int(slot)

    async def _identify(self) -> None:
        if not self._is_identified:
            self._genesis_hash = await identify(
                self._client, self._database, cluster=self._cluster, program_id=self._program_id
            )
            await self._load_moved()
            self._is_identified = True
        await self._read_cluster_facts()

    async def _load_moved(self) -> None:
        """Use an earlier answer of this chain's nodes: a cluster that has moved never moves back."""
        stored = await self._database.fetch_all(sql.load_cursor, name=MOVED_CURSOR)
        if stored and stored[0][0] == self._genesis_hash:
            cluster_facts.record_moved(self._genesis_hash)

    async def _read_cluster_facts(self) -> None:
        """Read consensus and slot length; the client caches both."""
        self._slot_seconds = await self._client.slot_seconds()
        model = await self._client.consensus()
        if model is ConsensusModel.ALPENGLOW and not self.has_moved and self._genesis_hash:
            log.info("consensus_alpenglow")
            await self._database.execute(sql.save_cursor, name=MOVED_CURSOR, value=Jsonb(self._genesis_hash))
        self.has_moved = model is ConsensusModel.ALPENGLOW
        self.completeness = replace(self.completeness, consensus=model.value, slot_seconds=self._slot_seconds)

    # The walk

    async def verify(self) -> CompletenessStatus:
        """Walk the lists, and publish and return the completeness."""
        self._walked_at = time.monotonic()
        await self._read_cluster_facts()
        newest = await self._list_and_fetch("finalized" if self.has_moved else "confirmed")
        await self.reconciler.retract_impossible()
        verified = await self.reconciler.verify(newest)
        await self.block_order.apply_listed(newest.commitment)
        with contextlib.suppress(errors.Transient):
            await self.block_order.resolve(0, newest.top)
        finalized = newest if self.has_moved else await self._list_and_fetch("finalized")
        await self.reconciler.ask_other_nodes(finalized)
        open_gaps = await self.gap_watch.update(finalized)
        await self.block_order.apply_listed(finalized.commitment)
        final = await self.reconciler.finalize(finalized, below=await self.block_order.first_unresolved_slot())
        try:
            if await self.reconciler.retract_absent(finalized):
                final = await self.reconciler.finalize(finalized, below=await self.block_order.first_unresolved_slot())
        finally:
            await self.reconciler.report_unlisted(finalized)
        (wanted,) = await self._database.fetch_one(sql.count_pending)
        self._walked_slot = finalized.top
        self.completeness = replace(
            _completeness_status(verified, final, newest.top, finalized.top, wanted, open_gaps),
            consensus=self.completeness.consensus,
            slot_seconds=self.completeness.slot_seconds,
        )
        await self._publish_status(self.completeness)
        return self.completeness

    async def _list_and_fetch(self, commitment: Commitment) -> ListedRange:
        """Return a list whose missing transactions have been fetched, as far as FILL_SECONDS allow."""
        listed = await self._reuse_or_list(commitment)
        deadline = time.monotonic() + FILL_SECONDS
        while missing := await self.reconciler.request_missing(listed):
            if not await self.fetcher.fetch_due() or time.monotonic() > deadline:
                self._reusable_lists[commitment] = (listed, self._database.generation, time.monotonic())
                log.info("fetching_missing_transactions", commitment=commitment, missing=missing)
                self._next_walk = 0.0
                break
        else:
            await self.fetcher.fetch_due()
        return listed

    async def _reuse_or_list(self, commitment: Commitment) -> ListedRange:
        """Return the previous list if it still misses something, else a new one."""
        listed, generation, made_at = self._reusable_lists.pop(commitment, (None, 0, 0.0))
        is_reusable = generation == self._database.generation and time.monotonic() - made_at < LIST_MAX_AGE_SECONDS
        if listed is not None and is_reusable and await self.fetcher.fetch_due():
            return listed
        return await self.reconciler.list_transactions(commitment)

    # The watchdog

    async def probe(self) -> None:
        """Check whether the program was used without a delivery; if so, raise an alert and fill the gap now."""
        commitment = await self._client.read_commitment()
        page = await self._client.signatures_for_address(self._program_id, commitment=commitment, limit=20)
        newest = next((one.signature for one in page if one.err is None), None)
        was_long = self.silence.is_long
        if self.silence.update(newest, self._pipeline.delivered_at, time.monotonic()):
            self._next_walk = self._next_registration = 0.0
            seconds = self.intervals.silence_seconds
            log.error("webhook_silent", seconds=seconds)
            await self._database.alert(
                "webhook_silent",
                f"The program is used, but no delivery has arrived for {seconds:g} s. The walk fetches the missing "
                "transactions. Check that the webhook is registered for this address and reaches INGEST_PORT.",
                severity="critical",
            )
        elif was_long and not self.silence.is_long:
            await self._database.resolve("webhook_silent")

    # Reporting

    async def _publish_status(self, completeness: CompletenessStatus) -> None:
        await self._database.save_completeness(asdict(completeness))
        self._unverified_since = None
        await self._database.resolve("unverified")
        behind = (completeness.finalized_slot or 0) - (completeness.finalized_through or 0)
        if behind > slots_in(STUCK_SECONDS, self._slot_seconds):
            await self._database.alert(
                "finality_stuck",
                f"finalized_through is {behind} slots behind the chain and waits for "
                f"{self.reconciler.waits_for or 'the next walk'}. {completeness.wanted} signatures are still to be "
                "fetched. See docs/runbook.md, finality_stuck.",
            )
        else:
            await self._database.resolve("finality_stuck")

    def _set_state(self, state: CompletenessState, reason: str) -> None:
        self.completeness = replace(self.completeness, state=state, reason=reason)

    async def on_error(self, error: errors.ZmartError) -> float:
        """Record the error that prevents verification; return how long to wait before the next attempt."""
        log.warning("sync_interrupted", reason=str(error))
        self._set_state("unverified", str(error))
        now = time.monotonic()
        self._unverified_since = self._unverified_since or now
        with contextlib.suppress(errors.ZmartError):
            await self._database.save_completeness(asdict(self.completeness))
            if now - self._unverified_since >= self.intervals.unverified_alert_seconds:
                await self._database.alert("unverified", f"The log cannot be verified: {error}")
        self._next_walk = 0.0
        self._failures += 1
        # A node that is away is asked, and logged, less and less often.
        growing = self.intervals.idle_seconds * 2.0 ** min(self._failures - 1, 30)
        requested = getattr(error, "retry_after_seconds", LONGEST_PAUSE_SECONDS)
        return float(min(max(requested, growing), LONGEST_PAUSE_SECONDS))

    async def _on_wrong_chain(self, error: errors.ConfigurationError) -> None:
        log.error("wrong_chain", reason=str(error))
        self._set_state("refused", str(error))
        with contextlib.suppress(errors.ZmartError):
            await self._database.alert("wrong_chain", str(error), severity="critical")
            await self._database.save_completeness(asdict(self.completeness))


def pause_seconds(intervals: Intervals, *, is_awaiting: bool, until_walk: float, slot_seconds: float) -> float:
    """Return the pause before the next tick.

    While something delivered is not final, that is the time until the next walk is allowed (`until_walk` seconds), then
    a slot; at most a second, because other work may become due.
    """
    if not is_awaiting:
        return intervals.idle_seconds
    pause = until_walk if until_walk > 0 else max(slot_seconds, intervals.poll_seconds)
    return min(pause, intervals.idle_seconds)


async def identify(client: chain.ChainClient, database: SyncDatabase, *, cluster: Cluster, program_id: str) -> str:
    """Check that node, configuration and log belong to one chain; return its genesis hash.

    Raises ConfigurationError if they do not, NodeError if the node does not answer, Unavailable without Postgres.
    """
    genesis_hash = await chain.verify_cluster(client, cluster)
    await notes.require_identity(database, genesis_hash=genesis_hash, program_id=program_id)
    return genesis_hash


async def verify_cluster_at_startup(configured: Settings) -> None:
    """Raise ConfigurationError for a wrong chain; ignore a node or a database that does not answer."""
    database = SyncDatabase(configured.postgres.dsn("zmart_ingest"))
    try:
        async with asyncio.timeout(STARTUP_CHECK_SECONDS), RpcClient.of(configured.chain) as client:
            await identify(client, database, cluster=configured.chain.cluster, program_id=configured.chain.program_id)
    except (errors.Transient, errors.Unauthorized, TimeoutError) as error:
        log.info("chain_unreachable_at_startup", reason=str(error))
    finally:
        await database.close()


def _completeness_status(
    verified: int, final: int, confirmed_top: int, finalized_top: int, wanted: int, open_gaps: OpenGaps
) -> CompletenessStatus:
    is_complete = verified >= confirmed_top
    reason = (
        f"Nothing that the chain lists is missing through slot {verified}"
        if is_complete
        else f"Transactions are missing after slot {verified}; {wanted} signatures are being fetched"
    )
    if open_gaps.gaps:
        reason += (
            f", except in {open_gaps.gaps} accepted {'gap' if open_gaps.gaps == 1 else 'gaps'}: "
            f"{open_gaps.unfetched} listed transactions are missing and {open_gaps.unlisted} stored ones are unproven "
            "(zmart gap list)"
        )
    return CompletenessStatus(
        state="verified" if is_complete else "behind",
        reason=f"{reason}.",
        verified_through=verified if verified >= 0 else None,
        finalized_through=final if final >= 0 else None,
        confirmed_slot=confirmed_top,
        finalized_slot=finalized_top,
        wanted=wanted,
        missing_transactions=open_gaps.unfetched,
        unproven_transactions=open_gaps.unlisted,
    )
