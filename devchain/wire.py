"""Transactions on the wire: solders reads the bytes, this keeps the parts the ledger works with.

A message numbers its accounts: signers first, writable before read-only among them, then the others
likewise. Versioned messages may borrow further accounts from lookup tables; nothing on this chain
makes such tables, so a message that uses one names a table that does not exist.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from solders.hash import Hash
from solders.instruction import Instruction as SoldersInstruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.transaction import VersionedTransaction

from zmart import errors
from zmart.domain import base58
from zmart.domain.ids import Address, Signature

from . import accounts
from .runtime import InstructionAccount, ResolvedInstruction

#: The largest transaction there can be, so that it fits one packet.
MAX_BYTES = 1_232


@dataclass(frozen=True, kw_only=True)
class WireInstruction:
    """An instruction by indices, as the message holds it."""

    program_index: int
    account_indices: bytes
    data: bytes

    def json(self) -> dict[str, Any]:
        """As `getTransaction` and webhooks write it."""
        return {
            "accounts": list(self.account_indices),
            "data": base58_text(self.data),
            "programIdIndex": self.program_index,
        }


@dataclass(frozen=True, kw_only=True)
class WireTransaction:
    """A transaction taken apart."""

    #: As it came in; the signatures are in it.
    raw: bytes
    signatures: tuple[Signature, ...]
    keys: tuple[Address, ...]
    #: How many sign; of them, how many are read-only; how many others are read-only.
    header: tuple[int, int, int]
    instructions: tuple[WireInstruction, ...]
    blockhash: str
    #: 0 for a versioned message, None for a legacy one.
    version: int | None
    uses_lookup_tables: bool

    @property
    def signature(self) -> Signature:
        """The fee payer's signature, by which the transaction is known."""
        return self.signatures[0]

    @property
    def payer(self) -> Address:
        """Who pays the fee."""
        return self.keys[0]

    def is_signer(self, index: int) -> bool:
        """Whether the account at an index signed."""
        return index < self.header[0]

    def is_writable(self, index: int) -> bool:
        """Whether the account at an index may change; built-in programs never do."""
        signers, readonly_signers, readonly_others = self.header
        end = signers - readonly_signers if index < signers else len(self.keys) - readonly_others
        return index < end and self.keys[index] not in _READ_ONLY_PROGRAMS

    def resolve(self) -> list[ResolvedInstruction]:
        """The instructions with addresses and flags; IndexError where an index leads nowhere."""
        metas = [
            InstructionAccount(key, self.is_signer(index), self.is_writable(index))
            for index, key in enumerate(self.keys)
        ]
        return [
            ResolvedInstruction(
                self.keys[compiled.program_index],
                tuple([metas[index] for index in compiled.account_indices]),
                compiled.data,
            )
            for compiled in self.instructions
        ]


_READ_ONLY_PROGRAMS = frozenset(
    {
        accounts.SYSTEM_PROGRAM,
        accounts.COMPUTE_BUDGET_PROGRAM,
        accounts.NATIVE_LOADER,
        accounts.UPGRADEABLE_LOADER,
    }
)


def parse(raw: bytes) -> WireTransaction:
    """A transaction out of its bytes; DecodeError where they are none."""
    try:
        decoded = VersionedTransaction.from_bytes(raw)
        decoded.sanitize()
    except Exception as exc:
        raise errors.DecodeError(f"These bytes are not a transaction: {exc}.") from exc
    return from_solders(decoded, raw)


def from_solders(transaction: VersionedTransaction, raw: bytes | None = None) -> WireTransaction:
    """The parts of a transaction."""
    message = transaction.message
    header = message.header
    return WireTransaction(
        raw=bytes(transaction) if raw is None else raw,
        signatures=tuple([Signature(str(signature)) for signature in transaction.signatures]),
        keys=tuple([Address(str(key)) for key in message.account_keys]),
        header=(
            header.num_required_signatures,
            header.num_readonly_signed_accounts,
            header.num_readonly_unsigned_accounts,
        ),
        instructions=tuple(
            [
                WireInstruction(
                    program_index=compiled.program_id_index,
                    account_indices=compiled.accounts,
                    data=compiled.data,
                )
                for compiled in message.instructions
            ]
        ),
        blockhash=str(message.recent_blockhash),
        version=0 if isinstance(message, MessageV0) else None,
        uses_lookup_tables=isinstance(message, MessageV0) and bool(message.address_table_lookups),
    )


class SigningKey(NamedTuple):
    """A key with its address worked out, which costs as much as a signature."""

    key: Keypair
    pubkey: Pubkey
    address: Address

    @classmethod
    def of(cls, key: Keypair) -> SigningKey:
        """A key's signer."""
        pubkey = key.pubkey()
        return cls(key, pubkey, Address(str(pubkey)))


def sign_transaction(
    instructions: Sequence[SoldersInstruction], signers: Sequence[SigningKey], blockhash: Hash
) -> WireTransaction:
    """A legacy transaction, signed; the first signer pays."""
    message = Message.new_with_blockhash(instructions, signers[0].pubkey, blockhash)
    by_key = {signer.pubkey: signer.key for signer in signers}
    needed = message.account_keys[: message.header.num_required_signatures]
    return from_solders(VersionedTransaction(message, [by_key[key] for key in needed]))


def attach_signatures(message: Message | MessageV0, signatures: Sequence[SoldersSignature]) -> WireTransaction:
    """A message with signatures, whether they fit or not."""
    return from_solders(VersionedTransaction.populate(message, signatures))


def has_valid_signatures(raw: bytes) -> bool:
    """Whether every signature fits."""
    return all(VersionedTransaction.from_bytes(raw).verify_with_results())


@functools.lru_cache(maxsize=1 << 14)
def base58_text(data: bytes) -> str:
    """Instruction data as JSON-RPC writes it; cached because short instructions repeat."""
    return base58.encode(data)
