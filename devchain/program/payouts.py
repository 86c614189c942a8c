"""Implements the instructions that pay out after the outcome: claims and the withdrawal of liquidity."""

from __future__ import annotations

from zmart.domain import events, market

from ..accounts import MarketRecord
from ..anchor import InstructionFrame
from .checks import require_rent_left, require_unlocked


def claim_winnings(frame: InstructionFrame) -> None:
    """Pay a claim (protocol.md 1.4.10); the first claim of a market with an outcome also pays the resolver."""
    it, mine = frame.market, frame.position
    payout = _payout(frame)
    resolver = market.resolver_payout(it.final_outcome, it.accumulated_resolver_fees)
    market.require_claim_funds(market_lamports=frame.lamports("market"), payout=payout, resolver_fees=resolver)
    require_unlocked(it)
    require_rent_left(frame, payout)
    frame.move_lamports("market", "user", payout)
    if resolver:
        require_rent_left(frame, resolver)
        frame.move_lamports("market", "resolver", resolver)
        it.accumulated_resolver_fees = 0
    mine.has_claimed, mine.claimed_amount = True, payout
    frame.emit(
        events.WinningsClaimed(frame.address("market"), frame.address("user"), it.final_outcome, payout, frame.now)
    )


def _payout(frame: InstructionFrame) -> int:
    it, mine = frame.market, frame.position
    return market.claim_payout(
        final_outcome=it.final_outcome,
        shares_yes=mine.shares_yes,
        shares_no=mine.shares_no,
        total_invested=mine.total_invested,
        market_shares_yes=it.shares_yes,
        market_shares_no=it.shares_no,
        current_liquidity=it.current_liquidity,
    )


def withdraw_liquidity(frame: InstructionFrame) -> None:
    """Withdraw all lamports above rent (protocol.md 1.4.11), even if winners have not claimed yet."""
    it = frame.market
    amount = market.withdrawable_lamports(
        market_lamports=frame.lamports("market"),
        rent_lamports=frame.call.rent.exempt_lamports(MarketRecord.size_bytes),
    )
    frame.move_lamports("market", "creator", amount)
    it.current_liquidity = it.accumulated_lp_fees = 0
    frame.emit(events.LiquidityWithdrawn(it.market_id, frame.address("creator"), amount, frame.now))
