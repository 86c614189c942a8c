"""Parses and signs transactions in their wire format; solders reads the bytes.

A message numbers its accounts: signers first, with writable ones before read-only ones, then the others in the same
order. Messages of version 0 may load further accounts from lookup tables. Nothing on this chain creates such tables,
so a message that uses one refers to a table that does not exist.

A transaction of version 1 begins with the byte 0x81, states its compute budget in its configuration, and has its
signatures at the end. The other forms begin with the number of signatures.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from solders.hash import Hash
from solders.instruction import Instruction as SoldersInstruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0, MessageV1
from solders.message import TransactionConfig as SoldersTransactionConfig
from solders.pubkey import Pubkey
from solders.signature import Signature as SoldersSignature
from solders.transaction import VersionedTransaction

from zmart import errors
from zmart.domain import base58
from zmart.domain.ids import Address, Signature

from . import accounts
from .runtime import InstructionAccount, ResolvedInstruction, TransactionConfig

#: The largest size of a legacy transaction and of one of version 0, in bytes, so that it fits one packet.
MAX_BYTES = 1_232
#: The largest size of a transaction of version 1, in bytes.
MAX_BYTES_V1 = 4_096
#: The first byte of a transaction of version 1. Others begin with a number of signatures, which is below 128.
V1_MARK = 0x81


@dataclass(frozen=True, kw_only=True)
class WireInstruction:
    """An instruction by indices, as in the message."""

    program_index: int
    account_indices: bytes
    data: bytes

    def json(self) -> dict[str, Any]:
        """Return the instruction in the form of `getTransaction` and webhooks."""
        return {
            "accounts": list(self.account_indices),
            "data": base58_text(self.data),
            "programIdIndex": self.program_index,
        }


@dataclass(frozen=True, kw_only=True)
class WireTransaction:
    """A parsed transaction."""

    #: The bytes as received, signatures included.
    raw: bytes
    signatures: tuple[Signature, ...]
    keys: tuple[Address, ...]
    #: Number of signers; number of read-only ones among them; number of read-only accounts among the others.
    header: tuple[int, int, int]
    instructions: tuple[WireInstruction, ...]
    blockhash: str
    #: 0 or 1 for a versioned message, None for a legacy one.
    version: int | None
    uses_lookup_tables: bool
    #: The configuration of a transaction of version 1; None for the others.
    config: TransactionConfig | None = None

    @property
    def signature(self) -> Signature:
        """Return the fee payer's signature, which identifies the transaction."""
        return self.signatures[0]

    @property
    def payer(self) -> Address:
        """Return the address that pays the fee."""
        return self.keys[0]

    def is_signer(self, index: int) -> bool:
        """Return whether the account at an index signed."""
        return index < self.header[0]

    def is_writable(self, index: int) -> bool:
        """Return whether the account at an index is writable; built-in programs never are."""
        signers, readonly_signers, readonly_others = self.header
        end = signers - readonly_signers if index < signers else len(self.keys) - readonly_others
        return index < end and self.keys[index] not in _READ_ONLY_PROGRAMS

    def resolve(self) -> list[ResolvedInstruction]:
        """Return the instructions with addresses and flags; raise IndexError where an index is out of range."""
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


def max_bytes(raw: bytes) -> int:
    """Return the largest size of a transaction that begins with these bytes."""
    return MAX_BYTES_V1 if raw[:1] == bytes([V1_MARK]) else MAX_BYTES


def parse(raw: bytes) -> WireTransaction:
    """Return the transaction in these bytes; raise DecodeError where they are not a transaction."""
    try:
        decoded = VersionedTransaction.from_bytes(raw)
        # It checks the limits of version 1, too: 12 signatures, 64 addresses, 64 instructions, no address twice.
        decoded.sanitize()
    except Exception as exc:
        raise errors.DecodeError(f"These bytes are not a transaction: {exc}.") from exc
    # solders ignores bytes after the last signature.
    if bytes(decoded) != raw:
        raise errors.DecodeError("These bytes are not a transaction: more bytes follow it.")
    return from_solders(decoded, raw)


def from_solders(transaction: VersionedTransaction, raw: bytes | None = None) -> WireTransaction:
    """Return the parts of a transaction that solders parsed."""
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
        version=_VERSIONS[type(message)],
        uses_lookup_tables=isinstance(message, MessageV0) and bool(message.address_table_lookups),
        config=_read_config(message.config) if isinstance(message, MessageV1) else None,
    )


_VERSIONS: dict[type, int | None] = {Message: None, MessageV0: 0, MessageV1: 1}


def _read_config(config: SoldersTransactionConfig) -> TransactionConfig:
    return TransactionConfig(
        config.priority_fee, config.compute_unit_limit, config.loaded_accounts_data_size_limit, config.heap_size
    )


class SigningKey(NamedTuple):
    """A key with its address, which is computed once because that costs as much as a signature."""

    key: Keypair
    pubkey: Pubkey
    address: Address

    @classmethod
    def of(cls, key: Keypair) -> SigningKey:
        """Return the SigningKey of a keypair."""
        pubkey = key.pubkey()
        return cls(key, pubkey, Address(str(pubkey)))


def sign_transaction(
    instructions: Sequence[SoldersInstruction], signers: Sequence[SigningKey], blockhash: Hash
) -> WireTransaction:
    """Return a signed legacy transaction; the first signer pays."""
    message = Message.new_with_blockhash(instructions, signers[0].pubkey, blockhash)
    return _sign(message, signers)


def sign_transaction_v1(
    instructions: Sequence[SoldersInstruction],
    signers: Sequence[SigningKey],
    blockhash: Hash,
    config: TransactionConfig,
) -> WireTransaction:
    """Return a signed transaction of version 1; the first signer pays."""
    stated = SoldersTransactionConfig(*config)
    return _sign(MessageV1.try_compile(signers[0].pubkey, instructions, blockhash, stated), signers)


def _sign(message: Message | MessageV1, signers: Sequence[SigningKey]) -> WireTransaction:
    by_key = {signer.pubkey: signer.key for signer in signers}
    needed = message.account_keys[: message.header.num_required_signatures]
    return from_solders(VersionedTransaction(message, [by_key[key] for key in needed]))


def attach_signatures(
    message: Message | MessageV0 | MessageV1, signatures: Sequence[SoldersSignature]
) -> WireTransaction:
    """Return a message with signatures, without verifying them."""
    return from_solders(VersionedTransaction.populate(message, signatures))


def has_valid_signatures(raw: bytes) -> bool:
    """Return whether every signature is valid."""
    return all(VersionedTransaction.from_bytes(raw).verify_with_results())


@functools.lru_cache(maxsize=1 << 14)
def base58_text(data: bytes) -> str:
    """Return instruction data in the form of JSON-RPC; cached because short instructions repeat."""
    return base58.encode(data)
