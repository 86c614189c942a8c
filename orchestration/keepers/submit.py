"""From a row of a plan to bytes that landed: prove, simulate, intend, sign, store, send, see.

The order is the point. Nothing is signed that was not simulated, nothing leaves that was not stored, and nothing is
stored while something else of the same intent may still land. A crash between any two steps leaves a state from which
`sweep` goes on: signed bytes that were never stored are gone with the process and never left it; stored bytes are sent
again, the same ones.

`Rhythm` says how often the same bytes are sent and for how long somebody waits for them; what has not landed by then is
not lost, the next sweep takes it up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from solders.instruction import Instruction

from zmart import errors
from zmart.chain import client, rpc_errors, transactions
from zmart.chain.signer import Signer
from zmart.domain import base58
from zmart.domain.ids import Address, Signature

from . import error_policy, fees, proofs
from .actions import Task
from .error_policy import Meaning, Outcome
from .intent_store import Books, BudgetSpent, StillOpen
from .plans import Config, Reason, Row, Standing, Verdict

#: What a simulation may use; the program's instructions take a tenth of it.
SIMULATED_UNITS: Final = 400_000
#: Rows that are simulated and sent side by side.
SIDE_BY_SIDE: Final = 16
#: A blockhash is used for so long, of the 60 seconds or more for which it is good.
BLOCKHASH_SECONDS: Final = 10.0

_T = TypeVar("_T")
Checkpoint = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Rhythm:
    """How often what is done, in seconds."""

    #: Between two looks at what has landed.
    look: float = 0.5
    #: Between two times that the same bytes are sent.
    resend: float = 2.0
    #: How long a round waits for what it sent.
    patience: float = 90.0
    #: How long a lease lasts without being kept.
    lease: float = 60.0
    #: After which a landed transaction that our log does not show is told of.
    unconfirmed: float = 600.0


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of one row that was signed."""

    row: Row
    intent_no: int
    signature: Signature
    #: planned, sent, landed: the intent's state when the round looked away.
    state: str
    fee_lamports: int
    raw: bytes = field(repr=False)
    words: str = ""


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A row that was simulated."""

    row: Row
    cost: transactions.Cost
    slot: int


@dataclass
class _Flying:
    """A submission on its way."""

    sent: Sent
    sent_at: float


def nothing(_: str) -> None:
    """The checkpoint of everyday: where a test would pull the plug."""


class Flight:
    """One round's way from rows to landed transactions, for one task."""

    def __init__(
        self,
        task: Task,
        node: client.ChainClient,
        books: Books,
        *,
        program_id: str,
        policy: fees.Policy,
        rhythm: Rhythm,
        checkpoint: Checkpoint = nothing,
    ) -> None:
        self._task = task
        self._node = node
        self._books = books
        self._program_id = program_id
        self._policy = policy
        self._rhythm = rhythm
        self._checkpoint = checkpoint
        self._side_by_side = asyncio.Semaphore(SIDE_BY_SIDE)
        self._blockhash: tuple[client.Blockhash, float] | None = None
        self._asking = asyncio.Lock()
        #: The first outcome after which nothing more is signed in this round.
        self.stopped: Outcome | None = None

    # Proofs

    async def proven(self, rows: Sequence[Row], standing: Standing, planned: Config, now: Config) -> list[Row]:
        """The rows with what was proven of them; those that cannot be proven with the reason."""
        rows = [proofs.by_config(row, planned, now) for row in rows]
        held = [row for row in rows if row.reason.verdict in _ALIVE]
        accounts = await self._accounts([row.market.address for row in held], standing)
        checked = {
            row.market.market_no: proofs.by_account(row, accounts[row.market.address], program_id=self._program_id)
            for row in held
        }
        rows = [checked.get(row.market.market_no, row) for row in rows]
        return await _together(self._with_records(row, standing) for row in rows)

    async def _accounts(
        self, addresses: Sequence[Address], standing: Standing
    ) -> Mapping[Address, client.AccountInfo | None]:
        found: dict[Address, client.AccountInfo | None] = {}
        for start in range(0, len(addresses), client.MAX_ACCOUNTS):
            page = addresses[start : start + client.MAX_ACCOUNTS]
            answer = await self._node.accounts(page, commitment="confirmed", min_context_slot=standing.verified_through)
            found |= dict(zip(page, answer.value, strict=True))
        return found

    async def _with_records(self, row: Row, standing: Standing) -> Row:
        """With its vote records counted, where it rests on ballots."""
        if self._task.ballots is None or row.verdict not in _ALIVE or standing.proven_at is None:
            return row
        closing = standing.proven_at if row.closing is None else min(standing.proven_at, row.closing)
        async with self._side_by_side:
            found = await self._node.program_accounts(
                self._program_id,
                commitment="finalized",
                filters=proofs.record_filters(base58.decode(row.market.address), self._task.ballots),
                data_slice=proofs.RECORD_SLICE,
                min_context_slot=standing.finalized_through,
            )
            ballots = await self._books.ballots(
                row.market, self._task.ballots, before=standing.proven_at, closing=closing
            )
        records = proofs.counted((account.data for account in found.value), before=standing.proven_at)
        return proofs.by_records(row, ballots, records)

    # Simulation

    async def simulated(self, rows: Sequence[Row], payer: Address) -> list[tuple[Row, transactions.Cost | None]]:
        """Each row with its simulation's log, and what it may cost; no cost where it must not be sent."""
        micro = fees.price(await self._node.recent_priority_fees(), self._policy)
        return await _together(self._simulated(row, payer, micro) for row in rows)

    async def _simulated(self, row: Row, payer: Address, micro: int) -> tuple[Row, transactions.Cost | None]:
        if row.verdict not in _ALIVE or self.stopped:
            return row, None
        trial = transactions.Cost(units=SIMULATED_UNITS, micro_lamports_per_unit=micro)
        try:
            async with self._side_by_side:
                young = await self._young()
                unsigned = self._transaction(row, payer, young, trial)
                simulation = await self._node.simulate(unsigned.raw, commitment="confirmed")
            error = simulation.error(self._program_id)
            if error is not None:
                raise error
        except errors.ZmartError as error:
            return self._refusal(row, error), None
        row = replace(row, logs=simulation.logs)
        return row, fees.cost(simulation.units_consumed, micro)

    def _refusal(self, row: Row, error: errors.ZmartError) -> Row:
        outcome = error_policy.of(error, self._task)
        if outcome.meaning is Meaning.STOP and self.stopped is None:
            self.stopped = outcome
        row = replace(row, logs=tuple(getattr(error, "logs", ())), proof={**row.proof, "simulation": outcome.json()})
        return row.refused(_REASONS[outcome.meaning], outcome.words)

    async def _young(self) -> client.Blockhash:
        async with self._asking:
            if self._blockhash is None or time.monotonic() - self._blockhash[1] > BLOCKHASH_SECONDS:
                self._blockhash = await self._node.latest_blockhash(commitment="confirmed"), time.monotonic()
            return self._blockhash[0]

    def _transaction(
        self, row: Row, payer: Address, young: client.Blockhash, cost: transactions.Cost
    ) -> transactions.UnsignedTransaction:
        return transactions.transaction(
            [instruction(self._task, row, self._program_id, payer)], payer=payer, blockhash=young.value, cost=cost
        )

    async def export(self, row: Row, payer: Address, cost: transactions.Cost) -> Row:
        """The row with an unsigned transaction for a wallet; its blockhash is good for about a minute."""
        unsigned = self._transaction(row, payer, await self._young(), cost)
        return replace(row, unsigned=unsigned.base64)

    # Signing and sending

    async def launch(
        self, ready: Iterable[tuple[Row, transactions.Cost]], key: Signer, *, epoch: int, plan: Mapping[str, Any]
    ) -> list[Sent | Row]:
        """Intend, sign, store and send each; what is not sent comes back as its row, with the reason."""
        return await _together(self._launched(row, cost, key, epoch, plan) for row, cost in ready)

    async def _launched(
        self, row: Row, cost: transactions.Cost, key: Signer, epoch: int, plan: Mapping[str, Any]
    ) -> Sent | Row:
        async with self._side_by_side:
            try:
                return await self._one(row, cost, key, epoch, plan)
            except BudgetSpent as spent:
                await self._books.alert("keeper_budget", "", "critical", str(spent))
                return row.refused(Reason.BUDGET, str(spent))
            except StillOpen:
                return row.refused(Reason.UNDER_WAY, "An earlier submission may still land.")

    async def _one(
        self, row: Row, cost: transactions.Cost, key: Signer, epoch: int, plan: Mapping[str, Any]
    ) -> Sent | Row:
        self._checkpoint("before plan")
        number = await self._books.open_intent(
            epoch, row.market.market_no, self._task.instruction, row.arguments, {**plan, **planned(row)}
        )
        if number is None:
            return row.refused(Reason.UNDER_WAY)
        self._checkpoint("after plan")
        young = await self._young()
        unsigned = self._transaction(row, key.address, young, cost)
        self._checkpoint("before sign")
        signed = unsigned.sign([key])
        self._checkpoint("after sign")
        self._checkpoint("before store")
        await self._books.store(
            epoch,
            number,
            signed,
            payer=key.address,
            last_valid_block_height=young.last_valid_block_height,
            fee_lamports=unsigned.fee_lamports,
            units=cost.units,
            budget_lamports=self._policy.daily_budget_lamports,
        )
        self._checkpoint("after store")
        self._checkpoint("before send")
        words = await self._send(signed.signature, signed.raw)
        self._checkpoint("after send")
        return Sent(
            row=row,
            intent_no=number,
            signature=signed.signature,
            state="sent",
            fee_lamports=unsigned.fee_lamports,
            raw=signed.raw,
            words=words,
        )

    async def _send(self, signature: Signature, raw: bytes) -> str:
        """The first time, with preflight: a refusal comes at once and costs nothing. It proves nothing, though."""
        try:
            await self._node.send(raw, preflight_commitment="confirmed")
        except rpc_errors.AlreadyProcessed:
            return ""
        except errors.ZmartError as error:
            outcome = error_policy.of(error, self._task)
            await self._books.note(signature, outcome)
            if outcome.meaning is Meaning.STOP and self.stopped is None:
                self.stopped = outcome
            return outcome.words
        return ""

    async def seen(self, sent: Sequence[Sent], epoch: int) -> list[Sent]:
        """Send the same bytes until they have landed or patience ends; what is known of each then."""
        await self._books.mark_sent([each.signature for each in sent])
        flying = {one.signature: _Flying(one, time.monotonic()) for one in sent}
        done: dict[Signature, Sent] = {}
        deadline = time.monotonic() + self._rhythm.patience
        while flying and time.monotonic() < deadline:
            await asyncio.sleep(self._rhythm.look)
            await self._books.keep_lease(epoch, self._rhythm.lease)
            done |= await self._look(flying)
        left = {signature: one.sent for signature, one in flying.items()}
        return [{**left, **done}[each.signature] for each in sent]

    async def _look(self, flying: dict[Signature, _Flying]) -> dict[Signature, Sent]:
        """Take out what has landed or was refused on chain; send the rest again when it is time."""
        known: dict[Signature, Sent] = {}
        landed: dict[str, int] = {}
        for signature, status in (await self._statuses(list(flying))).items():
            if status is not None and status.is_confirmed:
                one = flying.pop(signature).sent
                if status.err is None:
                    landed[signature] = status.slot
                    known[signature] = replace(one, state="landed", words="")
                else:
                    known[signature] = await self._refused_on_chain(one, status)
        if landed:
            self._checkpoint("before confirm")
            await self._books.land(landed)
            self._checkpoint("after confirm")
        await _together(self._again(one) for one in flying.values())
        return known

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

    async def _refused_on_chain(self, one: Sent, status: client.SignatureStatus) -> Sent:
        """It landed and failed; that ends nothing before it is finalized."""
        outcome = error_policy.of(
            rpc_errors.error_from_transaction(status.err, program_id=self._program_id), self._task
        )
        await self._books.note(one.signature, outcome)
        return replace(one, words=f"Refused on chain: {outcome.words}")

    async def _again(self, one: _Flying) -> None:
        now = time.monotonic()
        if now - one.sent_at < self._rhythm.resend:
            return
        one.sent_at = now
        async with self._side_by_side:
            try:
                await self._node.send(one.sent.raw, preflight_commitment="confirmed", skip_preflight=True)
            except errors.ZmartError:
                return


async def _together(steps: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """All of them, side by side; an error is raised when none is under way any more."""
    ended = await asyncio.gather(*steps, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if not isinstance(one, BaseException)]


#: What a refusal of the simulation makes of a row.
_REASONS: Final = {
    Meaning.WAIT: Reason.NOT_YET,
    Meaning.MOVED: Reason.MARKET_MOVED,
    Meaning.RETRY: Reason.SIMULATION,
    Meaning.PERSON: Reason.PROGRAM,
    Meaning.STOP: Reason.PROGRAM,
}
_ALIVE: Final = (Verdict.DUE, Verdict.EXPORT)


def instruction(task: Task, row: Row, program_id: str, signer: Address) -> Instruction:
    """What a task has the program do; the accounts are those of the IDL, the configuration's is derived."""
    arguments = dict(row.arguments)
    return transactions.instruction(
        task.instruction, program_id, {"market": row.market.address, task.role: signer}, arguments
    )


def planned(row: Row) -> dict[str, Any]:
    """What is kept of a row in its intent."""
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
        "words": row.words,
    }
