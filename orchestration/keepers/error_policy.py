"""Maps every error to the next action of a keeper: protocol.md 4.5 and 11, and every number of 1.8.

    WAIT            too early, or not needed: no alert; the next plan decides again
    MOVED           another party did it, or the market went another way: the intent is over
    RETRY           the node failed: nothing is known; the next round tries again
    MANUAL_REVIEW   the program's arithmetic, money or clock reports something that no rule of ours covers
    STOP            a wrong key, account or program: nothing more is signed in this round

This module does not decide whether a transaction landed: an error of a node never proves that it cannot land.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from zmart import errors
from zmart.chain import rpc_errors
from zmart.domain.program_errors import ErrorCode

from .actions import Task


class ErrorAction(enum.Enum):
    """The next action after an error."""

    WAIT = "wait"
    MOVED = "moved"
    RETRY = "retry"
    MANUAL_REVIEW = "person"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class ErrorOutcome:
    """An error with the action that follows from it."""

    action: ErrorAction
    #: The error's name: the program's own name if it has one.
    kind: str
    message: str

    def json(self) -> dict[str, Any]:
        """Return the outcome as it is stored."""
        return {"meaning": self.action.value, "kind": self.kind, "words": self.message}


_R: Final = ErrorCode
_WAIT, _MOVED, _MANUAL_REVIEW, _STOP = ErrorAction.WAIT, ErrorAction.MOVED, ErrorAction.MANUAL_REVIEW, ErrorAction.STOP

#: Every refusal of the program, including those that none of our instructions can cause (a test counts them).
REFUSALS: Final[Mapping[ErrorCode, ErrorAction]] = {
    # Too early, or counts that do not suffice: the next plan decides again.
    _R.InsufficientVotes: _WAIT,
    _R.NoVotesRecorded: _WAIT,
    _R.DisputePeriodNotEnded: _WAIT,
    _R.ResolutionPeriodNotEnded: _WAIT,
    _R.ProtocolPaused: _WAIT,
    _R.MarketPaused: _WAIT,
    _R.Reentrant: _WAIT,
    # The market has already left the state.
    _R.InvalidStateForVoting: _MOVED,
    _R.InvalidStateTransition: _MOVED,
    _R.InvalidMarketState: _MOVED,
    _R.MarketCancelled: _MOVED,
    _R.MarketAlreadyCancelled: _MOVED,
    _R.CannotCancelMarket: _MOVED,
    _R.AlreadyResolved: _MOVED,
    _R.AlreadyDisputed: _MOVED,
    _R.AlreadyClaimed: _MOVED,
    _R.AlreadyVoted: _MOVED,
    _R.DisputePeriodEnded: _MOVED,
    # Keys, accounts, program: our configuration is wrong.
    _R.Unauthorized: _STOP,
    _R.InvalidAdmin: _STOP,
    _R.InvalidGlobalConfig: _STOP,
    _R.AlreadyInitialized: _STOP,
    # Ledger, clock, arithmetic: an operator has to review it.
    _R.BoundedLossExceeded: _MANUAL_REVIEW,
    _R.InvalidTimestamp: _MANUAL_REVIEW,
    _R.InsufficientLiquidity: _MANUAL_REVIEW,
    _R.InvalidLiquidity: _MANUAL_REVIEW,
    _R.InsufficientShares: _MANUAL_REVIEW,
    _R.InsufficientFunds: _MANUAL_REVIEW,
    _R.InsufficientReputation: _MANUAL_REVIEW,
    _R.WouldBreakRentExemption: _MANUAL_REVIEW,
    _R.InvalidReservedField: _MANUAL_REVIEW,
    _R.InvalidFeeConfiguration: _MANUAL_REVIEW,
    _R.InvalidFeeStructure: _MANUAL_REVIEW,
    _R.InvalidThreshold: _MANUAL_REVIEW,
    _R.InvalidTimeLimit: _MANUAL_REVIEW,
    _R.InvalidBParameter: _MANUAL_REVIEW,
    _R.InvalidMarketId: _MANUAL_REVIEW,
    _R.InvalidResolver: _MANUAL_REVIEW,
    _R.InvalidIpfsHash: _MANUAL_REVIEW,
    _R.InvalidInput: _MANUAL_REVIEW,
    _R.InvalidFixedPoint: _MANUAL_REVIEW,
    _R.InvalidLogarithm: _MANUAL_REVIEW,
    _R.ExponentialOverflow: _MANUAL_REVIEW,
    _R.ExponentTooLarge: _MANUAL_REVIEW,
    _R.OverflowError: _MANUAL_REVIEW,
    _R.UnderflowError: _MANUAL_REVIEW,
    _R.DivisionByZero: _MANUAL_REVIEW,
    _R.ZeroAmount: _MANUAL_REVIEW,
    _R.TradeTooSmall: _MANUAL_REVIEW,
    _R.SlippageExceeded: _MANUAL_REVIEW,
    _R.NoResolutionProposed: _MANUAL_REVIEW,
    _R.NoWinnings: _MANUAL_REVIEW,
}

#: Anchor's own error numbers: a wrong PDA, an account of another program or type, a missing account, a missing
#: signature.
ANCHOR: Final[Mapping[int, str]] = {
    2000: "ConstraintMut",
    2001: "ConstraintHasOne",
    2002: "ConstraintSigner",
    2003: "ConstraintRaw",
    2006: "ConstraintSeeds",
    2012: "ConstraintAddress",
    3002: "AccountDiscriminatorMismatch",
    3007: "AccountOwnedByWrongProgram",
    3010: "AccountNotSigner",
    3012: "AccountNotInitialized",
}


def classify(error: errors.ZmartError, task: Task) -> ErrorOutcome:
    """Return the outcome for an error that occurred when a task's transaction was simulated or sent."""
    return ErrorOutcome(action=_action(error, task), kind=_kind(error), message=str(error))


def _action(error: errors.ZmartError, task: Task) -> ErrorAction:
    match error:
        case errors.ProgramError():
            return _program_error_action(error, task)
        case rpc_errors.TransactionError() | errors.Transient() | rpc_errors.ApiKeyRejected():
            return ErrorAction.RETRY
        case rpc_errors.AlreadyProcessed():
            return ErrorAction.RETRY
        case errors.ConfigurationError() | errors.Unauthorized():
            return ErrorAction.STOP
    return ErrorAction.MANUAL_REVIEW


def _program_error_action(error: errors.ProgramError, task: Task) -> ErrorAction:
    if error.code in ANCHOR:
        return ErrorAction.STOP
    refusal = ErrorCode.__members__.get(error.name)
    if refusal is None or refusal.code != error.code:
        return ErrorAction.MANUAL_REVIEW
    if refusal is ErrorCode.NoVotesRecorded and task.name == "dispute_settlements":
        # No action that a keeper may take can end a dispute without ballots (protocol.md 4.5).
        return ErrorAction.MANUAL_REVIEW
    return REFUSALS[refusal]


def _kind(error: errors.ZmartError) -> str:
    if isinstance(error, errors.ProgramError):
        return ANCHOR.get(error.code, error.name)
    return type(error).__name__
