"""A Solana cluster as the rest of the project sees it: `Client`, what it answers, and what any of them can do.

Every read names its commitment; there is no default to forget. Results are values of ours, errors those of
`rpc_errors`: NodeTrouble is worth another try later, the rest is not. `zmart.chain.rpc.RpcClient` is the real one.

A client may stand for several nodes, and two nodes never quite agree on what is newest. Whatever takes several calls
that must fit together (paging, "is it gone?") therefore asks `pinned()`, which is one node, and fails rather than
changes.
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

Commitment: TypeAlias = Literal["processed", "confirmed", "finalized"]

#: The Clock sysvar: the time that programs see.
CLOCK: Final = Address("SysvarC1ock11111111111111111111111111111111")
#: Limits of the JSON-RPC interface.
MAX_ACCOUNTS: Final = 100
MAX_STATUSES: Final = 256
MAX_SIGNATURES: Final = 1_000
MAX_FEE_ADDRESSES: Final = 128
#: The newest transaction version that this release reads, and the ceiling every request names. With 0 a node answers
#: -32015 for each version-1 transaction (14 to 42 % of mainnet's within weeks of September 2026). Old nodes take 1 too.
MAX_TRANSACTION_VERSION: Final = 1

#: The public clusters by the hash of their first block; any other is a localnet.
CLUSTER_BY_GENESIS_HASH: Final[Mapping[str, str]] = {
    "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d": "mainnet",
    "EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG": "devnet",
    "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3zQawwpjk2NsNY": "testnet",
}

_T = TypeVar("_T")


# What a client answers


@dataclass(frozen=True, kw_only=True)
class AtSlot(Generic[_T]):
    """A value and the slot it is true for."""

    slot: Slot
    value: _T


@dataclass(frozen=True, kw_only=True)
class AccountInfo:
    """An account's state; `data` is the slice that was asked for."""

    address: Address
    lamports: int
    owner: Address
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Blockhash:
    """What a transaction signs to be young; good while the block height is at most `last_valid_block_height`."""

    value: str
    last_valid_block_height: int
    slot: Slot


@dataclass(frozen=True, kw_only=True)
class ChainClock:
    """The chain's clock; programs compare their deadlines with `unix_timestamp`, seconds since 1970."""

    slot: Slot
    unix_timestamp: int


@dataclass(frozen=True, kw_only=True)
class SimulationResult:
    """What a transaction would do."""

    slot: Slot
    err: Any
    logs: tuple[str, ...]
    units_consumed: int

    def error(self, program_id: str | None = None) -> errors.ZmartError | None:
        """Why it would fail, as an error to raise; None where it would not."""
        return (
            None if self.err is None else rpc_errors.error_from_transaction(self.err, self.logs, program_id=program_id)
        )


class SignatureStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How far a transaction has come; one whose `err` is set has landed all the same."""

    slot: int
    err: Any = None
    confirmations: int | None = None
    confirmation_status: Commitment | None = None

    @property
    def is_finalized(self) -> bool:
        """Whether it stays where it is; older nodes say so by leaving the confirmations out."""
        return self.confirmation_status == "finalized" or (
            self.confirmation_status is None and self.confirmations is None
        )

    @property
    def is_confirmed(self) -> bool:
        """Whether two thirds of the stake have voted for its block."""
        return self.is_finalized or self.confirmation_status == "confirmed"


class SignatureInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A transaction in an account's history."""

    signature: str
    slot: int
    err: Any = None
    block_time: int | None = None


class BlockSignatures(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A block's transactions in their order, by signature; a transaction's index is its place here."""

    blockhash: str
    parent_slot: int
    signatures: tuple[str, ...]
    block_height: int | None = None
    block_time: int | None = None


class PriorityFee(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The least that a landed transaction paid for a compute unit in a slot, in millionths of a lamport."""

    slot: int
    prioritization_fee: int


class Memcmp(NamedTuple):
    """A filter of program accounts: these bytes at this offset of the data."""

    offset: int
    data: bytes


class DataSize(NamedTuple):
    """A filter of program accounts: data of this many bytes."""

    size_bytes: int


class DataSlice(NamedTuple):
    """The part of the data to send; `DataSlice(0, 0)` asks for addresses alone."""

    offset: int
    length: int


class ChainClient(Protocol):
    """A cluster. What is asked with `min_context_slot` is answered by a node that has seen that slot, or not at all."""

    def pin_node(self) -> ChainClient:
        """The same cluster through one node, for calls whose answers must fit together."""
        ...

    async def genesis_hash(self) -> str:
        """The hash that tells the cluster from every other."""
        ...

    async def slot(self, *, commitment: Commitment, min_context_slot: int | None = None) -> Slot:
        """The newest slot."""
        ...

    async def block_height(self, *, commitment: Commitment, min_context_slot: int | None = None) -> int:
        """How many blocks there are, which is what a blockhash's age is counted in."""
        ...

    async def latest_blockhash(self, *, commitment: Commitment, min_context_slot: int | None = None) -> Blockhash:
        """A blockhash to sign with."""
        ...

    async def send(
        self,
        transaction: bytes,
        *,
        preflight_commitment: Commitment,
        skip_preflight: bool = False,
        min_context_slot: int | None = None,
    ) -> Signature:
        """Hand in a signed transaction once; the node does not send it again by itself.

        An error of preflight is why it cannot land. NodeTrouble leaves open whether it was handed on: sending the
        same bytes again is harmless.
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
        """What a transaction would do, signed or not."""
        ...

    async def signature_statuses(
        self, signatures: Sequence[str], *, search_history: bool
    ) -> AtSlot[tuple[SignatureStatus | None, ...]]:
        """How far up to 256 transactions have come, None for the unknown.

        Without `search_history` only the last minute or so is known.
        """
        ...

    async def transaction(self, signature: str, *, commitment: Commitment) -> dict[str, Any] | None:
        """A transaction as the node writes it (`slot`, `blockTime`, `meta`, `transaction`), None where unknown."""
        ...

    async def block_signatures(self, slot: int, *, commitment: Commitment) -> BlockSignatures | None:
        """A block's signatures in order, None where the node serves none, which does not prove that there is none.

        NodeBehind where the slot is not reached yet, HistoryGone where it is no longer kept.
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
        """One page of an account's transactions, newest first, failed ones included; see `history`."""
        ...

    async def account(
        self,
        address: str,
        *,
        commitment: Commitment,
        data_slice: DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> AtSlot[AccountInfo | None]:
        """An account, None where there is none."""
        ...

    async def accounts(
        self,
        addresses: Sequence[str],
        *,
        commitment: Commitment,
        data_slice: DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> AtSlot[tuple[AccountInfo | None, ...]]:
        """Up to 100 accounts at one slot, in the order asked."""
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
        """A program's accounts that pass every filter; costly for the node."""
        ...

    async def recent_priority_fees(self, addresses: Sequence[str] = ()) -> tuple[PriorityFee, ...]:
        """What landed in the last 150 slots, writing to all of these accounts, paid at least."""
        ...

    async def block_time(self, slot: int) -> int | None:
        """When a slot was, in seconds since 1970; None where it has no block or none is remembered."""
        ...

    async def clock(self, *, commitment: Commitment, min_context_slot: int | None = None) -> ChainClock:
        """The time by which programs judge."""
        ...

    async def request_airdrop(self, address: str, lamports: int, *, commitment: Commitment) -> Signature:
        """Lamports out of nothing, where the cluster has a faucet."""
        ...


# Helpers over any client


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
    """An account's transactions, newest first, page by page from one node, down to `until` (left out) or the end.

    Pass `min_context_slot` to be sure that the node has seen that slot. A node that fails ends the walk with its
    error; what was got so far is then no proof of anything, and the next walk begins anew.
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
    """mainnet, devnet or testnet; localnet for every other genesis hash."""
    return CLUSTER_BY_GENESIS_HASH.get(genesis_hash, Cluster.LOCALNET.value)


async def verify_cluster(client: ChainClient, cluster: Cluster) -> str:
    """The genesis hash, if it is one of `cluster`.

    Raises ConfigurationError where the node is of another cluster, and NodeTrouble where it does not answer: silence
    proves nothing, and it is for the caller to wait.
    """
    genesis_hash = await client.genesis_hash()
    actual = cluster_by_genesis_hash(genesis_hash)
    if actual != cluster.value:
        raise errors.ConfigurationError(
            f"SOLANA_CLUSTER says {cluster.value}, but the node is on {actual} (genesis hash {genesis_hash}).",
            help=f"Set SOLANA_RPC_URL to a node of {cluster.value}, or SOLANA_CLUSTER to what you mean.",
        )
    return genesis_hash
