"""What an error means for whoever signs: protocol.md 4.5 and 11, and every number of 1.8.

    WAIT     not yet, or not needed: no alert, the next plan decides again
    MOVED    somebody else did it, or the market went another way: the intent is over
    RETRY    a node's trouble: nothing is known, the next round asks
    PERSON   the program's arithmetic, money or clock says something no rule of ours covers
    STOP     a wrong key, account or program: nothing more is signed in this round

Landing is not judged here: an error of a node never says that a transaction is dead.
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


class Meaning(enum.Enum):
    """What to do next."""

    WAIT = "wait"
    MOVED = "moved"
    RETRY = "retry"
    PERSON = "person"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How something ended."""

    meaning: Meaning
    #: The error's name: the program's where it has one.
    kind: str
    words: str

    def json(self) -> dict[str, Any]:
        """What is kept of it."""
        return {"meaning": self.meaning.value, "kind": self.kind, "words": self.words}


_R: Final = ErrorCode
_WAIT, _MOVED, _PERSON, _STOP = Meaning.WAIT, Meaning.MOVED, Meaning.PERSON, Meaning.STOP

#: Every refusal of the program, whether any instruction of ours can meet it or not (a test counts them).
REFUSALS: Final[Mapping[ErrorCode, Meaning]] = {
    # Not yet, or counts that do not suffice: the next plan looks again.
    _R.InsufficientVotes: _WAIT,
    _R.NoVotesRecorded: _WAIT,
    _R.DisputePeriodNotEnded: _WAIT,
    _R.ResolutionPeriodNotEnded: _WAIT,
    _R.ProtocolPaused: _WAIT,
    _R.MarketPaused: _WAIT,
    _R.Reentrant: _WAIT,
    # The market is elsewhere already.
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
    # Keys, accounts, program: a configuration of ours is wrong.
    _R.Unauthorized: _STOP,
    _R.InvalidAdmin: _STOP,
    _R.InvalidGlobalConfig: _STOP,
    _R.AlreadyInitialized: _STOP,
    # Ledger, clock, maths: a person.
    _R.BoundedLossExceeded: _PERSON,
    _R.InvalidTimestamp: _PERSON,
    _R.InsufficientLiquidity: _PERSON,
    _R.InvalidLiquidity: _PERSON,
    _R.InsufficientShares: _PERSON,
    _R.InsufficientFunds: _PERSON,
    _R.InsufficientReputation: _PERSON,
    _R.WouldBreakRentExemption: _PERSON,
    _R.InvalidReservedField: _PERSON,
    _R.InvalidFeeConfiguration: _PERSON,
    _R.InvalidFeeStructure: _PERSON,
    _R.InvalidThreshold: _PERSON,
    _R.InvalidTimeLimit: _PERSON,
    _R.InvalidBParameter: _PERSON,
    _R.InvalidMarketId: _PERSON,
    _R.InvalidResolver: _PERSON,
    _R.InvalidIpfsHash: _PERSON,
    _R.InvalidInput: _PERSON,
    _R.InvalidFixedPoint: _PERSON,
    _R.InvalidLogarithm: _PERSON,
    _R.ExponentialOverflow: _PERSON,
    _R.ExponentTooLarge: _PERSON,
    _R.OverflowError: _PERSON,
    _R.UnderflowError: _PERSON,
    _R.DivisionByZero: _PERSON,
    _R.ZeroAmount: _PERSON,
    _R.TradeTooSmall: _PERSON,
    _R.SlippageExceeded: _PERSON,
    _R.NoResolutionProposed: _PERSON,
    _R.NoWinnings: _PERSON,
}

#: Anchor's own numbers: a wrong PDA, an account of another program or type, one that is missing, a missing signature.
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


def of(error: errors.ZmartError, task: Task) -> Outcome:
    """What an error of simulating or sending means for a task."""
    return Outcome(meaning=_meaning(error, task), kind=_kind(error), words=str(error))


def _meaning(error: errors.ZmartError, task: Task) -> Meaning:
    match error:
        case errors.ProgramError():
            return _of_program(error, task)
        case rpc_errors.TransactionError() | errors.Transient() | rpc_errors.ApiKeyRejected():
            return Meaning.RETRY
        case rpc_errors.AlreadyProcessed():
            return Meaning.RETRY
        case errors.ConfigurationError() | errors.Unauthorized():
            return Meaning.STOP
    return Meaning.PERSON


def _of_program(error: errors.ProgramError, task: Task) -> Meaning:
    if error.code in ANCHOR:
        return Meaning.STOP
    refusal = ErrorCode.__members__.get(error.name)
    if refusal is None or refusal.code != error.code:
        return Meaning.PERSON
    if refusal is ErrorCode.NoVotesRecorded and task.name == "dispute_settlements":
        # A dispute without ballots has no way out that a keeper may take (protocol.md 4.5).
        return Meaning.PERSON
    return REFUSALS[refusal]


def _kind(error: errors.ZmartError) -> str:
    if isinstance(error, errors.ProgramError):
        return ANCHOR.get(error.code, error.name)
    return type(error).__name__
