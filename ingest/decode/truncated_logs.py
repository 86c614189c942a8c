"""Rebuilds events that the runtime truncated from a log, using the instructions that caused them.

A transaction's log ends at ten kilobytes: the first line that does not fit becomes `Log truncated`, and after it only
lines that are short enough for the remaining space are logged (protocol.md 1.7), so that a short event may follow where
a long one was dropped. The instructions are all present, and every instruction of our program emits exactly one event
(protocol.md 1.3). So calls and events are matched in the order in which they ran; a call without an event lost it. If
they do not match completely, or anything of ours cannot be read, nothing is rebuilt.

A rebuilt event is the event that the program emitted. Its clock is that of the transaction's other events, or else the
block's time, which under Alpenglow may be a second later than the time that the program saw (solana.md 3). These events
can be rebuilt:

    always      GlobalConfigInitialized   signer, argument, and the rate that initialize sets (1.4.1)
                MarketCreated             arguments and signer; it is PROPOSED
                ProposalApproved          accounts alone
                MarketResolved            arguments and accounts
                ProposalVoteSubmitted     argument and accounts
                DisputeVoteSubmitted      the same
                MarketCancelled           accounts alone
    sometimes   ConfigUpdated             if both time limits were given; an omitted one keeps a value that is not here
                LiquidityWithdrawn        from the market's balances, if nothing else moved lamports there
    never       SharesBought, SharesSold  shares and price are computed from the market's state at that instant
                MarketActivated           contains the creator and the liquidity, which only the account holds
                DisputeInitiated          contains the outcome that had been proposed
                MarketFinalized           contains an outcome that depends on state, counts and threshold
                WinningsClaimed           contains the final outcome; its amount depends on the user position
                ProposalAggregated, DisputeAggregated    contain whether a threshold of the configuration was met
                ProtocolPauseStatusChanged               contains the new state of the switch

An event that cannot be rebuilt becomes a dead letter of its transaction, with the event's name and ordinal, and raises
an alert: no amount, price or outcome is ever invented. Reconciliation compares that market with its account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from zmart.chain import event_digests
from zmart.chain.logs import ParsedLog
from zmart.domain import events
from zmart.domain.ids import Address

from ..records import EventRow
from . import event_rows
from .instructions import InstructionCall, TransactionView

#: The event that each instruction emits (protocol.md 1.3).
EMITS: Final = {
    "initialize_global_config": "GlobalConfigInitialized",
    "create_market": "MarketCreated",
    "approve_proposal": "ProposalApproved",
    "activate_market": "MarketActivated",
    "buy_shares": "SharesBought",
    "sell_shares": "SharesSold",
    "resolve_market": "MarketResolved",
    "initiate_dispute": "DisputeInitiated",
    "finalize_market": "MarketFinalized",
    "claim_winnings": "WinningsClaimed",
    "withdraw_liquidity": "LiquidityWithdrawn",
    "submit_proposal_vote": "ProposalVoteSubmitted",
    "aggregate_proposal_votes": "ProposalAggregated",
    "submit_dispute_vote": "DisputeVoteSubmitted",
    "aggregate_dispute_votes": "DisputeAggregated",
    "update_global_config": "ConfigUpdated",
    "emergency_pause": "ProtocolPauseStatusChanged",
    "cancel_market": "MarketCancelled",
}
#: The rate that initialize sets and its event repeats (protocol.md 1.4.1).
INITIAL_PROTOCOL_FEE_BPS: Final = 300
PROPOSED: Final = 0
#: A rebuilt event names its market by the account; the id is not in the instruction.
UNKNOWN_MARKET_ID: Final = event_digests.UNKNOWN_MARKET_ID
#: Marks an event's context: the event was rebuilt and not logged by the program.
REBUILT_CONTEXT: Final = {"rebuilt_from": "instruction"}


class MissingEvent(NamedTuple):
    """An event that is missing from the log."""

    ordinal: int
    name: str
    #: The rebuilt event; None unless the transaction contains all of its data.
    event: events.Event | None
    market: event_rows.MarketRef


def missing_events(
    found: ParsedLog, view: TransactionView, block_time: int | None, program_id: str
) -> list[MissingEvent] | None:
    """Return the events missing from a truncated log, in order; None if calls and events cannot be matched."""
    if not view.has_all_calls or found.undecodable:
        return None
    ours = [call for call in view.calls if call.is_ours]
    if any(call.name is None for call in ours):
        return None
    emitted = [event for _, event in found.events]
    clock = next((_clock(event) for event in emitted), block_time)
    lost: list[MissingEvent] = []
    for ordinal, call in enumerate(ours):
        if emitted and _is_emitted_by(emitted[0], call, view, program_id):
            emitted.pop(0)
        else:
            lost.append(_missing_event(ordinal, call, view, clock))
    return None if emitted else lost


def _clock(event: events.Event) -> int:
    instant: Any = event[_CLOCK[event.name]]
    return int(instant)


_CLOCK: Final = {
    name: next(place for place, field in enumerate(kind._fields) if field in event_digests.CLOCKS)
    for name, kind in events.EVENTS.items()
}


def _is_emitted_by(event: events.Event, call: InstructionCall, view: TransactionView, program_id: str) -> bool:
    """Return whether a call may have emitted an event: kind, market and acting wallet must be the same."""
    _, account = event_rows.market(event, program_id)
    return (
        EMITS[call.name or ""] == event.name
        and (account is None or account == view.named_account(call, "market"))
        and (
            event.name not in _ACTOR_ACCOUNT
            or getattr(event, event_digests.ACTOR[event.name]) == view.named_account(call, _ACTOR_ACCOUNT[event.name])
        )
    )


#: The instruction's name for the wallet that the event names; MarketActivated is absent, as it names another wallet.
_ACTOR_ACCOUNT: Final = {
    "MarketCreated": "creator",
    "ProposalApproved": "admin",
    "SharesBought": "user",
    "SharesSold": "user",
    "MarketResolved": "resolver",
    "DisputeInitiated": "initiator",
    "ProposalVoteSubmitted": "user",
    "DisputeVoteSubmitted": "user",
    "WinningsClaimed": "user",
    "LiquidityWithdrawn": "creator",
    "MarketCancelled": "admin",
    "ProtocolPauseStatusChanged": "admin",
    "GlobalConfigInitialized": "admin",
}


def _missing_event(ordinal: int, call: InstructionCall, view: TransactionView, clock: int | None) -> MissingEvent:
    name = EMITS[call.name or ""]
    rebuild = _REBUILD.get(name)
    event = None if rebuild is None or clock is None else rebuild(_RebuildInput(call, view, clock))
    market_id = call.args["market_id"].hex() if name == "MarketCreated" else None
    is_of_market = not {event_digests.MARKET_ID, event_digests.MARKET_ACCOUNT}.isdisjoint(events.EVENTS[name]._fields)
    account = view.named_account(call, "market") if is_of_market else None
    is_complete = event is not None and None not in event and (account is not None or not is_of_market)
    return MissingEvent(ordinal, name, event if is_complete else None, (market_id, account))


class _RebuildInput(NamedTuple):
    call: InstructionCall
    view: TransactionView
    clock: int

    def account(self, name: str) -> Any:
        account = self.view.named_account(self.call, name)
        return None if account is None else Address(account)

    def argument(self, name: str) -> Any:
        return self.call.args[name]


_Rebuild: TypeAlias = Callable[[_RebuildInput], events.Event | None]


def _rebuild_withdrawal(source: _RebuildInput) -> events.Event | None:
    account = source.view.named_account(source.call, "market")
    change = None if account is None else source.view.lamports_change("withdraw_liquidity", account)
    # The program rejects a withdrawal of zero (protocol.md 1.4.11).
    if change is None or change >= 0:
        return None
    return events.LiquidityWithdrawn(UNKNOWN_MARKET_ID, source.account("creator"), -change, source.clock)


def _rebuild_config(source: _RebuildInput) -> events.Event:
    args = source.call.args
    return events.ConfigUpdated(
        **{field: args[field] for field in events.ConfigUpdated._fields if field != "timestamp"},
        timestamp=source.clock,
    )


#: An event that contains None is incomplete and is not used.
_REBUILD: Final[dict[str, _Rebuild]] = {
    "GlobalConfigInitialized": lambda s: events.GlobalConfigInitialized(
        s.account("admin"), s.argument("backend_authority"), INITIAL_PROTOCOL_FEE_BPS, s.clock
    ),
    "MarketCreated": lambda s: events.MarketCreated(
        s.argument("market_id"), s.account("creator"), s.argument("b_parameter"), PROPOSED, s.clock
    ),
    "ProposalApproved": lambda s: events.ProposalApproved(UNKNOWN_MARKET_ID, s.account("admin"), s.clock),
    "MarketResolved": lambda s: events.MarketResolved(
        UNKNOWN_MARKET_ID,
        s.account("resolver"),
        s.argument("proposed_outcome"),
        s.argument("ipfs_evidence_hash"),
        s.clock,
    ),
    "ProposalVoteSubmitted": lambda s: events.ProposalVoteSubmitted(
        UNKNOWN_MARKET_ID, s.account("user"), s.argument("vote"), s.clock
    ),
    "DisputeVoteSubmitted": lambda s: events.DisputeVoteSubmitted(
        UNKNOWN_MARKET_ID, s.account("user"), s.argument("vote"), s.clock
    ),
    "MarketCancelled": lambda s: events.MarketCancelled(UNKNOWN_MARKET_ID, s.account("admin"), s.clock),
    "ConfigUpdated": _rebuild_config,
    "LiquidityWithdrawn": _rebuild_withdrawal,
}
#: Every event that can be rebuilt from a transaction alone.
REBUILDABLE: Final = frozenset(_REBUILD)


def number_events(found: ParsedLog, lost: Sequence[MissingEvent]) -> Iterator[tuple[int, events.Event]]:
    """Yield the events that the log still holds, each with its ordinal among all emitted ones."""
    lost_ordinals = {one.ordinal for one in lost}
    places = (place for place in range(len(found.events) + len(lost)) if place not in lost_ordinals)
    for place, (_, event) in zip(places, found.events, strict=True):
        yield place, event


def mark_rebuilt(row: EventRow) -> EventRow:
    """Return a rebuilt event's row, marked as rebuilt."""
    context: dict[str, Any] = {} if row.context is None else msgspec.json.decode(row.context)
    return row._replace(context=msgspec.json.encode(context | REBUILT_CONTEXT))


def dead_letter_reason(one: MissingEvent) -> str:
    """Return the reason why an event is a dead letter, for an operator."""
    about = f" of market account {one.market[1]}" if one.market[1] else ""
    return (
        f"The runtime truncated the log before {one.name}{about}, and the transaction does not contain all of its "
        "fields."
    )
