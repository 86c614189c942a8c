"""Implements the instructions of trading: buys and sells."""

from __future__ import annotations

from zmart.domain import events, lmsr, market
from zmart.domain.program_errors import ErrorCode

from ..accounts import MarketRecord
from ..anchor import InstructionFrame
from .checks import require_rent_left, require_running, require_state, require_unlocked


def buy_shares(frame: InstructionFrame) -> None:
    """Buy shares (protocol.md 1.4.5); `target_cost` is the most that the buyer pays, fees included."""
    it, yes, target = frame.market, frame.args["outcome"], frame.args["target_cost"]
    require_state(frame)
    require_running(frame)
    market.require_trade_size(target)
    cost, shares = lmsr.buy(it.shares_yes, it.shares_no, it.b_parameter, yes=yes, budget=lmsr.budget(target))
    protocol, resolver, lp, fees = _fees(frame, cost)
    total = cost + fees
    market.require_slippage(paid=total, at_most=target)
    frame.transfer_lamports("user", "market", total - protocol)
    frame.transfer_lamports("user", "protocol_fee_wallet", protocol)
    _add_shares(it, yes, shares)
    it.total_volume += total
    it.current_liquidity += resolver + lp
    it.accumulated_resolver_fees += resolver
    it.accumulated_lp_fees += lp
    _add_to_position(frame, yes, shares, total)
    price = lmsr.price_yes(it.shares_yes, it.shares_no, it.b_parameter)
    user = frame.address("user")
    frame.emit(events.SharesBought(it.market_id, user, yes, shares, total, price, frame.now))


def _fees(frame: InstructionFrame, amount: int) -> tuple[int, int, int, int]:
    config = frame.config
    return lmsr.fees(
        amount,
        protocol_bps=config.protocol_fee_bps,
        resolver_bps=config.resolver_reward_bps,
        lp_bps=config.liquidity_provider_fee_bps,
    )


def _add_shares(it: MarketRecord, yes: bool, shares: int) -> None:
    if yes:
        it.shares_yes += shares
    else:
        it.shares_no += shares


def _add_to_position(frame: InstructionFrame, yes: bool, shares: int, paid: int) -> None:
    it = frame.position
    if it.trades_count == 0:
        it.market, it.user = frame.address("market"), frame.address("user")
        it.shares_yes = it.shares_no = it.total_invested = 0
    if yes:
        it.shares_yes += shares
    else:
        it.shares_no += shares
    it.total_invested += paid
    it.trades_count += 1
    it.last_trade_at = frame.now


def sell_shares(frame: InstructionFrame) -> None:
    """Sell shares as intended (protocol.md 1.4.6): lamports move directly out of the market's account."""
    net, protocol = _sale_amounts(frame)
    require_rent_left(frame, net + protocol)
    frame.move_lamports("market", "user", net)
    frame.move_lamports("market", "protocol_fee_wallet", protocol)
    _book_sale(frame)


def sell_shares_as_deployed(frame: InstructionFrame) -> None:
    """Sell shares as deployed (protocol.md 1.4.6): the handler calls the System program, and the runtime rejects it."""
    net, protocol = _sale_amounts(frame)
    require_rent_left(frame, net + protocol)
    frame.transfer_lamports("market", "user", net)
    frame.transfer_lamports("market", "protocol_fee_wallet", protocol)
    _book_sale(frame)


def _sale_amounts(frame: InstructionFrame) -> tuple[int, int]:
    """Check a sell and return the lamports for the seller and for the protocol's wallet."""
    it, shares = frame.market, frame.args["shares_to_sell"]
    require_state(frame)
    require_running(frame)
    if shares > _held_shares(frame):
        raise ErrorCode.InsufficientShares.error()
    gross = _gross_proceeds(frame)
    market.require_trade_size(gross)
    protocol, _, _, fees = _fees(frame, gross)
    net = gross - fees
    market.require_proceeds(received=net, at_least=frame.args["min_proceeds"])
    if it.current_liquidity < net + protocol:
        raise ErrorCode.InsufficientLiquidity.error()
    require_unlocked(it)
    return net, protocol


def _held_shares(frame: InstructionFrame) -> int:
    yes = frame.args["outcome"]
    return frame.position.shares_yes if yes else frame.position.shares_no


def _gross_proceeds(frame: InstructionFrame) -> int:
    it = frame.market
    return lmsr.sell(
        it.shares_yes,
        it.shares_no,
        it.b_parameter,
        yes=frame.args["outcome"],
        shares=frame.args["shares_to_sell"],
    )


def _book_sale(frame: InstructionFrame) -> None:
    it, mine = frame.market, frame.position
    yes, shares = frame.args["outcome"], frame.args["shares_to_sell"]
    gross = _gross_proceeds(frame)
    protocol, resolver, lp, fees = _fees(frame, gross)
    _add_shares(it, yes, -shares)
    it.total_volume += gross
    it.current_liquidity -= gross - fees + protocol
    it.accumulated_resolver_fees += resolver
    it.accumulated_lp_fees += lp
    if yes:
        mine.shares_yes -= shares
    else:
        mine.shares_no -= shares
    mine.trades_count += 1
    mine.last_trade_at = frame.now
    price = lmsr.price_yes(it.shares_yes, it.shares_no, it.b_parameter)
    user = frame.address("user")
    frame.emit(events.SharesSold(it.market_id, user, yes, shares, gross - fees, price, frame.now))
