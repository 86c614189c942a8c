"""The `Client` over JSON-RPC: methods by Solana's names, answers into values, and several nodes for one.

A call that meets trouble at one node is put to the next, and the troubled one is left alone for a while. All nodes
must be of one cluster: with more than one, each is asked for its genesis hash before it is asked anything else.
"""

from __future__ import annotations

import base64
import binascii
import struct
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, Generic, Literal, Self, TypeVar

import msgspec

from zmart import errors, settings
from zmart.domain.ids import Address, Signature, Slot

from . import client, rpc_errors, transactions
from .node import TIMEOUT_SECONDS, Node
from .request_pacer import Pace

_T = TypeVar("_T")
_CLOCK_FIELDS: Final = struct.Struct("<QqQQq")


class RpcClient:
    """A `client.Client`; close it, or use it with `async with`."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        program_id: str | None = None,
        pace: Pace | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Ask `urls` in this order of preference; refusals are read as those of `program_id`.

        `pace` bounds the requests to all of them together.
        """
        if not urls:
            raise errors.InvalidInput("A client needs at least one node.")
        self._nodes = tuple(
            Node(url, program_id=program_id, pace=pace, timeout_seconds=timeout_seconds) for url in dict.fromkeys(urls)
        )
        self._cluster = _SameCluster(is_asked=len(self._nodes) > 1)

    @classmethod
    def of(cls, chain: settings.Chain, *, pace: Pace | None = None, timeout_seconds: float = TIMEOUT_SECONDS) -> Self:
        """The configured nodes: SOLANA_RPC_URL, then HELIUS_RPC_URL unless the chain is the development one."""
        second = None if chain.is_development else chain.helius_rpc_url
        urls = [chain.rpc_url.reveal(), *([second.reveal()] if second else [])]
        return cls(urls, program_id=chain.program_id, pace=pace, timeout_seconds=timeout_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        for node in self._nodes:
            await node.close()

    def __repr__(self) -> str:
        return f"RpcClient({', '.join(node.name for node in self._nodes)})"

    def pinned(self) -> RpcClient:
        """The node that would be asked next, alone; its connections stay this client's to close."""
        one = object.__new__(RpcClient)
        one._nodes = self._by_preference()[:1]
        one._cluster = self._cluster
        return one

    # The cluster

    async def genesis_hash(self) -> str:
        """Ask for the genesis hash, every time anew."""
        return await self._ask("getGenesisHash", [], str)

    async def slot(self, *, commitment: client.Commitment, min_context_slot: int | None = None) -> Slot:
        """Ask `getSlot`."""
        return Slot(await self._ask("getSlot", [_options(commitment, min_context_slot)], int))

    async def block_height(self, *, commitment: client.Commitment, min_context_slot: int | None = None) -> int:
        """Ask `getBlockHeight`."""
        return await self._ask("getBlockHeight", [_options(commitment, min_context_slot)], int)

    async def latest_blockhash(
        self, *, commitment: client.Commitment, min_context_slot: int | None = None
    ) -> client.Blockhash:
        """Ask `getLatestBlockhash`."""
        params = [_options(commitment, min_context_slot)]
        answer = await self._ask("getLatestBlockhash", params, _InContext[_Blockhash])
        return client.Blockhash(
            value=answer.value.blockhash,
            last_valid_block_height=answer.value.last_valid_block_height,
            slot=answer.slot,
        )

    async def recent_priority_fees(self, addresses: Sequence[str] = ()) -> tuple[client.PriorityFee, ...]:
        """Ask `getRecentPrioritizationFees`."""
        _at_most(addresses, client.MOST_FEE_ADDRESSES, "addresses")
        return await self._ask("getRecentPrioritizationFees", [list(addresses)], tuple[client.PriorityFee, ...])

    async def clock(self, *, commitment: client.Commitment, min_context_slot: int | None = None) -> client.Clock:
        """Read the Clock sysvar's account, or where a development node keeps none, the newest block's time."""
        node = self.pinned()
        found = await node.account(client.CLOCK, commitment=commitment, min_context_slot=min_context_slot)
        if found.value is not None and len(found.value.data) == _CLOCK_FIELDS.size:
            slot, _, _, _, unix_timestamp = _CLOCK_FIELDS.unpack(found.value.data)
            return client.Clock(slot=Slot(slot), unix_timestamp=unix_timestamp)
        seconds = await node.block_time(found.slot)
        if seconds is None:
            raise rpc_errors.Garbled("The node has neither a Clock nor a time for its newest block.")
        return client.Clock(slot=found.slot, unix_timestamp=seconds)

    async def block_time(self, slot: int) -> int | None:
        """Ask `getBlockTime`."""
        try:
            found: int | None = await self._ask("getBlockTime", [slot], _OptionalInt)
        except rpc_errors.SlotSkipped:
            return None
        return found

    # Transactions

    async def send(
        self,
        transaction: bytes,
        *,
        preflight_commitment: client.Commitment,
        skip_preflight: bool = False,
        min_context_slot: int | None = None,
    ) -> Signature:
        """Ask `sendTransaction`, and hold its answer against the transaction's own signature.

        InvalidInput where the bytes are no transaction.
        """
        signature = transactions.signature_of(transaction)
        options = {
            "encoding": "base64",
            "maxRetries": 0,
            "skipPreflight": skip_preflight,
            "preflightCommitment": preflight_commitment,
            **_options(None, min_context_slot),
        }
        answered = await self._ask("sendTransaction", [_base64(transaction), options], str)
        if answered != signature:
            raise rpc_errors.Garbled(f"The node answers sendTransaction of {signature} with {answered[:100]}.")
        return signature

    async def simulate(
        self,
        transaction: bytes,
        *,
        commitment: client.Commitment,
        verify_signatures: bool = False,
        replace_blockhash: bool = False,
        min_context_slot: int | None = None,
    ) -> client.Simulation:
        """Ask `simulateTransaction`."""
        options = {
            "encoding": "base64",
            "sigVerify": verify_signatures,
            "replaceRecentBlockhash": replace_blockhash,
            **_options(commitment, min_context_slot),
        }
        answer = await self._ask("simulateTransaction", [_base64(transaction), options], _InContext[_Simulated])
        return client.Simulation(
            slot=answer.slot,
            err=answer.value.err,
            logs=tuple(answer.value.logs or ()),
            units_consumed=answer.value.units_consumed or 0,
        )

    async def signature_statuses(
        self, signatures: Sequence[str], *, search_history: bool
    ) -> client.At[tuple[client.SignatureStatus | None, ...]]:
        """Ask `getSignatureStatuses`."""
        _at_most(signatures, client.MOST_STATUSES, "signatures")
        params = [list(signatures), {"searchTransactionHistory": search_history}]
        answer = await self._ask("getSignatureStatuses", params, _InContext[tuple[client.SignatureStatus | None, ...]])
        return client.At(slot=answer.slot, value=_complete(answer.value, signatures))

    async def transaction(self, signature: str, *, commitment: client.Commitment) -> dict[str, Any] | None:
        """Ask `getTransaction`."""
        options = {
            "encoding": "json",
            "maxSupportedTransactionVersion": client.MAX_TRANSACTION_VERSION,
            "commitment": commitment,
        }
        found: dict[str, Any] | None = await self._ask("getTransaction", [signature, options], _OptionalObject)
        return found

    async def block_signatures(self, slot: int, *, commitment: client.Commitment) -> client.BlockSignatures | None:
        """Ask `getBlock` for signatures alone."""
        options = {
            "transactionDetails": "signatures",
            "rewards": False,
            "maxSupportedTransactionVersion": client.MAX_TRANSACTION_VERSION,
            "commitment": commitment,
        }
        try:
            found: client.BlockSignatures | None = await self._ask("getBlock", [slot, options], _OptionalBlock)
        except rpc_errors.SlotSkipped:
            return None
        return found

    async def signatures_for_address(
        self,
        address: str,
        *,
        commitment: client.Commitment,
        before: str | None = None,
        until: str | None = None,
        limit: int = client.MOST_SIGNATURES,
        min_context_slot: int | None = None,
    ) -> tuple[client.SignatureInfo, ...]:
        """Ask `getSignaturesForAddress`."""
        options = _options(commitment, min_context_slot, limit=limit, before=before, until=until)
        return await self._ask("getSignaturesForAddress", [address, options], tuple[client.SignatureInfo, ...])

    async def request_airdrop(self, address: str, lamports: int, *, commitment: client.Commitment) -> Signature:
        """Ask `requestAirdrop`."""
        return Signature(await self._ask("requestAirdrop", [address, lamports, _options(commitment, None)], str))

    # Accounts

    async def account(
        self,
        address: str,
        *,
        commitment: client.Commitment,
        data_slice: client.DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> client.At[client.Account | None]:
        """Ask `getAccountInfo`."""
        options = _account_options(commitment, data_slice, min_context_slot)
        answer = await self._ask("getAccountInfo", [address, options], _InContext[_Account | None])
        found = answer.value
        return client.At(slot=answer.slot, value=None if found is None else found.at(address))

    async def accounts(
        self,
        addresses: Sequence[str],
        *,
        commitment: client.Commitment,
        data_slice: client.DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> client.At[tuple[client.Account | None, ...]]:
        """Ask `getMultipleAccounts`."""
        _at_most(addresses, client.MOST_ACCOUNTS, "accounts")
        options = _account_options(commitment, data_slice, min_context_slot)
        params = [list(addresses), options]
        answer = await self._ask("getMultipleAccounts", params, _InContext[tuple[_Account | None, ...]])
        found = zip(_complete(answer.value, addresses), addresses, strict=True)
        return client.At(
            slot=answer.slot, value=tuple(None if one is None else one.at(address) for one, address in found)
        )

    async def program_accounts(
        self,
        program_id: str,
        *,
        commitment: client.Commitment,
        filters: Sequence[client.Memcmp | client.DataSize] = (),
        data_slice: client.DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> client.At[tuple[client.Account, ...]]:
        """Ask `getProgramAccounts`."""
        options = {
            **_account_options(commitment, data_slice, min_context_slot),
            "filters": [_filter(one) for one in filters],
            "withContext": True,
        }
        answer = await self._ask("getProgramAccounts", [program_id, options], _InContext[tuple[_Owned, ...]])
        return client.At(slot=answer.slot, value=tuple(one.account.at(one.pubkey) for one in answer.value))

    # Which node

    async def _ask(self, method: str, params: Sequence[Any], type: type[_T]) -> _T:
        """The first usable answer; where there is none, the trouble of the node we would rather have asked."""
        troubles: list[rpc_errors.NodeTrouble | rpc_errors.KeyRefused] = []
        for node in self._by_preference():
            try:
                await self._cluster.require(node)
                return await node.call(method, params, type)
            except rpc_errors.NodeTrouble as trouble:
                node.rest(trouble.retry_after_seconds)
                troubles.append(trouble)
            except rpc_errors.KeyRefused as refused:
                node.rest(_KEY_REFUSED_SECONDS)
                troubles.append(refused)
        raise troubles[0]

    def _by_preference(self) -> tuple[Node, ...]:
        """In the order given, those that rest last."""
        now = time.monotonic()
        return tuple(sorted(self._nodes, key=lambda node: max(0.0, node.rests_until - now)))


#: Somebody has to change a key before this node is worth asking.
_KEY_REFUSED_SECONDS: Final = 60.0


class _SameCluster:
    """Nodes that are used in place of each other are of one cluster."""

    def __init__(self, *, is_asked: bool) -> None:
        self._is_asked = is_asked
        self._first: Node | None = None

    async def require(self, node: Node) -> None:
        """ConfigurationError where the node is of another cluster than the first that was asked."""
        if not self._is_asked or node is self._first:
            return
        if node.genesis_hash is None:
            node.genesis_hash = await node.call("getGenesisHash", [], str)
        self._first = self._first or node
        if node.genesis_hash != self._first.genesis_hash:
            ours, theirs = client.cluster_of(str(self._first.genesis_hash)), client.cluster_of(node.genesis_hash)
            raise errors.ConfigurationError(
                f"{self._first.name} is on {ours}, {node.name} on {theirs} (genesis hash {node.genesis_hash}).",
                help="SOLANA_RPC_URL and HELIUS_RPC_URL must lead to one cluster.",
            )


# What nodes write


_OptionalInt: Any = int | None
_OptionalObject: Any = dict[str, Any] | None
_OptionalBlock: Any = client.BlockSignatures | None


class _Context(msgspec.Struct):
    slot: int


class _InContext(msgspec.Struct, Generic[_T]):
    context: _Context
    value: _T

    @property
    def slot(self) -> Slot:
        return Slot(self.context.slot)


class _Blockhash(msgspec.Struct, rename="camel"):
    blockhash: str
    last_valid_block_height: int


class _Simulated(msgspec.Struct, rename="camel"):
    err: Any = None
    logs: list[str] | None = None
    units_consumed: int | None = None


class _Account(msgspec.Struct):
    data: tuple[str, Literal["base64"]]
    lamports: int
    owner: str

    def at(self, address: str) -> client.Account:
        try:
            data = base64.b64decode(self.data[0], validate=True)
        except binascii.Error as exc:
            raise rpc_errors.Garbled(f"The node's data of account {address} is not base64.") from exc
        return client.Account(address=Address(address), lamports=self.lamports, owner=Address(self.owner), data=data)


class _Owned(msgspec.Struct):
    account: _Account
    pubkey: str


def _options(commitment: client.Commitment | None, min_context_slot: int | None, **more: Any) -> dict[str, Any]:
    words = {"commitment": commitment, "minContextSlot": min_context_slot, **more}
    return {name: value for name, value in words.items() if value is not None}


def _account_options(
    commitment: client.Commitment, data_slice: client.DataSlice | None, min_context_slot: int | None
) -> dict[str, Any]:
    piece = None if data_slice is None else data_slice._asdict()
    return _options(commitment, min_context_slot, encoding="base64", dataSlice=piece)


def _filter(one: client.Memcmp | client.DataSize) -> dict[str, Any]:
    if isinstance(one, client.DataSize):
        return {"dataSize": one.size_bytes}
    return {"memcmp": {"offset": one.offset, "bytes": _base64(one.data), "encoding": "base64"}}


def _at_most(values: Sequence[str], most: int, what: str) -> None:
    if len(values) > most:
        raise errors.InvalidInput(f"At most {most} {what} can be asked for at once, not {len(values)}.")


def _complete(found: tuple[_T, ...], asked: Sequence[str]) -> tuple[_T, ...]:
    if len(found) != len(asked):
        raise rpc_errors.Garbled(f"The node answers {len(found)} of {len(asked)}.")
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
