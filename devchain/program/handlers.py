"""Dispatches an instruction to its handler."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Final

from zmart import errors
from zmart.chain import codec, idl
from zmart.domain import events
from zmart.domain.votes import VoteKind

from .. import anchor
from ..anchor import AnchorError, Handler, InstructionFrame
from ..runtime import InvokeContext
from . import checks, markets, outcomes, payouts, protocol, trades
from .checks import Constraint

#: Facts that the IDL lacks, for each account: the record in it, and whether it is created here (+) or created if
#: missing (?).
_KINDS: Final = {
    "initialize_global_config": {"global_config": "config+"},
    "create_market": {"market": "market+"},
    "buy_shares": {"position": "position?"},
    "sell_shares": {"position": "position"},
    "claim_winnings": {"position": "position"},
    "submit_proposal_vote": {"vote_record": "vote+"},
    "submit_dispute_vote": {"vote_record": "vote+"},
}


def _handler(
    name: str,
    run: Callable[[InstructionFrame], None],
    *constraints: Constraint,
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


#: The eighteen handlers, by name.
HANDLERS: Final = {
    handler.name: handler
    for handler in (
        _handler("initialize_global_config", protocol.initialize_global_config, units=22_000),
        _handler("create_market", markets.create_market, units=21_000),
        _handler("approve_proposal", markets.approve_proposal, checks.ADMIN),
        _handler("activate_market", markets.activate_market, checks.ADMIN_OR_CREATOR),
        _handler("buy_shares", trades.buy_shares, checks.FEE_WALLET, units=96_000),
        _handler("sell_shares", trades.sell_shares, checks.OWNER, checks.FEE_WALLET, units=58_000),
        _handler("resolve_market", outcomes.resolve_market),
        _handler("initiate_dispute", outcomes.initiate_dispute),
        _handler("finalize_market", outcomes.finalize_market, checks.BACKEND),
        _handler(
            "claim_winnings",
            payouts.claim_winnings,
            checks.STATE,
            checks.OWNER,
            checks.UNCLAIMED,
            checks.RESOLVER,
            units=24_000,
        ),
        _handler("withdraw_liquidity", payouts.withdraw_liquidity, checks.STATE, checks.CREATOR),
        _handler(
            "submit_proposal_vote",
            markets.submit_vote(VoteKind.PROPOSAL, events.ProposalVoteSubmitted),
            checks.STATE,
            kind=VoteKind.PROPOSAL,
        ),
        _handler("aggregate_proposal_votes", markets.aggregate_proposal_votes, checks.STATE, checks.BACKEND),
        _handler(
            "submit_dispute_vote",
            markets.submit_vote(VoteKind.DISPUTE, events.DisputeVoteSubmitted),
            checks.STATE,
            kind=VoteKind.DISPUTE,
        ),
        _handler("aggregate_dispute_votes", outcomes.aggregate_dispute_votes, checks.STATE, checks.BACKEND),
        _handler("update_global_config", protocol.update_global_config, checks.ADMIN),
        _handler("emergency_pause", protocol.emergency_pause, checks.ADMIN),
        _handler("cancel_market", markets.cancel_market, checks.ADMIN),
    )
}


class Program:
    """The program in the form that the runtime calls."""

    def __init__(self, *, faulty_sells: bool = False) -> None:
        sell = HANDLERS["sell_shares"]
        if faulty_sells:
            sell = dataclasses.replace(sell, run=trades.sell_shares_as_deployed)
        self._handlers = {**HANDLERS, "sell_shares": sell}

    def __call__(self, call: InvokeContext) -> None:
        """Process one instruction: dispatch by discriminator, then Anchor's passes."""
        try:
            name, args = codec.default().decode_instruction(call.data)
        except errors.DecodeError:
            _reject_data(call)
        anchor.process(self._handlers[name], call, args)


def _reject_data(call: InvokeContext) -> None:
    """Fail for an unknown discriminator or for truncated arguments."""
    title = _instruction_titles().get(call.data[:8])
    if title is None:
        anchor.fail(call, AnchorError.InstructionFallbackNotFound)
    call.log(f"Instruction: {title}")
    anchor.fail(call, AnchorError.InstructionDidNotDeserialize)


@functools.cache
def _instruction_titles() -> dict[bytes, str]:
    """Return the title of each instruction in Anchor's log, by discriminator."""
    return {
        bytes(instruction.discriminator): HANDLERS[instruction.name].title for instruction in idl.load().instructions
    }
