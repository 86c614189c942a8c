"""Defines the interface to a Solana cluster: `ChainClient`, its result types, and functions for any client.

Every read names its commitment; there is no default. Results are our own types, and errors are those of `rpc_errors`: a
NodeError can be retried later, the others cannot. The implementation over JSON-RPC is `zmart.chain.rpc.RpcClient`.

A client may use several nodes, and two nodes never quite agree on the newest slot. A sequence of calls whose results
must fit together (paging, or checking that a transaction is gone) therefore uses `pin_node()`, which is one node: it
fails rather than change the node.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import msgspec

from zmart import errors
from zmart.domain.ids import Address, Signature, Slot
from zmart.settings import Cluster

from . import rpc_errors
from .cluster_facts import BLOCKHASH_BLOCKS, ConsensusModel

Commitment: TypeAlias = Literal["processed", "confirmed", "finalized"]

#: The Clock sysvar: the time that programs see.
CLOCK: Final = Address("SysvarC1ock11111111111111111111111111111111")
#: Limits of the JSON-RPC interface.
MAX_ACCOUNTS: Final = 100
MAX_STATUSES: Final = 256
MAX_SIGNATURES: Final = 1_000
MAX_FEE_ADDRESSES: Final = 128
#: How long a node that does not know a method of a provider is not asked for it again.
METHOD_RECHECK_SECONDS: Final = 21_600.0
#: The newest transaction version that this release reads, and the limit that every request states. With 0 a node
#: responds with -32015 for each version-1 transaction (14 to 42 % of mainnet's within weeks of September 2026). Old
#: nodes accept 1, too (solana.md 1).
MAX_TRANSACTION_VERSION: Final = 1

#: The public clusters by the hash of their first block; any other hash is a localnet (solana.md 8).
CLUSTER_BY_GENESIS_HASH: Final[Mapping[str, str]] = {
    "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d": "mainnet",
    "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG": "devnet",
    "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY": "testnet",
}

_T = TypeVar("_T")


# Results of a client


@dataclass(frozen=True, kw_only=True)
class AtSlot(Generic[_T]):
    """A value and the slot for which it is valid."""

    slot: Slot
    value: _T


@dataclass(frozen=True, kw_only=True)
class AccountInfo:
    """An account's state; `data` is the requested slice."""

    address: Address
    lamports: int
    owner: Address
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Blockhash:
    """A hash that limits a transaction's age: valid while the block height is at most `last_valid_block_height`."""

    value: str
    last_valid_block_height: int
    slot: Slot


def blockhash_seconds(slot_seconds: float) -> float:
    """Return for how many seconds a blockhash is valid that was read just now.

    A few blocks are subtracted: they pass between the block of the hash and its arrival here. Skipped slots have no
    block, so they prolong its life.
    """
    return (BLOCKHASH_BLOCKS - _BLOCKHASH_DELAY_BLOCKS) * slot_seconds


_BLOCKHASH_DELAY_BLOCKS: Final = 5


@dataclass(frozen=True, kw_only=True)
class ChainClock:
    """The chain's clock; programs compare their deadlines with `unix_timestamp`, seconds since 1970."""

    slot: Slot
    unix_timestamp: int


@dataclass(frozen=True, kw_only=True)
class SimulationResult:
    """The result of simulating a transaction."""

    slot: Slot
    err: Any
    logs: tuple[str, ...]
    units_consumed: int

    def error(self, program_id: str | None = None) -> errors.ZmartError | None:
        """Return why the transaction would fail, as an error to raise; None where it would not."""
        return (
            None if self.err is None else rpc_errors.error_from_transaction(self.err, self.logs, program_id=program_id)
        )


class SignatureStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The progress of a transaction; one whose `err` is set has landed all the same."""

    slot: int
    err: Any = None
    confirmations: int | None = None
    confirmation_status: Commitment | None = None

    @property
    def is_finalized(self) -> bool:
        """Return whether the transaction is final; older nodes indicate that by omitting the confirmations."""
        return self.confirmation_status == "finalized" or (
            self.confirmation_status is None and self.confirmations is None
        )

    @property
    def is_confirmed(self) -> bool:
        """Return whether the cluster confirmed its block: two thirds of the stake voted for it, or it is final.

        On a cluster with Alpenglow, confirmed and finalized are the same (solana.md 2).
        """
        return self.is_finalized or self.confirmation_status == "confirmed"


class SignatureInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A transaction in an account's history."""

    signature: str
    slot: int
    err: Any = None
    block_time: int | None = None
    #: Its index in the block, from nodes since Agave 4.0; None from older ones.
    transaction_index: int | None = None


class TransactionPage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page of an account's transactions with their bodies, the oldest first."""

    #: The transactions, each in the form of `getTransaction`.
    data: tuple[msgspec.Raw, ...]
    #: Asks for the next page; None after the last one.
    pagination_token: str | None = None


class BlockSignatures(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A block's transactions in their order, by signature; a transaction's index is its index here."""

    blockhash: str
    parent_slot: int
    signatures: tuple[str, ...]
    block_height: int | None = None
    block_time: int | None = None


class PriorityFee(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The lowest price per compute unit that a landed transaction of a slot paid, in millionths of a lamport."""

    slot: int
    prioritization_fee: int


class PriorityFeeLevels(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A provider's estimates of the price per compute unit, in millionths of a lamport, by the share of recent
    transactions that paid at most this much.
    """

    #: 25 %.
    low: float
    #: 50 %.
    medium: float
    #: 75 %.
    high: float
    #: 95 %.
    very_high: float
    #: 100 %.
    unsafe_max: float


class Memcmp(NamedTuple):
    """A filter of program accounts: these bytes at this offset of the data."""

    offset: int
    data: bytes


class DataSize(NamedTuple):
    """A filter of program accounts: data of this many bytes."""

    size_bytes: int


class DataSlice(NamedTuple):
    """The part of the data to return; `DataSlice(0, 0)` requests addresses only."""

    offset: int
    length: int


class ChainClient(Protocol):
    """A client of a cluster; with `min_context_slot`, a call fails at a node that has not processed that slot."""

    def pin_node(self) -> ChainClient:
        """Return a client of the same cluster through one node, for calls whose results must fit together."""
        ...

    def each_node(self) -> Sequence[ChainClient]:
        """Return a client for each node of the cluster, for questions where one node's "unknown" proves nothing."""
        ...

    async def genesis_hash(self) -> str:
        """Return the hash that identifies the cluster."""
        ...

    async def consensus(self) -> ConsensusModel:
        """Return the consensus that the cluster runs, as far as its nodes show it; cached, and never an error."""
        ...

    async def read_commitment(self) -> Commitment:
        """Return the commitment for reads of the newest state that no fork can undo cheaply.

        It is `finalized` once the cluster has moved to Alpenglow, where `confirmed` means the same and is planned for
        removal; else `confirmed`.
        """
        ...

    async def slot_seconds(self) -> float:
        """Return the measured length of a slot in seconds; cached, and never an error."""
        ...

    async def slot(self, *, commitment: Commitment, min_context_slot: int | None = None) -> Slot:
        """Return the newest slot."""
        ...

    async def block_height(self, *, commitment: Commitment, min_context_slot: int | None = None) -> int:
        """Return the number of blocks, in which a blockhash's age is counted."""
        ...

    async def latest_blockhash(self, *, commitment: Commitment, min_context_slot: int | None = None) -> Blockhash:
        """Return a blockhash to sign with."""
        ...

    async def send(
        self,
        transaction: bytes,
        *,
        preflight_commitment: Commitment,
        skip_preflight: bool = False,
        min_context_slot: int | None = None,
    ) -> Signature:
        """Send a signed transaction once; the node does not resend it by itself.

        A preflight error is the reason why it cannot land. After a NodeError it is unknown whether the node forwarded
        it: sending the same bytes again is harmless.
        """
        ...

    async def simulate(
        self,
        transaction: bytes,
        *,
        commitment: Commitment,
        verify_signatures: bool = False,
        replace_blockhash: bool = False,
        min_context_slot: int | None = None,
    ) -> SimulationResult:
        """Simulate a transaction, signed or not."""
        ...

    async def signature_statuses(
        self, signatures: Sequence[str], *, search_history: bool
    ) -> AtSlot[tuple[SignatureStatus | None, ...]]:
        """Return the progress of up to 256 transactions, None for unknown ones.

        Without `search_history` only the last minute or so is known.
        """
        ...

    async def transaction(self, signature: str, *, commitment: Commitment) -> dict[str, Any] | None:
        """Return a transaction in the node's form (`slot`, `blockTime`, `meta`, `transaction`); None where unknown."""
        ...

    async def block_signatures(self, slot: int, *, commitment: Commitment) -> BlockSignatures | None:
        """Return a block's signatures in order, None where the node serves none, which does not prove that none exists.

        Raise NodeBehind where the slot is not reached yet, HistoryPruned where the node no longer stores it.
        """
        ...

    async def signatures_for_address(
        self,
        address: str,
        *,
        commitment: Commitment,
        before: str | None = None,
        until: str | None = None,
        limit: int = MAX_SIGNATURES,
        min_context_slot: int | None = None,
    ) -> tuple[SignatureInfo, ...]:
        """Return one page of an account's transactions, newest first, failed ones included; see `iterate_history`.

        Raise CursorUnknown where the node does not know `before` or `until`; older nodes return an empty page instead.
        """
        ...

    async def transactions_for_address(
        self,
        address: str,
        *,
        commitment: Commitment,
        from_slot: int,
        to_slot: int,
        token: str | None = None,
        limit: int = MAX_SIGNATURES,
    ) -> TransactionPage:
        """Return one page of an account's transactions between two slots, both included, with bodies, oldest first.

        Few providers serve this. Raise MethodUnavailable where no node does; a node that lacks it is asked once in
        METHOD_RECHECK_SECONDS. A token belongs to one node, so page through `pin_node()` or one of `each_node()`.
        """
        ...

    async def account(
        self,
        address: str,
        *,
        commitment: Commitment,
        data_slice: DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> AtSlot[AccountInfo | None]:
        """Return an account, None where it does not exist."""
        ...

    async def accounts(
        self,
        addresses: Sequence[str],
        *,
        commitment: Commitment,
        data_slice: DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> AtSlot[tuple[AccountInfo | None, ...]]:
        """Return up to 100 accounts at one slot, in the requested order."""
        ...

    async def program_accounts(
        self,
        program_id: str,
        *,
        commitment: Commitment,
        filters: Sequence[Memcmp | DataSize] = (),
        data_slice: DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> AtSlot[tuple[AccountInfo, ...]]:
        """Return a program's accounts that pass every filter; costly for the node."""
        ...

    async def recent_priority_fees(self, addresses: Sequence[str] = ()) -> tuple[PriorityFee, ...]:
        """Return the lowest fees of transactions that landed in the last 150 slots and write to all these accounts."""
        ...

    async def priority_fee_levels(self, addresses: Sequence[str]) -> PriorityFeeLevels:
        """Return a provider's estimates for transactions that write to these accounts; most nodes do not serve them."""
        ...

    async def block_time(self, slot: int) -> int | None:
        """Return the time of a slot in seconds since 1970; None where it has no block or its time is not stored."""
        ...

    async def clock(self, *, commitment: Commitment, min_context_slot: int | None = None) -> ChainClock:
        """Return the time that programs use."""
        ...

    async def request_airdrop(self, address: str, lamports: int, *, commitment: Commitment) -> Signature:
        """Request lamports from the faucet, where the cluster has one."""
        ...


# Functions for any client


async def iterate_history(
    client: ChainClient,
    address: str,
    *,
    commitment: Commitment,
    before: str | None = None,
    until: str | None = None,
    page: int = MAX_SIGNATURES,
    min_context_slot: int | None = None,
) -> AsyncIterator[tuple[SignatureInfo, ...]]:
    """Yield an account's transactions, newest first, page by page from one node, down to `until` (excluded) or the end.

    Pass `min_context_slot` to be sure that the node has processed that slot. A node that fails ends the iteration with
    its error; the pages so far then prove nothing, and the next iteration starts from the beginning.
    """
    node = client.pin_node()
    while True:
        found = await node.signatures_for_address(
            address, commitment=commitment, before=before, until=until, limit=page, min_context_slot=min_context_slot
        )
        if not found:
            return
        yield found
        before = found[-1].signature


def cluster_by_genesis_hash(genesis_hash: str) -> str:
    """Return mainnet, devnet or testnet; localnet for every other genesis hash."""
    return CLUSTER_BY_GENESIS_HASH.get(genesis_hash, Cluster.LOCALNET.value)


async def verify_cluster(client: ChainClient, cluster: Cluster) -> str:
    """Return the genesis hash if it is one of `cluster`.

    Raise ConfigurationError where the node is of another cluster, and NodeError where it does not answer: a missing
    answer proves nothing, and the caller has to wait.
    """
    genesis_hash = await client.genesis_hash()
    actual = cluster_by_genesis_hash(genesis_hash)
    if actual != cluster.value:
        raise errors.ConfigurationError(
            f"SOLANA_CLUSTER is {cluster.value}, but the node is on {actual} (genesis hash {genesis_hash}).",
            help=f"Set SOLANA_RPC_URL to a node of {cluster.value}, or set SOLANA_CLUSTER to the cluster of the node.",
        )
    return genesis_hash
