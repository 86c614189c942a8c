"""Defines the life of a market: transitions, their times, and the payouts at the end (protocol.md 1.4 and 3).

Every rule is a small function of plain integers. A function called `require_...` returns nothing and raises the
`ProgramError` that the program would raise. The program checks in the order of protocol.md 1.4, and the caller has to
use the same order. Instants are seconds since 1970 by the chain's clock, amounts are lamports, shares and b are
nine-decimal fixed point. An outcome is True for YES, False for NO, None for INVALID or undecided.
"""

from __future__ import annotations

import enum

from zmart.domain import fixed, lmsr, votes
from zmart.domain.program_errors import ErrorCode

#: A market that is not resolved within ten years can never be resolved.
LIFETIME_SECONDS = 10 * 365 * 86_400
#: The period after a proposed outcome in which it can be disputed, unless the config sets another: 72 hours.
DISPUTE_PERIOD_SECONDS = 259_200
#: Written into the config and never enforced by the program.
MIN_RESOLUTION_DELAY_SECONDS = 86_400
#: Written into the config and never read by the program.
MIN_RESOLVER_REPUTATION = 8_000
#: Lamports that a withdrawal leaves in the account above rent.
WITHDRAW_SAFETY_LAMPORTS = 10_000
#: The fee rates of a fresh config, in basis points.
PROTOCOL_FEE_BPS, RESOLVER_REWARD_BPS, LIQUIDITY_PROVIDER_FEE_BPS = 300, 200, 500


class MarketState(enum.IntEnum):
    """The states in the program's order; the marts and the API use the same names."""

    PROPOSED = 0
    APPROVED = 1
    ACTIVE = 2
    RESOLVING = 3
    DISPUTED = 4
    FINALIZED = 5
    CANCELLED = 6


_S = MarketState

#: Every transition of a market, by instruction: protocol.md 3.1. `submit_...` and trades do not change the state.
TRANSITIONS: dict[str, frozenset[tuple[MarketState, MarketState]]] = {
    "approve_proposal": frozenset({(_S.PROPOSED, _S.APPROVED)}),
    "activate_market": frozenset({(_S.APPROVED, _S.ACTIVE)}),
    "resolve_market": frozenset({(_S.ACTIVE, _S.RESOLVING)}),
    "initiate_dispute": frozenset({(_S.RESOLVING, _S.DISPUTED)}),
    "finalize_market": frozenset({(_S.RESOLVING, _S.FINALIZED), (_S.DISPUTED, _S.FINALIZED)}),
    "aggregate_dispute_votes": frozenset({(_S.DISPUTED, _S.RESOLVING), (_S.DISPUTED, _S.FINALIZED)}),
    "cancel_market": frozenset({(_S.PROPOSED, _S.CANCELLED), (_S.APPROVED, _S.CANCELLED)}),
}

#: The states in which an instruction is accepted, and the program's error in the other states.
_ACCEPTED_STATES: dict[str, tuple[frozenset[MarketState], ErrorCode]] = {
    "approve_proposal": (frozenset({_S.PROPOSED}), ErrorCode.InvalidStateTransition),
    "activate_market": (frozenset({_S.APPROVED}), ErrorCode.InvalidStateTransition),
    "buy_shares": (frozenset({_S.ACTIVE}), ErrorCode.InvalidMarketState),
    "sell_shares": (frozenset({_S.ACTIVE}), ErrorCode.InvalidMarketState),
    "resolve_market": (frozenset({_S.ACTIVE}), ErrorCode.InvalidMarketState),
    "initiate_dispute": (frozenset({_S.RESOLVING}), ErrorCode.InvalidMarketState),
    "finalize_market": (frozenset({_S.RESOLVING, _S.DISPUTED}), ErrorCode.InvalidMarketState),
    "claim_winnings": (frozenset({_S.FINALIZED}), ErrorCode.InvalidMarketState),
    "withdraw_liquidity": (frozenset({_S.FINALIZED}), ErrorCode.InvalidMarketState),
    "submit_proposal_vote": (frozenset({_S.PROPOSED}), ErrorCode.InvalidStateForVoting),
    "aggregate_proposal_votes": (frozenset({_S.PROPOSED}), ErrorCode.InvalidStateForVoting),
    "submit_dispute_vote": (frozenset({_S.DISPUTED}), ErrorCode.InvalidStateForVoting),
    "aggregate_dispute_votes": (frozenset({_S.DISPUTED}), ErrorCode.InvalidStateForVoting),
    "cancel_market": (frozenset({_S.PROPOSED, _S.APPROVED}), ErrorCode.CannotCancelMarket),
}


def can_follow(before: MarketState, after: MarketState) -> bool:
    """Return whether any instruction leads from one state to the other."""
    return any((before, after) in steps for steps in TRANSITIONS.values())


def is_terminal(state: MarketState) -> bool:
    """Return whether no state can follow: FINALIZED and CANCELLED."""
    return not any(can_follow(state, after) for after in MarketState)


def require_state(instruction: str, state: MarketState) -> None:
    """Raise the error of an instruction in a state that it does not accept."""
    if instruction == "cancel_market" and state is MarketState.CANCELLED:
        raise ErrorCode.MarketAlreadyCancelled.error()
    accepted, refusal = _ACCEPTED_STATES[instruction]
    if state not in accepted:
        raise refusal.error()


# Creation and approval


def require_creation(b_parameter: int, initial_liquidity: int) -> None:
    """Raise InvalidBParameter or InvalidLiquidity for zero; a b too small to trade is accepted."""
    if b_parameter == 0:
        raise ErrorCode.InvalidBParameter.error()
    if initial_liquidity == 0:
        raise ErrorCode.InvalidLiquidity.error()


def initial_shares(b_parameter: int) -> int:
    """Return the shares with which each side starts; no wallet owns them."""
    return b_parameter // 1_000


def is_tradable(b_parameter: int) -> bool:
    """Return whether b reaches the 100 SOL that every price needs; smaller markets exist and never trade."""
    return b_parameter >= lmsr.MIN_B


def require_approval(likes: int, dislikes: int, threshold_bps: int) -> None:
    """Raise NoVotesRecorded, or InsufficientVotes below the threshold."""
    if votes.total(likes, dislikes) == 0:
        raise ErrorCode.NoVotesRecorded.error()
    if not votes.is_threshold_reached(likes, dislikes, threshold_bps):
        raise ErrorCode.InsufficientVotes.error()


def require_activation(initial_liquidity: int, current_liquidity: int) -> None:
    """Raise InsufficientLiquidity where the ledger lost some before trading, which no instruction can cause."""
    if current_liquidity < initial_liquidity:
        raise ErrorCode.InsufficientLiquidity.error()


# Time


def require_lifetime(now: int, *, created_at: int) -> None:
    """Raise InvalidTimestamp before creation or more than ten years after it."""
    if not created_at <= now <= created_at + LIFETIME_SECONDS:
        raise ErrorCode.InvalidTimestamp.error()


def require_after(now: int, earlier: int) -> None:
    """Raise InvalidTimestamp unless time has advanced since an earlier step."""
    if now <= earlier:
        raise ErrorCode.InvalidTimestamp.error()


def dispute_closes_at(resolution_proposed_at: int, dispute_period_seconds: int) -> int:
    """Return the first instant at which a dispute is too late and finalizing is possible."""
    return resolution_proposed_at + dispute_period_seconds


def require_dispute_open(now: int, *, resolution_proposed_at: int, dispute_period_seconds: int) -> None:
    """Raise InvalidTimestamp in the second of the proposal, DisputePeriodEnded after the window."""
    require_after(now, resolution_proposed_at)
    if now >= dispute_closes_at(resolution_proposed_at, dispute_period_seconds):
        raise ErrorCode.DisputePeriodEnded.error()


def require_dispute_closed(now: int, *, resolution_proposed_at: int, dispute_period_seconds: int) -> None:
    """Raise DisputePeriodNotEnded while an undisputed outcome may still be contested."""
    if now < dispute_closes_at(resolution_proposed_at, dispute_period_seconds):
        raise ErrorCode.DisputePeriodNotEnded.error()


# Settlement


def require_undecided(proposed_outcome: bool | None) -> None:
    """Raise AlreadyResolved where an outcome has been proposed."""
    if proposed_outcome is not None:
        raise ErrorCode.AlreadyResolved.error()


def max_loss(b_parameter: int) -> int:
    """Return the most that the market maker can lose, b ln 2, in lamports."""
    return fixed.mul(b_parameter, fixed.LN_2)


def b_for_max_loss(lamports: int) -> int:
    """Return the b with which the market maker can lose at most that much."""
    return fixed.div(lamports, fixed.LN_2)


def require_bounded_loss(*, initial_liquidity: int, current_liquidity: int, b_parameter: int) -> None:
    """Raise BoundedLossExceeded where the ledger lost more than b ln 2."""
    loss = initial_liquidity - current_liquidity
    if loss > 0 and loss > max_loss(b_parameter):
        raise ErrorCode.BoundedLossExceeded.error()


def disputed_outcome(
    proposed_outcome: bool | None, *, agree: int | None, disagree: int | None, threshold_bps: int
) -> bool | None:
    """Return the outcome that `finalize_market` writes on a DISPUTED market: the proposed one, or its opposite.

    Raise NoVotesRecorded where a count is missing or there are no votes.
    """
    if agree is None or disagree is None or votes.total(agree, disagree) == 0:
        raise ErrorCode.NoVotesRecorded.error()
    if proposed_outcome is None:
        return None
    return proposed_outcome ^ votes.is_threshold_reached(agree, disagree, threshold_bps)


def winnings(*, winning_shares: int, all_winning_shares: int, current_liquidity: int) -> int:
    """Return a holder's part of the ledger's liquidity; raise NoWinnings for no shares or no lamports.

    The denominator includes the shares with which the market began, and the ledger excludes what trades paid: a share
    is not worth one SOL. The program truncates the quotient to u64.
    """
    if winning_shares == 0:
        raise ErrorCode.NoWinnings.error()
    if all_winning_shares == 0:
        raise ErrorCode.DivisionByZero.error()
    payout = winning_shares * current_liquidity // all_winning_shares & fixed.U64_MAX
    if payout == 0:
        raise ErrorCode.NoWinnings.error()
    return payout


def refund(total_invested: int) -> int:
    """Return the refund of a holder of an INVALID market, fees included; raise NoWinnings for zero."""
    if total_invested == 0:
        raise ErrorCode.NoWinnings.error()
    return total_invested


def claim_payout(
    *,
    final_outcome: bool | None,
    shares_yes: int,
    shares_no: int,
    total_invested: int,
    market_shares_yes: int,
    market_shares_no: int,
    current_liquidity: int,
) -> int:
    """Return the lamports that `claim_winnings` pays for a user position; raise NoWinnings for zero."""
    if final_outcome is None:
        return refund(total_invested)
    return winnings(
        winning_shares=shares_yes if final_outcome else shares_no,
        all_winning_shares=market_shares_yes if final_outcome else market_shares_no,
        current_liquidity=current_liquidity,
    )


def resolver_payout(final_outcome: bool | None, accumulated_resolver_fees: int) -> int:
    """Return the resolver's part of a claim: everything accumulated, nothing if INVALID."""
    return 0 if final_outcome is None else accumulated_resolver_fees


def require_claim_funds(*, market_lamports: int, payout: int, resolver_fees: int) -> None:
    """Raise InsufficientLiquidity where the account holds less than is due to holder and resolver."""
    if market_lamports < fixed.u64(payout + resolver_fees):
        raise ErrorCode.InsufficientLiquidity.error()


def withdrawable_lamports(*, market_lamports: int, rent_lamports: int) -> int:
    """Return the lamports that `withdraw_liquidity` moves: all above rent and a margin; else InsufficientLiquidity."""
    lamports = market_lamports - rent_lamports - WITHDRAW_SAFETY_LAMPORTS
    if lamports <= 0:
        raise ErrorCode.InsufficientLiquidity.error()
    return lamports


# Trades


def require_trade_size(lamports: int) -> None:
    """Raise TradeTooSmall below 10,000 lamports: the target of a buy, the gross of a sell."""
    if lamports < lmsr.MIN_TRADE_LAMPORTS:
        raise ErrorCode.TradeTooSmall.error()


def require_slippage(*, paid: int, at_most: int) -> None:
    """Raise SlippageExceeded where a buyer would pay more than the target, fees included."""
    if paid > at_most:
        raise ErrorCode.SlippageExceeded.error()


def require_proceeds(*, received: int, at_least: int) -> None:
    """Raise SlippageExceeded where a seller would receive less than requested."""
    if received < at_least:
        raise ErrorCode.SlippageExceeded.error()


# The configuration


def require_fee_rates(*, protocol_bps: int, resolver_bps: int, lp_bps: int, refusal: ErrorCode) -> None:
    """Raise `refusal` for rates above 100 % together.

    `initialize_global_config` uses InvalidFeeConfiguration, `update_global_config` InvalidFeeStructure.
    """
    if protocol_bps + resolver_bps + lp_bps > lmsr.BPS:
        raise refusal.error()


def require_threshold(threshold_bps: int) -> None:
    """Raise InvalidThreshold above 100 %."""
    if threshold_bps > lmsr.BPS:
        raise ErrorCode.InvalidThreshold.error()


def require_period(seconds: int | None) -> None:
    """Raise InvalidTimeLimit for a period that is given and not positive."""
    if seconds is not None and seconds <= 0:
        raise ErrorCode.InvalidTimeLimit.error()
