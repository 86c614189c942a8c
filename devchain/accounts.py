"""Accounts: lamports, an owner and bytes, and what those bytes mean to the program.

On the chain an account is bytes. The model works on records, the decoded form, and an account keeps
whichever of the two it was made from; the other is computed when somebody asks for it, once. So a
trade touches no codec, and an RPC still serves real bytes.

Accounts are values: a changed account is another account. Records are mutable, and whoever changes
one owns a copy of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from zmart import errors
from zmart.chain import addresses, codec
from zmart.domain.ids import Address

SYSTEM_PROGRAM = addresses.SYSTEM_PROGRAM
COMPUTE_BUDGET_PROGRAM = addresses.COMPUTE_BUDGET_PROGRAM
MEMO_PROGRAM = Address("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
NATIVE_LOADER = Address("NativeLoader1111111111111111111111111111111")
UPGRADEABLE_LOADER = Address("BPFLoaderUpgradeab1e11111111111111111111111")
#: The address of nobody: 32 zero bytes, what an unset pubkey field holds.
ZERO_ADDRESS = SYSTEM_PROGRAM

#: Lamports per byte that make an account exempt from rent, with the default parameters.
RENT_LAMPORTS_PER_BYTE: Final = 6_960
#: Bytes every account is charged for beside its data.
ACCOUNT_OVERHEAD_BYTES: Final = 128


def rent_exempt_lamports(size_bytes: int) -> int:
    """The lamports an account of that many bytes must hold (protocol.md 1.5)."""
    return (ACCOUNT_OVERHEAD_BYTES + size_bytes) * RENT_LAMPORTS_PER_BYTE


@dataclass(kw_only=True)
class AccountRecord:
    """The decoded form of one of the program's accounts; new, it is all zeros."""

    #: The program's name of the type, and the bytes it allocates for one (protocol.md 1.5).
    type_name: ClassVar[str]
    size_bytes: ClassVar[int]

    #: The byte that puts the account's address off the curve.
    bump: int = 0

    def encode(self) -> bytes:
        """The account's bytes as allocated, discriminator first and zeros last."""
        return codec.default().encode_account(self.type_name, self.__dict__, padded=True)


@dataclass(kw_only=True)
class ConfigRecord(AccountRecord):
    """GlobalConfig."""

    type_name: ClassVar[str] = "GlobalConfig"
    size_bytes: ClassVar[int] = 206

    admin: Address = ZERO_ADDRESS
    backend_authority: Address = ZERO_ADDRESS
    protocol_fee_wallet: Address = ZERO_ADDRESS
    protocol_fee_bps: int = 0
    resolver_reward_bps: int = 0
    liquidity_provider_fee_bps: int = 0
    proposal_approval_threshold: int = 0
    dispute_success_threshold: int = 0
    min_resolution_delay: int = 0
    dispute_period: int = 0
    min_resolver_reputation: int = 0
    is_paused: bool = False
    reserved: bytes = bytes(64)
    bump: int = 0


@dataclass(kw_only=True)
class MarketRecord(AccountRecord):
    """MarketAccount."""

    type_name: ClassVar[str] = "MarketAccount"
    size_bytes: ClassVar[int] = 488

    market_id: bytes = bytes(32)
    creator: Address = ZERO_ADDRESS
    state: int = 0
    b_parameter: int = 0
    initial_liquidity: int = 0
    current_liquidity: int = 0
    shares_yes: int = 0
    shares_no: int = 0
    total_volume: int = 0
    created_at: int = 0
    approved_at: int = 0
    activated_at: int = 0
    resolution_proposed_at: int = 0
    resolved_at: int = 0
    finalized_at: int = 0
    resolver: Address = ZERO_ADDRESS
    proposed_outcome: bool | None = None
    final_outcome: bool | None = None
    ipfs_evidence_hash: bytes = bytes(46)
    dispute_initiated_at: int = 0
    dispute_initiator: Address = ZERO_ADDRESS
    accumulated_protocol_fees: int = 0
    accumulated_resolver_fees: int = 0
    accumulated_lp_fees: int = 0
    proposal_likes: int = 0
    proposal_dislikes: int = 0
    proposal_total_votes: int = 0
    resolution_agree: int = 0
    resolution_disagree: int = 0
    resolution_total_votes: int = 0
    dispute_agree: int = 0
    dispute_disagree: int = 0
    dispute_total_votes: int = 0
    was_disputed: bool = False
    is_cancelled: bool = False
    cancelled_at: int | None = None
    is_locked: bool = False
    reserved: bytes = bytes(119)
    bump: int = 0


@dataclass(kw_only=True)
class PositionRecord(AccountRecord):
    """UserPosition."""

    type_name: ClassVar[str] = "UserPosition"
    size_bytes: ClassVar[int] = 182

    market: Address = ZERO_ADDRESS
    user: Address = ZERO_ADDRESS
    shares_yes: int = 0
    shares_no: int = 0
    total_invested: int = 0
    trades_count: int = 0
    last_trade_at: int = 0
    has_claimed: bool = False
    claimed_amount: int = 0
    reserved: bytes = bytes(64)
    bump: int = 0


@dataclass(kw_only=True)
class VoteRecord(AccountRecord):
    """VoteRecord."""

    type_name: ClassVar[str] = "VoteRecord"
    size_bytes: ClassVar[int] = 83

    market: Address = ZERO_ADDRESS
    user: Address = ZERO_ADDRESS
    vote_type: int = 0
    vote: bool = False
    voted_at: int = 0
    bump: int = 0


R = TypeVar("R", bound=AccountRecord)

RECORDS: dict[str, type[AccountRecord]] = {
    record.type_name: record for record in (ConfigRecord, MarketRecord, PositionRecord, VoteRecord)
}


def copy_record(record: R) -> R:
    """A record of one's own to change."""
    other = object.__new__(type(record))
    other.__dict__.update(record.__dict__)
    return other


def decode_record(data: bytes) -> AccountRecord:
    """The record in an account's bytes; DecodeError where it is none of the program's."""
    name, fields = codec.default().decode_account(data)
    return RECORDS[name](**fields)


class Account:
    """One account at one moment; make another one to change it."""

    __slots__ = ("_data", "_record", "executable", "lamports", "owner")

    def __init__(
        self,
        lamports: int,
        owner: Address = SYSTEM_PROGRAM,
        data: bytes | None = b"",
        record: AccountRecord | None = None,
        *,
        executable: bool = False,
    ) -> None:
        self.lamports = lamports
        self.owner = owner
        self.executable = executable
        self._data = data
        self._record = record

    @classmethod
    def from_record(cls, record: AccountRecord, *, lamports: int, owner: Address) -> Account:
        """An account of the program with that record in it."""
        return cls(lamports, owner, None, record)

    @property
    def data(self) -> bytes:
        """The account's bytes."""
        if self._data is None:
            assert self._record is not None
            self._data = self._record.encode()
        return self._data

    @property
    def record(self) -> AccountRecord | None:
        """What the program reads in the bytes, or None where it is not one of its accounts."""
        if self._record is None and self._data:
            try:
                self._record = decode_record(self._data)
            except errors.DecodeError:
                return None
        return self._record

    @property
    def size_bytes(self) -> int:
        """How long the data is."""
        if self._data is None:
            assert self._record is not None
            return self._record.size_bytes
        return len(self._data)

    @property
    def is_empty(self) -> bool:
        """Whether the runtime would drop it: nothing in it and nothing owed to it."""
        return self.lamports == 0

    @property
    def is_rent_exempt(self) -> bool:
        """Whether it holds enough to stay for good."""
        return self.lamports >= rent_exempt_lamports(self.size_bytes)

    def with_lamports(self, lamports: int) -> Account:
        """The same account with another balance."""
        return Account(lamports, self.owner, self._data, self._record, executable=self.executable)

    def with_data(self, data: bytes) -> Account:
        """The same account with other bytes."""
        return Account(self.lamports, self.owner, data, executable=self.executable)

    def with_owner(self, owner: Address) -> Account:
        """The same account under another program."""
        return Account(self.lamports, owner, self.data, executable=self.executable)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Account) and (self.lamports, self.owner, self.data) == (
            other.lamports,
            other.owner,
            other.data,
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        kind = self.record.type_name if self.record else f"{self.size_bytes} bytes"
        return f"Account({kind}, {self.lamports} lamports, owner {self.owner})"


#: An account that does not exist.
ABSENT_ACCOUNT: Final = Account(0)


def record_fields(record: AccountRecord) -> dict[str, Any]:
    """A record's fields by the program's names, for comparing and for printing."""
    return dict(record.__dict__)
