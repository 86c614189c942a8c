"""Builds instructions for the program and transactions from them, signed or to be signed by a wallet.

An instruction's accounts are in the order of the IDL, with their flags. Accounts that can be derived are filled in: the
configuration, the System program, a market's account from its id, a wallet's position or vote record from market and
user. The caller provides the others, chiefly the signers.

A transaction is versioned (v0), begins with its compute budget, and has at most 1,232 bytes with its signatures. An
unsigned transaction is the same bytes with zeros in place of the signatures, which wallets accept and nodes can
simulate.

`parse` reads legacy, version 0 and version 1, because wallets may send any of them. This module builds version 0 only:
it stays valid, and not every wallet signs version 1.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from solders import compute_budget
from solders.hash import Hash, ParseHashError
from solders.instruction import AccountMeta, Instruction
from solders.message import CompileError, MessageV0
from solders.pubkey import Pubkey
from solders.signature import Signature as RawSignature
from solders.transaction import SanitizeError, VersionedTransaction

from zmart import errors
from zmart.domain.ids import Address, Signature
from zmart.domain.votes import VoteKind

from . import addresses, codec, idl
from .signer import Signer

#: The size of a legacy or version-0 transaction, signatures included: one packet (solana.md 1).
MAX_TRANSACTION_BYTES: Final = 1_232
#: The first byte of a version-1 transaction. The older ones begin with the number of their signatures, at most 12.
V1_FIRST_BYTE: Final = 0x81
#: The limits of version 1 (SIMD-0385). solders checks none of them in `from_bytes`, which parsed 5,190 bytes,
#: 13 signatures, 65 instructions and 72 addresses; `sanitize` passes the size, too.
MAX_V1_BYTES: Final = 4_096
MAX_V1_SIGNATURES: Final = 12
MAX_V1_ADDRESSES: Final = 64
MAX_V1_INSTRUCTIONS: Final = 64
#: The limit of a transaction's compute units, whatever it requests.
MAX_COMPUTE_UNITS: Final = 1_400_000
#: The fee of each signature.
LAMPORTS_PER_SIGNATURE: Final = 5_000
_MICRO: Final = 1_000_000

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
    """Return an instruction that is ready to be signed.

    `accounts` contains the accounts that cannot be derived. An account that it contains is used even where it could be
    derived, so that a test can pass a wrong one on purpose. A market is its address in `accounts`, or `market_id`, or
    the argument of that name. InvalidInput states which account is missing or unknown.
    """
    args = args or {}
    described = _find_instruction(name)
    account_names = [meta.name for meta in described.accounts]
    if unknown := accounts.keys() - set(account_names):
        raise errors.InvalidInput(f"{name} has no account named {', '.join(sorted(unknown))}.")
    resolved = dict(accounts)
    for account in sorted(account_names, key=_is_derived_later):
        if account not in resolved:
            identity = args.get("market_id", market_id)
            resolved[account] = _resolve_account(account, name, program_id, resolved, identity)
    return Instruction(
        _pubkey(program_id),
        codec.default().encode_instruction(name, args),
        [AccountMeta(_pubkey(resolved[meta.name]), meta.signer, meta.writable) for meta in described.accounts],
    )


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The compute limit of a transaction, and the price that it offers for priority."""

    #: Compute units; the whole limit is paid for, used or not.
    units: int
    #: Millionths of a lamport for each unit.
    micro_lamports_per_unit: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.units <= MAX_COMPUTE_UNITS:
            raise errors.InvalidInput(f"A compute budget must be 1 to {MAX_COMPUTE_UNITS:,} units, not {self.units:,}.")
        if not 0 <= self.micro_lamports_per_unit < 1 << 64:
            raise errors.InvalidInput("The price of a compute unit must be a u64 number of micro-lamports.")

    @property
    def priority_fee_lamports(self) -> int:
        """Return the fee in addition to the signatures' fee, rounded up as the chain does."""
        return -(-self.units * self.micro_lamports_per_unit // _MICRO)

    def instructions(self) -> list[Instruction]:
        """Return the compute budget instructions, which come first; a price of zero is omitted."""
        limit = compute_budget.set_compute_unit_limit(self.units)
        price = compute_budget.set_compute_unit_price(self.micro_lamports_per_unit)
        return [limit, price] if self.micro_lamports_per_unit else [limit]


@dataclass(frozen=True, kw_only=True)
class UnsignedTransaction:
    """A transaction without its signatures."""

    message: MessageV0
    cost: Cost | None

    @property
    def signers(self) -> tuple[Address, ...]:
        """Return the addresses that have to sign, the payer of the fee first."""
        count = self.message.header.num_required_signatures
        return tuple(Address(str(key)) for key in self.message.account_keys[:count])

    @property
    def blockhash(self) -> str:
        """Return the blockhash that limits its age."""
        return str(self.message.recent_blockhash)

    @property
    def fee_lamports(self) -> int:
        """Return the fee of landing, whether the transaction succeeds or not."""
        return LAMPORTS_PER_SIGNATURE * len(self.signers) + (self.cost.priority_fee_lamports if self.cost else 0)

    @property
    def raw(self) -> bytes:
        """Return its bytes, with zeros for signatures."""
        empty = [RawSignature.default()] * len(self.signers)
        return bytes(VersionedTransaction.populate(self.message, empty))

    @property
    def base64(self) -> str:
        """Return the form that wallets accept."""
        return base64.b64encode(self.raw).decode()

    def sign(self, signers: Sequence[Signer]) -> SendableTransaction:
        """Sign with every required key, in any order; raise InvalidInput where one is missing or superfluous."""
        keys = {signer.address: signer for signer in signers}
        if missing := [address for address in self.signers if address not in keys]:
            raise errors.InvalidInput(f"The signature of {missing[0]} is missing.")
        if extra := keys.keys() - set(self.signers):
            raise errors.InvalidInput(f"The transaction does not require a signature of {min(extra)}.")
        return self._with_signatures([keys[address].sign(self.message) for address in self.signers])

    def with_signature(self, signature: RawSignature) -> SendableTransaction:
        """Return the transaction with the signature of its only signer, which is not verified here."""
        return self._with_signatures([signature])

    def _with_signatures(self, signatures: Sequence[RawSignature]) -> SendableTransaction:
        raw = bytes(VersionedTransaction.populate(self.message, signatures))
        return SendableTransaction(raw=raw, signature=Signature(str(signatures[0])), blockhash=self.blockhash)


@dataclass(frozen=True, kw_only=True)
class SendableTransaction:
    """A transaction that can be sent; the same bytes may be sent repeatedly and land at most once."""

    raw: bytes
    #: The identifier of the transaction: the payer's signature.
    signature: Signature
    blockhash: str

    @property
    def base64(self) -> str:
        """Return the form that nodes accept."""
        return base64.b64encode(self.raw).decode()


def transaction(
    instructions: Sequence[Instruction], *, payer: str, blockhash: str, cost: Cost | None = None
) -> UnsignedTransaction:
    """Return a transaction of these instructions, paid by `payer` and with its age limited by `blockhash`.

    Without `cost` it may use 200,000 compute units per instruction and offers no priority fee. Raise InvalidInput where
    it would be empty, where an address or the blockhash is invalid, or where it would not fit a packet.
    """
    if not instructions:
        raise errors.InvalidInput("A transaction needs at least one instruction.")
    first = [] if cost is None else cost.instructions()
    return _require_packet_size(
        UnsignedTransaction(message=_compile_message(payer, [*first, *instructions], blockhash), cost=cost)
    )


def signature_of(raw: bytes) -> Signature:
    """Return the signature that identifies a signed transaction, of any version; raise InvalidInput for other bytes.

    Legacy and version-0 transactions begin with their signatures, version 1 ends with them.
    """
    signatures = _from_bytes(raw).signatures
    if not signatures:
        raise errors.InvalidInput("These bytes are a transaction without a signature.")
    return Signature(str(signatures[0]))


def size_limit(raw: bytes) -> int:
    """Return how many bytes a transaction may have; its first byte shows its version."""
    return MAX_V1_BYTES if raw[:1] == bytes([V1_FIRST_BYTE]) else MAX_TRANSACTION_BYTES


def parse(raw: bytes) -> VersionedTransaction:
    """Return a transaction of any version that is within its limits and consistent in itself.

    Raise InvalidInput for anything else. The signatures are not verified.
    """
    if len(raw) > (limit := size_limit(raw)):
        raise errors.InvalidInput(
            f"The transaction has {len(raw):,} bytes, and its version allows {limit:,}.",
            help="Put fewer instructions into it.",
        )
    found = _from_bytes(raw)
    if raw[0] == V1_FIRST_BYTE:
        _require_v1_counts(found)
    try:
        found.sanitize()
    except (SanitizeError, ValueError) as exc:
        # solders derives SanitizeError directly from Exception, so `except ValueError` does not catch it.
        raise errors.InvalidInput(f"The transaction is not consistent ({exc}). Build and sign it again.") from exc
    # Bytes after the end are not covered by any signature.
    if bytes(found) != raw:
        raise errors.InvalidInput("These bytes are not a transaction.")
    return found


def _from_bytes(raw: bytes) -> VersionedTransaction:
    try:
        return VersionedTransaction.from_bytes(raw)
    except (SanitizeError, ValueError) as exc:
        raise errors.InvalidInput("These bytes are not a transaction.") from exc


def _require_v1_counts(found: VersionedTransaction) -> None:
    counts = (
        ("signatures", found.message.header.num_required_signatures, MAX_V1_SIGNATURES),
        ("addresses", len(found.message.account_keys), MAX_V1_ADDRESSES),
        ("instructions", len(found.message.instructions), MAX_V1_INSTRUCTIONS),
    )
    for name, count, most in counts:
        if count > most:
            raise errors.InvalidInput(f"The transaction has {count} {name}, and version 1 allows {most}.")


def _compile_message(payer: str, instructions: Sequence[Instruction], blockhash: str) -> MessageV0:
    try:
        return MessageV0.try_compile(_pubkey(payer), instructions, [], Hash.from_string(blockhash))
    except (ParseHashError, CompileError) as exc:
        raise errors.InvalidInput(f"The transaction cannot be compiled: {exc}.") from exc


def _require_packet_size(unsigned: UnsignedTransaction) -> UnsignedTransaction:
    size_bytes = len(unsigned.raw)
    if size_bytes > MAX_TRANSACTION_BYTES:
        raise errors.InvalidInput(
            f"The transaction has {size_bytes:,} bytes; the limit is {MAX_TRANSACTION_BYTES:,}.",
            help="Put fewer instructions into it.",
        )
    return unsigned


def named_accounts(name: str, keys: list[Address]) -> dict[str, Address]:
    """Return the accounts of a received instruction by their names, without those beyond the IDL."""
    described = _find_instruction(name).accounts
    if len(keys) < len(described):
        raise errors.DecodeError(f"{name} takes {len(described)} accounts, not {len(keys)}.")
    return {meta.name: key for meta, key in zip(described, keys, strict=False)}


def _pubkey(address: str) -> Pubkey:
    try:
        return Pubkey.from_string(address)
    except ValueError as exc:
        raise errors.InvalidInput(f"{address!r} is not an address: 32 bytes in base58.") from exc


@functools.cache
def _by_name() -> dict[str, idl.IdlInstruction]:
    return {described.name: described for described in idl.load().instructions}


def _find_instruction(name: str) -> idl.IdlInstruction:
    if name not in _by_name():
        raise errors.InvalidInput(f"The program has no instruction {name}.")
    return _by_name()[name]


def _is_derived_later(account: str) -> bool:
    """Return whether an account's address is derived from other accounts' addresses."""
    return account in {"position", "vote_record"}


def _resolve_account(
    account: str,
    name: str,
    program_id: str,
    accounts: Mapping[str, Address],
    market_id: bytes | None,
) -> Address:
    match account:
        case "global_config":
            return addresses.config_address(program_id)
        case "system_program":
            return addresses.SYSTEM_PROGRAM
        case "market" if market_id is not None:
            return addresses.market_address(program_id, market_id)
        case "position" if "user" in accounts:
            return addresses.position_address(program_id, accounts["market"], accounts["user"])
        case "vote_record" if "user" in accounts:
            kind = _VOTE_KINDS[name]
            return addresses.vote_address(program_id, accounts["market"], accounts["user"], kind)
    raise errors.InvalidInput(f"{name} needs the account {account}, which cannot be derived.")
