"""The result of one round of a keeper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .actions import Task
from .error_policy import ErrorOutcome
from .intent_store import RoundSummary
from .plan_inputs import ProtocolConfig, ProvenState
from .plans import PlanRow
from .reasons import PlanVerdict
from .submit import SentSubmission
from .sweep import SweepResult


@dataclass(frozen=True, kw_only=True)
class RoundReport:
    """The result of a round."""

    task: Task
    is_dry: bool
    rows: Sequence[PlanRow]
    sent: Sequence[SentSubmission] = ()
    swept: SweepResult = field(default_factory=SweepResult)
    config: ProtocolConfig | None = None
    proven_state: ProvenState | None = None
    #: The reason why the whole round was skipped, or "".
    skipped: str = ""
    #: The error after which nothing more was signed.
    stopped: ErrorOutcome | None = None
    seconds: float = 0.0

    @property
    def is_review_needed(self) -> bool:
        """Return whether an operator has to review something."""
        return self.stopped is not None or any(row.verdict is PlanVerdict.MANUAL_REVIEW for row in self.rows)

    def summary_row(self) -> RoundSummary:
        """Return what is stored of this round."""
        outcome, message = ("stopped", self.stopped.message) if self.stopped else ("worked", "")
        if self.skipped:
            outcome, message = "skipped", self.skipped
        return RoundSummary(
            is_dry=self.is_dry,
            outcome=outcome,
            due=self.count(PlanVerdict.DUE) + self.count(PlanVerdict.EXPORT),
            sent=len(self.sent),
            message=message,
            seconds=self.seconds,
        )

    def count(self, verdict: PlanVerdict) -> int:
        """Return the number of rows with a verdict."""
        return sum(row.verdict is verdict for row in self.rows)
