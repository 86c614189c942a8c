"""The program itself: eighteen instructions by the rules of protocol.md 1.4, to the lamport.

A handler reads like its table in protocol.md: the checks in the order the program makes them, then
what it writes, then what it emits. What is odd here is odd there: the liquidity nobody deposits
(1.4.2), the fees that alone grow it (1.4.5), the payout out of that ledger (1.4.10), the dispute
that bounces or ends a market without an outcome (1.4.15), the forgotten `was_disputed` (1.4.9).

One thing is a switch. On the deployed program every sell fails, because its payout is a System
transfer out of an account that holds data, without a signature (1.4.6). `faulty_sells` is that
program; without it the payout moves lamports directly, as claims do, so that sells are exercised.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

from zmart import errors
from zmart.chain import codec, idl
from zmart.domain import events, lmsr, market, votes
from zmart.domain.ids import Address
from zmart.domain.market import MarketState
from zmart.domain.program_errors import ErrorCode
from zmart.domain.votes import VoteKind

from . import accounts, anchor
from .accounts import MarketRecord
from .anchor import AnchorError, Handler, InstructionFrame
from .runtime import InvokeContext


class Program:
    """The program as a processor for the runtime."""

    def __init__(self, *, faulty_sells: bool = False) -> None:
        sell = HANDLERS["sell_shares"]
        if faulty_sells:
            sell = dataclasses.replace(sell, run=_sell_faultily)
        self._handlers = {**HANDLERS, "sell_shares": sell}

    def __call__(self, call: InvokeContext) -> None:
        """Process one instruction: dispatch by discriminator, then Anchor's passes."""
        try:
            name, args = codec.default().decode_instruction(call.data)
        except errors.DecodeError:
            _reject_data(call)
        anchor.process(self._handlers[name], call, args)


def _reject_data(call: InvokeContext) -> None:
    """Bytes that no instruction begins with, or arguments cut off."""
    title = _instruction_titles().get(call.data[:8])
    if title is None:
        anchor.fail(call, AnchorError.InstructionFallbackNotFound)
    call.log(f"Instruction: {title}")
    anchor.fail(call, AnchorError.InstructionDidNotDeserialize)


# The protocol


def _initialize_global_config(frame: InstructionFrame) -> None:
    """protocol.md 1.4.1: whoever comes first is the admin."""
    config = frame.config
    config.admin = frame.address("admin")
    config.backend_authority = frame.args["backend_authority"]
    config.protocol_fee_wallet = frame.address("protocol_fee_wallet")
    config.protocol_fee_bps = market.PROTOCOL_FEE_BPS
    config.resolver_reward_bps = market.RESOLVER_REWARD_BPS
    config.liquidity_provider_fee_bps = market.LIQUIDITY_PROVIDER_FEE_BPS
    config.proposal_approval_threshold = votes.PROPOSAL_APPROVAL_THRESHOLD_BPS
    config.dispute_success_threshold = votes.DISPUTE_SUCCESS_THRESHOLD_BPS
    config.min_resolution_delay = market.MIN_RESOLUTION_DELAY_SECONDS
    config.dispute_period = market.DISPUTE_PERIOD_SECONDS
    config.min_resolver_reputation = market.MIN_RESOLVER_REPUTATION
    frame.emit(
        events.GlobalConfigInitialized(config.admin, config.backend_authority, config.protocol_fee_bps, frame.now)
    )


def _update_global_config(frame: InstructionFrame) -> None:
    """protocol.md 1.4.16."""
    config, args = frame.config, frame.args
    _require_rates(args)
    for name in _RATES + _THRESHOLDS:
        setattr(config, name, args[name])
    for name in _PERIODS:
        if args[name] is not None:
            setattr(config, name, args[name])
    written = (getattr(config, name) for name in _RATES + _THRESHOLDS + _PERIODS)
    frame.emit(events.ConfigUpdated._make((*written, frame.now)))


_RATES: Final = ("protocol_fee_bps", "resolver_reward_bps", "liquidity_provider_fee_bps")
_THRESHOLDS: Final = ("proposal_approval_threshold", "dispute_success_threshold")
_PERIODS: Final = ("min_resolution_delay", "dispute_period")


def _require_rates(args: Mapping[str, Any]) -> None:
    protocol, resolver, lp = (args[name] for name in _RATES)
    refusal = ErrorCode.InvalidFeeStructure
    market.require_fee_rates(protocol_bps=protocol, resolver_bps=resolver, lp_bps=lp, refusal=refusal)
    for name in _THRESHOLDS:
        market.require_threshold(args[name])
    for name in _PERIODS:
        market.require_period(args[name])


def _emergency_pause(frame: InstructionFrame) -> None:
    """protocol.md 1.4.17: a toggle."""
    frame.config.is_paused = not frame.config.is_paused
    frame.emit(events.ProtocolPauseStatusChanged(frame.config.is_paused, frame.address("admin"), frame.now))


# Before trading


def _create_market(frame: InstructionFrame) -> None:
    """protocol.md 1.4.2: nothing but rent is paid, the liquidity is a number."""
    _require_running(frame)
    args = frame.args
    b, liquidity = args["b_parameter"], args["initial_liquidity"]
    market.require_creation(b, liquidity)
    fresh = frame.market
    fresh.market_id, fresh.creator = args["market_id"], frame.address("creator")
    fresh.state, fresh.created_at = MarketState.PROPOSED, frame.now
    fresh.b_parameter = b
    fresh.initial_liquidity = fresh.current_liquidity = liquidity
    fresh.shares_yes = fresh.shares_no = market.initial_shares(b)
    fresh.ipfs_evidence_hash = args["ipfs_question_hash"]
    frame.emit(events.MarketCreated(fresh.market_id, fresh.creator, b, fresh.state, frame.now))


_VoteEvent = type[events.ProposalVoteSubmitted] | type[events.DisputeVoteSubmitted]


def _submit_vote(kind: VoteKind, event: _VoteEvent) -> Callable[[InstructionFrame], None]:
    """protocol.md 1.4.12 and 1.4.14: a record, and no counter of the market's."""

    def run(frame: InstructionFrame) -> None:
        record, user = frame.vote, frame.address("user")
        record.market, record.user = frame.address("market"), user
        record.vote_type, record.vote = kind, frame.args["vote"]
        record.voted_at = frame.now
        frame.emit(event(frame.market.market_id, user, record.vote, frame.now))

    return run


def _aggregate_proposal_votes(frame: InstructionFrame) -> None:
    """protocol.md 1.4.13: counts are written, the state stays."""
    it, likes, dislikes = frame.market, frame.args["final_likes"], frame.args["final_dislikes"]
    it.proposal_total_votes = votes.total(likes, dislikes)
    it.proposal_likes, it.proposal_dislikes = likes, dislikes
    approved = votes.is_threshold_reached(likes, dislikes, frame.config.proposal_approval_threshold)
    percentage = votes.percentage(likes, dislikes)
    frame.emit(events.ProposalAggregated(it.market_id, likes, dislikes, percentage, approved, frame.now))


def _approve_proposal(frame: InstructionFrame) -> None:
    """protocol.md 1.4.3."""
    it = frame.market
    _require_state(frame)
    threshold = frame.config.proposal_approval_threshold
    market.require_approval(it.proposal_likes, it.proposal_dislikes, threshold)
    it.state, it.approved_at = MarketState.APPROVED, frame.now
    frame.emit(events.ProposalApproved(it.market_id, frame.address("admin"), frame.now))


def _activate_market(frame: InstructionFrame) -> None:
    """protocol.md 1.4.4."""
    it = frame.market
    _require_state(frame)
    market.require_activation(it.initial_liquidity, it.current_liquidity)
    it.state, it.activated_at = MarketState.ACTIVE, frame.now
    frame.emit(events.MarketActivated(it.market_id, it.creator, it.initial_liquidity, frame.now))


def _cancel_market(frame: InstructionFrame) -> None:
    """protocol.md 1.4.18: the `is_cancelled` flag stays false."""
    it = frame.market
    _require_state(frame)
    it.state, it.cancelled_at = MarketState.CANCELLED, frame.now
    frame.emit(events.MarketCancelled(it.market_id, frame.address("admin"), frame.now))


# Trades


def _buy_shares(frame: InstructionFrame) -> None:
    """protocol.md 1.4.5: `target_cost` is the most the buyer pays, fees included."""
    it, yes, target = frame.market, frame.args["outcome"], frame.args["target_cost"]
    _require_state(frame)
    _require_running(frame)
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


def _sell(frame: InstructionFrame) -> None:
    """protocol.md 1.4.6 as it was meant: lamports move directly out of the market's account."""
    net, protocol = _sale_amounts(frame)
    _require_rent_left(frame, net + protocol)
    frame.move_lamports("market", "user", net)
    frame.move_lamports("market", "protocol_fee_wallet", protocol)
    _book_sale(frame)


def _sell_faultily(frame: InstructionFrame) -> None:
    """protocol.md 1.4.6 as deployed: the System program is asked, and the runtime refuses."""
    net, protocol = _sale_amounts(frame)
    _require_rent_left(frame, net + protocol)
    frame.transfer_lamports("market", "user", net)
    frame.transfer_lamports("market", "protocol_fee_wallet", protocol)
    _book_sale(frame)


def _sale_amounts(frame: InstructionFrame) -> tuple[int, int]:
    """The checks of a sell: what the seller gets and what the protocol's wallet does."""
    it, shares = frame.market, frame.args["shares_to_sell"]
    _require_state(frame)
    _require_running(frame)
    if shares > _held_shares(frame):
        raise ErrorCode.InsufficientShares.error()
    gross = _gross_proceeds(frame)
    market.require_trade_size(gross)
    protocol, _, _, fees = _fees(frame, gross)
    net = gross - fees
    market.require_proceeds(received=net, at_least=frame.args["min_proceeds"])
    if it.current_liquidity < net + protocol:
        raise ErrorCode.InsufficientLiquidity.error()
    _require_unlocked(it)
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


# The outcome


def _resolve_market(frame: InstructionFrame) -> None:
    """protocol.md 1.4.7: anybody may, and the evidence takes the question's place."""
    it, outcome = frame.market, frame.args["proposed_outcome"]
    _require_state(frame)
    market.require_undecided(it.proposed_outcome)
    market.require_lifetime(frame.now, created_at=it.created_at)
    market.require_after(frame.now, it.activated_at)
    it.state, it.proposed_outcome = MarketState.RESOLVING, outcome
    it.resolver, it.resolution_proposed_at = frame.address("resolver"), frame.now
    it.ipfs_evidence_hash = frame.args["ipfs_evidence_hash"]
    it.resolution_agree = it.resolution_disagree = it.resolution_total_votes = 0
    frame.emit(events.MarketResolved(it.market_id, it.resolver, outcome, it.ipfs_evidence_hash, frame.now))


def _initiate_dispute(frame: InstructionFrame) -> None:
    """protocol.md 1.4.8: free of charge, for anybody."""
    it = frame.market
    _require_state(frame)
    market.require_dispute_open(
        frame.now,
        resolution_proposed_at=it.resolution_proposed_at,
        dispute_period_seconds=frame.config.dispute_period,
    )
    it.state, it.dispute_initiated_at = MarketState.DISPUTED, frame.now
    it.dispute_initiator = frame.address("initiator")
    it.dispute_agree = it.dispute_disagree = it.dispute_total_votes = 0
    frame.emit(events.DisputeInitiated(it.market_id, it.dispute_initiator, it.proposed_outcome, frame.now))


def _aggregate_dispute_votes(frame: InstructionFrame) -> None:
    """protocol.md 1.4.15: success throws the market back, failure ends it without an outcome."""
    it, agrees, disagrees = frame.market, frame.args["final_agrees"], frame.args["final_disagrees"]
    it.dispute_total_votes = votes.total(agrees, disagrees)
    it.dispute_agree, it.dispute_disagree = agrees, disagrees
    succeeded = votes.is_threshold_reached(agrees, disagrees, frame.config.dispute_success_threshold)
    it.was_disputed = True
    if succeeded:
        it.state = MarketState.RESOLVING
    else:
        it.state, it.resolved_at = MarketState.FINALIZED, frame.now
    percentage = votes.percentage(agrees, disagrees)
    frame.emit(events.DisputeAggregated(it.market_id, agrees, disagrees, percentage, succeeded, frame.now))


def _finalize_market(frame: InstructionFrame) -> None:
    """protocol.md 1.4.9: `was_disputed` is what the state says now, whatever it said before."""
    it = frame.market
    _require_state(frame)
    market.require_lifetime(frame.now, created_at=it.created_at)
    market.require_after(frame.now, it.resolution_proposed_at)
    market.require_bounded_loss(
        initial_liquidity=it.initial_liquidity,
        current_liquidity=it.current_liquidity,
        b_parameter=it.b_parameter,
    )
    it.was_disputed = it.state == MarketState.DISPUTED
    it.final_outcome = _settle_dispute(frame) if it.was_disputed else _undisputed_outcome(frame)
    it.state, it.finalized_at = MarketState.FINALIZED, frame.now
    frame.emit(events.MarketFinalized(it.market_id, it.final_outcome, it.was_disputed, frame.now))


def _undisputed_outcome(frame: InstructionFrame) -> bool | None:
    market.require_dispute_closed(
        frame.now,
        resolution_proposed_at=frame.market.resolution_proposed_at,
        dispute_period_seconds=frame.config.dispute_period,
    )
    return frame.market.proposed_outcome


def _settle_dispute(frame: InstructionFrame) -> bool | None:
    it, agree, disagree = frame.market, frame.args["dispute_agree"], frame.args["dispute_disagree"]
    outcome = market.disputed_outcome(
        it.proposed_outcome,
        agree=agree,
        disagree=disagree,
        threshold_bps=frame.config.dispute_success_threshold,
    )
    it.dispute_agree, it.dispute_disagree = agree, disagree
    it.dispute_total_votes = agree + disagree
    return outcome


# The money afterwards


def _claim_winnings(frame: InstructionFrame) -> None:
    """protocol.md 1.4.10: the first claim with an outcome pays the resolver too."""
    it, mine = frame.market, frame.position
    payout = _payout(frame)
    resolver = market.resolver_payout(it.final_outcome, it.accumulated_resolver_fees)
    market.require_claim_funds(market_lamports=frame.lamports("market"), payout=payout, resolver_fees=resolver)
    _require_unlocked(it)
    _require_rent_left(frame, payout)
    frame.move_lamports("market", "user", payout)
    if resolver:
        _require_rent_left(frame, resolver)
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


def _withdraw_liquidity(frame: InstructionFrame) -> None:
    """protocol.md 1.4.11: everything above rent, whoever has claimed or not."""
    it = frame.market
    amount = market.withdrawable_lamports(
        market_lamports=frame.lamports("market"),
        rent_lamports=accounts.rent_exempt_lamports(MarketRecord.size_bytes),
    )
    frame.move_lamports("market", "creator", amount)
    it.current_liquidity = it.accumulated_lp_fees = 0
    frame.emit(events.LiquidityWithdrawn(it.market_id, frame.address("creator"), amount, frame.now))


# Checks


def _require_state(frame: InstructionFrame) -> None:
    market.require_state(frame.handler.name, MarketState(frame.market.state))


def _require_running(frame: InstructionFrame) -> None:
    if frame.config.is_paused:
        raise ErrorCode.ProtocolPaused.error()


def _require_unlocked(it: MarketRecord) -> None:
    if it.is_locked:
        raise ErrorCode.Reentrant.error()


def _require_rent_left(frame: InstructionFrame, lamports: int) -> None:
    """The transfer helper: enough to pay, and rent stays behind."""
    remaining = frame.lamports("market") - lamports
    if remaining < 0:
        raise ErrorCode.InsufficientFunds.error()
    if remaining < accounts.rent_exempt_lamports(MarketRecord.size_bytes):
        raise ErrorCode.WouldBreakRentExemption.error()


def _constraint(is_match: Callable[[InstructionFrame], bool], refusal: ErrorCode) -> Callable[[InstructionFrame], None]:
    def check(frame: InstructionFrame) -> None:
        if not is_match(frame):
            raise refusal.error()

    return check


def _require_address(
    account: str, owner: Callable[[InstructionFrame], Address]
) -> tuple[str, Callable[[InstructionFrame], None]]:
    """A constraint: the account given is the one a record names, else Unauthorized."""

    def is_match(frame: InstructionFrame) -> bool:
        return frame.address(account) == owner(frame)

    return account, _constraint(is_match, ErrorCode.Unauthorized)


_ADMIN = _require_address("admin", lambda frame: frame.config.admin)
_BACKEND = _require_address("backend_authority", lambda frame: frame.config.backend_authority)
_FEE_WALLET = _require_address("protocol_fee_wallet", lambda frame: frame.config.protocol_fee_wallet)
_RESOLVER = (
    "resolver",
    _constraint(lambda f: f.address("resolver") == f.market.resolver, ErrorCode.InvalidResolver),
)
_ADMIN_OR_CREATOR = (
    "authority",
    _constraint(
        lambda f: f.address("authority") in (f.config.admin, f.market.creator),
        ErrorCode.Unauthorized,
    ),
)
_CREATOR = (
    "market",
    _constraint(lambda f: f.address("creator") == f.market.creator, ErrorCode.Unauthorized),
)
_OWNER = (
    "position",
    _constraint(lambda f: f.position.user == f.address("user"), ErrorCode.Unauthorized),
)
_UNCLAIMED = ("position", _constraint(lambda f: not f.position.has_claimed, ErrorCode.AlreadyClaimed))
_STATE = ("market", _require_state)

_Constraint = tuple[str, Callable[[InstructionFrame], None]]


def _handler(
    name: str,
    run: Callable[[InstructionFrame], None],
    *constraints: _Constraint,
    units: int = 12_000,
    kind: VoteKind | None = None,
) -> Handler:
    return Handler(
        name=name,
        roles=anchor.instruction_roles(name, _KINDS.get(name, {})),
        constraints=constraints,
        run=run,
        vote_kind=kind,
        units=units,
    )


#: What the IDL does not say of an account: created here (+), created if missing (?), which record.
_KINDS: Final = {
    "initialize_global_config": {"global_config": "config+"},
    "create_market": {"market": "market+"},
    "buy_shares": {"position": "position?"},
    "sell_shares": {"position": "position"},
    "claim_winnings": {"position": "position"},
    "submit_proposal_vote": {"vote_record": "vote+"},
    "submit_dispute_vote": {"vote_record": "vote+"},
}

#: The eighteen, by name.
HANDLERS: Final = {
    handler.name: handler
    for handler in (
        _handler("initialize_global_config", _initialize_global_config, units=22_000),
        _handler("create_market", _create_market, units=21_000),
        _handler("approve_proposal", _approve_proposal, _ADMIN),
        _handler("activate_market", _activate_market, _ADMIN_OR_CREATOR),
        _handler("buy_shares", _buy_shares, _FEE_WALLET, units=96_000),
        _handler("sell_shares", _sell, _OWNER, _FEE_WALLET, units=58_000),
        _handler("resolve_market", _resolve_market),
        _handler("initiate_dispute", _initiate_dispute),
        _handler("finalize_market", _finalize_market, _BACKEND),
        _handler(
            "claim_winnings",
            _claim_winnings,
            _STATE,
            _OWNER,
            _UNCLAIMED,
            _RESOLVER,
            units=24_000,
        ),
        _handler("withdraw_liquidity", _withdraw_liquidity, _STATE, _CREATOR),
        _handler(
            "submit_proposal_vote",
            _submit_vote(VoteKind.PROPOSAL, events.ProposalVoteSubmitted),
            _STATE,
            kind=VoteKind.PROPOSAL,
        ),
        _handler("aggregate_proposal_votes", _aggregate_proposal_votes, _STATE, _BACKEND),
        _handler(
            "submit_dispute_vote",
            _submit_vote(VoteKind.DISPUTE, events.DisputeVoteSubmitted),
            _STATE,
            kind=VoteKind.DISPUTE,
        ),
        _handler("aggregate_dispute_votes", _aggregate_dispute_votes, _STATE, _BACKEND),
        _handler("update_global_config", _update_global_config, _ADMIN),
        _handler("emergency_pause", _emergency_pause, _ADMIN),
        _handler("cancel_market", _cancel_market, _ADMIN),
    )
}


@functools.cache
def _instruction_titles() -> dict[bytes, str]:
    """What Anchor calls each instruction in the log, by discriminator."""
    return {
        bytes(instruction.discriminator): HANDLERS[instruction.name].title for instruction in idl.load().instructions
    }
