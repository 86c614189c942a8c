"""Errors, fees and outcomes: every number of the program has a policy, and only two facts allow another signature."""

from __future__ import annotations

import pytest

from orchestration.keepers import error_policy, fees, submission_status
from orchestration.keepers.actions import TASKS
from orchestration.keepers.error_policy import ErrorAction
from orchestration.keepers.submission_status import SubmissionOutcome
from zmart import errors
from zmart.chain import client, rpc_errors, transactions
from zmart.domain.program_errors import ErrorCode

TALLY, APPROVAL = TASKS["proposal_tallies"], TASKS["proposal_approvals"]
FINAL, SETTLED = TASKS["market_finalizations"], TASKS["dispute_settlements"]


def test_every_refusal_of_the_program_is_classified() -> None:
    """A new one needs a policy."""
    assert set(error_policy.REFUSALS) == set(ErrorCode)


@pytest.mark.parametrize(
    ("refusal", "task", "meaning"),
    [
        (ErrorCode.InsufficientVotes, APPROVAL, ErrorAction.WAIT),
        (ErrorCode.NoVotesRecorded, APPROVAL, ErrorAction.WAIT),
        (ErrorCode.NoVotesRecorded, SETTLED, ErrorAction.MANUAL_REVIEW),
        (ErrorCode.Unauthorized, APPROVAL, ErrorAction.STOP),
        (ErrorCode.InvalidGlobalConfig, TALLY, ErrorAction.STOP),
        (ErrorCode.InvalidStateForVoting, TALLY, ErrorAction.MOVED),
        (ErrorCode.InvalidStateTransition, APPROVAL, ErrorAction.MOVED),
        (ErrorCode.InvalidMarketState, FINAL, ErrorAction.MOVED),
        (ErrorCode.DisputePeriodNotEnded, FINAL, ErrorAction.WAIT),
        (ErrorCode.BoundedLossExceeded, FINAL, ErrorAction.MANUAL_REVIEW),
        (ErrorCode.InvalidTimestamp, FINAL, ErrorAction.MANUAL_REVIEW),
        (ErrorCode.ProtocolPaused, TALLY, ErrorAction.WAIT),
    ],
)
def test_the_tables_of_the_protocol(refusal: ErrorCode, task: object, meaning: ErrorAction) -> None:
    """Protocol.md 4.5 and 11, line by line."""
    assert error_policy.classify(refusal.error(), task).action is meaning  # type: ignore[arg-type]


@pytest.mark.parametrize("code", sorted(error_policy.ANCHOR))
def test_a_wrong_account_stops_everything(code: int) -> None:
    """Anchor's numbers mean a wrong PDA, account or program: our configuration is wrong."""
    found = error_policy.classify(errors.ProgramError("Custom", code, "custom program error"), FINAL)

    assert (found.action, found.kind) == (ErrorAction.STOP, error_policy.ANCHOR[code])


def test_a_number_of_another_build_is_not_guessed() -> None:
    """An older program has other numbers for the same names (protocol.md 1.8): an operator must look."""
    assert (
        error_policy.classify(errors.ProgramError("Unauthorized", 6_028, ""), FINAL).action is ErrorAction.MANUAL_REVIEW
    )
    assert error_policy.classify(errors.ProgramError("Custom", 7_001, ""), FINAL).action is ErrorAction.MANUAL_REVIEW


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (rpc_errors.TimedOut("x"), ErrorAction.RETRY),
        (rpc_errors.RateLimited("x"), ErrorAction.RETRY),
        (rpc_errors.NodeBehind("x"), ErrorAction.RETRY),
        (rpc_errors.BlockhashUnknown(), ErrorAction.RETRY),
        (rpc_errors.ApiKeyRejected("x"), ErrorAction.RETRY),
        (rpc_errors.AlreadyProcessed(), ErrorAction.RETRY),
        (rpc_errors.TransactionRefused("InsufficientFundsForFee"), ErrorAction.MANUAL_REVIEW),
        (rpc_errors.BadRequest("x"), ErrorAction.MANUAL_REVIEW),
        (errors.ConfigurationError("x"), ErrorAction.STOP),
    ],
)
def test_errors_of_nodes(error: errors.ZmartError, meaning: ErrorAction) -> None:
    """Temporary errors are retried, invalid responses need an operator."""
    assert error_policy.classify(error, TALLY).action is meaning


def status(err: object = None, confirmation: client.Commitment = "confirmed") -> client.SignatureStatus:
    """Return a node's status of a known transaction."""
    return client.SignatureStatus(slot=7, err=err, confirmation_status=confirmation)


#: An instruction failed, so the transaction ran.
REFUSED = {"InstructionError": [2, {"Custom": 6025}]}


@pytest.mark.parametrize(
    ("signature_status", "height", "searched", "log", "outcome"),
    [
        (None, 100, True, "none", SubmissionOutcome.RESEND),
        (None, 101, True, "none", SubmissionOutcome.EXPIRED),
        (None, 101, False, "none", SubmissionOutcome.WAIT),
        # A fork dropped it, although our log shows it: the same bytes, and never another signature while it is there.
        (None, 100, True, "shown", SubmissionOutcome.RESEND),
        (None, 101, True, "shown", SubmissionOutcome.WAIT),
        (None, 100, True, "final", SubmissionOutcome.LANDED),
        (None, 999, True, "final", SubmissionOutcome.LANDED),
        (status(confirmation="processed"), 100, True, "shown", SubmissionOutcome.LANDED),
        (status(err=REFUSED, confirmation="finalized"), 999, True, "shown", SubmissionOutcome.LANDED),
        (status(), 999, True, "none", SubmissionOutcome.LANDED),
        (status(confirmation="processed"), 999, True, "none", SubmissionOutcome.WAIT),
        (status(err="x"), 999, True, "none", SubmissionOutcome.WAIT),
        (status(err=REFUSED, confirmation="finalized"), 50, True, "none", SubmissionOutcome.FAILED),
        (status(err="InsufficientFundsForFee", confirmation="finalized"), 100, True, "none", SubmissionOutcome.WAIT),
        (status(err="InsufficientFundsForFee", confirmation="finalized"), 101, True, "none", SubmissionOutcome.FAILED),
        (status(confirmation="finalized"), 999, True, "none", SubmissionOutcome.LANDED),
    ],
)
def test_the_outcome_of_a_submission_is_decided(
    signature_status: client.SignatureStatus | None,
    height: int,
    searched: bool,
    log: str,
    outcome: SubmissionOutcome,
) -> None:
    """A transaction is dead only if a node has seen its blockhash expire and has searched its whole history. A failure
    that may be of a transaction that never ran ends nothing before that, because the same bytes might land again."""
    assert (
        submission_status.decide(
            signature_status,
            finalized_height=height,
            last_valid_block_height=100,
            searched=searched,
            in_log=log != "none",
            is_final_in_log=log == "final",
        )
        is outcome
    )


POLICY = fees.FeePolicy(percentile=75, most_micro_lamports=1_000, daily_budget_lamports=10_000, low_balance_lamports=1)


@pytest.mark.parametrize(
    ("paid", "price"), [([], 0), ([0, 0, 0, 8], 0), ([1, 2, 3, 4], 3), ([4, 3, 2, 1], 3), ([5_000] * 4, 1_000)]
)
def test_the_price_is_a_percentile_and_capped(paid: list[int], price: int) -> None:
    """The nearest rank, never more than the maximum."""
    recent = [client.PriorityFee(slot=slot, prioritization_fee=each) for slot, each in enumerate(paid)]

    assert fees.price(recent, POLICY) == price


def test_the_limit_is_the_simulation_and_a_tenth() -> None:
    """Rounded up, never zero, never beyond a transaction's limit."""
    assert [fees.units(used) for used in (0, 1, 10_000, 10_001)] == [1, 2, 11_000, 11_002]
    assert fees.units(1_400_000) == transactions.MAX_COMPUTE_UNITS
