"""Stores intents and signed transactions (ops.intents, ops.submissions), on one connection, under one lease.

Every statement is a transaction of its own, so the state after a crash is always the state after some statement. The
two most important ones are functions of the database: `ops.open_intent` and `ops.store_submission` (migration 0011).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import psycopg
from psycopg.types.json import Jsonb

from zmart import errors
from zmart.chain.transactions import SendableTransaction
from zmart.db import alerts, queries
from zmart.db.connection import ReconnectingConnection, translate_errors
from zmart.domain.ids import Address, Signature
from zmart.domain.market import MarketState
from zmart.domain.votes import VoteKind

from .actions import TASKS, Name, Task
from .error_policy import ErrorOutcome
from .plan_inputs import MarketFacts, OpenIntent, Tally
from .preflight import LogIdentity
from .proofs import Ballots

sql = queries.load("orchestration.keepers")

LEASE: Final = "keepers"
#: Number of submissions of one intent that may end without success before an operator has to review it.
MAX_ATTEMPTS: Final = 3
#: Counting a million ballots takes seconds.
STATEMENT_TIMEOUT_SECONDS: Final = 60.0
#: The event that the log holds for a vote of each kind.
VOTES: Final[Mapping[VoteKind, str]] = {
    VoteKind.PROPOSAL: "ProposalVoteSubmitted",
    VoteKind.DISPUTE: "DisputeVoteSubmitted",
}


class LeaseLost(errors.Conflict):
    """Another keeper holds the lease now; the transactions planned here are not signed."""


class BudgetExhausted(errors.Overloaded):
    """The day's budget for fees is used up."""


class SubmissionStillOpen(errors.Conflict):
    """An earlier submission of the intent may still land."""


class OpenSubmission(NamedTuple):
    """A submission that has not ended."""

    signature: Signature
    intent_no: int
    market_no: int
    market_id: str
    action: str
    task: Name
    state: str
    raw: bytes
    last_valid_block_height: int
    in_log: bool
    is_final_in_log: bool
    age_seconds: float


class ClosedIntent(NamedTuple):
    """An intent that is done."""

    intent_no: int
    market_id: str
    task: Name
    event: Mapping[str, Any]
    expected_outcome: bool | None


@dataclass(frozen=True, kw_only=True)
class LogFacts:
    """Facts about the log, as stored in the database."""

    log: LogIdentity
    verified_through: int | None
    finalized_through: int | None
    stale: tuple[str, ...]
    #: Seconds since 1970, by the database's clock.
    our_at: float


class RoundSummary(NamedTuple):
    """What is stored of a round, for those who watch keepers from outside."""

    is_dry: bool
    #: worked, skipped, stopped or failed.
    outcome: str
    #: Actions of the plan that were due.
    due: int
    sent: int
    message: str
    seconds: float


class IntentStore:
    """Reads and writes ops.intents and ops.submissions; use it with `async with`."""

    def __init__(self, dsn: str) -> None:
        self._connection = ReconnectingConnection(
            dsn, application_name="zmart keepers", statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
        )

    async def __aenter__(self) -> Self:
        await self._connection.get()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.close()

    async def _fetch_all(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        connection = await self._connection.get()
        with _translate_errors():
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall() if cursor.description else []

    async def _fetch_one(self, statement: str, **parameters: Any) -> tuple[Any, ...]:
        rows = await self._fetch_all(statement, **parameters)
        return rows[0]

    async def record_round(self, task: Task, summary: RoundSummary) -> None:
        """Store the last round of a keeper."""
        await self._fetch_all(sql.record_round, keeper=task.name, **summary._asdict())

    async def record_failed_round(self, task: Task, message: str, *, is_dry: bool) -> None:
        """Store that a round failed; the error that it failed with matters more than one of storing this."""
        summary = RoundSummary(is_dry=is_dry, outcome="failed", due=0, sent=0, message=message, seconds=0.0)
        with contextlib.suppress(errors.ZmartError):
            await self.record_round(task, summary)

    # Reading

    async def load_facts(self) -> LogFacts:
        """Return the state of the log. Raises ConfigurationError if the database has no log."""
        rows = await self._fetch_all(sql.log_facts)
        if not rows:
            raise errors.ConfigurationError("This database has no log.", help="Run: zmart migrate")
        genesis_hash, program_id, window, verified, finalized, stale, our_at = rows[0]
        return LogFacts(
            log=LogIdentity(genesis_hash=genesis_hash, program_id=program_id, voting_window_seconds=int(window)),
            verified_through=verified,
            finalized_through=finalized,
            stale=tuple(stale),
            our_at=our_at,
        )

    async def observe_epoch(self, slot: int) -> int | None:
        """Return the finalized slot at which keepers first met this epoch and timeline: `slot` if they meet it now.

        Return None for the first ones. After a restore, or a failover that lost the end, the database lacks what
        keepers sent last.
        """
        await self._fetch_all(sql.observe_epoch, slot=slot)
        return (await self._fetch_one(sql.restored_at_slot))[0]  # type: ignore[no-any-return]

    async def markets(self, task: Task, *, before: int, window_seconds: int) -> list[MarketFacts]:
        """Return the markets in a task's state, with the ballots cast before an instant."""
        tallies: dict[int, Tally] = {}
        if task.ballots is not None:
            counted = await self._fetch_all(
                sql.tallies, state=task.state, kind=task.ballots.label, before=before, window=window_seconds
            )
            tallies = {row[0]: Tally(*row[1:]) for row in counted}
        rows = await self._fetch_all(sql.markets, state=task.state, action=task.instruction)
        return [_market(row, tallies) for row in rows]

    async def ballots(self, market: MarketFacts, kind: VoteKind, *, before: int, closing: int) -> Ballots:
        """Return a market's votes on chain before `before`, and a digest of its ballots that count before `closing`."""
        agree, disagree, digest = await self._fetch_one(
            sql.ballots,
            market_no=market.market_no,
            kind=kind.label,
            event=VOTES[kind],
            before=before,
            closing=closing,
        )
        return Ballots(agree=agree, disagree=disagree, digest=digest)

    async def open_submissions(self) -> list[OpenSubmission]:
        """Return every submission that has not ended, the oldest first."""
        rows = await self._fetch_all(sql.open_submissions)
        return [OpenSubmission(*row) for row in rows]

    async def has_open_submissions(self) -> bool:
        """Return whether there is anything to sweep."""
        return any(await self._fetch_one(sql.count_open_submissions))

    async def spent_today(self) -> int:
        """Return today's fees in lamports."""
        (lamports,) = await self._fetch_one(sql.spent_today)
        return int(lamports)

    async def intents(self, *, is_open: bool, limit: int) -> list[tuple[Any, ...]]:
        """Return intents for display, the newest first."""
        return await self._fetch_all(sql.intents, is_open=is_open, limit=limit)

    # The lease

    async def acquire_lease(self, holder: str, seconds: float) -> int | None:
        """Return the epoch of the acquired lease, or None while another process holds it."""
        rows = await self._fetch_all(sql.acquire_lease, name=LEASE, holder=holder, seconds=seconds)
        return rows[0][0] if rows else None

    async def renew_lease(self, epoch: int, seconds: float) -> None:
        """Extend the lease. Raises LeaseLost."""
        (is_renewed,) = await self._fetch_one(sql.renew_lease, name=LEASE, epoch=epoch, seconds=seconds)
        if not is_renewed:
            raise LeaseLost

    async def release_lease(self, epoch: int) -> None:
        """Release the lease, so that the next keeper can start."""
        await self._fetch_all(sql.release_lease, name=LEASE, epoch=epoch)

    async def lease_holder(self) -> tuple[str, float]:
        """Return the last holder of the lease (or "nobody"), and the seconds for which it is still valid."""
        rows = await self._fetch_all(sql.lease_holder, name=LEASE)
        return (str(rows[0][0]), max(0.0, float(rows[0][1]))) if rows else ("nobody", 0.0)

    # Writing

    async def open_intent(
        self, epoch: int, market_no: int, action: str, arguments: Mapping[str, Any], plan: Mapping[str, Any]
    ) -> int | None:
        """Return the number of the new or continued intent, or None while another one blocks it. Raises LeaseLost."""
        (number,) = await self._fetch_one(
            sql.open_intent,
            lease=LEASE,
            epoch=epoch,
            market_no=market_no,
            action=action,
            arguments=Jsonb(dict(arguments)),
            plan=Jsonb(dict(plan)),
        )
        return None if number is None else int(number)

    async def store_submission(
        self,
        epoch: int,
        intent_no: int,
        signed: SendableTransaction,
        *,
        payer: Address,
        last_valid_block_height: int,
        fee_lamports: int,
        units: int,
        budget_lamports: int,
    ) -> None:
        """Store a signed transaction.

        Raises LeaseLost, SubmissionStillOpen or BudgetExhausted; in that case nothing is stored and nothing may be
        sent.
        """
        await self._fetch_all(
            sql.store_submission,
            lease=LEASE,
            epoch=epoch,
            intent_no=intent_no,
            signature=signed.signature,
            bytes=signed.raw,
            last_valid_block_height=last_valid_block_height,
            payer=payer,
            fee_lamports=fee_lamports,
            units=units,
            budget_lamports=budget_lamports,
        )

    async def mark_sent(self, signatures: Sequence[str]) -> None:
        """Record that the submissions were sent at least once."""
        await self._fetch_all(sql.mark_sent, signatures=list(signatures))

    async def record_outcome(self, signature: str, outcome: ErrorOutcome) -> None:
        """Store the latest error that prevented a submission from landing."""
        await self._fetch_all(sql.record_outcome, signature=signature, outcome=Jsonb(outcome.json()))

    async def mark_landed(self, slots: Mapping[str, int]) -> None:
        """Record that the submissions have landed according to a node; `slots` is keyed by signature."""
        if slots:
            await self._fetch_all(sql.mark_landed, signatures=list(slots), slots=list(slots.values()))

    async def drop_planned(self, task: Task, due: Sequence[int]) -> int:
        """Close the intents that were never signed and are no longer due; return their number."""
        return len(await self._fetch_all(sql.drop_planned, action=task.instruction, task=task.name, due=list(due)))

    async def reopen_retracted(self) -> list[int]:
        """Reopen done intents whose transaction the chain retracted; return their numbers."""
        return [number for (number,) in await self._fetch_all(sql.reopen_retracted)]

    async def close_done(self) -> list[ClosedIntent]:
        """Close the intents whose event is finalized in our own log; return them."""
        events = json.dumps({task.instruction: task.event for task in TASKS.values()})
        return [ClosedIntent(*row) for row in await self._fetch_all(sql.close_done, events=events)]

    async def mark_expired(self, signature: str, outcome: ErrorOutcome) -> str | None:
        """Record that a submission can never land; return the intent's state, or None if it had ended before."""
        rows = await self._fetch_all(
            sql.mark_expired, signature=signature, most=MAX_ATTEMPTS, outcome=Jsonb(outcome.json())
        )
        return rows[0][0] if rows else None

    async def mark_failed(self, signature: str, outcome: ErrorOutcome, *, slot: int, is_over: bool) -> str | None:
        """Record a finalized failure on chain; return the intent's state, or None if it had ended before."""
        rows = await self._fetch_all(
            sql.mark_failed,
            signature=signature,
            most=MAX_ATTEMPTS,
            outcome=Jsonb(outcome.json()),
            slot=slot,
            is_over=is_over,
        )
        return rows[0][0] if rows else None

    async def release_intent(self, intent_no: int, operator: str, reason: str) -> bool:
        """Release a quarantined intent, so that the next plan starts over; False if there is nothing to release."""
        released, _ = await self._fetch_one(sql.release_intent, intent_no=intent_no, who=operator, reason=reason)
        return bool(released)

    # Decisions of operators

    async def record_audit(
        self, *, who: str, action: str, subject: str, reason: str, details: Mapping[str, Any]
    ) -> int:
        """Record a decision of an operator in ops.audit; return its number."""
        (number,) = await self._fetch_one(
            sql.record_audit, who=who, action=action, subject=subject, reason=reason, details=Jsonb(dict(details))
        )
        return int(number)

    async def audited_decisions(self, *, limit: int) -> list[tuple[Any, ...]]:
        """Return the decisions of operators for display, the newest first."""
        return await self._fetch_all(sql.audited_decisions, limit=limit)

    # Alerts

    async def alert(self, kind: str, subject: str, severity: str, message: str) -> None:
        """Raise an alert; raising an open alert again only increments its count."""
        await self._fetch_all(alerts.sql.raise_alert, kind=kind, subject=subject, severity=severity, message=message)

    async def resolve(self, kind: str, subject: str = "") -> None:
        """Resolve an alert, if it is open."""
        await self._fetch_all(alerts.sql.resolve_alert, kind=kind, subject=subject)

    async def resolve_others(self, kind: str, task: Name, subjects: Sequence[str]) -> None:
        """Resolve a task's alerts of this kind about other subjects; a subject begins with the task's name."""
        await self._fetch_all(sql.resolve_others, kind=kind, task=task, subjects=list(subjects))


def _market(row: tuple[Any, ...], tallies: Mapping[int, Tally]) -> MarketFacts:
    number, market_id, address, state, proposed, disputed, slot, created, resolving, initiated, *rest = row
    likes, dislikes, intent_no, intent_state, sent_at, gap_no = rest
    return MarketFacts(
        market_no=number,
        market_id=market_id,
        address=Address(address),
        state=MarketState(state),
        proposed_outcome=proposed,
        was_disputed=disputed,
        decisive_slot=slot,
        created_at=created,
        resolution_proposed_at=resolving,
        dispute_initiated_at=initiated,
        likes=likes or 0,
        dislikes=dislikes or 0,
        tally=tallies.get(number, Tally()),
        open_intent=None if intent_no is None else OpenIntent(intent_no, intent_state),
        last_sent_at=sent_at,
        gap_no=gap_no,
    )


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate the driver's errors, and the SQLSTATEs that the functions of schema ops raise, into our classes."""
    try:
        with translate_errors():
            yield
    except psycopg.Error as error:
        message = error.diag.message_primary or str(error)
        match error.sqlstate:
            case "ZM409":
                raise LeaseLost(f"{message}.") from error
            case "ZM429":
                raise BudgetExhausted(
                    f"{message[0].upper()}{message[1:]}.",
                    help="Raise KEEPER_DAILY_BUDGET_LAMPORTS, or wait until tomorrow.",
                ) from error
        raise
    except errors.Conflict as error:
        raise SubmissionStillOpen(str(error)) from error
