"""Defines the verdicts of a plan's row and the reasons for them."""

from __future__ import annotations

import enum


class PlanVerdict(enum.Enum):
    """The decision about a row."""

    #: The row is signed and sent.
    DUE = "due"
    #: The row waits for the admin's signature, which is made elsewhere.
    EXPORT = "export"
    #: Nothing to do, or not yet.
    WAIT = "wait"
    #: The row would be due, but something is not proven.
    REFUSED = "refused"
    #: An operator has to decide.
    MANUAL_REVIEW = "manual_review"


class Reason(enum.Enum):
    """The reason for a row's verdict."""

    DUE = ("due", PlanVerdict.DUE)
    APPROVED = ("an operator approved it", PlanVerdict.DUE)
    NO_ADMIN_KEY = ("unsigned, for the admin", PlanVerdict.EXPORT)
    LEFT_TO_OPERATOR = ("unsigned, for an operator", PlanVerdict.EXPORT)

    TOO_FEW_BALLOTS = ("too few ballots", PlanVerdict.WAIT)
    BELOW_THRESHOLD = ("below the threshold", PlanVerdict.WAIT)
    TALLY_SUFFICES = ("the tally on chain suffices", PlanVerdict.WAIT)
    TALLIED_LATELY = ("tallied within the hour", PlanVerdict.WAIT)
    NO_TALLY = ("no sufficient tally on chain", PlanVerdict.WAIT)
    PERIOD_RUNS = ("the dispute period is not over", PlanVerdict.WAIT)
    VOTING_RUNS = ("voting runs", PlanVerdict.WAIT)
    UNDER_WAY = ("under way", PlanVerdict.WAIT)
    NEXT_ROUND = ("in the next round", PlanVerdict.WAIT)
    LEFT_TO_OTHERS = ("left to admin and creator", PlanVerdict.WAIT)
    PAUSED = ("the protocol is paused", PlanVerdict.WAIT)
    NOT_YET = ("the program does not allow it yet", PlanVerdict.WAIT)

    UNVERIFIED = ("no part of the log is verified", PlanVerdict.REFUSED)
    LOG_BEHIND = ("the verified log is too old", PlanVerdict.REFUSED)
    RESTORED = ("the restored log has not caught up", PlanVerdict.REFUSED)
    MART_STALE = ("a mart stopped following the log", PlanVerdict.REFUSED)
    CLOCK_SKEW = ("clocks disagree", PlanVerdict.REFUSED)
    NOT_FINAL = ("not final yet", PlanVerdict.REFUSED)
    GAP = ("an accepted gap concerns it", PlanVerdict.REFUSED)
    BALLOTS_TURNED = ("the votes have changed since the tally", PlanVerdict.REFUSED)
    MARKET_MOVED = ("the market has changed since", PlanVerdict.REFUSED)
    CONFIG_CHANGED = ("the configuration has changed", PlanVerdict.REFUSED)
    RECORDS_DIFFER = ("vote records differ from the log", PlanVerdict.REFUSED)
    SIMULATION = ("it cannot be simulated now", PlanVerdict.REFUSED)
    SIGNER = ("the signer gave no signature", PlanVerdict.REFUSED)
    BUDGET = ("the daily budget is spent", PlanVerdict.REFUSED)

    ZERO_BALLOTS = ("a dispute without a ballot", PlanVerdict.MANUAL_REVIEW)
    NULL_OUTCOME = ("no outcome is proposed", PlanVerdict.MANUAL_REVIEW)
    WAS_DISPUTED = ("it was disputed before", PlanVerdict.MANUAL_REVIEW)
    UNSEEN_DECIDE = ("unseen wallets decide the result", PlanVerdict.MANUAL_REVIEW)
    THRESHOLDS_DISAGREE = ("our threshold differs from the chain's", PlanVerdict.MANUAL_REVIEW)
    TOO_MANY_BALLOTS = ("more ballots than the program counts", PlanVerdict.MANUAL_REVIEW)
    PROGRAM = ("the program would reject it", PlanVerdict.MANUAL_REVIEW)
    QUARANTINED = ("quarantined after three attempts", PlanVerdict.MANUAL_REVIEW)

    def __init__(self, label: str, verdict: PlanVerdict) -> None:
        self.label = label
        self.verdict = verdict
