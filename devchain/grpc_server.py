"""Serves the Yellowstone gRPC protocol: a program's transactions and the blocks' metadata, with replay and faults.

A subscriber names a commitment and gets each block when it reaches that commitment: the transactions of the block, then
its metadata. With `from_slot` it first gets the stored blocks from there. Only what ingest asks for is served: the
filters of transactions (`account_required`, `vote`, `failed`) and of block metadata.

`StreamFaults` make the server what servers are on bad days.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

from zmart.chain.geyser import geyser_pb2 as pb  # isort: skip - it decides what gRPC does at a fork, before its import

import grpc
import grpc.aio

from zmart.chain.geyser.stream import SERVICE
from zmart.chain.geyser.transaction_errors import encode
from zmart.domain import base58
from zmart.settings import Secret

from . import wire
from .blocks import Block, LandedTransaction
from .ledger import Ledger
from .runtime import InnerInstruction

#: Slots that a subscriber may ask to have replayed, as on a self-hosted server.
REPLAYED_SLOTS: Final = 150
#: Seconds between two pings.
PING_SECONDS: Final = 15.0
#: From this version on, updates name the bank.
_BANK_VERSION: Final = (4, 3, 0)


@dataclass(frozen=True, kw_only=True)
class StreamFaults:
    """The faults of the stream; numbers from 0 to 1 are probabilities."""

    #: The connection ends after this many updates; 0 for never.
    drop_after: int = 0
    #: An update is sent twice.
    repeats: float = 0.0
    #: A transaction is never sent.
    losses: float = 0.0
    #: The updates of a block are in another order, the metadata included.
    shuffles: float = 0.0
    #: The metadata of a block is never sent.
    missing_meta: float = 0.0
    #: Slots that can be replayed; None for REPLAYED_SLOTS, 0 for a server without replay.
    window: int | None = None
    #: Whether the server says from where it replays.
    has_replay_info: bool = True
    #: Nothing is sent, and the connection stays open.
    is_silent: bool = False
    seed: int = 0

    @property
    def replayed_slots(self) -> int:
        """Return how many slots can be replayed."""
        return REPLAYED_SLOTS if self.window is None else self.window


class GeyserServer:
    """The service, over one ledger."""

    def __init__(self, ledger: Ledger, *, token: Secret | None = None) -> None:
        self._ledger = ledger
        self._token = token
        self.faults = StreamFaults()
        self.ping_seconds = PING_SECONDS
        #: The requests of all subscriptions, for tests: with their slot to begin at, pings included.
        self.requests: list[pb.SubscribeRequest] = []
        #: Set by the first answer to a ping.
        self.has_ping_reply = asyncio.Event()
        self._waiting: set[asyncio.Event] = set()
        self._random = random.Random()  # noqa: S311 - a simulation, not a secret
        self._server: grpc.aio.Server | None = None
        #: The port on which it listens.
        self.port = 0

    async def start(self, host: str, port: int = 0) -> None:
        """Listen on a port; 0 picks a free one."""
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self._handlers(),))
        self.port = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()

    async def stop(self) -> None:
        """Stop listening and end all streams."""
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    def _handlers(self) -> Any:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Subscribe": grpc.stream_stream_rpc_method_handler(
                    self._subscribe, pb.SubscribeRequest.FromString, pb.SubscribeUpdate.SerializeToString
                ),
                "SubscribeReplayInfo": grpc.unary_unary_rpc_method_handler(
                    self._replay_info,
                    pb.SubscribeReplayInfoRequest.FromString,
                    pb.SubscribeReplayInfoResponse.SerializeToString,
                ),
                "GetVersion": grpc.unary_unary_rpc_method_handler(
                    self._version, pb.GetVersionRequest.FromString, pb.GetVersionResponse.SerializeToString
                ),
            },
        )

    def on_block(self, block: Block) -> None:
        """Wake the subscribers after a block was closed."""
        del block
        for event in self._waiting:
            event.set()

    async def _require_token(self, context: Any) -> None:
        if self._token is None:
            return
        given = dict(context.invocation_metadata()).get("x-token", "")
        if not hmac.compare_digest(str(given).encode(), self._token.reveal().encode()):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "invalid x-token")

    async def _version(self, request: pb.GetVersionRequest, context: Any) -> pb.GetVersionResponse:
        await self._require_token(context)
        return pb.GetVersionResponse(version=f"devchain {self._ledger.cluster.version_text}")

    async def _replay_info(self, request: Any, context: Any) -> pb.SubscribeReplayInfoResponse:
        await self._require_token(context)
        if not self.faults.has_replay_info:
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, "unknown method")
        if not self.faults.replayed_slots:
            return pb.SubscribeReplayInfoResponse()
        return pb.SubscribeReplayInfoResponse(first_available=self._first_replayed())

    def _first_replayed(self) -> int:
        return max(0, self._ledger.slot - self.faults.replayed_slots)

    async def _subscribe(self, requests: AsyncIterator[pb.SubscribeRequest], context: Any) -> None:
        """Send blocks until the subscriber leaves."""
        await self._require_token(context)
        request = await anext(requests)
        self.requests.append(request)
        reading = asyncio.create_task(self._read_rest(requests))
        changed = asyncio.Event()
        self._waiting.add(changed)
        try:
            await self._send_blocks(request, context, changed)
        finally:
            self._waiting.discard(changed)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read_rest(self, requests: AsyncIterator[pb.SubscribeRequest]) -> None:
        async for request in requests:
            self.requests.append(request)
            if request.HasField("ping"):
                self.has_ping_reply.set()

    async def _send_blocks(self, request: pb.SubscribeRequest, context: Any, changed: asyncio.Event) -> None:
        commitment = pb.CommitmentLevel.Name(request.commitment).lower()
        sent_through = self._ledger.slot_at(commitment)
        if request.HasField("from_slot"):
            await self._require_replayable(request.from_slot, context)
            sent_through = min(sent_through, request.from_slot - 1)
        sent = 0
        while True:
            changed.clear()
            newest = self._ledger.slot_at(commitment)
            for slot in range(sent_through + 1, newest + 1):
                block = self._ledger.block(slot)
                for update in [] if block is None or self.faults.is_silent else self._updates(block, request):
                    await context.write(update)
                    sent += 1
                    if self.faults.drop_after and sent >= self.faults.drop_after:
                        await context.abort(grpc.StatusCode.UNAVAILABLE, "the server restarts")
            sent_through = max(sent_through, newest)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.ping_seconds):
                    await changed.wait()
                continue
            if not self.faults.is_silent:
                await context.write(pb.SubscribeUpdate(ping=pb.Ping()))

    async def _require_replayable(self, slot: int, context: Any) -> None:
        if not self.faults.replayed_slots:
            await context.abort(grpc.StatusCode.INTERNAL, "from_slot is not supported")
        first = self._first_replayed()
        if slot < first:
            text = f"broadcast from {slot} is not available, last available: {first}"
            await context.abort(grpc.StatusCode.INTERNAL, text)

    def _updates(self, block: Block, request: pb.SubscribeRequest) -> list[pb.SubscribeUpdate]:
        """Return what a block means for a subscription, with the faults."""
        faults, draw = self.faults, self._random
        found = [
            pb.SubscribeUpdate(filters=names, transaction=self._transaction(landed))
            for landed in block.transactions
            if (names := _matching(landed, request)) and draw.random() >= faults.losses
        ]
        if request.blocks_meta and draw.random() >= faults.missing_meta:
            found.append(pb.SubscribeUpdate(filters=list(request.blocks_meta), block_meta=self._meta(block)))
        found += [update for update in found if draw.random() < faults.repeats]
        if draw.random() < faults.shuffles:
            draw.shuffle(found)
        return found

    @property
    def _names_banks(self) -> bool:
        return self._ledger.cluster.node_version >= _BANK_VERSION

    def _meta(self, block: Block) -> pb.BlockMeta:
        return pb.BlockMeta(
            slot=block.slot,
            blockhash=block.blockhash,
            block_time=pb.UnixTime(timestamp=block.time),
            parent_slot=block.parent_slot,
            executed_transaction_count=len(block.transactions),
            bank_id=block.slot if self._names_banks else 0,
        )

    def _transaction(self, landed: LandedTransaction) -> pb.TransactionUpdate:
        return pb.TransactionUpdate(
            slot=landed.slot,
            bank_id=landed.slot if self._names_banks else 0,
            transaction=pb.TransactionInfo(
                signature=base58.decode(landed.signature),
                transaction=pb.Transaction(
                    signatures=[base58.decode(one) for one in landed.transaction.signatures],
                    message=_message(landed.transaction),
                ),
                meta=_result(landed),
                index=landed.index,
            ),
        )


def _matching(landed: LandedTransaction, request: pb.SubscribeRequest) -> list[str]:
    """Return the names of the filters that a transaction passes."""
    keys = set(landed.transaction.keys)
    return [
        name
        for name, wanted in request.transactions.items()
        if keys.issuperset(wanted.account_required)
        and (not wanted.HasField("failed") or wanted.failed == (landed.err is not None))
    ]


def _message(transaction: wire.WireTransaction) -> pb.Message:
    signers, readonly_signers, readonly_others = transaction.header
    config = transaction.config
    return pb.Message(
        header=pb.MessageHeader(
            num_required_signatures=signers,
            num_readonly_signed_accounts=readonly_signers,
            num_readonly_unsigned_accounts=readonly_others,
        ),
        account_keys=[base58.decode(key) for key in transaction.keys],
        recent_blockhash=base58.decode(transaction.blockhash),
        instructions=[
            pb.Instruction(program_id_index=one.program_index, accounts=one.account_indices, data=one.data)
            for one in transaction.instructions
        ],
        versioned=transaction.version is not None,
        config=None
        if config is None
        else pb.TransactionConfig(
            priority_fee=config.priority_fee_lamports,
            compute_unit_limit=config.unit_limit,
            loaded_accounts_data_size_limit=config.loaded_data_limit,
            heap_size=config.heap_bytes,
        ),
    )


def _result(landed: LandedTransaction) -> pb.TransactionMeta:
    return pb.TransactionMeta(
        err=None if landed.err is None else pb.TransactionError(err=encode(landed.err)),
        fee=landed.fee_lamports,
        pre_balances=landed.pre_balances,
        post_balances=landed.post_balances,
        inner_instructions=list(_inner(landed)) if landed.was_executed else [],
        inner_instructions_none=not landed.was_executed,
        log_messages=landed.logs if landed.was_executed else [],
        log_messages_none=not landed.was_executed,
        compute_units_consumed=landed.units_consumed,
    )


def _inner(landed: LandedTransaction) -> Iterator[pb.InnerInstructions]:
    place = {key: index for index, key in enumerate(landed.transaction.keys)}
    for index, calls in landed.inner.items():
        yield pb.InnerInstructions(index=index, instructions=[_call(call, place) for call in calls])


def _call(call: InnerInstruction, place: dict[Any, int]) -> pb.InnerInstruction:
    return pb.InnerInstruction(
        program_id_index=place[call.program_id],
        accounts=bytes(place[address] for address in call.addresses),
        data=call.data,
        stack_height=call.stack_height,
    )
