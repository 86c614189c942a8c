"""Derives the program's account addresses from the seeds of protocol.md 1.2, with a cache because deriving is slow.

Such an address has no private key, and the same seeds always give the same address. Note the hyphen in `global-config`:
the underscore of older clients gives another, empty address.
"""

from __future__ import annotations

import functools

from solders.pubkey import Pubkey

from zmart.domain.ids import Address
from zmart.domain.votes import VoteKind

#: Creates accounts and moves lamports.
SYSTEM_PROGRAM = Address("11111111111111111111111111111111")
#: Carries a transaction's compute limit and priority fee.
COMPUTE_BUDGET_PROGRAM = Address("ComputeBudget111111111111111111111111111111")


def config_address(program_id: str) -> Address:
    """Return the account of the one configuration."""
    return _derive(program_id, b"global-config")[0]


def market_address(program_id: str, market_id: bytes) -> Address:
    """Return the account of a market, from the 32 bytes that its creator chose."""
    return _derive(program_id, b"market", market_id)[0]


def position_address(program_id: str, market: str, user: str) -> Address:
    """Return the account of a wallet's shares in a market, from the market's address."""
    return _derive(program_id, b"position", _pubkey_bytes(market), _pubkey_bytes(user))[0]


def vote_address(program_id: str, market: str, user: str, kind: VoteKind) -> Address:
    """Return the account of a wallet's vote of a kind; there is one per wallet and market, permanently."""
    return _derive(program_id, b"vote", _pubkey_bytes(market), _pubkey_bytes(user), bytes([kind]))[0]


def config_bump(program_id: str) -> int:
    """Return the byte that puts the configuration's address off the curve, stored in its account."""
    return _derive(program_id, b"global-config")[1]


def market_bump(program_id: str, market_id: bytes) -> int:
    """Return the byte that puts a market's address off the curve."""
    return _derive(program_id, b"market", market_id)[1]


def position_bump(program_id: str, market: str, user: str) -> int:
    """Return the byte that puts a user position's address off the curve."""
    return _derive(program_id, b"position", _pubkey_bytes(market), _pubkey_bytes(user))[1]


def vote_bump(program_id: str, market: str, user: str, kind: VoteKind) -> int:
    """Return the byte that puts a vote record's address off the curve."""
    return _derive(program_id, b"vote", _pubkey_bytes(market), _pubkey_bytes(user), bytes([kind]))[1]


@functools.lru_cache(maxsize=1 << 16)
def _derive(program_id: str, *seeds: bytes) -> tuple[Address, int]:
    address, bump = Pubkey.find_program_address(seeds, Pubkey.from_string(program_id))
    return Address(str(address)), bump


@functools.lru_cache(maxsize=1 << 15)
def _pubkey_bytes(address: str) -> bytes:
    return bytes(Pubkey.from_string(address))
