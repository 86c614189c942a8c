"""Defines blocks, the transactions in them, and the genesis of a chain."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from solders.hash import Hash
from solders.keypair import Keypair

from zmart.domain.ids import Address, Signature

from . import wire
from .accounts import Account
from .runtime import ErrorJson, InnerInstruction
from .wire import SigningKey


@dataclass(frozen=True, kw_only=True)
class Genesis:
    """The identity of a chain; its faucet and demo keys are derived from `seed`."""

    hash: str
    seed: bytes
    #: Seconds since 1970.
    created_at: int

    @classmethod
    def from_seed(cls, seed: bytes, created_at: int) -> Genesis:
        """Return the genesis of a seed; different seeds give different chains."""
        digest = hashlib.sha256(b"devchain genesis" + seed).digest()
        return cls(hash=str(Hash(digest)), seed=seed, created_at=created_at)

    def signer(self, name: str) -> SigningKey:
        """Return the key of one of the chain's own actors."""
        return SigningKey.of(Keypair.from_seed(hashlib.sha256(self.seed + name.encode()).digest()))


@dataclass(frozen=True, kw_only=True)
class ExecutionResult:
    """The result of running a transaction."""

    err: ErrorJson | None
    fee_lamports: int
    logs: list[str]
    inner: dict[int, list[InnerInstruction]]
    units_consumed: int
    #: Bytes of account data that it loaded.
    loaded_bytes: int
    #: Balances of the transaction's accounts, in the order of its accounts, in lamports.
    pre_balances: list[int]
    post_balances: list[int]
    changed: dict[Address, Account]
    #: Whether the transaction ran; one that did not has neither logs nor a fee.
    was_executed: bool = True


@dataclass(frozen=True, kw_only=True)
class LandedTransaction:
    """A transaction in a block."""

    transaction: wire.WireTransaction
    slot: int
    index: int
    #: Seconds since 1970, by the chain's clock.
    block_time: int
    err: ErrorJson | None
    fee_lamports: int
    logs: list[str]
    inner: dict[int, list[InnerInstruction]]
    units_consumed: int
    pre_balances: list[int]
    post_balances: list[int]
    was_executed: bool = True

    @property
    def signature(self) -> Signature:
        """Return the signature that identifies the transaction."""
        return self.transaction.signatures[0]


@dataclass(kw_only=True)
class Block:
    """The block of a slot that was not skipped."""

    slot: int
    parent_slot: int
    height: int
    time: int
    blockhash: str
    previous_blockhash: str
    transactions: list[LandedTransaction] = field(default_factory=list)
    #: The accounts that the block changed, as they are after it; empty when read back from the store.
    changed: dict[Address, Account] = field(default_factory=dict, repr=False, compare=False)
