"""Resends or closes submissions, whichever process signed them: at the start and end of each round, and by a sensor.

An intent whose event is finalized in our own log is done. The other submissions are checked against one node: first
its finalized block height, then the signature statuses with its whole history searched. So an unknown status comes
from a node that has seen the blockhash expire. A submission that may still land is sent again. Nothing is signed
here, so no key is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zmart import errors
from zmart.chain import client, rpc_errors

from . import error_policy, submission_status
from .actions import TASKS
from .error_policy import ErrorAction, ErrorOutcome
from .intent_store import ClosedIntent, IntentStore, OpenSubmission
from .submission_status import SubmissionOutcome
from .submit import Checkpoint, Timing, no_checkpoint


@dataclass(kw_only=True)
class SweepResult:
    """The result of a sweep."""

    #: Intents that are done now, intents that are open again, and those whose submission can never land.
    closed: list[ClosedIntent] = field(default_factory=list)
    reopened: list[int] = field(default_factory=list)
    expired: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    quarantined: list[int] = field(default_factory=list)
    #: Submissions that may still land, or have landed and are not yet finalized in our log.
    open: int = 0

    def summary(self) -> str:
        """Return the counts as text for operators."""
        parts = {
            "done": len(self.closed),
            "reopened": len(self.reopened),
            "expired": len(self.expired),
            "failed": len(self.failed),
            "quarantined": len(self.quarantined),
            "still open": self.open,
        }
        return ", ".join(f"{count} {word}" for word, count in parts.items() if count) or "nothing open"


class Sweep:
    """One sweep over all submissions that have not ended."""

    def __init__(
        self,
        node: client.ChainClient,
        intent_store: IntentStore,
        *,
        program_id: str,
        timing: Timing,
        checkpoint: Checkpoint = no_checkpoint,
    ) -> None:
        self._node = node
        self._intent_store = intent_store
        self._program_id = program_id
        self._timing = timing
        self._checkpoint = checkpoint
        self._result = SweepResult()

    async def run(self) -> SweepResult:
        """Check every open submission once. Raises NodeError; results stored before the error remain stored."""
        await self._reopen()
        await self._close()
        open_submissions = await self._intent_store.open_submissions()
        for start in range(0, len(open_submissions), client.MAX_STATUSES):
            await self._check_submissions(open_submissions[start : start + client.MAX_STATUSES])
        return self._result

    async def close(self) -> SweepResult:
        """Close only the intents that our own log proves done; make no request to a node."""
        await self._close()
        self._result.open = len(await self._intent_store.open_submissions())
        return self._result

    async def _reopen(self) -> None:
        for number in await self._intent_store.reopen_retracted():
            self._result.reopened.append(number)
            await self._intent_store.alert(
                "keeper_reopened",
                str(number),
                "warning",
                f"Intent {number} was done, and the chain dropped its transaction. The next plan decides it again.",
            )

    async def _close(self) -> None:
        self._checkpoint("before close")
        closed = await self._intent_store.close_done()
        if closed:
            self._checkpoint("after close")
        for one in closed:
            await self._intent_store.resolve("keeper_unconfirmed", str(one.intent_no))
            await self._intent_store.resolve("keeper_reopened", str(one.intent_no))
            await self._compare_outcome(one)
        self._result.closed += closed

    async def _compare_outcome(self, one: ClosedIntent) -> None:
        """Raise an alert if a settled market has another outcome than planned.

        The program alone decides the outcome.
        """
        if "final_outcome" not in one.event or one.event["final_outcome"] == one.expected_outcome:
            return
        await self._intent_store.alert(
            "outcome_differs",
            one.market_id,
            "critical",
            f"Market {one.market_id} was finalized as {one.event['final_outcome']}, planned as "
            f"{one.expected_outcome}: the program's configuration changed after intent {one.intent_no} was signed.",
        )

    async def _check_submissions(self, found: Sequence[OpenSubmission]) -> None:
        one_node = self._node.pin_node()
        height = await one_node.block_height(commitment="finalized")
        statuses = await one_node.signature_statuses([each.signature for each in found], search_history=True)
        landed: dict[str, int] = {}
        for each, status in zip(found, statuses.value, strict=True):
            submission_outcome = submission_status.decide(
                status,
                finalized_height=height,
                last_valid_block_height=each.last_valid_block_height,
                searched=True,
                in_log=each.in_log,
                is_final_in_log=each.is_final_in_log,
            )
            if submission_outcome is SubmissionOutcome.LANDED and status is not None:
                landed[each.signature] = status.slot
            await self._act(each, submission_outcome, status)
        await self._intent_store.mark_landed(landed)

    async def _act(
        self, one: OpenSubmission, submission_outcome: SubmissionOutcome, status: client.SignatureStatus | None
    ) -> None:
        match submission_outcome:
            case SubmissionOutcome.EXPIRED:
                await self._expire(one)
            case SubmissionOutcome.FAILED:
                assert status is not None
                await self._fail(one, status)
            case SubmissionOutcome.RESEND:
                self._result.open += 1
                await self._resend(one)
            case SubmissionOutcome.LANDED | SubmissionOutcome.WAIT:
                self._result.open += 1
                await self._alert_if_unconfirmed(one)

    async def _resend(self, one: OpenSubmission) -> None:
        try:
            commitment = await self._node.read_commitment()
            await self._node.send(one.raw, preflight_commitment=commitment, skip_preflight=True)
        except errors.ZmartError:
            return
        await self._intent_store.mark_sent([one.signature])

    async def _expire(self, one: OpenSubmission) -> None:
        message = f"Its blockhash expired at height {one.last_valid_block_height}, and the chain does not contain it."
        outcome = ErrorOutcome(action=ErrorAction.RETRY, kind="Expired", message=message)
        state = await self._intent_store.mark_expired(one.signature, outcome)
        self._result.expired.append(one.intent_no)
        await self._alert_on_outcome(one, state, outcome)

    async def _fail(self, one: OpenSubmission, status: client.SignatureStatus) -> None:
        error = rpc_errors.error_from_transaction(status.err, program_id=self._program_id)
        outcome = error_policy.classify(error, TASKS[one.task])
        is_over = outcome.action in (ErrorAction.MOVED, ErrorAction.WAIT)
        state = await self._intent_store.mark_failed(one.signature, outcome, slot=status.slot, is_over=is_over)
        self._result.failed.append(one.intent_no)
        await self._alert_on_outcome(one, state, outcome)

    async def _alert_on_outcome(self, one: OpenSubmission, state: str | None, outcome: ErrorOutcome) -> None:
        if state == "quarantined":
            await self._report_quarantined(one, outcome)
        if outcome.action in (ErrorAction.STOP, ErrorAction.MANUAL_REVIEW):
            await self._intent_store.alert(
                "keeper_refused_on_chain",
                one.market_id,
                "critical",
                f"{one.task} of intent {one.intent_no}: {outcome.message}",
            )

    async def _report_quarantined(self, one: OpenSubmission, outcome: ErrorOutcome) -> None:
        self._result.quarantined.append(one.intent_no)
        await self._intent_store.alert(
            "intent_quarantined",
            str(one.intent_no),
            "critical",
            f"{one.task} of market {one.market_id} failed three times: {outcome.message} Inspect it, then: "
            f"zmart keeper release {one.intent_no}",
        )

    async def _alert_if_unconfirmed(self, one: OpenSubmission) -> None:
        """Raise an alert about a submission that a node reports as landed and that our log does not show as final.

        Such a submission is neither done nor signed again.
        """
        if one.age_seconds > self._timing.unconfirmed_seconds:
            await self._intent_store.alert(
                "keeper_unconfirmed",
                str(one.intent_no),
                "warning",
                f"The node reported {one.age_seconds:.0f} s ago that {one.signature} landed, but it is not final "
                "in the log. Nothing is sent again. Check that ingest is verified (zmart status) and that the node "
                "is reliable.",
            )
