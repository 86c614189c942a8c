"""Solana's JSON-RPC over one ledger: the calls clients make, and the errors a node gives.

A method is a function named after itself that takes the call's parameters and returns the result;
what it raises becomes the error object. Shapes and codes follow Agave, because clients parse them:
solders panics on a -32002 without `data`, web3.js reads `context.slot`, Anchor reads `logs`.

Nothing here waits. Faults on request (`devchain_fault`) are looked up before a method runs and
handed to the server, which is the one who can wait or break a connection.
"""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

import orjson
from solders.signature import Signature as SoldersSignature

from zmart.domain.ids import Address, Signature

from . import accounts, arguments, ledger, store, views, wire
from .arguments import Options, Params
from .blocks import Block, ExecutionResult
from .faults import RpcFault, RpcFaults
from .ledger import Ledger, TransactionRejected
from .rpc_errors import (
    BLOCK_CLEANED_UP,
    BLOCK_NOT_AVAILABLE,
    CONTEXT_SLOT_NOT_REACHED,
    INVALID_PARAMS,
    INVALID_REQUEST,
    INVALID_SIGNATURE,
    NO_METHOD,
    NODE_BEHIND,
    PARSE_ERROR,
    PREFLIGHT_FAILURE,
    SLOT_SKIPPED,
    RpcError,
    error_text,
)

VERSION: Final = {"feature-set": 3_294_202_862, "solana-core": "3.0.0"}
API_VERSION: Final = "3.0.0"
MAX_ACCOUNTS: Final = 100
MAX_STATUSES: Final = 256
MAX_SIGNATURES: Final = 1_000
MAX_FILTERS: Final = 4
MAX_BLOCKS: Final = 500_000


class RpcCall(NamedTuple):
    """One request of a body."""

    id: Any
    method: str
    params: Params


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the server has to send, and how badly it should behave."""

    body: bytes
    fault: RpcFault | None = None


class Rpc:
    """The methods over one ledger."""

    def __init__(self, chain: Ledger, *, admin: AdminMethods | None = None) -> None:
        self.ledger = chain
        self.admin = admin
        self.faults = RpcFaults()
        #: Slots this node pretends to be behind.
        self.slots_behind = 0
        self._methods: dict[str, Callable[[Params], Any]] = {
            name: getattr(self, method) for name, method in METHODS.items()
        }

    # Dispatch

    def answer(self, body: bytes, *, is_local: bool = True) -> Reply:
        """The answer to a request's body; administration only for callers on this machine."""
        try:
            request = orjson.loads(body)
        except orjson.JSONDecodeError:
            return _reply(None, error=RpcError(PARSE_ERROR, "Parse error"))
        if isinstance(request, list):
            return self._answer_all(request, is_local=is_local)
        return self._answer_one(request, is_local=is_local)

    def _answer_all(self, requests: list[Any], *, is_local: bool) -> Reply:
        if not requests:
            return _reply(None, error=RpcError(INVALID_REQUEST, "Invalid request"))
        replies = [self._answer_one(one, is_local=is_local) for one in requests]
        fault = next((reply.fault for reply in replies if reply.fault), None)
        return Reply(body=b"[" + b",".join(reply.body for reply in replies) + b"]", fault=fault)

    def _answer_one(self, request: Any, *, is_local: bool) -> Reply:
        identity = request.get("id") if isinstance(request, dict) else None
        try:
            call = _parse_call(request)
        except RpcError as error:
            return _reply(identity, error=error)
        fault = self.faults.take(call.method)
        if fault is not None and not fault.lets_through:
            return fault_reply(call, fault)
        try:
            reply = _reply(call.id, result=self.call(call.method, call.params, is_local=is_local))
        except RpcError as error:
            reply = _reply(call.id, error=error)
        return reply if fault is None else fault_reply(call, fault, reply)

    def call(self, method: str, params: Params, *, is_local: bool = True) -> Any:
        """The result of one method; RpcError."""
        handler = self._methods.get(method)
        if method.startswith("devchain_") and self.admin is not None and is_local:
            handler = functools.partial(self.admin.call, method)
        if handler is None:
            raise RpcError(NO_METHOD, "Method not found")
        try:
            return handler(params)
        except (IndexError, KeyError, TypeError, ValueError) as exc:
            raise RpcError(INVALID_PARAMS, f"Invalid params: {exc}.") from exc

    # The cluster

    def get_genesis_hash(self, params: Params) -> str:
        """What tells this cluster from every other."""
        return self.ledger.genesis.hash

    def get_version(self, params: Params) -> dict[str, Any]:
        """The version of the interface this follows."""
        return VERSION

    def get_health(self, params: Params) -> str:
        """`ok`, or how far the node is behind."""
        if self.slots_behind:
            text = f"Node is behind by {self.slots_behind} slots"
            raise RpcError(NODE_BEHIND, text, {"numSlotsBehind": self.slots_behind})
        return "ok"

    def get_identity(self, params: Params) -> dict[str, str]:
        """The node's key; the faucet's here."""
        return {"identity": self.ledger.faucet.address}

    def get_slot_leader(self, params: Params) -> str:
        """The only leader there is."""
        return self.ledger.faucet.address

    def get_epoch_info(self, params: Params) -> dict[str, int]:
        """Where in the epoch the chain is."""
        slot = self._slot(arguments.read_options(params, 0))
        return {
            "absoluteSlot": slot,
            "blockHeight": self._height(slot),
            "epoch": slot // ledger.SLOTS_PER_EPOCH,
            "slotIndex": slot % ledger.SLOTS_PER_EPOCH,
            "slotsInEpoch": ledger.SLOTS_PER_EPOCH,
            "transactionCount": self.ledger.transaction_count(),
        }

    def get_epoch_schedule(self, params: Params) -> dict[str, Any]:
        """How long epochs are."""
        return {
            "firstNormalEpoch": 0,
            "firstNormalSlot": 0,
            "leaderScheduleSlotOffset": ledger.SLOTS_PER_EPOCH,
            "slotsPerEpoch": ledger.SLOTS_PER_EPOCH,
            "warmup": False,
        }

    def get_slot(self, params: Params) -> int:
        """The newest slot of a commitment."""
        return self._slot(arguments.read_options(params, 0))

    def get_block_height(self, params: Params) -> int:
        """How many blocks there are, up to a commitment."""
        return self._height(self._slot(arguments.read_options(params, 0)))

    def get_latest_blockhash(self, params: Params) -> dict[str, Any]:
        """A blockhash to sign with, and the last height it is good for."""
        slot = self._slot(arguments.read_options(params, 0))
        block = self._newest_closed_block(slot)
        height = block.height + ledger.BLOCKHASH_AGE
        value = {"blockhash": block.blockhash, "lastValidBlockHeight": height}
        return _with_context(slot, value)

    def is_blockhash_valid(self, params: Params) -> dict[str, Any]:
        """Whether a transaction with a blockhash can still land."""
        blockhash = arguments.read_blockhash(params[0])
        slot = self._slot(arguments.read_options(params, 1))
        return _with_context(slot, self.ledger.is_valid_blockhash(blockhash))

    def get_fee_for_message(self, params: Params) -> dict[str, Any]:
        """What a message costs to land, or null where its blockhash is dead."""
        slot = self._slot(arguments.read_options(params, 1))
        message = arguments.read_message(params[0])
        if not self.ledger.is_valid_blockhash(str(message.recent_blockhash)):
            return _with_context(slot, None)
        signatures = [SoldersSignature.default()] * message.header.num_required_signatures
        try:
            fee = self.ledger.fee(wire.attach_signatures(message, signatures))
        except TransactionRejected as rejected:
            raise RpcError(INVALID_PARAMS, f"invalid transaction message: {rejected}") from rejected
        return _with_context(slot, fee)

    def get_minimum_balance_for_rent_exemption(self, params: Params) -> int:
        """What an account of a size must hold."""
        return accounts.rent_exempt_lamports(arguments.read_integer(params[0]))

    def get_recent_prioritization_fees(self, params: Params) -> list[dict[str, int]]:
        """What landed lately paid for a unit: nothing."""
        slots = list(self.ledger.blocks)[-150:]
        return [{"slot": slot, "prioritizationFee": 0} for slot in slots]

    def get_first_available_block(self, params: Params) -> int:
        """The oldest block that is kept."""
        return self._first_slot()

    def minimum_ledger_slot(self, params: Params) -> int:
        """The same, in the older name."""
        return self._first_slot()

    def get_transaction_count(self, params: Params) -> int:
        """How many transactions have landed."""
        return self.ledger.transaction_count()

    # Accounts

    def get_balance(self, params: Params) -> dict[str, Any]:
        """An account's lamports."""
        slot = self._slot(arguments.read_options(params, 1))
        account = self.ledger.account(arguments.read_address(params[0]), at_slot=slot)
        return _with_context(slot, account.lamports if account else 0)

    def get_account_info(self, params: Params) -> dict[str, Any]:
        """One account, or null."""
        options = arguments.read_options(params, 1)
        slot = self._slot(options)
        return _with_context(slot, self._account(arguments.read_address(params[0]), options, slot))

    def get_multiple_accounts(self, params: Params) -> dict[str, Any]:
        """Accounts in the order of their addresses, null for those that do not exist."""
        options = {"encoding": "base64", **arguments.read_options(params, 1)}
        addresses = arguments.read_list(params[0], MAX_ACCOUNTS)
        slot = self._slot(options)
        found = [self._account(arguments.read_address(text), options, slot) for text in addresses]
        return _with_context(slot, found)

    def get_program_accounts(self, params: Params) -> Any:
        """A program's accounts that pass every filter."""
        options = arguments.read_options(params, 1)
        owner, slot = arguments.read_address(params[0]), self._slot(options)
        filters = options.get("filters") or ()
        if len(filters) > MAX_FILTERS:
            raise RpcError(INVALID_PARAMS, f"Too many filters provided; max {MAX_FILTERS}")
        matches = [views.account_filter(words) for words in filters]
        found = [
            {"account": views.account_json(account, options), "pubkey": address}
            for address, account in self.ledger.owned_by(owner, at_slot=slot)
            if all(match(account) for match in matches)
        ]
        return _with_context(slot, found) if options.get("withContext") else found

    def request_airdrop(self, params: Params) -> str:
        """Lamports from the faucet; the signature of the transfer."""
        address, lamports = arguments.read_address(params[0]), arguments.read_integer(params[1])
        try:
            return self.ledger.airdrop(address, lamports).signature
        except TransactionRejected as rejected:
            raise RpcError(INVALID_REQUEST, f"Airdrop failed: {rejected}") from rejected

    def _account(self, address: Address, options: Options, slot: int) -> Any:
        account = self.ledger.account(address, at_slot=slot)
        return None if account is None else views.account_json(account, options)

    # Sending

    def send_transaction(self, params: Params) -> str:
        """Land a transaction; its signature."""
        options = arguments.read_options(params, 1)
        self._slot({**options, "commitment": options.get("preflightCommitment", "finalized")})
        transaction = arguments.read_transaction(params[0], options)
        verified = wire.has_valid_signatures(transaction.raw)
        if options.get("skipPreflight"):
            return self._land(transaction) if verified else transaction.signature
        if not verified:
            raise RpcError(INVALID_SIGNATURE, "Transaction signature verification failure")
        return self._land_checked(transaction)

    def _land(self, transaction: wire.WireTransaction) -> str:
        """Without preflight a node answers before it knows; what cannot land is never heard of."""
        with contextlib.suppress(TransactionRejected):
            self.ledger.submit(transaction)
        return transaction.signature

    def _land_checked(self, transaction: wire.WireTransaction) -> str:
        try:
            self.ledger.require_not_landed(transaction)
            outcome = self.ledger.run(transaction)
        except TransactionRejected as rejected:
            raise _preflight_failure(rejected.error, None) from rejected
        if outcome.err is not None:
            raise _preflight_failure(outcome.err, outcome)
        self.ledger.land(transaction, outcome)
        return transaction.signature

    def simulate_transaction(self, params: Params) -> dict[str, Any]:
        """What a transaction would do."""
        options = arguments.read_options(params, 1)
        slot = self._slot(options)
        transaction = arguments.read_transaction(params[0], options)
        if options.get("sigVerify") and options.get("replaceRecentBlockhash"):
            text = "sigVerify may not be used with replaceRecentBlockhash"
            raise RpcError(INVALID_PARAMS, text)
        if options.get("sigVerify") and not wire.has_valid_signatures(transaction.raw):
            raise RpcError(INVALID_SIGNATURE, "Transaction signature verification failure")
        try:
            if not options.get("replaceRecentBlockhash"):
                self.ledger.require_not_landed(transaction)
            outcome = self.ledger.run(transaction)
        except TransactionRejected as rejected:
            return _with_context(slot, _simulation_json(rejected.error, None))
        value = _simulation_json(outcome.err, outcome)
        value["accounts"] = self._simulated_accounts(outcome, options)
        if options.get("innerInstructions"):
            value["innerInstructions"] = views.inner_json(transaction.keys, outcome.inner)
        if options.get("replaceRecentBlockhash"):
            value["replacementBlockhash"] = self.get_latest_blockhash([])["value"]
        return _with_context(slot, value)

    def _simulated_accounts(self, outcome: ExecutionResult, options: Options) -> Any:
        requested = options.get("accounts")
        if not requested:
            return None
        encoding = {"encoding": requested.get("encoding", "base64")}
        found = []
        for text in requested.get("addresses", ()):
            address = arguments.read_address(text)
            account = outcome.changed.get(address) or self.ledger.account(address)
            is_missing = account is None or account.is_empty
            found.append(None if is_missing or account is None else views.account_json(account, encoding))
        return found

    # Transactions

    def get_signature_statuses(self, params: Params) -> dict[str, Any]:
        """How far transactions have come; only recent ones unless history is searched."""
        signatures = arguments.read_list(params[0], MAX_STATUSES)
        searches = arguments.read_options(params, 1).get("searchTransactionHistory", False)
        found = [self._status(arguments.read_signature(text), searches) for text in signatures]
        return _with_context(self.ledger.slot, found)

    def _status(self, signature: Signature, searches: bool) -> Any:
        chain = self.ledger
        landed = chain.find(signature) if searches else chain.recent.get(signature)
        if landed is None:
            return None
        status = self.commitment_of(landed.slot)
        return {
            "slot": landed.slot,
            "confirmations": None if status == "finalized" else chain.slot - landed.slot,
            "err": landed.err,
            "status": views.status_json(landed),
            "confirmationStatus": status,
        }

    def commitment_of(self, slot: int) -> str:
        """How far a slot has come."""
        if slot <= self.ledger.finalized_slot:
            return "finalized"
        return "confirmed" if slot <= self.ledger.confirmed_slot else "processed"

    def get_transaction(self, params: Params) -> Any:
        """A transaction that is confirmed, or null."""
        options = arguments.read_options(params, 1)
        landed = self.ledger.find(arguments.read_signature(params[0]))
        if landed is None or landed.slot > self._closed_slot(options):
            return None
        fields = views.transaction_json(landed, options)
        return {"blockTime": landed.block_time, "slot": landed.slot, **fields}

    def get_signatures_for_address(self, params: Params) -> list[dict[str, Any]]:
        """Transactions that name an account, newest first."""
        options = arguments.read_options(params, 1)
        address, limit = arguments.read_address(params[0]), options.get("limit") or MAX_SIGNATURES
        if not 1 <= limit <= MAX_SIGNATURES:
            raise RpcError(INVALID_PARAMS, f"Invalid limit; max {MAX_SIGNATURES}")
        top = self._closed_slot(options)
        return [
            {
                "blockTime": found.block_time,
                "confirmationStatus": self.commitment_of(found.slot),
                "err": found.err,
                "memo": None,
                "signature": found.signature,
                "slot": found.slot,
            }
            for found in self._mentions(address, options, limit, top)
        ]

    def _mentions(self, address: Address, options: Options, limit: int, top: int) -> Sequence[store.AddressMention]:
        if self.ledger.store is None:
            return ()
        before, until = (top + 1, -1), store.FIRST_PLACE
        if options.get("before"):
            place = self.ledger.store.place_of(arguments.read_signature(options["before"]))
            if place is None:
                return ()
            before = min(before, place)
        if options.get("until"):
            place = self.ledger.store.place_of(arguments.read_signature(options["until"]))
            until = place or until
        return self.ledger.store.mentions(address, before=before, until=until, limit=limit)

    # Blocks

    def get_block(self, params: Params) -> dict[str, Any]:
        """A block, with as much of its transactions as is asked for."""
        options = arguments.read_options(params, 1)
        block = self._block(arguments.read_integer(params[0]), options)
        fields: dict[str, Any] = {
            "blockHeight": block.height,
            "blockTime": block.time,
            "blockhash": block.blockhash,
            "parentSlot": block.parent_slot,
            "previousBlockhash": block.previous_blockhash,
        }
        if options.get("rewards", True):
            fields["rewards"] = []
        return fields | views.transactions_json(block, options)

    def get_block_time(self, params: Params) -> int:
        """When a slot was, in seconds since 1970."""
        return self._block(arguments.read_integer(params[0]), {"commitment": "confirmed"}).time

    def get_blocks(self, params: Params) -> list[int]:
        """The slots with a block between two."""
        first = arguments.read_integer(params[0])
        rest = list(params[1:])
        last = rest.pop(0) if rest and not isinstance(rest[0], dict) else None
        top = self._closed_slot(arguments.read_options(rest, 0))
        last = top if last is None else min(arguments.read_integer(last), top)
        if last - first > MAX_BLOCKS:
            raise RpcError(INVALID_PARAMS, f"Slot range too large; max {MAX_BLOCKS}")
        return self._slots(first, last, MAX_BLOCKS)

    def get_blocks_with_limit(self, params: Params) -> list[int]:
        """The first slots with a block from one on."""
        first, limit = arguments.read_integer(params[0]), arguments.read_integer(params[1])
        if limit > MAX_BLOCKS:
            raise RpcError(INVALID_PARAMS, f"Limit too large; max {MAX_BLOCKS}")
        return self._slots(first, self._closed_slot(arguments.read_options(params, 2)), limit)

    def _block(self, slot: int, options: Options) -> Block:
        if slot > self._closed_slot(options):
            raise RpcError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
        block = self.ledger.block(slot)
        if block is not None:
            return block
        first = self._first_slot()
        if slot < first:
            text = f"Block {slot} cleaned up, does not exist on node. First available block: {first}"
            raise RpcError(BLOCK_CLEANED_UP, text)
        text = f"Slot {slot} was skipped, or missing due to ledger jump to recent snapshot"
        raise RpcError(SLOT_SKIPPED, text)

    def _slots(self, first: int, last: int, limit: int) -> list[int]:
        if self.ledger.store is not None:
            return self.ledger.store.slots(first, last, limit)
        return [slot for slot in self.ledger.blocks if first <= slot <= last][:limit]

    def _first_slot(self) -> int:
        if self.ledger.store is not None:
            return self.ledger.store.first_slot()
        return next(iter(self.ledger.blocks))

    # Slots and commitments

    def _slot(self, options: Options) -> int:
        """The slot a call is answered at; RpcError where it is not as far as was asked."""
        commitment = options.get("commitment") or "finalized"
        if commitment not in COMMITMENTS:
            text = f"Invalid params: unknown variant `{commitment}`"
            raise RpcError(INVALID_PARAMS, text)
        slot = max(0, self.ledger.slot_at(commitment) - self.slots_behind)
        min_slot = options.get("minContextSlot")
        if min_slot is not None and arguments.read_integer(min_slot) > slot:
            text = "Minimum context slot has not been reached"
            raise RpcError(CONTEXT_SLOT_NOT_REACHED, text, {"contextSlot": slot})
        return slot

    def _closed_slot(self, options: Options) -> int:
        """The same for calls that know no `processed`."""
        if options.get("commitment") == "processed":
            text = "Method does not support commitment below `confirmed`"
            raise RpcError(INVALID_PARAMS, text)
        return self._slot(options)

    def _newest_closed_block(self, slot: int) -> Block:
        """The newest closed block at or before a slot."""
        blocks = self.ledger.blocks
        return next(block for block in reversed(blocks.values()) if block.slot <= slot)

    def _height(self, slot: int) -> int:
        if slot >= self.ledger.slot:
            return self.ledger.open.height
        return self._newest_closed_block(slot).height


class AdminMethods(Protocol):
    """Administration: `devchain_*` methods, for callers on this machine."""

    def call(self, method: str, params: Params) -> Any:
        """The result of one; RpcError."""
        ...


COMMITMENTS: Final = ("processed", "confirmed", "finalized")
#: What outsiders call, and the method that answers it: `getSlot` is `get_slot`.
METHODS: Final = {
    re.sub(r"_([a-z])", lambda match: match[1].upper(), name): name
    for name in vars(Rpc)
    if name[0] != "_" and "_" in name and name != "commitment_of"
}


# Answers


def _reply(identity: Any, *, result: Any = None, error: RpcError | None = None) -> Reply:
    content = {"result": result} if error is None else {"error": error.json()}
    return Reply(body=_to_json({"jsonrpc": "2.0", **content, "id": identity}))


def _to_json(value: Any) -> bytes:
    return orjson.dumps(value)


def fault_reply(call: RpcCall, fault: RpcFault, reply: Reply | None = None) -> Reply:
    """The answer a fault gives: its own error or result, else what the method gave."""
    if fault.error is not None:
        content = {"jsonrpc": "2.0", "error": fault.error, "id": call.id}
        return Reply(body=_to_json(content), fault=fault)
    if fault.replaces_result or reply is None:
        content = {"jsonrpc": "2.0", "result": fault.result, "id": call.id}
        return Reply(body=_to_json(content), fault=fault)
    return Reply(body=reply.body, fault=fault)


def _parse_call(request: Any) -> RpcCall:
    if not isinstance(request, dict) or request.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "Invalid request")
    method, params = request.get("method"), request.get("params") or []
    if not isinstance(method, str):
        raise RpcError(INVALID_REQUEST, "Invalid request")
    if not isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "Invalid params: a list is wanted")
    return RpcCall(request.get("id"), method, params)


def _with_context(slot: int, value: Any) -> dict[str, Any]:
    return {"context": {"apiVersion": API_VERSION, "slot": slot}, "value": value}


def _preflight_failure(error: Any, outcome: ExecutionResult | None) -> RpcError:
    text = f"Transaction simulation failed: {error_text(error, outcome)}"
    return RpcError(PREFLIGHT_FAILURE, text, _simulation_json(error, outcome))


def _simulation_json(error: Any, outcome: ExecutionResult | None) -> dict[str, Any]:
    return {
        "accounts": None,
        "err": error,
        "fee": outcome.fee_lamports if outcome else None,
        "innerInstructions": None,
        "loadedAccountsDataSize": 0,
        "logs": outcome.logs if outcome else [],
        "replacementBlockhash": None,
        "returnData": None,
        "unitsConsumed": outcome.units_consumed if outcome else 0,
    }
