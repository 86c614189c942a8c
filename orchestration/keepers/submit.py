"""Turns rows of a plan into landed transactions: prove, simulate, open the intent, sign, store, send, confirm.

The order of the steps matters. A transaction is signed only after its simulation, sent only after it is stored, and
stored only while no earlier submission of the same intent can still land. `sweep` can continue from the state that a
crash leaves between any two steps: signed bytes that were never stored are lost with the process and were never sent;
stored bytes are sent again unchanged.

`Timing` holds the interval between two sends of the same bytes and the longest time for which a round waits for them.
The round waits for a transaction until the finalized block height shows that its blockhash is dead, about 30 s at 0.2 s
a slot; the sweep at its end then records that it expired, and the next round signs it again. A transaction that has not
landed by then is not lost; the next sweep continues with it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from solders.instruction import Instruction

from zmart import errors
from zmart.chain import client, rpc_errors, signing, transactions
from zmart.chain.signing import TransactionSigner
from zmart.domain import base58
from zmart.domain.ids import Address, Signature

from . import error_policy, fees, proofs
from .actions import Task
from .error_policy import ErrorAction, ErrorOutcome
from .intent_store import BudgetExhausted, IntentStore, SubmissionStillOpen
from .plan_inputs import ProtocolConfig, ProvenState
from .plans import PlanRow
from .reasons import PlanVerdict, Reason

#: Compute unit limit of a simulation; the program's instructions use a tenth of it.
SIMULATED_UNITS: Final = 400_000
#: Maximum number of rows that are simulated and sent concurrently.
MAX_CONCURRENT: Final = 16
#: A blockhash is reused for this long: a tenth of its life of 150 blocks, which take 30 s at 0.2 s a slot
#: (solana.md 4).
BLOCKHASH_SECONDS: Final = 3.0

_T = TypeVar("_T")
Checkpoint = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Timing:
    """Intervals and timeouts of a round, in seconds."""

    #: Between two polls of the signature statuses.
    poll_seconds: float = 0.5
    #: Between two sends of the same bytes.
    resend_seconds: float = 2.0
    #: Longest time for which a round waits for the transactions that it sent; their blockhashes die earlier.
    wait_seconds: float = 90.0
    #: Time after which a lease expires unless it is renewed.
    lease_seconds: float = 60.0
    #: Longest time for which a row waits for its signature.
    signing_seconds: float = signing.SIGNING_SECONDS
    #: Age at which a landed transaction that the log does not show raises an alert.
    unconfirmed_seconds: float = 600.0


@dataclass(frozen=True, kw_only=True)
class SentSubmission:
    """The result of one row that was signed."""

    row: PlanRow
    intent_no: int
    signature: Signature
    #: State of the intent at the end of the round: planned, sent or landed.
    state: str
    fee_lamports: int
    #: The last block height at which it can land.
    last_valid_block_height: int
    raw: bytes = field(repr=False)
    message: str = ""
    #: Whether the finalized chain has passed that height without it, as far as this round saw.
    is_past_its_height: bool = False


@dataclass(frozen=True, kw_only=True)
class _SimulatedRow:
    """A row after its simulation."""

    row: PlanRow
    cost: transactions.Cost
    slot: int


@dataclass
class _PendingSubmission:
    """A submission that has not landed yet."""

    sent: SentSubmission
    sent_at: float


def no_checkpoint(_: str) -> None:
    """Do nothing. This is the default checkpoint; tests pass one that crashes the process."""


class Submitter:
    """Submits the rows of one round for one task."""

    def __init__(
        self,
        task: Task,
        node: client.ChainClient,
        intent_store: IntentStore,
        *,
        program_id: str,
        policy: fees.FeePolicy,
        timing: Timing,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> None:
        self._task = task
        self._node = node
        self._intent_store = intent_store
        self._program_id = program_id
        self._policy = policy
        self._timing = timing
        self._checkpoint = checkpoint
        self._concurrency = asyncio.Semaphore(MAX_CONCURRENT)
        self._blockhash: tuple[client.Blockhash, float] | None = None
        self._blockhash_lock = asyncio.Lock()
        #: The first outcome with action STOP; after it, nothing more is signed in this round.
        self.stopped: ErrorOutcome | None = None
        #: The first failure of the signer; after it, it is not asked again in this round.
        self._signer_failure: signing.SigningFailed | None = None

    # Proofs

    async def prove(
        self, rows: Sequence[PlanRow], proven_state: ProvenState, planned: ProtocolConfig, now: ProtocolConfig
    ) -> list[PlanRow]:
        """Return the rows with their proofs; a row that cannot be proven carries the reason instead."""
        rows = [proofs.check_config(row, planned, now) for row in rows]
        sendable = [row for row in rows if row.reason.verdict in _SENDABLE]
        accounts = await self._fetch_accounts([row.market.address for row in sendable], proven_state)
        checked = {
            row.market.market_no: proofs.check_account(row, accounts[row.market.address], program_id=self._program_id)
            for row in sendable
        }
        rows = [checked.get(row.market.market_no, row) for row in rows]
        return await _gather(self._check_records(row, proven_state) for row in rows)

    async def _fetch_accounts(
        self, addresses: Sequence[Address], proven_state: ProvenState
    ) -> Mapping[Address, client.AccountInfo | None]:
        found: dict[Address, client.AccountInfo | None] = {}
        for start in range(0, len(addresses), client.MAX_ACCOUNTS):
            page = addresses[start : start + client.MAX_ACCOUNTS]
            answer = await self._node.accounts(
                page,
                commitment=await self._node.read_commitment(),
                min_context_slot=proven_state.verified_through,
            )
            found |= dict(zip(page, answer.value, strict=True))
        return found

    async def _check_records(self, row: PlanRow, proven_state: ProvenState) -> PlanRow:
        """Count the vote records of the row, if the task depends on ballots, and compare them with the log."""
        if self._task.ballots is None or row.verdict not in _SENDABLE or proven_state.proven_at is None:
            return row
        closing = proven_state.proven_at if row.closing is None else min(proven_state.proven_at, row.closing)
        async with self._concurrency:
            found = await self._node.program_accounts(
                self._program_id,
                commitment="finalized",
                filters=proofs.record_filters(base58.decode(row.market.address), self._task.ballots),
                data_slice=proofs.RECORD_SLICE,
                min_context_slot=proven_state.finalized_through,
            )
            ballots = await self._intent_store.ballots(
                row.market, self._task.ballots, before=proven_state.proven_at, closing=closing
            )
        records = proofs.count_records((account.data for account in found.value), before=proven_state.proven_at)
        return proofs.check_records(row, ballots, records)

    # Simulation

    async def simulate(self, rows: Sequence[PlanRow], payer: Address) -> list[tuple[PlanRow, transactions.Cost | None]]:
        """Return each row with its simulation's log, and its cost, or None if it must not be sent."""
        accounts = [row.market.address for row in rows if row.verdict in _SENDABLE]
        micro = await fees.read_price(self._node, accounts, self._policy)
        return await _gather(self._simulate_row(row, payer, micro) for row in rows)

    async def _simulate_row(self, row: PlanRow, payer: Address, micro: int) -> tuple[PlanRow, transactions.Cost | None]:
        if row.verdict not in _SENDABLE or self.stopped:
            return row, None
        simulation_cost = transactions.Cost(units=SIMULATED_UNITS, micro_lamports_per_unit=micro)
        try:
            async with self._concurrency:
                blockhash = await self._recent_blockhash()
                unsigned = self._transaction(row, payer, blockhash, simulation_cost)
                simulation = await self._node.simulate(unsigned.raw, commitment=await self._node.read_commitment())
            error = simulation.error(self._program_id)
            if error is not None:
                raise error
        except errors.ZmartError as error:
            return self._refused_row(row, error), None
        row = replace(row, logs=simulation.logs)
        return row, fees.cost(simulation.units_consumed, micro)

    def _refused_row(self, row: PlanRow, error: errors.ZmartError) -> PlanRow:
        outcome = error_policy.classify(error, self._task)
        if outcome.action is ErrorAction.STOP and self.stopped is None:
            self.stopped = outcome
        row = replace(row, logs=tuple(getattr(error, "logs", ())), proof={**row.proof, "simulation": outcome.json()})
        return row.with_reason(_REASONS[outcome.action], outcome.message)

    async def _recent_blockhash(self) -> client.Blockhash:
        async with self._blockhash_lock:
            if self._blockhash is None or time.monotonic() - self._blockhash[1] > BLOCKHASH_SECONDS:
                commitment = await self._node.read_commitment()
                self._blockhash = await self._node.latest_blockhash(commitment=commitment), time.monotonic()
            return self._blockhash[0]

    def _transaction(
        self, row: PlanRow, payer: Address, blockhash: client.Blockhash, cost: transactions.Cost
    ) -> transactions.UnsignedTransaction:
        return transactions.transaction(
            [instruction(self._task, row, self._program_id, payer)], payer=payer, blockhash=blockhash.value, cost=cost
        )

    async def export(self, row: PlanRow, payer: Address, cost: transactions.Cost) -> PlanRow:
        """Return the row with an unsigned transaction for a wallet; its blockhash is valid for 150 blocks (30 s)."""
        unsigned = self._transaction(row, payer, await self._recent_blockhash(), cost)
        return replace(row, unsigned=unsigned.base64)

    # Signing and sending

    async def submit(
        self,
        ready: Iterable[tuple[PlanRow, transactions.Cost]],
        key: TransactionSigner,
        *,
        epoch: int,
        plan: Mapping[str, Any],
    ) -> list[SentSubmission | PlanRow]:
        """Open the intent, sign, store and send each row; return a row that is not sent with the reason."""
        return await _gather(self._submit_row(row, cost, key, epoch, plan) for row, cost in ready)

    async def _submit_row(
        self, row: PlanRow, cost: transactions.Cost, key: TransactionSigner, epoch: int, plan: Mapping[str, Any]
    ) -> SentSubmission | PlanRow:
        async with self._concurrency:
            try:
                return await self._sign_and_send(row, cost, key, epoch, plan)
            except BudgetExhausted as spent:
                await self._intent_store.alert("keeper_budget", "", "critical", str(spent))
                return row.with_reason(Reason.BUDGET, str(spent))
            except signing.SigningFailed as failed:
                self._signer_failure = self._signer_failure or failed
                return row.with_reason(Reason.SIGNER, str(failed))
            except SubmissionStillOpen:
                return row.with_reason(Reason.UNDER_WAY, "An earlier submission may still land.")

    async def _sign_and_send(
        self, row: PlanRow, cost: transactions.Cost, key: TransactionSigner, epoch: int, plan: Mapping[str, Any]
    ) -> SentSubmission | PlanRow:
        if self._signer_failure is not None:
            return row.with_reason(Reason.SIGNER, str(self._signer_failure))
        self._checkpoint("before plan")
        number = await self._intent_store.open_intent(
            epoch, row.market.market_no, self._task.instruction, row.arguments, {**plan, **row_as_json(row)}
        )
        if number is None:
            return row.with_reason(Reason.UNDER_WAY)
        self._checkpoint("after plan")
        blockhash = await self._recent_blockhash()
        unsigned = self._transaction(row, key.address, blockhash, cost)
        self._checkpoint("before sign")
        # A failure leaves the intent planned, without a submission: nothing can land, and the next round continues it.
        signed = await signing.sign(unsigned, key, timeout_seconds=self._timing.signing_seconds)
        self._checkpoint("after sign")
        self._checkpoint("before store")
        await self._intent_store.store_submission(
            epoch,
            number,
            signed,
            payer=key.address,
            last_valid_block_height=blockhash.last_valid_block_height,
            fee_lamports=unsigned.fee_lamports,
            units=cost.units,
            budget_lamports=self._policy.daily_budget_lamports,
        )
        self._checkpoint("after store")
        self._checkpoint("before send")
        message = await self._send(signed.signature, signed.raw)
        self._checkpoint("after send")
        return SentSubmission(
            row=row,
            intent_no=number,
            signature=signed.signature,
            state="sent",
            fee_lamports=unsigned.fee_lamports,
            last_valid_block_height=blockhash.last_valid_block_height,
            raw=signed.raw,
            message=message,
        )

    async def _send(self, signature: Signature, raw: bytes) -> str:
        """Send the bytes for the first time, with preflight, and return the error message or "".

        With preflight, a refusal arrives at once and costs no fee. It does not prove that the transaction cannot
        land.
        """
        try:
            await self._node.send(raw, preflight_commitment=await self._node.read_commitment())
        except rpc_errors.AlreadyProcessed:
            return ""
        except errors.ZmartError as error:
            outcome = error_policy.classify(error, self._task)
            await self._intent_store.record_outcome(signature, outcome)
            if outcome.action is ErrorAction.STOP and self.stopped is None:
                self.stopped = outcome
            return outcome.message
        return ""

    async def confirm(self, sent: Sequence[SentSubmission], epoch: int) -> list[SentSubmission]:
        """Send the same bytes until they have landed, their blockhash is dead or the wait time ends.

        Return the last known state of each. A dead blockhash proves nothing here: the sweep decides.
        """
        await self._intent_store.mark_sent([each.signature for each in sent])
        pending = {one.signature: _PendingSubmission(one, time.monotonic()) for one in sent}
        confirmed: dict[Signature, SentSubmission] = {}
        deadline = time.monotonic() + self._timing.wait_seconds
        next_height_at = time.monotonic() + self._timing.resend_seconds
        while pending and time.monotonic() < deadline:
            await asyncio.sleep(self._timing.poll_seconds)
            await self._intent_store.renew_lease(epoch, self._timing.lease_seconds)
            # The height is read before the statuses: what had died by then and is unknown afterwards has not landed.
            height = await self._finalized_height() if time.monotonic() >= next_height_at else None
            confirmed |= await self._poll(pending)
            if height is not None:
                next_height_at = time.monotonic() + self._timing.resend_seconds
                confirmed |= _remove_past_height(pending, height)
        unconfirmed = {signature: one.sent for signature, one in pending.items()}
        return [{**unconfirmed, **confirmed}[each.signature] for each in sent]

    async def _poll(self, pending: dict[Signature, _PendingSubmission]) -> dict[Signature, SentSubmission]:
        """Remove landed and refused submissions from `pending` and return them; resend the others when it is time."""
        confirmed: dict[Signature, SentSubmission] = {}
        landed: dict[str, int] = {}
        for signature, status in (await self._statuses(list(pending))).items():
            if status is not None and status.is_confirmed:
                one = pending.pop(signature).sent
                if status.err is None:
                    landed[signature] = status.slot
                    confirmed[signature] = replace(one, state="landed", message="")
                else:
                    confirmed[signature] = await self._refused_on_chain(one, status)
        if landed:
            self._checkpoint("before confirm")
            await self._intent_store.mark_landed(landed)
            self._checkpoint("after confirm")
        await _gather(self._resend(one) for one in pending.values())
        return confirmed

    async def _finalized_height(self) -> int | None:
        try:
            return await self._node.block_height(commitment="finalized")
        except rpc_errors.NodeError:
            return None

    async def _statuses(self, signatures: Sequence[Signature]) -> dict[Signature, client.SignatureStatus | None]:
        found: dict[Signature, client.SignatureStatus | None] = {}
        for start in range(0, len(signatures), client.MAX_STATUSES):
            page = signatures[start : start + client.MAX_STATUSES]
            try:
                answer = await self._node.signature_statuses(page, search_history=False)
            except rpc_errors.NodeError:
                continue
            found |= dict(zip(page, answer.value, strict=True))
        return found

    async def _refused_on_chain(self, one: SentSubmission, status: client.SignatureStatus) -> SentSubmission:
        """Record a transaction that landed and failed; its intent stays open until the failure is finalized."""
        outcome = error_policy.classify(
            rpc_errors.error_from_transaction(status.err, program_id=self._program_id), self._task
        )
        await self._intent_store.record_outcome(one.signature, outcome)
        return replace(one, message=f"Rejected on chain: {outcome.message}")

    async def _resend(self, one: _PendingSubmission) -> None:
        now = time.monotonic()
        if now - one.sent_at < self._timing.resend_seconds:
            return
        one.sent_at = now
        async with self._concurrency:
            try:
                commitment = await self._node.read_commitment()
                await self._node.send(one.sent.raw, preflight_commitment=commitment, skip_preflight=True)
            except errors.ZmartError:
                return


def _remove_past_height(pending: dict[Signature, _PendingSubmission], height: int) -> dict[Signature, SentSubmission]:
    """Remove and return the submissions whose blockhash is dead at a finalized height."""
    dead = [signature for signature, one in pending.items() if height > one.sent.last_valid_block_height]
    return {signature: replace(pending.pop(signature).sent, is_past_its_height=True) for signature in dead}


async def _gather(steps: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Run all steps concurrently and wait until every one has ended; only then raise the first error."""
    ended = await asyncio.gather(*steps, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if not isinstance(one, BaseException)]


#: The reason that a row gets when its simulation is refused.
_REASONS: Final = {
    ErrorAction.WAIT: Reason.NOT_YET,
    ErrorAction.MOVED: Reason.MARKET_MOVED,
    ErrorAction.RETRY: Reason.SIMULATION,
    ErrorAction.MANUAL_REVIEW: Reason.PROGRAM,
    ErrorAction.STOP: Reason.PROGRAM,
}
_SENDABLE: Final = (PlanVerdict.DUE, PlanVerdict.EXPORT)


def instruction(task: Task, row: PlanRow, program_id: str, signer: Address) -> Instruction:
    """Return the program instruction of a task.

    Its accounts follow the IDL; the address of the configuration is derived.
    """
    arguments = dict(row.arguments)
    return transactions.instruction(
        task.instruction, program_id, {"market": row.market.address, task.role: signer}, arguments
    )


def row_as_json(row: PlanRow) -> dict[str, Any]:
    """Return the part of a row that is stored in its intent."""
    market = row.market
    return {
        "task": row.task,
        "market": {
            "market_id": market.market_id,
            "address": market.address,
            "state": market.state.name,
            "proposed_outcome": market.proposed_outcome,
            "resolution_proposed_at": market.resolution_proposed_at,
            "dispute_initiated_at": market.dispute_initiated_at,
            "decisive_slot": market.decisive_slot,
        },
        "tally": market.tally._asdict(),
        "deadline": row.deadline,
        "expected_outcome": row.expected_outcome,
        "proof": dict(row.proof),
        "words": row.detail,
    }
