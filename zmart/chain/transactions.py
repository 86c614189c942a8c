"""Instructions for the program: accounts in the order of the IDL, with their flags.

What can be known is filled in: the configuration, the System program, a market's account from its
id, a wallet's position or vote record from market and user. The rest, chiefly who signs, is given.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from zmart import errors
from zmart.domain.ids import Address
from zmart.domain.votes import VoteKind

from . import addresses, codec, idl

_VOTE_KINDS = {
    "submit_proposal_vote": VoteKind.PROPOSAL,
    "submit_dispute_vote": VoteKind.DISPUTE,
}


def instruction(
    name: str,
    program_id: str,
    accounts: Mapping[str, Address],
    args: Mapping[str, Any] | None = None,
    *,
    market_id: bytes | None = None,
) -> Instruction:
    """An instruction ready to be signed.

    `accounts` names what cannot be derived; what it names is taken even where it could be, so that
    a test can be wrong on purpose. A market is its address in `accounts`, or `market_id`, or the
    argument of that name. InvalidInput tells what is missing or unknown.
    """
    args = args or {}
    described = _described(name)
    wanted = [meta.name for meta in described.accounts]
    if unknown := accounts.keys() - set(wanted):
        raise errors.InvalidInput(f"{name} knows no account {', '.join(sorted(unknown))}.")
    known = dict(accounts)
    for account in sorted(wanted, key=_derived_later):
        if account not in known:
            identity = args.get("market_id", market_id)
            known[account] = _resolved(account, name, program_id, known, identity)
    return Instruction(
        Pubkey.from_string(program_id),
        codec.default().encode_instruction(name, args),
        [
            AccountMeta(Pubkey.from_string(known[meta.name]), meta.signer, meta.writable)
            for meta in described.accounts
        ],
    )


def named_accounts(name: str, keys: list[Address]) -> dict[str, Address]:
    """The accounts of a received instruction by their names; those beyond the IDL are left out."""
    described = _described(name).accounts
    if len(keys) < len(described):
        raise errors.DecodeError(f"{name} takes {len(described)} accounts, not {len(keys)}.")
    return {meta.name: key for meta, key in zip(described, keys, strict=False)}


@functools.cache
def _by_name() -> dict[str, idl.Instruction]:
    return {described.name: described for described in idl.load().instructions}


def _described(name: str) -> idl.Instruction:
    if name not in _by_name():
        raise errors.InvalidInput(f"The program has no instruction {name}.")
    return _by_name()[name]


def _derived_later(account: str) -> bool:
    """Whether an account's address comes from other accounts' addresses."""
    return account in {"position", "vote_record"}


def _resolved(
    account: str,
    name: str,
    program_id: str,
    known: Mapping[str, Address],
    market_id: bytes | None,
) -> Address:
    match account:
        case "global_config":
            return addresses.config_address(program_id)
        case "system_program":
            return addresses.SYSTEM_PROGRAM
        case "market" if market_id is not None:
            return addresses.market_address(program_id, market_id)
        case "position" if "user" in known:
            return addresses.position_address(program_id, known["market"], known["user"])
        case "vote_record" if "user" in known:
            kind = _VOTE_KINDS[name]
            return addresses.vote_address(program_id, known["market"], known["user"], kind)
    raise errors.InvalidInput(f"{name} needs the account {account}, which cannot be derived.")
