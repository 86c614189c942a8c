"""Runs one round of a keeper: preflight, lease, sweep, plan, proofs, simulation, submit, sweep; and reports it.

`open_runner` runs the preflight checks once; each `run_round` of it is a round of one keeper. A dry round takes no
lease, signs nothing and changes nothing except alerts: it plans, proves and simulates.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zmart import errors
from zmart.chain import client, rpc_errors
from zmart.chain.rpc import RpcClient
from zmart.chain.signing import TransactionSigner
from zmart.domain.ids import Address
from zmart.settings import Settings

from . import chain_state, fees, lease, plans, preflight
from .actions import TASKS, Task
from .intent_store import IntentStore, LeaseLost, LogFacts
from .plan_inputs import ProtocolConfig, ProvenState, Rules
from .plans import PlanRow
from .preflight import KeeperKeys
from .reasons import PlanVerdict, Reason
from .round_report import RoundReport
from .submit import Checkpoint, SentSubmission, Submitter, Timing, no_checkpoint
from .sweep import Sweep, SweepResult

#: Reasons that raise an alert for their market, and its severity.
ALERT_SEVERITY = {
    Reason.ZERO_BALLOTS: "warning",
    Reason.NULL_OUTCOME: "critical",
    Reason.WAS_DISPUTED: "critical",
    Reason.UNSEEN_DECIDE: "warning",
    Reason.THRESHOLDS_DISAGREE: "warning",
    Reason.TOO_MANY_BALLOTS: "critical",
    Reason.PROGRAM: "critical",
    Reason.RECORDS_DIFFER: "warning",
}
#: Reasons that concern all markets, and the severity of their alert.
GENERAL_ALERT_SEVERITY = {
    Reason.UNVERIFIED: "warning",
    Reason.LOG_BEHIND: "warning",
    Reason.MART_STALE: "critical",
    Reason.CLOCK_SKEW: "critical",
    Reason.SIGNER: "critical",
}


@dataclass(frozen=True, kw_only=True)
class OperatorDecision:
    """An operator's decision to send a row that no rule may send."""

    who: str
    reason: str
    #: Why the plan left the row to an operator.
    left_because: Reason


class KeeperRunner:
    """Runs the keepers of one configuration that has passed preflight."""

    def __init__(
        self,
        configured: Settings,
        node: client.ChainClient,
        intent_store: IntentStore,
        *,
        keys: KeeperKeys,
        timing: Timing | None = None,
        checkpoint: Checkpoint = no_checkpoint,
        updates_alerts: bool = True,
    ) -> None:
        #: False for a command in an operator's shell, whose settings may differ from those of the service.
        self._updates_configuration_alert = updates_alerts
        self.configured = configured
        self.node = node
        self.intent_store = intent_store
        self.keys = keys
        self.timing = timing or Timing()
        self._checkpoint = checkpoint
        self._rules: Rules = chain_state.rules_from_settings(configured, keys)
        self._policy = fees.FeePolicy(
            percentile=configured.keepers.fee_percentile,
            most_micro_lamports=configured.keepers.fee_cap_micro_lamports,
            daily_budget_lamports=configured.keepers.daily_budget_lamports,
            low_balance_lamports=configured.keepers.low_balance_lamports,
            asks_for_estimate=configured.keepers.fee_estimate,
        )

    async def preflight(self) -> None:
        """Run the preflight checks.

        Raises ConfigurationError, and raises an alert for it unless an operator sees it; NodeError if the node does not
        answer.
        """
        facts = await self.intent_store.load_facts()
        try:
            await preflight.require_chain(self.node, self.configured.chain, facts.log)
            config = await chain_state.read_config(self.node, self.configured.chain.program_id, facts)
            preflight.require_roles(config, self.keys)
            preflight.require_rules(config, self.configured.voting, facts.log)
        except errors.ConfigurationError as wrong:
            if self._updates_configuration_alert:
                await self.intent_store.alert("keeper_configuration", "", "critical", str(wrong))
            raise
        if self._updates_configuration_alert:
            await self.intent_store.resolve("keeper_configuration")

    async def run_round(self, task: Task, *, is_dry: bool) -> RoundReport:
        """Run one round of one keeper. Raises ConfigurationError, NodeError, Unavailable, LeaseLost."""
        began = time.monotonic()
        try:
            report = await (self._dry_run(task) if is_dry else self._with_lease(task))
        except errors.ZmartError as error:
            await self.intent_store.record_failed_round(task, str(error), is_dry=is_dry)
            raise
        await self._update_alerts(report)
        report = replace(report, seconds=time.monotonic() - began)
        await self.intent_store.record_round(task, report.summary_row())
        return report

    async def approve(self, market: str, *, who: str, reason: str) -> RoundReport | None:
        """Send what a plan leaves to an operator for one market, named by its id or its address; record who decided.

        Of several rows the latest step of the market's life is sent. Return None while another keeper holds the lease.
        The decision is stored in ops.audit before anything is signed. Raises NotFound for a market without a row,
        Conflict if nothing is left to an operator, ConfigurationError without the key, NodeError, Unavailable.
        """
        if not reason.strip():
            raise errors.InvalidInput("A decision needs a reason.", help="Give it with: --reason TEXT")
        epoch = await self.intent_store.acquire_lease(lease.name_holder(), self.timing.lease_seconds)
        if epoch is None:
            return None
        try:
            async with self._renewing_lease(epoch):
                await self._sweep().run()
                return await self._send_approved(market, epoch, who=who, reason=reason)
        finally:
            await self.intent_store.release_lease(epoch)

    async def sweep(self) -> SweepResult | None:
        """Sweep all open submissions and return the result, or None while another keeper holds the lease."""
        epoch = await self.intent_store.acquire_lease(lease.name_holder(), self.timing.lease_seconds)
        if epoch is None:
            return None
        try:
            return await self._sweep().run()
        finally:
            await self.intent_store.release_lease(epoch)

    async def describe_lease_holder(self) -> str:
        """Return why no lease was granted: another keeper works, or one ended without giving the lease back."""
        return lease.describe(*await self.intent_store.lease_holder())

    def _sweep(self) -> Sweep:
        return Sweep(
            self.node,
            self.intent_store,
            program_id=self.configured.chain.program_id,
            timing=self.timing,
            checkpoint=self._checkpoint,
        )

    # Planning

    async def _plan(
        self, task: Task, *, market: str | None = None
    ) -> tuple[list[PlanRow], ProvenState, ProtocolConfig, LogFacts]:
        """Return the plan of a task, for all markets or for one, named by its id or its address."""
        facts = await self.intent_store.load_facts()
        config, proven_state = await asyncio.gather(
            chain_state.read_config(self.node, self.configured.chain.program_id, facts),
            chain_state.read_proven_state(self.node, facts),
        )
        restored_at_slot = await self.intent_store.observe_epoch(proven_state.slot)
        proven_state = replace(proven_state, restored_at_slot=restored_at_slot)
        markets = await self.intent_store.markets(
            task,
            before=0 if proven_state.proven_at is None else proven_state.proven_at,
            window_seconds=self._rules.voting_window_seconds,
        )
        if market is not None:
            markets = [found for found in markets if market in (found.market_id, found.address)]
        return (
            plans.plan(task, markets, proven_state=proven_state, config=config, rules=self._rules),
            proven_state,
            config,
            facts,
        )

    async def _dry_run(self, task: Task) -> RoundReport:
        rows, proven_state, config, facts = await self._plan(task)
        submitter = self._submitter(task)
        rows, _ = await self._prove_and_simulate(
            submitter, task, rows, proven_state, config, facts, payer=preflight.authority(config, task.key)
        )
        return RoundReport(
            task=task, is_dry=True, rows=rows, config=config, proven_state=proven_state, stopped=submitter.stopped
        )

    async def _prove_and_simulate(
        self,
        submitter: Submitter,
        task: Task,
        rows: Sequence[PlanRow],
        proven_state: ProvenState,
        config: ProtocolConfig,
        facts: LogFacts,
        *,
        payer: Address,
    ) -> tuple[list[PlanRow], dict[int, Any]]:
        """Return the rows proven and simulated, and the cost of each row that may be sent, by market."""
        sendable = [row for row in rows if row.verdict in (PlanVerdict.DUE, PlanVerdict.EXPORT)]
        if not sendable:
            return list(rows), {}
        now = await chain_state.read_config(self.node, self.configured.chain.program_id, facts)
        proven = await submitter.prove(sendable, proven_state, config, now)
        costs: dict[int, Any] = {}
        checked: dict[int, PlanRow] = {}
        for row, cost in await submitter.simulate(proven, payer):
            number = row.market.market_no
            checked[number] = row
            if cost is not None:
                costs[number] = cost
                if row.verdict is PlanVerdict.EXPORT:
                    checked[number] = await submitter.export(row, payer, cost)
        return [checked.get(row.market.market_no, row) for row in rows], costs

    def _submitter(self, task: Task) -> Submitter:
        return Submitter(
            task,
            self.node,
            self.intent_store,
            program_id=self.configured.chain.program_id,
            policy=self._policy,
            timing=self.timing,
            checkpoint=self._checkpoint,
        )

    # Executing

    async def _with_lease(self, task: Task) -> RoundReport:
        """Run a round that signs, under the lease."""
        key = self._key(task)
        epoch = await self.intent_store.acquire_lease(lease.name_holder(), self.timing.lease_seconds)
        if epoch is None:
            return RoundReport(task=task, is_dry=False, rows=(), skipped=await self.describe_lease_holder())
        try:
            async with self._renewing_lease(epoch):
                return await self._execute(task, key, epoch)
        finally:
            await self.intent_store.release_lease(epoch)

    @contextlib.asynccontextmanager
    async def _renewing_lease(self, epoch: int) -> AsyncIterator[None]:
        """Renew the lease while a round runs.

        After a lost lease the database refuses every further store of this round, so the round may go on safely.
        """
        task = asyncio.create_task(self._renew_lease(epoch))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _renew_lease(self, epoch: int) -> None:
        with contextlib.suppress(LeaseLost):
            while True:
                await asyncio.sleep(self.timing.lease_seconds / 4)
                await self.intent_store.renew_lease(epoch, self.timing.lease_seconds)

    def _key(self, task: Task) -> TransactionSigner | None:
        """Return the key, or None if the transaction is exported or left to others."""
        if task.key == "admin":
            return self.keys.admin
        return preflight.require_key(task, self.keys)

    async def _execute(self, task: Task, key: TransactionSigner | None, epoch: int) -> RoundReport:
        await self._sweep().run()
        rows, proven_state, config, facts = await self._plan(task)
        return await self._send(task, key, epoch, rows, proven_state, config, facts)

    async def _send(
        self,
        task: Task,
        key: TransactionSigner | None,
        epoch: int,
        rows: list[PlanRow],
        proven_state: ProvenState,
        config: ProtocolConfig,
        facts: LogFacts,
        *,
        decision: OperatorDecision | None = None,
    ) -> RoundReport:
        """Prove, simulate, sign and send the due rows: those of a plan, or the one that an operator decided to send."""
        submitter = self._submitter(task)
        payer = key.address if key else preflight.authority(config, task.key)
        if key is not None and any(row.verdict is PlanVerdict.DUE for row in rows):
            await self._check_fee_balance(key)
        rows, costs = await self._prove_and_simulate(submitter, task, rows, proven_state, config, facts, payer=payer)
        due = [row for row in rows if row.verdict is PlanVerdict.DUE and row.market.market_no in costs]
        if decision is None:
            await self.intent_store.drop_planned(task, [row.market.market_no for row in due])
        sent: list[SentSubmission] = []
        if key is not None and due and submitter.stopped is None:
            context = _plan_context(proven_state, config)
            if decision is not None:
                context["audit_no"] = await self._record_decision(decision, due[0])
            ready = [(row, costs[row.market.market_no]) for row in due]
            submitted = await submitter.submit(ready, key, epoch=epoch, plan=context)
            not_sent = {one.market.market_no: one for one in submitted if isinstance(one, PlanRow)}
            rows = [not_sent.get(row.market.market_no, row) for row in rows]
            if not any(one.reason is Reason.BUDGET for one in not_sent.values()):
                await self.intent_store.resolve("keeper_budget")
            sent = await submitter.confirm([one for one in submitted if isinstance(one, SentSubmission)], epoch)
        swept = await self._sweep_after(sent)
        return RoundReport(
            task=task,
            is_dry=False,
            rows=rows,
            sent=sent,
            swept=swept,
            config=config,
            proven_state=proven_state,
            stopped=submitter.stopped,
        )

    async def _send_approved(self, market: str, epoch: int, *, who: str, reason: str) -> RoundReport:
        found: list[PlanRow] = []
        for task in reversed(TASKS.values()):
            rows, proven_state, config, facts = await self._plan(task, market=market)
            found += rows
            if rows and rows[0].reason in plans.LEFT_TO_OPERATOR:
                row = plans.approve(rows[0], proven_state, config)
                key = preflight.require_key(task, self.keys)
                decision = OperatorDecision(who=who, reason=reason, left_because=rows[0].reason)
                return await self._send(task, key, epoch, [row], proven_state, config, facts, decision=decision)
        if not found:
            raise errors.NotFound(
                f"No keeper has anything to do with a market {market}.", help="Name it by its id or its address."
            )
        why = "; ".join(f"{row.task}: {row.reason.label}" for row in found)
        raise errors.Conflict(f"Nothing is left to an operator there: {why}.", help="See: zmart keeper plan --all")

    async def _record_decision(self, decision: OperatorDecision, row: PlanRow) -> int:
        """Store who decided what, and what the operator decided upon."""
        return await self.intent_store.record_audit(
            who=decision.who,
            action="keeper approve",
            subject=row.market.market_id,
            reason=decision.reason,
            details={
                "task": row.task,
                "left_because": decision.left_because.name.lower(),
                "arguments": dict(row.arguments),
                "tally": row.market.tally._asdict(),
                "words": row.detail,
            },
        )

    async def _sweep_after(self, sent: Sequence[SentSubmission]) -> SweepResult:
        """Close what is done; where a blockhash died, also record it as expired, so that the next round signs again."""
        if any(one.is_past_its_height for one in sent):
            with contextlib.suppress(rpc_errors.NodeError):
                return await self._sweep().run()
        return await self._sweep().close()

    async def _check_fee_balance(self, key: TransactionSigner) -> None:
        found = await self.node.account(key.address, commitment=await self.node.read_commitment())
        lamports = 0 if found.value is None else found.value.lamports
        if lamports < self._policy.low_balance_lamports:
            await self.intent_store.alert(
                "fee_payer_low",
                key.address,
                "warning",
                f"{key.address} pays for keepers and has {lamports:,} lamports, less than "
                f"{self._policy.low_balance_lamports:,}. Send SOL to it.",
            )
        else:
            await self.intent_store.resolve("fee_payer_low", key.address)

    # Alerts

    async def _update_alerts(self, report: RoundReport) -> None:
        """Raise alerts for the findings of this round, and resolve those that it did not find again."""
        if report.skipped or report.proven_state is None:
            return
        name = report.task.name
        for reason, severity in ALERT_SEVERITY.items():
            found = {f"{name} {row.market.market_id}": row for row in report.rows if row.reason is reason}
            for subject, row in found.items():
                await self.intent_store.alert(_alert_kind(reason), subject, severity, _describe(row))
            await self.intent_store.resolve_others(_alert_kind(reason), name, list(found))
        for reason, severity in GENERAL_ALERT_SEVERITY.items():
            one = next((row for row in report.rows if row.reason is reason), None)
            if one is not None:
                await self.intent_store.alert(_alert_kind(reason), name, severity, _describe(one))
            else:
                await self.intent_store.resolve(_alert_kind(reason), name)
        if report.stopped is not None:
            await self.intent_store.alert("keeper_stopped", name, "critical", report.stopped.message)
        else:
            await self.intent_store.resolve("keeper_stopped", name)


def _alert_kind(reason: Reason) -> str:
    return f"keeper_{reason.name.lower()}"


def _describe(row: PlanRow) -> str:
    text = f"{row.task}: {row.reason.label}"
    return f"{text}: {row.detail}" if row.detail else f"{text}."


def _plan_context(proven_state: ProvenState, config: ProtocolConfig) -> dict[str, Any]:
    """Return the state under which a plan was made, for its intents."""
    return {
        "config": config._asdict(),
        "verified_through": proven_state.verified_through,
        "finalized_through": proven_state.finalized_through,
        "proven_at": proven_state.proven_at,
        "chain_at": proven_state.chain_at,
        "slot": proven_state.slot,
    }


@contextlib.asynccontextmanager
async def open_runner(
    configured: Settings,
    *,
    timing: Timing | None = None,
    checkpoint: Checkpoint = no_checkpoint,
    dsn: str | None = None,
    updates_alerts: bool = True,
) -> AsyncIterator[KeeperRunner]:
    """Yield a runner that has passed preflight. Raises ConfigurationError, NodeError, Unavailable.

    `updates_alerts` is whether a wrong configuration raises an alert; a command in a shell prints it instead.
    """
    async with (
        IntentStore(dsn or configured.postgres.dsn("zmart_keeper")) as intent_store,
        RpcClient.of(configured.chain) as node,
    ):
        keys = await _load_keys(configured, intent_store, updates_alerts=updates_alerts)
        runner = KeeperRunner(
            configured,
            node,
            intent_store,
            keys=keys,
            timing=timing,
            checkpoint=checkpoint,
            updates_alerts=updates_alerts,
        )
        await runner.preflight()
        yield runner


async def _load_keys(configured: Settings, intent_store: IntentStore, *, updates_alerts: bool) -> KeeperKeys:
    try:
        return KeeperKeys.of(configured.chain)
    except errors.ConfigurationError as error:
        if updates_alerts:
            await intent_store.alert("keeper_configuration", "", "critical", str(error))
        raise


async def run_rounds(
    configured: Settings,
    tasks: Sequence[Task],
    *,
    is_dry: bool,
    timing: Timing | None = None,
    checkpoint: Checkpoint = no_checkpoint,
    dsn: str | None = None,
) -> list[RoundReport]:
    """Run a round of each task, in the order of a market's life."""
    async with open_runner(configured, timing=timing, checkpoint=checkpoint, dsn=dsn) as runner:
        return [await runner.run_round(task, is_dry=is_dry) for task in tasks]
