"""Follows the program's transactions by gRPC (Yellowstone protocol): LaserStream, or a node's own server.

An update holds everything that a webhook holds, and the place in the block; the time of the block comes with the
block's metadata (`slot_assembly`). So a transaction is stored about 20 ms after it arrives, without a request to a
node.

    commitment     finalized once the cluster runs Alpenglow, confirmed before
    resumption     every connection asks for a replay from the last proven slot; known transactions are only counted
    window         what the server no longer replays is left to the walk
    pings          answered by a task that only reads, also while commits are slow
    slow commits   the queue is bounded; a full one stops the reading, and after a while the connection ends
    refused key    the source stops with an alert; all other errors are retried under `sources.Backoff`
    wrong chain    before anything is stored, the hash of a block is compared with that of SOLANA_RPC_URL
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Final

import structlog

from zmart import errors
from zmart.chain import rpc_errors
from zmart.chain.geyser import conversion
from zmart.chain.geyser.geyser_pb2 import CommitmentLevel, SubscribeUpdate
from zmart.chain.geyser.stream import SILENCE_SECONDS, GeyserClient, ReplayRefused, TransactionStream, subscription
from zmart.tasks import cancel_until_done

from .slot_assembly import HOLD_SECONDS, ReadyTransaction, SlotAssembly
from .sources import Intake

log = structlog.get_logger()

#: Updates that may wait for a commit.
QUEUE_SIZE: Final = 10_000
#: How long the queue may stay full before the connection ends.
SLOW_SECONDS: Final = 30.0
#: Transactions of one submission.
BATCH: Final = 500
#: How long the first connection waits for a block that the node of SOLANA_RPC_URL serves, too.
VERIFY_SECONDS: Final = 30.0
_VERIFY_PAUSE_SECONDS: Final = 0.2
#: Blocks with another hash than the node's before the chain counts as another one: one of them may be of a fork.
MISMATCHES: Final = 3
#: A replay begins this many slots before the first one that the server names, which may be gone when it is asked.
WINDOW_MARGIN: Final = 8
#: How many slots before the newest stored one a connection begins that follows another one.
REWIND_SLOTS: Final = 150

#: Returns the last proven slot of the log; None where nothing is proven.
ProvenSlot = Callable[[], Awaitable[int | None]]
#: Returns whether a slot's block has this hash on the chain of the log; None where no node says.
CheckBlock = Callable[[int, str], Awaitable[bool | None]]


class GrpcStream:
    """A `sources.Source`: one stream of one server, for one program."""

    name = "grpc"

    def __init__(
        self,
        url: str,
        token: str | None,
        program_id: str,
        *,
        proven_slot: ProvenSlot,
        check_block: CheckBlock,
        has_moved: Callable[[], bool] = lambda: False,
        queue_size: int = QUEUE_SIZE,
        silence_seconds: float = SILENCE_SECONDS,
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        """Follow the server at `url`; neither it nor `token` is ever shown.

        `has_moved` returns whether the cluster runs Alpenglow, where `confirmed` and `finalized` mean the same.
        """
        self._url, self._token, self._program_id = url, token, program_id
        self._proven_slot, self._check_block, self._has_moved = proven_slot, check_block, has_moved
        self._queue_size, self._silence_seconds, self._slow_seconds = queue_size, silence_seconds, slow_seconds
        self._is_verified = False
        self._mismatches = 0
        #: The newest slot whose block was received and whose transactions are stored.
        self.newest_slot: int | None = None
        #: Set while updates arrive.
        self.is_subscribed = asyncio.Event()

    @property
    def _commitment(self) -> CommitmentLevel:
        return CommitmentLevel.FINALIZED if self._has_moved() else CommitmentLevel.CONFIRMED

    async def run(self, intake: Intake) -> None:
        """Store the program's transactions until the stream ends, which is always an error.

        Raises NodeError, ApiKeyRejected, ConfigurationError for another chain, and the errors of the writer.
        """
        async with GeyserClient(self._url, self._token, silence_seconds=self._silence_seconds) as client:
            await client.connect()
            await self._require_our_chain(client)
            from_slot = await self._first_slot(client)
            while True:
                try:
                    await self._follow(client, intake, from_slot)
                except ReplayRefused as refused:
                    log.warning("grpc_replay_refused", from_slot=from_slot, reason=str(refused))
                    from_slot = None
                else:
                    # The consensus is known now, and the next subscription has another commitment.
                    from_slot = self.newest_slot

    async def _first_slot(self, client: GeyserClient) -> int | None:
        """Return the slot from which to ask for a replay; None for the present."""
        proven = await self._proven_slot()
        if proven is None and self.newest_slot is None:
            return None
        wanted = max(
            -1 if proven is None else proven, -1 if self.newest_slot is None else self.newest_slot - REWIND_SLOTS
        )
        first = await client.first_replayable_slot()
        if first is not None and first > wanted + 1:
            log.warning("grpc_window_exceeded", wanted=wanted + 1, first_available=first)
            return first + WINDOW_MARGIN
        return wanted + 1

    async def _follow(self, client: GeyserClient, intake: Intake, from_slot: int | None) -> None:
        """Follow one subscription; return where another one with another commitment has to follow."""
        commitment = self._commitment
        stream = client.subscribe(subscription(self._program_id, commitment=commitment, from_slot=from_slot))
        log.info("grpc_subscribed", server=client.name, from_slot=from_slot)
        assembly = SlotAssembly()
        try:
            async with contextlib.aclosing(self._batches(stream)) as batches:
                async for batch in batches:
                    self.is_subscribed.set()
                    await self._store(batch, assembly, intake)
                    if self._commitment != commitment:
                        return
        finally:
            # Transactions that still wait for a time come again with the next replay, or by the walk.
            self.is_subscribed.clear()

    async def _batches(self, stream: TransactionStream) -> AsyncGenerator[Sequence[SubscribeUpdate], None]:
        """Yield what has arrived since the last batch; an empty one after a second without updates."""
        queue: asyncio.Queue[SubscribeUpdate] = asyncio.Queue(self._queue_size)
        reader = asyncio.create_task(self._read(stream, queue), name="grpc reader")
        try:
            while True:
                getting = asyncio.ensure_future(queue.get())
                try:
                    await asyncio.wait([getting, reader], timeout=HOLD_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not getting.done():
                        getting.cancel()
                batch = [getting.result()] if getting.done() and not getting.cancelled() else []
                while len(batch) < BATCH and not queue.empty():
                    batch.append(queue.get_nowait())
                if not batch and reader.done():
                    await reader
                yield batch
        finally:
            await cancel_until_done(reader)

    async def _read(self, stream: TransactionStream, queue: asyncio.Queue[SubscribeUpdate]) -> None:
        async with contextlib.aclosing(stream.updates()) as updates:
            async for update in updates:
                try:
                    async with asyncio.timeout(self._slow_seconds):
                        await queue.put(update)
                except TimeoutError:
                    raise rpc_errors.NodeFailed(
                        f"Commits are too slow for the stream: {queue.qsize()} updates have waited for "
                        f"{self._slow_seconds:g} s."
                    ) from None

    async def _store(self, batch: Sequence[SubscribeUpdate], assembly: SlotAssembly, intake: Intake) -> None:
        ready: list[ReadyTransaction] = []
        newest = -1
        for update in batch:
            match update.WhichOneof("update"):
                case "transaction":
                    ready += assembly.add_transaction(update.transaction)
                case "block_meta":
                    ready += assembly.add_block(update.block_meta)
                    newest = max(newest, int(update.block_meta.slot))
        ready += assembly.release_overdue()
        await self._submit(ready, intake)
        if newest >= 0:
            self.newest_slot = max(newest, self.newest_slot or 0)

    async def _submit(self, ready: Sequence[ReadyTransaction], intake: Intake) -> None:
        items, wanted = [], []
        for update, block_time in ready:
            try:
                items.append(conversion.to_json(update, block_time))
            except errors.DecodeError as error:
                signature = conversion.signature_of(update)
                log.warning("grpc_update_unreadable", signature=signature, reason=str(error))
                wanted.append(signature)
        if items:
            await intake.submit_items(items, source=self.name)
        if wanted:
            await intake.submit_signatures(wanted, source=self.name)

    async def _require_our_chain(self, client: GeyserClient) -> None:
        """Compare a block of the server with the log's chain, once in the life of the source.

        Raises ConfigurationError where several blocks differ, NodeError where one does or no node says.
        """
        if self._is_verified:
            return
        stream = client.subscribe(subscription(None, commitment=self._commitment, from_slot=None))
        async with contextlib.aclosing(stream.updates()) as updates:
            async for update in updates:
                if update.WhichOneof("update") == "block_meta":
                    await self._compare(int(update.block_meta.slot), update.block_meta.blockhash)
                    self._is_verified = True
                    return

    async def _compare(self, slot: int, blockhash: str) -> None:
        deadline = time.monotonic() + VERIFY_SECONDS
        while (is_ours := await self._check_block(slot, blockhash)) is None:
            if time.monotonic() > deadline:
                raise rpc_errors.NodeBehind(
                    f"No node of SOLANA_RPC_URL serves block {slot} of the gRPC stream, so its chain is not known."
                )
            await asyncio.sleep(_VERIFY_PAUSE_SECONDS)
        if is_ours:
            return
        self._mismatches += 1
        if self._mismatches >= MISMATCHES:
            raise errors.ConfigurationError(
                f"The server of SOLANA_GRPC_URL follows another chain than SOLANA_RPC_URL: slot {slot} has another "
                "block there.",
                help="Set both to servers of one cluster.",
            )
        raise rpc_errors.NodeBehind(f"Block {slot} of the gRPC stream differs from that of SOLANA_RPC_URL.")
