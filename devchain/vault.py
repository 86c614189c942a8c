"""Implements a vault program: it calls another program and signs for an address that it derived from a member.

It stands for the multisig vaults and programmatic signers of a real cluster. A call through it is an inner instruction
at depth 2, whose user is the vault, while the member signs and pays.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Final

from solders.instruction import AccountMeta, Instruction
from solders.pubkey import Pubkey

from zmart.domain.ids import Address

from . import runtime
from .runtime import InstructionAccount, InstructionFailure, InvokeContext

_PROGRAM: Final = Pubkey(hashlib.sha256(b"devchain vault program").digest())
PROGRAM_ID: Final = Address(str(_PROGRAM))
#: Compute units of the vault program itself.
_UNITS: Final = 4_000
#: Member, vault and called program come before the accounts of the inner instruction.
_OWN_ACCOUNTS: Final = 3


@functools.lru_cache(maxsize=1_024)
def vault_address(member: Address) -> Address:
    """Return the address of a member's vault."""
    found, _ = Pubkey.find_program_address([b"vault", bytes(Pubkey.from_string(member))], _PROGRAM)
    return Address(str(found))


def wrap_instruction(inner: Instruction, member: Pubkey) -> Instruction:
    """Return the instruction by which a member lets its vault execute another one."""
    vault = Pubkey.from_string(vault_address(Address(str(member))))
    own = [
        AccountMeta(member, True, True),
        AccountMeta(vault, False, True),
        AccountMeta(inner.program_id, False, False),
    ]
    # Only its program can sign for the vault.
    given = [
        AccountMeta(meta.pubkey, meta.is_signer and meta.pubkey != vault, meta.is_writable) for meta in inner.accounts
    ]
    return Instruction(_PROGRAM, inner.data, own + given)


def process(call: InvokeContext) -> None:
    """Call the given program with the given data; the vault signs."""
    call.spend(_UNITS)
    if len(call.metas) < _OWN_ACCOUNTS:
        raise InstructionFailure(*runtime.NOT_ENOUGH_KEYS)
    member, vault, program = call.metas[:_OWN_ACCOUNTS]
    if not member.is_signer:
        raise InstructionFailure(*runtime.MISSING_SIGNATURE)
    if vault.address != vault_address(member.address):
        raise InstructionFailure("InvalidSeeds", "Provided seeds do not result in a valid address")
    inner = [
        InstructionAccount(meta.address, meta.is_signer or meta.address == vault.address, meta.is_writable)
        for meta in call.metas[_OWN_ACCOUNTS:]
    ]
    call.invoke(program.address, inner, call.data, signed_for=(vault.address,))
