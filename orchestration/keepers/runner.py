"""One keeper's round: door, lease, sweep, view, plan, proofs, simulation, flight, sweep; and what came of it.

`opened` asks at the door once; each `round` under it is one keeper's. A dry round takes no lease, signs nothing and
changes nothing but alerts: it plans, proves and simulates.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zmart import errors
from zmart.chain import client
from zmart.chain.rpc import RpcClient
from zmart.chain.signer import Signer
from zmart.domain.ids import Address
from zmart.settings import Settings

from . import chain_state, fees, plans, preflight
from .actions import Task
from .error_policy import Outcome
from .intent_store import Books, Facts, LeaseLost
from .plans import Config, Reason, Row, Rules, Standing, Verdict
from .preflight import Keys
from .submit import Checkpoint, Flight, Rhythm, Sent, nothing
from .sweep import Sweep, Swept

#: Reasons for which a person is told, and the severity.
TOLD = {
    Reason.ZERO_BALLOTS: "warning",
    Reason.NULL_OUTCOME: "critical",
    Reason.WAS_DISPUTED: "critical",
    Reason.UNSEEN_DECIDE: "warning",
    Reason.THRESHOLDS_DISAGREE: "warning",
    Reason.TOO_MANY_BALLOTS: "critical",
    Reason.PROGRAM: "critical",
    Reason.RECORDS_DIFFER: "warning",
}
#: Reasons that concern everything.
TOLD_ONCE = {
    Reason.UNVERIFIED: "warning",
    Reason.LOG_BEHIND: "warning",
    Reason.MART_STALE: "critical",
    Reason.CLOCK_SKEW: "critical",
}


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a round did."""

    task: Task
    is_dry: bool
    rows: Sequence[Row]
    sent: Sequence[Sent] = ()
    swept: Swept = field(default_factory=Swept)
    config: Config | None = None
    standing: Standing | None = None
    #: Why nothing was done at all.
    skipped: str = ""
    #: The error after which nothing more was signed.
    stopped: Outcome | None = None
    seconds: float = 0.0

    @property
    def needs_person(self) -> bool:
        """Whether somebody has to look."""
        return self.stopped is not None or any(row.verdict is Verdict.PERSON for row in self.rows)

    def count(self, verdict: Verdict) -> int:
        """Rows with a verdict."""
        return sum(row.verdict is verdict for row in self.rows)


class Keepers:
    """The keepers of one configuration, past the door."""

    def __init__(
        self,
        configured: Settings,
        node: client.ChainClient,
        books: Books,
        *,
        keys: Keys,
        rhythm: Rhythm | None = None,
        checkpoint: Checkpoint = nothing,
    ) -> None:
        self.configured = configured
        self.node = node
        self.books = books
        self.keys = keys
        self.rhythm = rhythm or Rhythm()
        self._checkpoint = checkpoint
        self._rules: Rules = chain_state.rules(configured, keys)
        self._policy = fees.Policy(
            percentile=configured.keepers.fee_percentile,
            most_micro_lamports=configured.keepers.fee_cap_micro_lamports,
            daily_budget_lamports=configured.keepers.daily_budget_lamports,
            low_balance_lamports=configured.keepers.low_balance_lamports,
        )

    async def ask(self) -> None:
        """Ask at the door. Raises ConfigurationError, and says it as an alert; NodeTrouble where nobody answers."""
        facts = await self.books.facts()
        try:
            await preflight.require_chain(self.node, self.configured.chain, facts.log)
            config = await chain_state.config(self.node, self.configured.chain.program_id, facts)
            preflight.require_roles(config, self.keys)
            preflight.require_rules(config, self.configured.voting, facts.log)
        except errors.ConfigurationError as wrong:
            await self.books.alert("keeper_configuration", "", "critical", str(wrong))
            raise
        await self.books.resolve("keeper_configuration")

    async def round(self, task: Task, *, is_dry: bool) -> Report:
        """One keeper's round. Raises ConfigurationError, NodeTrouble, Unavailable, LeaseLost."""
        began = time.monotonic()
        report = await (self._dry(task) if is_dry else self._held(task))
        await self._tell(report)
        return replace(report, seconds=time.monotonic() - began)

    async def sweep(self) -> Swept | None:
        """Look after what was signed; None while another keeper does."""
        epoch = await self.books.take_lease(holder(), self.rhythm.lease)
        if epoch is None:
            return None
        try:
            return await self._sweep().run()
        finally:
            await self.books.give_lease(epoch)

    def _sweep(self) -> Sweep:
        return Sweep(
            self.node,
            self.books,
            program_id=self.configured.chain.program_id,
            rhythm=self.rhythm,
            checkpoint=self._checkpoint,
        )

    # Planning

    async def _planned(self, task: Task) -> tuple[list[Row], Standing, Config, Facts]:
        facts = await self.books.facts()
        config, standing = await asyncio.gather(
            chain_state.config(self.node, self.configured.chain.program_id, facts),
            chain_state.standing(self.node, facts),
        )
        markets = await self.books.markets(
            task,
            before=0 if standing.proven_at is None else standing.proven_at,
            window_seconds=self._rules.voting_window_seconds,
        )
        return plans.plan(task, markets, standing=standing, config=config, rules=self._rules), standing, config, facts

    async def _dry(self, task: Task) -> Report:
        rows, standing, config, facts = await self._planned(task)
        flight = self._flight(task)
        rows, _ = await self._ready(
            flight, task, rows, standing, config, facts, payer=preflight.authority(config, task.key)
        )
        return Report(task=task, is_dry=True, rows=rows, config=config, standing=standing, stopped=flight.stopped)

    async def _ready(
        self,
        flight: Flight,
        task: Task,
        rows: Sequence[Row],
        standing: Standing,
        config: Config,
        facts: Facts,
        *,
        payer: Address,
    ) -> tuple[list[Row], dict[int, Any]]:
        """The rows proven and simulated, and what each that may be sent would cost, by market."""
        alive = [row for row in rows if row.verdict in (Verdict.DUE, Verdict.EXPORT)]
        if not alive:
            return list(rows), {}
        now = await chain_state.config(self.node, self.configured.chain.program_id, facts)
        proven = await flight.proven(alive, standing, config, now)
        costs: dict[int, Any] = {}
        checked: dict[int, Row] = {}
        for row, cost in await flight.simulated(proven, payer):
            number = row.market.market_no
            checked[number] = row
            if cost is not None:
                costs[number] = cost
                if row.verdict is Verdict.EXPORT:
                    checked[number] = await flight.export(row, payer, cost)
        return [checked.get(row.market.market_no, row) for row in rows], costs

    def _flight(self, task: Task) -> Flight:
        return Flight(
            task,
            self.node,
            self.books,
            program_id=self.configured.chain.program_id,
            policy=self._policy,
            rhythm=self.rhythm,
            checkpoint=self._checkpoint,
        )

    # Acting

    async def _held(self, task: Task) -> Report:
        """A round that signs, under the lease."""
        key = self._key(task)
        epoch = await self.books.take_lease(holder(), self.rhythm.lease)
        if epoch is None:
            words = f"Another keeper is at work: {await self.books.holder()}."
            return Report(task=task, is_dry=False, rows=(), skipped=words)
        try:
            async with self._keeping(epoch):
                return await self._acted(task, key, epoch)
        finally:
            await self.books.give_lease(epoch)

    @contextlib.asynccontextmanager
    async def _keeping(self, epoch: int) -> AsyncIterator[None]:
        """Hold the lease while a round takes its time; who loses it stores nothing more, whatever else goes on."""
        task = asyncio.create_task(self._keep(epoch))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _keep(self, epoch: int) -> None:
        with contextlib.suppress(LeaseLost):
            while True:
                await asyncio.sleep(self.rhythm.lease / 4)
                await self.books.keep_lease(epoch, self.rhythm.lease)

    def _key(self, task: Task) -> Signer | None:
        """The key, or None where what it would sign is exported, or left to others."""
        if task.key == "admin":
            return self.keys.admin
        return preflight.require_key(task, self.keys)

    async def _acted(self, task: Task, key: Signer | None, epoch: int) -> Report:
        await self._sweep().run()
        rows, standing, config, facts = await self._planned(task)
        flight = self._flight(task)
        payer = key.address if key else preflight.authority(config, task.key)
        if key is not None and any(row.verdict is Verdict.DUE for row in rows):
            await self._require_money(key)
        rows, costs = await self._ready(flight, task, rows, standing, config, facts, payer=payer)
        due = [row for row in rows if row.verdict is Verdict.DUE and row.market.market_no in costs]
        await self.books.drop_planned(task, [row.market.market_no for row in due])
        sent: list[Sent] = []
        if key is not None and due and flight.stopped is None:
            ready = [(row, costs[row.market.market_no]) for row in due]
            launched = await flight.launch(ready, key, epoch=epoch, plan=_circumstances(standing, config))
            kept = {one.market.market_no: one for one in launched if isinstance(one, Row)}
            rows = [kept.get(row.market.market_no, row) for row in rows]
            if not any(one.reason is Reason.BUDGET for one in kept.values()):
                await self.books.resolve("keeper_budget")
            sent = await flight.seen([one for one in launched if isinstance(one, Sent)], epoch)
        swept = await self._sweep().close()
        return Report(
            task=task,
            is_dry=False,
            rows=rows,
            sent=sent,
            swept=swept,
            config=config,
            standing=standing,
            stopped=flight.stopped,
        )

    async def _require_money(self, key: Signer) -> None:
        found = await self.node.account(key.address, commitment="confirmed")
        lamports = 0 if found.value is None else found.value.lamports
        if lamports < self._policy.low_balance_lamports:
            await self.books.alert(
                "fee_payer_low",
                key.address,
                "warning",
                f"{key.address} pays for keepers and holds {lamports:,} lamports, less than "
                f"{self._policy.low_balance_lamports:,}. Send it some.",
            )
        else:
            await self.books.resolve("fee_payer_low", key.address)

    # Telling

    async def _tell(self, report: Report) -> None:
        """Alerts about what this round found, and the end of those that it did not find again."""
        if report.skipped or report.standing is None:
            return
        name = report.task.name
        for reason, severity in TOLD.items():
            found = {f"{name} {row.market.market_id}": row for row in report.rows if row.reason is reason}
            for subject, row in found.items():
                await self.books.alert(_kind(reason), subject, severity, _sentence(row))
            await self.books.resolve_others(_kind(reason), name, list(found))
        for reason, severity in TOLD_ONCE.items():
            one = next((row for row in report.rows if row.reason is reason), None)
            if one is not None:
                await self.books.alert(_kind(reason), name, severity, _sentence(one))
            else:
                await self.books.resolve(_kind(reason), name)
        if report.stopped is not None:
            await self.books.alert("keeper_stopped", name, "critical", report.stopped.words)
        else:
            await self.books.resolve("keeper_stopped", name)


def _kind(reason: Reason) -> str:
    return f"keeper_{reason.name.lower()}"


def _sentence(row: Row) -> str:
    said = f"{row.task}: {row.reason.words}"
    return f"{said}: {row.words}" if row.words else f"{said}."


def _circumstances(standing: Standing, config: Config) -> dict[str, Any]:
    """What a plan was made under, for its intents."""
    return {
        "config": config._asdict(),
        "verified_through": standing.verified_through,
        "finalized_through": standing.finalized_through,
        "proven_at": standing.proven_at,
        "chain_at": standing.chain_at,
        "slot": standing.slot,
    }


def holder() -> str:
    """How this process is called while it holds the lease."""
    return f"{socket.gethostname()} pid {os.getpid()}"


@contextlib.asynccontextmanager
async def opened(
    configured: Settings,
    *,
    rhythm: Rhythm | None = None,
    checkpoint: Checkpoint = nothing,
    dsn: str | None = None,
) -> AsyncIterator[Keepers]:
    """The keepers of a configuration, asked at the door. Raises ConfigurationError, NodeTrouble, Unavailable."""
    async with (
        Books(dsn or configured.postgres.dsn("zmart_keeper")) as books,
        RpcClient.of(configured.chain) as node,
    ):
        keys = await _keys(configured, books)
        keepers = Keepers(configured, node, books, keys=keys, rhythm=rhythm, checkpoint=checkpoint)
        await keepers.ask()
        yield keepers


async def _keys(configured: Settings, books: Books) -> Keys:
    try:
        return Keys.of(configured.chain)
    except errors.ConfigurationError as wrong:
        await books.alert("keeper_configuration", "", "critical", str(wrong))
        raise


async def run(
    configured: Settings,
    tasks: Sequence[Task],
    *,
    is_dry: bool,
    rhythm: Rhythm | None = None,
    checkpoint: Checkpoint = nothing,
    dsn: str | None = None,
) -> list[Report]:
    """A round of each task, in the order in which a market meets them."""
    async with opened(configured, rhythm=rhythm, checkpoint=checkpoint, dsn=dsn) as keepers:
        return [await keepers.round(task, is_dry=is_dry) for task in tasks]
