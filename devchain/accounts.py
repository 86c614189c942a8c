"""Defines accounts (lamports, an owner and bytes) and the program's records inside those bytes.

On the chain an account is bytes. The model works on records, which are the decoded form. An account stores the form
that it was made from, and computes the other one once, when it is first read. So a trade needs no codec, and the
RPC still serves real bytes.

Accounts are values: changing an account creates a new one. Records are mutable; code that changes a record must own
a copy of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, TypeVar

from zmart import errors
from zmart.chain import addresses, codec
from zmart.domain.ids import Address

SYSTEM_PROGRAM = addresses.SYSTEM_PROGRAM
COMPUTE_BUDGET_PROGRAM = addresses.COMPUTE_BUDGET_PROGRAM
MEMO_PROGRAM = Address("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
NATIVE_LOADER = Address("NativeLoader1111111111111111111111111111111")
UPGRADEABLE_LOADER = Address("BPFLoaderUpgradeab1e11111111111111111111111")
#: The value of an unset pubkey field: 32 zero bytes, which no wallet owns.
ZERO_ADDRESS = SYSTEM_PROGRAM

#: Bytes that rent charges for every account in addition to its data.
ACCOUNT_OVERHEAD_BYTES: Final = 128


class Rent(NamedTuple):
    """The Rent sysvar; mainnet lowers its rate in steps, from 6,960 lamports a byte (solana.md 5)."""

    #: Lamports per byte that make an account exempt from rent.
    lamports_per_byte: int = 5_080

    def exempt_lamports(self, size_bytes: int) -> int:
        """Return the lamports that an account of that many bytes must hold (protocol.md 1.5)."""
        return (ACCOUNT_OVERHEAD_BYTES + size_bytes) * self.lamports_per_byte

    def is_exempt(self, account: Account) -> bool:
        """Return whether an account's balance is high enough to be exempt from rent."""
        return account.lamports >= self.exempt_lamports(account.size_bytes)


@dataclass(kw_only=True)
class AccountRecord:
    """The decoded form of one of the program's accounts; a new record is all zeros."""

    #: The program's name of the type, and the bytes that it allocates for one account (protocol.md 1.5).
    type_name: ClassVar[str]
    size_bytes: ClassVar[int]

    #: The bump byte, which moves the account's derived address off the curve.
    bump: int = 0

    def encode(self) -> bytes:
        """Return the account's bytes as allocated: the discriminator first, zero padding last."""
        return codec.default().encode_account(self.type_name, self.__dict__, padded=True)


@dataclass(kw_only=True)
class ConfigRecord(AccountRecord):
    """The record of a GlobalConfig account."""

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
    """The record of a MarketAccount account."""

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
    """The record of a UserPosition account."""

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
    """The record of a VoteRecord account."""

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
    """Return a copy of a record, which the caller may change."""
    other = object.__new__(type(record))
    other.__dict__.update(record.__dict__)
    return other


def decode_record(data: bytes) -> AccountRecord:
    """Return the record in an account's bytes; raise DecodeError where it is not one of the program's accounts."""
    name, fields = codec.default().decode_account(data)
    return RECORDS[name](**fields)


class Account:
    """The state of one account at one moment; immutable, so a change makes another Account."""

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
        """Return an account of the program that contains that record."""
        return cls(lamports, owner, None, record)

    @property
    def data(self) -> bytes:
        """Return the account's bytes."""
        if self._data is None:
            assert self._record is not None
            self._data = self._record.encode()
        return self._data

    @property
    def record(self) -> AccountRecord | None:
        """Return the record in the bytes, or None where this is not one of the program's accounts."""
        if self._record is None and self._data:
            try:
                self._record = decode_record(self._data)
            except errors.DecodeError:
                return None
        return self._record

    @property
    def size_bytes(self) -> int:
        """Return the length of the data, in bytes."""
        if self._data is None:
            assert self._record is not None
            return self._record.size_bytes
        return len(self._data)

    @property
    def is_empty(self) -> bool:
        """Return whether the runtime would delete the account, because its balance is zero."""
        return self.lamports == 0

    def with_lamports(self, lamports: int) -> Account:
        """Return the same account with another balance."""
        return Account(lamports, self.owner, self._data, self._record, executable=self.executable)

    def with_data(self, data: bytes) -> Account:
        """Return the same account with other bytes."""
        return Account(self.lamports, self.owner, data, executable=self.executable)

    def with_owner(self, owner: Address) -> Account:
        """Return the same account with another owner."""
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


#: The value that stands for an account that does not exist.
ABSENT_ACCOUNT: Final = Account(0)


def record_fields(record: AccountRecord) -> dict[str, Any]:
    """Return a record's fields by the program's names, for comparing and for printing."""
    return dict(record.__dict__)
