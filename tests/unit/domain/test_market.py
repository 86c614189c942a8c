"""A market's life by the program's rules, and its payouts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zmart import errors
from zmart.domain import fixed, market, votes
from zmart.domain.market import MarketState
from zmart.domain.program_errors import ErrorCode, find_by_code

SOL = 1_000_000_000
PERIOD = market.DISPUTE_PERIOD_SECONDS


def refused(call: Callable[[], object]) -> str | None:
    """Return the name of the program's error, or None."""
    try:
        call()
    except errors.ProgramError as exc:
        return exc.name
    return None


def test_the_table_of_errors() -> None:
    """There are 52 errors, numbered from 6000 in order, each with its own message."""
    assert len(ErrorCode) == 52
    assert (ErrorCode.InvalidFeeConfiguration.code, ErrorCode.InvalidStateForVoting.code) == (
        6000,
        6051,
    )
    assert find_by_code(6034) is ErrorCode.UnderflowError
    assert find_by_code(5999) is None
    error = ErrorCode.SlippageExceeded.error()
    assert (error.name, error.code) == ("SlippageExceeded", 6015)
    assert str(error) == "SlippageExceeded (6015): Slippage tolerance exceeded"


def test_every_possible_step() -> None:
    """The steps of protocol.md 3.1 exist and no other."""
    s = MarketState
    steps = {(a, b) for a in s for b in s if market.can_follow(a, b)}
    assert steps == {
        *((s.PROPOSED, s.APPROVED), (s.APPROVED, s.ACTIVE), (s.ACTIVE, s.RESOLVING)),
        *((s.RESOLVING, s.DISPUTED), (s.RESOLVING, s.FINALIZED), (s.DISPUTED, s.FINALIZED)),
        *((s.DISPUTED, s.RESOLVING), (s.PROPOSED, s.CANCELLED), (s.APPROVED, s.CANCELLED)),
    }
    assert [state for state in s if market.is_terminal(state)] == [s.FINALIZED, s.CANCELLED]


@pytest.mark.parametrize(
    ("instruction", "accepted", "name"),
    [
        ("approve_proposal", "0", "InvalidStateTransition"),
        ("activate_market", "1", "InvalidStateTransition"),
        ("buy_shares", "2", "InvalidMarketState"),
        ("sell_shares", "2", "InvalidMarketState"),
        ("resolve_market", "2", "InvalidMarketState"),
        ("initiate_dispute", "3", "InvalidMarketState"),
        ("finalize_market", "34", "InvalidMarketState"),
        ("claim_winnings", "5", "InvalidMarketState"),
        ("withdraw_liquidity", "5", "InvalidMarketState"),
        ("submit_proposal_vote", "0", "InvalidStateForVoting"),
        ("aggregate_proposal_votes", "0", "InvalidStateForVoting"),
        ("submit_dispute_vote", "4", "InvalidStateForVoting"),
        ("aggregate_dispute_votes", "4", "InvalidStateForVoting"),
        ("cancel_market", "01", "CannotCancelMarket"),
    ],
)
def test_entry_states(instruction: str, accepted: str, name: str) -> None:
    """An instruction in a wrong state has the program's error for it."""
    for state in MarketState:
        answer = refused(partial(market.require_state, instruction, state))
        if instruction == "cancel_market" and state is MarketState.CANCELLED:
            assert answer == "MarketAlreadyCancelled"
        else:
            assert answer == (None if str(int(state)) in accepted else name)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: market.require_creation(0, 1), "InvalidBParameter"),
        (lambda: market.require_creation(1, 0), "InvalidLiquidity"),
        (lambda: market.require_creation(1, 1), None),
        (lambda: market.require_approval(0, 0, 7_000), "NoVotesRecorded"),
        (lambda: market.require_approval(69, 31, 7_000), "InsufficientVotes"),
        (lambda: market.require_approval(7, 3, 7_000), None),
        (lambda: market.require_activation(2, 1), "InsufficientLiquidity"),
        (lambda: market.require_activation(2, 2), None),
        (lambda: market.require_lifetime(99, created_at=100), "InvalidTimestamp"),
        (lambda: market.require_lifetime(100, created_at=100), None),
        (lambda: market.require_lifetime(315_360_100, created_at=100), None),
        (lambda: market.require_lifetime(315_360_101, created_at=100), "InvalidTimestamp"),
        (lambda: market.require_after(5, 5), "InvalidTimestamp"),
        (lambda: market.require_after(6, 5), None),
        (lambda: market.require_undecided(False), "AlreadyResolved"),
        (lambda: market.require_undecided(None), None),
        (lambda: market.require_trade_size(9_999), "TradeTooSmall"),
        (lambda: market.require_trade_size(10_000), None),
        (lambda: market.require_slippage(paid=11, at_most=10), "SlippageExceeded"),
        (lambda: market.require_slippage(paid=10, at_most=10), None),
        (lambda: market.require_proceeds(received=9, at_least=10), "SlippageExceeded"),
        (lambda: market.require_proceeds(received=10, at_least=10), None),
        (lambda: market.require_threshold(10_001), "InvalidThreshold"),
        (lambda: market.require_threshold(10_000), None),
        (lambda: market.require_period(0), "InvalidTimeLimit"),
        (lambda: market.require_period(None), None),
        (
            lambda: market.require_fee_rates(
                protocol_bps=5_000,
                resolver_bps=5_000,
                lp_bps=1,
                refusal=ErrorCode.InvalidFeeStructure,
            ),
            "InvalidFeeStructure",
        ),
        (
            lambda: market.require_claim_funds(market_lamports=9, payout=9, resolver_fees=1),
            "InsufficientLiquidity",
        ),
        (
            lambda: market.require_claim_funds(market_lamports=10, payout=9, resolver_fees=1),
            None,
        ),
    ],
)
def test_requirements(call: Callable[[], object], name: str | None) -> None:
    """Each requirement rejects at its limit and not one lamport, vote or second earlier."""
    assert refused(call) == name


@pytest.mark.parametrize(
    ("now", "dispute", "finalize"),
    [
        (1_000, "InvalidTimestamp", "DisputePeriodNotEnded"),
        (1_001, None, "DisputePeriodNotEnded"),
        (1_000 + PERIOD - 1, None, "DisputePeriodNotEnded"),
        (1_000 + PERIOD, "DisputePeriodEnded", None),
    ],
)
def test_the_dispute_window(now: int, dispute: str | None, finalize: str | None) -> None:
    """An outcome can be disputed or confirmed at any instant after its own, never both."""
    window = {"resolution_proposed_at": 1_000, "dispute_period_seconds": PERIOD}
    assert refused(lambda: market.require_dispute_open(now, **window)) == dispute
    assert refused(lambda: market.require_dispute_closed(now, **window)) == finalize


def test_bounded_loss() -> None:
    """A ledger may lose b ln 2 and not one lamport more (protocol.md 2.7)."""

    def with_current(current: int) -> str | None:
        return refused(
            lambda: market.require_bounded_loss(
                initial_liquidity=1_000 * SOL, current_liquidity=current, b_parameter=1_000 * SOL
            )
        )

    assert with_current(400 * SOL) is None
    assert with_current(200 * SOL) == "BoundedLossExceeded"
    assert with_current(1_000 * SOL - 693_147_180_000) is None
    assert with_current(1_000 * SOL - 693_147_180_001) == "BoundedLossExceeded"
    assert with_current(2_000 * SOL) is None


def test_loss_and_b() -> None:
    """b ln 2 and its inverse are the program's (protocol.md 2.2, 2.7)."""
    assert market.max_loss(100 * SOL) == 69_314_718_000
    assert market.b_for_max_loss(693 * SOL) == 693 * SOL * SOL // 693_147_180
    assert round(market.b_for_max_loss(693 * SOL) / SOL, 2) == 999.79


def test_beginning() -> None:
    """Each side starts with a thousandth of b, and b decides whether anything can be traded."""
    assert market.initial_shares(100 * SOL + 999) == 100_000_000
    assert market.is_tradable(100 * SOL)
    assert not market.is_tradable(100 * SOL - 1)


@pytest.mark.parametrize(
    ("proposed", "agree", "disagree", "expected"),
    [
        (True, 6, 4, False),
        (False, 6, 4, True),
        (True, 5999, 4001, True),
        (False, 0, 1, False),
        (None, 1, 0, None),
    ],
)
def test_disputed_outcome(proposed: bool | None, agree: int, disagree: int, expected: bool | None) -> None:
    """Agreement at the threshold reverses the outcome; below it the outcome is confirmed."""
    settled = market.disputed_outcome(proposed, agree=agree, disagree=disagree, threshold_bps=6_000)
    assert settled is expected


@pytest.mark.parametrize(("agree", "disagree"), [(None, None), (1, None), (None, 1), (0, 0)])
def test_a_dispute_needs_votes(agree: int | None, disagree: int | None) -> None:
    """A disputed market is not settled without counts."""
    assert (
        refused(lambda: market.disputed_outcome(True, agree=agree, disagree=disagree, threshold_bps=6_000))
        == "NoVotesRecorded"
    )


POSITION = {
    "shares_yes": 1_835_823_062,
    "shares_no": 0,
    "total_invested": 999_928_380,
    "market_shares_yes": 1_935_823_062,
    "market_shares_no": 1_016_481_020,
}


def test_the_settlement_of_the_worked_example() -> None:
    """The YES holder of protocol.md 2.7 gets 185,350,052 lamports for the 999,928,380 paid."""
    paid = market.claim_payout(final_outcome=True, current_liquidity=195_446_344, **POSITION)
    assert paid == 185_350_052
    declared = 100 * SOL + 95_446_344
    much = market.claim_payout(final_outcome=True, current_liquidity=declared, **POSITION)
    assert much == 94_924_754_439


def test_claims_without_anything() -> None:
    """The losing side, an emptied pool and an unpaid refund have no winnings."""
    no_side = refused(lambda: market.claim_payout(final_outcome=False, current_liquidity=1, **POSITION))
    withdrawn = refused(lambda: market.claim_payout(final_outcome=True, current_liquidity=0, **POSITION))
    assert (no_side, withdrawn) == ("NoWinnings", "NoWinnings")
    assert refused(lambda: market.refund(0)) == "NoWinnings"


def test_an_invalid_market_refunds() -> None:
    """Without an outcome the whole investment is returned and the resolver gets nothing."""
    paid = market.claim_payout(final_outcome=None, current_liquidity=0, **POSITION)
    assert paid == 999_928_380
    assert market.resolver_payout(None, 5) == 0
    assert market.resolver_payout(False, 5) == 5


@given(
    liquidity=st.integers(1, fixed.U64_MAX),
    holders=st.lists(st.integers(1, 10**15), min_size=1, max_size=9),
)
def test_claims_never_exceed_the_ledger(liquidity: int, holders: list[int]) -> None:
    """All holders of the winning side together get at most the ledger's liquidity."""
    paid = 0
    for shares in holders:
        # A part too small for one lamport is rejected, so it pays nothing.
        with contextlib.suppress(errors.ProgramError):
            paid += market.winnings(winning_shares=shares, all_winning_shares=sum(holders), current_liquidity=liquidity)
    assert paid <= liquidity


def test_withdrawal_leaves_rent_and_a_margin() -> None:
    """The creator gets all but rent and 10,000 lamports, and nothing if there is no more."""
    rent = 4_287_360
    assert market.withdrawable_lamports(market_lamports=rent + 10_001, rent_lamports=rent) == 1
    assert (
        refused(lambda: market.withdrawable_lamports(market_lamports=rent + 10_000, rent_lamports=rent))
        == "InsufficientLiquidity"
    )


def test_votes_are_floored() -> None:
    """Shares and percentages are floored, no votes give no share, counts overflow at u32."""
    assert votes.share_bps(2, 1) == 6_666
    assert votes.percentage(2, 1) == 66
    assert votes.share_bps(0, 0) == 0
    assert not votes.is_threshold_reached(0, 0, 0)
    assert votes.is_threshold_reached(3, 2, 6_000)
    assert refused(lambda: votes.total(votes.U32_MAX, 1)) == "OverflowError"
    assert [kind.label for kind in votes.VoteKind] == ["proposal", "dispute"]
