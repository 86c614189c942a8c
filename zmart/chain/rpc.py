"""Implements `ChainClient` over JSON-RPC: one method per method of Solana, typed results, and failover between nodes.

A call that fails at one node is sent to the next, and the failed node is tried last for a while. All nodes must be of
one cluster: with more than one node, the genesis hash of each is checked before any other call to it.
"""

from __future__ import annotations

import base64
import struct
import time
from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from zmart import errors, settings
from zmart.domain.ids import Signature, Slot

from . import client, cluster_facts, rpc_errors, transactions
from .cluster_facts import ClusterFacts, ConsensusModel
from .cluster_guard import ClusterGuard
from .node import TIMEOUT_SECONDS, RpcNode
from .request_pacer import RequestPacer
from .rpc_responses import (
    Anything,
    InContext,
    OptionalBlock,
    OptionalInt,
    OptionalObject,
    PriorityFeeEstimate,
    RawAccount,
    RawBlockhash,
    RawProgramAccount,
    RawSimulation,
)

_T = TypeVar("_T")
_CLOCK_FIELDS: Final = struct.Struct("<QqQQq")


class RpcClient:
    """A `client.ChainClient`; close it, or use it with `async with`."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        program_id: str | None = None,
        pacer: RequestPacer | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Use `urls` in this order of preference; custom error codes are read as those of `program_id`.

        `pacer` limits the requests to all of them together.
        """
        if not urls:
            raise errors.InvalidInput("A client needs at least one node.")
        self._nodes = tuple(
            RpcNode(url, program_id=program_id, pacer=pacer, timeout_seconds=timeout_seconds)
            for url in dict.fromkeys(urls)
        )
        self._cluster = ClusterGuard(is_enabled=len(self._nodes) > 1)
        self._facts = ClusterFacts()

    @classmethod
    def of(
        cls,
        chain: settings.ChainSettings,
        *,
        pacer: RequestPacer | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> Self:
        """Return a client of SOLANA_RPC_URL, then of HELIUS_RPC_URL unless the chain is the development chain."""
        second = None if chain.is_development else chain.helius_rpc_url
        urls = [chain.rpc_url.reveal(), *([second.reveal()] if second else [])]
        return cls(urls, program_id=chain.program_id, pacer=pacer, timeout_seconds=timeout_seconds)

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

    def pin_node(self) -> RpcClient:
        """Return a client of only the node that would be called next; this client still closes its connections."""
        one = object.__new__(RpcClient)
        one._nodes = self._nodes_by_preference()[:1]
        one._cluster = self._cluster
        one._facts = self._facts
        return one

    def each_node(self) -> tuple[RpcClient, ...]:
        """Return a client of each node alone, the preferred first; this client still closes their connections."""
        found = []
        for node in self._nodes_by_preference():
            one = self.pin_node()
            one._nodes = (node,)
            found.append(one)
        return tuple(found)

    # The cluster

    async def genesis_hash(self) -> str:
        """Call `getGenesisHash`; the result is not cached."""
        return await self._call("getGenesisHash", [], str)

    async def consensus(self) -> ConsensusModel:
        """Call `getAgGenesisCert` unless the answer is cached; no error of a node is raised."""
        if not self._facts.is_consensus_due:
            return self._facts.consensus
        genesis_hash = await _value_or_none(self.genesis_hash())
        if genesis_hash is not None and cluster_facts.has_moved(genesis_hash):
            found = ConsensusModel.ALPENGLOW
        else:
            found = await self._read_certificate()
        self._facts.record_consensus(found, genesis_hash=genesis_hash)
        return self._facts.consensus

    async def _read_certificate(self) -> ConsensusModel:
        """Return what the first node says that knows; a node that does not keeps its place for other calls."""
        for node in self._nodes_by_preference():
            try:
                await self._cluster.check(node)
                answer = await node.call("getAgGenesisCert", [], Anything)
            except _OWN_ERRORS:
                raise
            except errors.ZmartError:
                continue
            found = cluster_facts.read_certificate(answer)
            if found is not ConsensusModel.UNKNOWN:
                return found
        return ConsensusModel.UNKNOWN

    async def read_commitment(self) -> client.Commitment:
        """Return `finalized` once the cluster has moved to Alpenglow, else `confirmed`."""
        return "finalized" if await self.consensus() is ConsensusModel.ALPENGLOW else "confirmed"

    async def slot_seconds(self) -> float:
        """Measure the length of a slot unless a measurement is cached; no error of a node is raised."""
        if self._facts.is_slot_length_due:
            samples = await _value_or_none(
                self._call(
                    "getRecentPerformanceSamples",
                    [_SAMPLES],
                    tuple[cluster_facts.PerformanceSample, ...],
                    is_optional=True,
                )
            )
            measured = cluster_facts.mean_slot_seconds(samples or ())
            self._facts.record_slot_length(measured or await _value_or_none(self._slot_seconds_by_block_times()))
        return self._facts.slot_seconds

    async def _slot_seconds_by_block_times(self) -> float | None:
        node = self.pin_node()
        top = await node.slot(commitment="finalized")
        bottom = max(0, top - cluster_facts.MEASURED_SLOTS)
        later, earlier = await node.block_time(top), await node.block_time(bottom)
        if later is None or earlier is None or top == bottom:
            return None
        return (later - earlier) / (top - bottom)

    async def slot(self, *, commitment: client.Commitment, min_context_slot: int | None = None) -> Slot:
        """Call `getSlot`."""
        return Slot(await self._call("getSlot", [_options(commitment, min_context_slot)], int))

    async def block_height(self, *, commitment: client.Commitment, min_context_slot: int | None = None) -> int:
        """Call `getBlockHeight`."""
        return await self._call("getBlockHeight", [_options(commitment, min_context_slot)], int)

    async def latest_blockhash(
        self, *, commitment: client.Commitment, min_context_slot: int | None = None
    ) -> client.Blockhash:
        """Call `getLatestBlockhash`."""
        params = [_options(commitment, min_context_slot)]
        answer = await self._call("getLatestBlockhash", params, InContext[RawBlockhash])
        return client.Blockhash(
            value=answer.value.blockhash,
            last_valid_block_height=answer.value.last_valid_block_height,
            slot=answer.slot,
        )

    async def recent_priority_fees(self, addresses: Sequence[str] = ()) -> tuple[client.PriorityFee, ...]:
        """Call `getRecentPrioritizationFees`."""
        _require_at_most(addresses, client.MAX_FEE_ADDRESSES, "addresses")
        return await self._call("getRecentPrioritizationFees", [list(addresses)], tuple[client.PriorityFee, ...])

    async def priority_fee_levels(self, addresses: Sequence[str]) -> client.PriorityFeeLevels:
        """Call `getPriorityFeeEstimate`, which Helius defines; a node that lacks it keeps its place for other calls."""
        _require_at_most(addresses, client.MAX_FEE_ADDRESSES, "addresses")
        request = {"accountKeys": list(addresses), "options": {"includeAllPriorityFeeLevels": True}}
        answer = await self._call("getPriorityFeeEstimate", [request], PriorityFeeEstimate, is_optional=True)
        return answer.priority_fee_levels

    async def clock(self, *, commitment: client.Commitment, min_context_slot: int | None = None) -> client.ChainClock:
        """Read the account of the Clock sysvar, or the newest block's time where a development node has no such
        account.
        """
        node = self.pin_node()
        found = await node.account(client.CLOCK, commitment=commitment, min_context_slot=min_context_slot)
        if found.value is not None and len(found.value.data) == _CLOCK_FIELDS.size:
            slot, _, _, _, unix_timestamp = _CLOCK_FIELDS.unpack(found.value.data)
            return client.ChainClock(slot=Slot(slot), unix_timestamp=unix_timestamp)
        seconds = await node.block_time(found.slot)
        if seconds is None:
            raise rpc_errors.InvalidResponse("The node has neither a Clock account nor a time for its newest block.")
        return client.ChainClock(slot=found.slot, unix_timestamp=seconds)

    async def block_time(self, slot: int) -> int | None:
        """Call `getBlockTime`."""
        try:
            found: int | None = await self._call("getBlockTime", [slot], OptionalInt)
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
        """Call `sendTransaction`, and check that the result equals the transaction's own signature.

        Raise InvalidInput where the bytes are no transaction.
        """
        signature = transactions.signature_of(transaction)
        options = {
            "encoding": "base64",
            "maxRetries": 0,
            "skipPreflight": skip_preflight,
            "preflightCommitment": preflight_commitment,
            **_options(None, min_context_slot),
        }
        returned = await self._call("sendTransaction", [_base64(transaction), options], str)
        if returned != signature:
            raise rpc_errors.InvalidResponse(
                f"The node answers sendTransaction of {signature} with another signature: {returned[:100]}."
            )
        return signature

    async def simulate(
        self,
        transaction: bytes,
        *,
        commitment: client.Commitment,
        verify_signatures: bool = False,
        replace_blockhash: bool = False,
        min_context_slot: int | None = None,
    ) -> client.SimulationResult:
        """Call `simulateTransaction`."""
        options = {
            "encoding": "base64",
            "sigVerify": verify_signatures,
            "replaceRecentBlockhash": replace_blockhash,
            **_options(commitment, min_context_slot),
        }
        answer = await self._call("simulateTransaction", [_base64(transaction), options], InContext[RawSimulation])
        return client.SimulationResult(
            slot=answer.slot,
            err=answer.value.err,
            logs=tuple(answer.value.logs or ()),
            units_consumed=answer.value.units_consumed or 0,
        )

    async def signature_statuses(
        self, signatures: Sequence[str], *, search_history: bool
    ) -> client.AtSlot[tuple[client.SignatureStatus | None, ...]]:
        """Call `getSignatureStatuses`."""
        _require_at_most(signatures, client.MAX_STATUSES, "signatures")
        params = [list(signatures), {"searchTransactionHistory": search_history}]
        answer = await self._call("getSignatureStatuses", params, InContext[tuple[client.SignatureStatus | None, ...]])
        return client.AtSlot(slot=answer.slot, value=_require_complete(answer.value, signatures))

    async def transaction(self, signature: str, *, commitment: client.Commitment) -> dict[str, Any] | None:
        """Call `getTransaction`."""
        options = {
            "encoding": "json",
            "maxSupportedTransactionVersion": client.MAX_TRANSACTION_VERSION,
            "commitment": commitment,
        }
        found: dict[str, Any] | None = await self._call("getTransaction", [signature, options], OptionalObject)
        return found

    async def block_signatures(self, slot: int, *, commitment: client.Commitment) -> client.BlockSignatures | None:
        """Call `getBlock` for signatures only."""
        options = {
            "transactionDetails": "signatures",
            "rewards": False,
            "maxSupportedTransactionVersion": client.MAX_TRANSACTION_VERSION,
            "commitment": commitment,
        }
        try:
            found: client.BlockSignatures | None = await self._call("getBlock", [slot, options], OptionalBlock)
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
        limit: int = client.MAX_SIGNATURES,
        min_context_slot: int | None = None,
    ) -> tuple[client.SignatureInfo, ...]:
        """Call `getSignaturesForAddress`."""
        options = _options(commitment, min_context_slot, limit=limit, before=before, until=until)
        return await self._call("getSignaturesForAddress", [address, options], tuple[client.SignatureInfo, ...])

    async def transactions_for_address(
        self,
        address: str,
        *,
        commitment: client.Commitment,
        from_slot: int,
        to_slot: int,
        token: str | None = None,
        limit: int = client.MAX_SIGNATURES,
    ) -> client.TransactionPage:
        """Call `getTransactionsForAddress`, which Helius and QuickNode define."""
        options = {
            **_options(commitment, None, limit=limit, paginationToken=token),
            "transactionDetails": "full",
            "sortOrder": "asc",
            "encoding": "json",
            "maxSupportedTransactionVersion": client.MAX_TRANSACTION_VERSION,
            "filters": {"slot": {"gte": from_slot, "lte": to_slot}, "status": "any", "tokenAccounts": "none"},
        }
        method = "getTransactionsForAddress"
        return await self._call(method, [address, options], client.TransactionPage, is_optional=True, asks_once=True)

    async def request_airdrop(self, address: str, lamports: int, *, commitment: client.Commitment) -> Signature:
        """Call `requestAirdrop`."""
        return Signature(await self._call("requestAirdrop", [address, lamports, _options(commitment, None)], str))

    # Accounts

    async def account(
        self,
        address: str,
        *,
        commitment: client.Commitment,
        data_slice: client.DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> client.AtSlot[client.AccountInfo | None]:
        """Call `getAccountInfo`."""
        options = _account_options(commitment, data_slice, min_context_slot)
        answer = await self._call("getAccountInfo", [address, options], InContext[RawAccount | None])
        found = answer.value
        return client.AtSlot(slot=answer.slot, value=None if found is None else found.to_account_info(address))

    async def accounts(
        self,
        addresses: Sequence[str],
        *,
        commitment: client.Commitment,
        data_slice: client.DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> client.AtSlot[tuple[client.AccountInfo | None, ...]]:
        """Call `getMultipleAccounts`."""
        _require_at_most(addresses, client.MAX_ACCOUNTS, "accounts")
        options = _account_options(commitment, data_slice, min_context_slot)
        params = [list(addresses), options]
        answer = await self._call("getMultipleAccounts", params, InContext[tuple[RawAccount | None, ...]])
        found = zip(_require_complete(answer.value, addresses), addresses, strict=True)
        return client.AtSlot(
            slot=answer.slot,
            value=tuple(None if one is None else one.to_account_info(address) for one, address in found),
        )

    async def program_accounts(
        self,
        program_id: str,
        *,
        commitment: client.Commitment,
        filters: Sequence[client.Memcmp | client.DataSize] = (),
        data_slice: client.DataSlice | None = None,
        min_context_slot: int | None = None,
    ) -> client.AtSlot[tuple[client.AccountInfo, ...]]:
        """Call `getProgramAccounts`."""
        options = {
            **_account_options(commitment, data_slice, min_context_slot),
            "filters": [_filter(one) for one in filters],
            "withContext": True,
        }
        answer = await self._call("getProgramAccounts", [program_id, options], InContext[tuple[RawProgramAccount, ...]])
        return client.AtSlot(
            slot=answer.slot, value=tuple(one.account.to_account_info(one.pubkey) for one in answer.value)
        )

    # Choice of the node

    async def _call(
        self,
        method: str,
        params: Sequence[Any],
        type: type[_T],
        *,
        is_optional: bool = False,
        asks_once: bool = False,
    ) -> _T:
        """Return the first usable response; raise the error of the most preferred node where every node fails.

        A node that fails an optional call keeps its place for all others: providers filter such methods. With
        `asks_once`, a node that lacks the method is not asked again for a while.
        """
        failures: list[rpc_errors.NodeError | rpc_errors.ApiKeyRejected] = []
        for node in self._nodes_by_preference():
            try:
                if asks_once:
                    node.require_method(method)
                await self._cluster.check(node)
                return await node.call(method, params, type)
            except (rpc_errors.NodeError, rpc_errors.ApiKeyRejected) as error:
                failures.append(error)
                if asks_once and isinstance(error, rpc_errors.MethodUnavailable):
                    node.note_missing(method, client.METHOD_RECHECK_SECONDS)
                # A node that lacks one method may serve every other one.
                if not is_optional and not isinstance(error, rpc_errors.MethodUnavailable):
                    node.deprioritize(_pause_seconds(error))
        raise failures[0]

    def _nodes_by_preference(self) -> tuple[RpcNode, ...]:
        """Return the nodes in the given order, with deprioritized nodes last."""
        now = time.monotonic()
        return tuple(sorted(self._nodes, key=lambda node: max(0.0, node.deprioritized_until - now)))


#: An operator has to change the key before this node is worth calling.
_KEY_REJECTED_SECONDS: Final = 60.0


def _pause_seconds(error: rpc_errors.NodeError | rpc_errors.ApiKeyRejected) -> float:
    return error.retry_after_seconds if isinstance(error, rpc_errors.NodeError) else _KEY_REJECTED_SECONDS


#: How many samples are averaged; each covers a minute.
_SAMPLES: Final = 10
#: Errors that do not come from a node's answer: our own request budget, and nodes of two clusters.
_OWN_ERRORS: Final = (errors.Overloaded, errors.ConfigurationError)


async def _value_or_none(call: Awaitable[_T]) -> _T | None:
    """Return the result of a call, or None where no node answers it."""
    try:
        return await call
    except _OWN_ERRORS:
        raise
    except errors.ZmartError:
        return None


def _options(commitment: client.Commitment | None, min_context_slot: int | None, **more: Any) -> dict[str, Any]:
    options = {"commitment": commitment, "minContextSlot": min_context_slot, **more}
    return {name: value for name, value in options.items() if value is not None}


def _account_options(
    commitment: client.Commitment, data_slice: client.DataSlice | None, min_context_slot: int | None
) -> dict[str, Any]:
    slice_json = None if data_slice is None else data_slice._asdict()
    return _options(commitment, min_context_slot, encoding="base64", dataSlice=slice_json)


def _filter(one: client.Memcmp | client.DataSize) -> dict[str, Any]:
    if isinstance(one, client.DataSize):
        return {"dataSize": one.size_bytes}
    return {"memcmp": {"offset": one.offset, "bytes": _base64(one.data), "encoding": "base64"}}


def _require_at_most(values: Sequence[str], most: int, plural: str) -> None:
    if len(values) > most:
        raise errors.InvalidInput(f"One request takes at most {most} {plural}, not {len(values)}.")


def _require_complete(found: tuple[_T, ...], requested: Sequence[str]) -> tuple[_T, ...]:
    if len(found) != len(requested):
        raise rpc_errors.InvalidResponse(f"The node returned {len(found)} of {len(requested)} items.")
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
