"""The task beside the webhooks: fetch what is wanted, walk the chain, settle order, prove, and say so.

    at the start        which chain is this? (genesis hash; a wrong one ends the task, a silent node does not)
    every second        fetch what is due in raw.wanted
    every few seconds   has the program been used without a delivery reaching us? (the watchdog)
    every hour          is the webhook registered as the configuration wants it? (where there is a Helius key)
    every minute, and after silence
                        confirmed walk: fill gaps, settle order, verified_through
                        finalized walk: finalized_through, suspects, retraction

A node that is away changes nothing about deliveries: ingest stays ready and says `unverified`, with the reason.
Every conclusion is drawn by `walk`; what is here only decides when to look, and keeps what was found out where
people and programs see it: /ready, /metrics, ops.cursors and ops.alerts.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal, TypeAlias

import structlog

from zmart import errors
from zmart.chain import client as chain
from zmart.chain.request_pacer import RequestPacer
from zmart.chain.rpc import RpcClient
from zmart.settings import Cluster, Settings

from ..decode.decoder import Decoder
from ..store.group_commit import Pipeline
from . import database as notes
from .block_order import Order
from .database import Notebook, sql
from .fetch import Fetcher
from .reconcile import Commitment, Listed, Walk
from .webhook_registration import Registration

log = structlog.get_logger()

State: TypeAlias = Literal["unverified", "verified", "behind", "refused"]

#: What public nodes let one address ask, with a margin; a development chain is ours.
REQUESTS_PER_SECOND: Final = 8.0
DEVELOPMENT_REQUESTS_PER_SECOND: Final = 200.0
#: How long the first question about the chain may take before ingest starts without the answer.
DOOR_SECONDS: Final = 3.0
#: A walk that misses something looks again after fetching, for at most this long.
FILL_SECONDS: Final = 20.0
#: A list that still has something missing is used again before a new one is made.
LIST_GOOD_SECONDS: Final = 300.0
#: Slots the watermark may stay behind the finalized chain before a person should look: ten minutes.
STUCK_SLOTS: Final = 1_500
LONGEST_PAUSE_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How often what is done."""

    walk_seconds: float = 60.0
    probe_seconds: float = 10.0
    #: How long the program may be used without a delivery before a person is told; well within a minute with a probe.
    silence_seconds: float = 30.0
    #: How long the chain may be out of reach before a person is told.
    blind_seconds: float = 300.0
    registration_seconds: float = 3_600.0
    idle_seconds: float = 1.0


#: A development chain is asked often, for it is there to show what happens.
DEVELOPMENT = Rhythm(walk_seconds=5.0, probe_seconds=5.0)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known about the log's completeness."""

    state: State = "unverified"
    #: One sentence for a person.
    reason: str = "The chain has not been asked yet."
    verified_through: int | None = None
    finalized_through: int | None = None
    #: The newest slots the node showed.
    confirmed_slot: int | None = None
    finalized_slot: int | None = None
    #: Signatures still to be fetched.
    wanted: int = 0


class Silence:
    """Whether the program is used without deliveries reaching us; pure, on a monotonic clock."""

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._newest: str | None = None
        self._since: float | None = None
        #: Whether it lasts longer than it may.
        self.is_long = False

    def look(self, newest: str | None, delivered_at: float | None, now: float) -> bool:
        """Take in the newest successful signature; whether the silence has just become too long."""
        if self._newest is not None and newest != self._newest and self._since is None:
            self._since = now
        self._newest = newest
        if self._since is not None and delivered_at is not None and delivered_at >= self._since:
            self._since, self.is_long = None, False
        was_long = self.is_long
        self.is_long = self._since is not None and now - self._since >= self._limit_seconds
        return self.is_long and not was_long


class Watch:
    """The task; start it with the server, stop it before the pipeline closes."""

    def __init__(
        self,
        client: chain.ChainClient,
        notebook: Notebook,
        pipeline: Pipeline,
        *,
        cluster: Cluster,
        program_id: str,
        rhythm: Rhythm | None = None,
        registration: Registration | None = None,
    ) -> None:
        self.standing = Standing()
        self.rhythm = rhythm or Rhythm()
        self.walk = Walk(client, program_id, pipeline, notebook)
        self.fetcher = Fetcher(client, Decoder(program_id), pipeline, notebook)
        self.order = Order(client, pipeline, notebook)
        self.silence = Silence(self.rhythm.silence_seconds)
        self._client = client
        self._notebook = notebook
        self._pipeline = pipeline
        self._cluster = cluster
        self._program_id = program_id
        self._is_identified = False
        self._kept: dict[Commitment, tuple[Listed, int, float]] = {}
        self._registration = registration
        self._next_walk = self._next_probe = self._next_registration = self._next_report = 0.0
        #: Since when nothing can be proven, on the monotonic clock.
        self._blind_since: float | None = None
        self._task: asyncio.Task[None] | None = None
        pipeline.metrics.watch_standing(lambda: self.standing)

    @classmethod
    def of(cls, configured: Settings, pipeline: Pipeline) -> Watch:
        """The task of a configuration."""
        is_ours = configured.chain.is_development
        per_second = DEVELOPMENT_REQUESTS_PER_SECOND if is_ours else REQUESTS_PER_SECOND
        return cls(
            RpcClient.of(configured.chain, pacer=RequestPacer(per_second=per_second, burst=20)),
            Notebook(configured.postgres.dsn("zmart_ingest")),
            pipeline,
            cluster=configured.chain.cluster,
            program_id=configured.chain.program_id,
            rhythm=DEVELOPMENT if is_ours else Rhythm(),
            registration=Registration.of(configured),
        )

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name="ingest watch")

    async def stop(self) -> None:
        """End; what was under way is done again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._notebook.close()
        if isinstance(self._client, RpcClient):
            await self._client.close()

    async def _run(self) -> None:
        while True:
            pause = self.rhythm.idle_seconds
            try:
                await self.turn()
            except errors.ConfigurationError as wrong:
                await self._refuse(wrong)
                return
            except errors.ZmartError as trouble:
                pause = await self.suffer(trouble)
            except Exception:
                log.exception("the walk failed")
                self._say("unverified", "The walk failed; the log of ingest says why.")
                pause = LONGEST_PAUSE_SECONDS
            await asyncio.sleep(pause)

    async def turn(self) -> None:
        """What is due now."""
        now = time.monotonic()
        if self._registration is not None and now >= self._next_registration:
            self._next_registration = now + self.rhythm.registration_seconds
            await self._registration.tell(self._notebook)
        if now >= self._next_report:
            # Before the chain is asked: a node that fails on every question must not silence the alert.
            self._next_report = now + self.rhythm.probe_seconds
            await self.fetcher.report()
        await self._identify()
        await self.fetcher.round()
        now = time.monotonic()
        if now >= self._next_probe:
            self._next_probe = now + self.rhythm.probe_seconds
            await self.probe()
        if now >= self._next_walk:
            self._next_walk = now + self.rhythm.walk_seconds
            await self.look()

    async def _identify(self) -> None:
        if not self._is_identified:
            await identify(self._client, self._notebook, cluster=self._cluster, program_id=self._program_id)
            self._is_identified = True

    # The walk

    async def look(self) -> Standing:
        """Walk both lists and say what is known now."""
        confirmed = await self._filled("confirmed")
        verified = await self.walk.verify(confirmed)
        with contextlib.suppress(errors.Transient):
            await self.order.settle(0, confirmed.top)
        finalized = await self._filled("finalized")
        final = await self.walk.finalize(finalized, below=await self.order.first_open())
        try:
            if await self.walk.judge(finalized):
                final = await self.walk.finalize(finalized, below=await self.order.first_open())
        finally:
            await self.walk.report_unlisted(finalized)
        (wanted,) = await self._notebook.one(sql.count_wanted)
        self.standing = _standing(verified, final, confirmed.top, finalized.top, wanted)
        await self._tell(self.standing)
        return self.standing

    async def _filled(self, commitment: Commitment) -> Listed:
        """A list whose missing transactions have been fetched, as far as that went in the time there is."""
        listed = await self._list(commitment)
        deadline = time.monotonic() + FILL_SECONDS
        while missing := await self.walk.want(listed):
            if not await self.fetcher.round() or time.monotonic() > deadline:
                self._kept[commitment] = (listed, self._notebook.generation, time.monotonic())
                log.info("the log is being completed", commitment=commitment, missing=missing)
                self._next_walk = 0.0
                break
        else:
            await self.fetcher.round()
        return listed

    async def _list(self, commitment: Commitment) -> Listed:
        """A list with something still missing once more, else a new one."""
        listed, generation, made_at = self._kept.pop(commitment, (None, 0, 0.0))
        is_good = generation == self._notebook.generation and time.monotonic() - made_at < LIST_GOOD_SECONDS
        if listed is not None and is_good and await self.fetcher.round():
            return listed
        return await self.walk.listed(commitment)

    # The watchdog

    async def probe(self) -> None:
        """Has the program been used without a delivery? Then a person is told, and the gap filled now."""
        page = await self._client.signatures_for_address(self._program_id, commitment="confirmed", limit=20)
        newest = next((one.signature for one in page if one.err is None), None)
        was_long = self.silence.is_long
        if self.silence.look(newest, self._pipeline.delivered_at, time.monotonic()):
            self._next_walk = self._next_registration = 0.0
            seconds = self.rhythm.silence_seconds
            log.error("no delivery while the program is used", seconds=seconds)
            await self._notebook.alert(
                "webhook_silent",
                f"The program is used, but no delivery has arrived for {seconds:g} s. The walk fills the gap; "
                "see whether the webhook is registered for this address and reaches INGEST_PORT.",
                severity="critical",
            )
        elif was_long and not self.silence.is_long:
            await self._notebook.resolve("webhook_silent")

    # What is said

    async def _tell(self, standing: Standing) -> None:
        await self._notebook.keep(asdict(standing))
        self._blind_since = None
        await self._notebook.resolve("unverified")
        behind = (standing.finalized_slot or 0) - (standing.finalized_through or 0)
        if behind > STUCK_SLOTS:
            await self._notebook.alert(
                "finality_stuck",
                f"finalized_through stands {behind} slots behind the chain: the log holds something that the finalized "
                f"chain does not list, or the other way round ({standing.wanted} signatures are still to be fetched). "
                "The alerts unlisted, unfetched and unsupported_version name signatures; see raw.suspects, raw.wanted.",
            )
        else:
            await self._notebook.resolve("finality_stuck")

    def _say(self, state: State, reason: str) -> None:
        self.standing = replace(self.standing, state=state, reason=reason)

    async def suffer(self, trouble: errors.ZmartError) -> float:
        """Say what keeps us from knowing, and how long to wait before asking again."""
        log.warning("the chain cannot be walked now", reason=str(trouble))
        self._say("unverified", str(trouble))
        now = time.monotonic()
        self._blind_since = self._blind_since or now
        with contextlib.suppress(errors.ZmartError):
            await self._notebook.keep(asdict(self.standing))
            if now - self._blind_since >= self.rhythm.blind_seconds:
                await self._notebook.alert("unverified", f"Nothing can be proven of the log: {trouble}")
        self._next_walk = 0.0
        seconds = getattr(trouble, "retry_after_seconds", LONGEST_PAUSE_SECONDS)
        return min(max(seconds, self.rhythm.idle_seconds), LONGEST_PAUSE_SECONDS)

    async def _refuse(self, wrong: errors.ConfigurationError) -> None:
        log.error("the chain is not the one this log is of", reason=str(wrong))
        self._say("refused", str(wrong))
        with contextlib.suppress(errors.ZmartError):
            await self._notebook.alert("wrong_chain", str(wrong), severity="critical")
            await self._notebook.keep(asdict(self.standing))


async def identify(client: chain.ChainClient, notebook: Notebook, *, cluster: Cluster, program_id: str) -> None:
    """Make sure that node, configuration and log mean one chain.

    Raises ConfigurationError where they do not, NodeTrouble where the node does not say, Unavailable without Postgres.
    """
    genesis_hash = await chain.verify_cluster(client, cluster)
    await notes.require_identity(notebook, genesis_hash=genesis_hash, program_id=program_id)


async def at_the_door(configured: Settings) -> None:
    """Refuse to start on a wrong chain: ConfigurationError. A node or database that does not answer is let pass."""
    notebook = Notebook(configured.postgres.dsn("zmart_ingest"))
    try:
        async with asyncio.timeout(DOOR_SECONDS), RpcClient.of(configured.chain) as client:
            await identify(client, notebook, cluster=configured.chain.cluster, program_id=configured.chain.program_id)
    except (errors.Transient, errors.Unauthorized, TimeoutError) as silent:
        log.info("the chain does not answer yet; ingest starts unverified", reason=str(silent))
    finally:
        await notebook.close()


def _standing(verified: int, final: int, confirmed_top: int, finalized_top: int, wanted: int) -> Standing:
    is_whole = verified >= confirmed_top
    return Standing(
        state="verified" if is_whole else "behind",
        reason=f"Nothing the chain lists is missing through slot {verified}."
        if is_whole
        else f"Something is missing after slot {verified}; {wanted} signatures are being fetched.",
        verified_through=verified if verified >= 0 else None,
        finalized_through=final if final >= 0 else None,
        confirmed_slot=confirmed_top,
        finalized_slot=finalized_top,
        wanted=wanted,
    )
