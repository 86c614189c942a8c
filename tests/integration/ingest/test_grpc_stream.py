"""The gRPC source against the development chain: equal to other sources, resumed, and with each fault of a stream."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import chain_stack
import msgspec
import pytest
from chain_stack import BLOCKS_TO_FINALITY, TEMPO, ChainStack

from devchain.cluster import TOWER
from devchain.grpc_server import REPLAYED_SLOTS, StreamFaults
from ingest.decode.decoder import Decoder
from ingest.sync import grpc_stream
from ingest.sync.grpc_stream import GrpcStream
from ingest.sync.sources import Backoff, Intake, run_with_retries
from zmart import errors, testing
from zmart.chain import rpc_errors
from zmart.chain.geyser.stream import GeyserClient
from zmart.run.deploy import rebuild
from zmart.settings import Secret
from zmart.tasks import cancel_until_done

#: More than 40 s in all: each test plays and follows a chain of its own.
pytestmark = pytest.mark.drill

TOKEN = "a-key-that-no-message-shows"
BACKOFF = Backoff(first_seconds=0.05, max_seconds=0.2)
#: Every fault alone; what the stream loses is left to the walk.
FAULTS: dict[str, StreamFaults] = {
    "none": StreamFaults(),
    "drop in the middle": StreamFaults(drop_after=40),
    "replay with repeats": StreamFaults(drop_after=60, repeats=0.5),
    "wrong order": StreamFaults(shuffles=1.0),
    "lost updates": StreamFaults(losses=0.2),
    "no block times": StreamFaults(missing_meta=0.3),
    "no replay": StreamFaults(window=0, drop_after=40),
    "window exceeded": StreamFaults(window=3, drop_after=40, has_replay_info=False),
    "all together": StreamFaults(
        drop_after=50, repeats=0.3, losses=0.1, shuffles=0.5, missing_meta=0.1, window=20, has_replay_info=False
    ),
}


@pytest.fixture
async def stack(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[ChainStack]:
    """A chain of some minutes with transactions of each version, and an empty log."""
    tempo = replace(TEMPO, v1_percent=30, vault_percent=10, unexecuted_percent=5)
    # The walk reads what it misses in pages, which takes a tenth of the time.
    cluster = replace(TOWER, relaxes_fee_payer=True, lists_bodies=True)
    async with chain_stack.open_chain_stack(
        tmp_path, marts_database, tempo=tempo, cluster=cluster, serves_grpc=True, grpc_token=Secret(TOKEN)
    ) as stack:
        await stack.pass_blocks(BLOCKS_TO_FINALITY)
        yield stack


def source(stack: ChainStack, **options: Any) -> GrpcStream:
    """The source as ingest builds it."""
    found = {
        "token": TOKEN,
        "proven_slot": stack.sync_task.reconciler.proven_slot,
        "check_block": stack.sync_task.reconciler.has_block,
        **options,
    }
    return GrpcStream(stack.node.grpc_url, found.pop("token"), chain_stack.PROGRAM_ID, **found)


def intake(stack: ChainStack) -> Intake:
    """Where a source submits transactions."""
    return Intake(Decoder(chain_stack.PROGRAM_ID), stack.pipeline)


@contextlib.asynccontextmanager
async def following(stack: ChainStack, followed: GrpcStream) -> AsyncIterator[None]:
    """Run a source, with retries, once it receives updates."""
    task = asyncio.create_task(run_with_retries(followed, intake(stack), stack.sync_database, backoff=BACKOFF))
    try:
        yield
    finally:
        await cancel_until_done(task)


async def wait_for(condition: Callable[[], bool], stack: ChainStack) -> None:
    """Let blocks pass until a condition holds."""
    async with asyncio.timeout(60):
        while not condition():
            stack.node.chain.close_block(int(stack.node.chain.now))
            await asyncio.sleep(0.02)


async def play_while_following(stack: ChainStack, followed: GrpcStream, *, blocks: int = 60) -> None:
    """Let actors act while the source follows; return when it has passed the last of their blocks."""
    async with following(stack, followed):
        await wait_for(followed.is_subscribed.is_set, stack)
        for _ in range(blocks):
            await stack.play(1)
            await asyncio.sleep(0)
        last = stack.node.ledger.slot
        await wait_for(lambda: (followed.newest_slot or 0) >= last, stack)


def stored(stack: ChainStack) -> set[tuple[Any, ...]]:
    """The transactions of the log with what every source has to agree about."""
    return set(
        stack.fetch_all(
            "select signature, slot, index_in_block, order_settled, extract(epoch from block_time)::bigint, err,"
            " fee_lamports, digest from raw.transactions where retracted_at is null"
        )
    )


def events(stack: ChainStack) -> list[tuple[Any, ...]]:
    """The events of the log in chain order, with their contexts."""
    return stack.fetch_all(
        "select order_key, ordinal, name, market_no is null, clock, payload, context from raw.events"
        " where retracted_at is null order by order_key"
    )


async def test_a_stream_alone_gives_the_log_that_the_node_gives(stack: ChainStack) -> None:
    """Every field of every transaction is that of getTransaction: versions, calls between programs, failures, and
    transactions that never ran. Delivered once more by the node, each is a duplicate that changes nothing."""
    followed = source(stack)
    await play_while_following(stack, followed)
    streamed, streamed_events = stored(stack), events(stack)
    assert len(streamed) > 50
    assert {version for (version,) in versions(stack)} >= {"legacy", "1"}
    assert stack.fetch_all("select distinct sightings from raw.transactions") == [({"grpc": 1},)]
    assert stack.fetch_all("select count(*) from raw.transactions where err is not null")[0][0] > 0

    for (signature,) in stack.fetch_all("select signature from raw.transactions"):
        answer = await stack.client.transaction(signature, commitment="confirmed")
        assert answer is not None
        await intake(stack).submit_items([msgspec.json.encode(answer)], source="fetch")

    assert stored(stack) == streamed
    assert events(stack) == streamed_events
    assert stack.fetch_all("select distinct sightings from raw.transactions") == [({"grpc": 1, "fetch": 1},)]
    assert stack.fetch_all("select count(*) from raw.dead_letters") == [(0,)]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


def versions(stack: ChainStack) -> list[tuple[str]]:
    """The versions of the chain's transactions."""
    return [
        (str(one.transaction.version if one.transaction.version is not None else "legacy"),)
        for one in stack.landed_transactions()
    ]


#: One fault alone takes as long as all of them.
@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=() if name == "all together" else pytest.mark.drill) for name in FAULTS]
)
async def test_whatever_a_stream_does_nothing_is_lost_and_nothing_is_twice(stack: ChainStack, fault: str) -> None:
    """Stream and walk together end with the chain's transactions, each once, and marts equal to a rebuild."""
    await stack.sync_task.verify()
    stack.node.server.geyser.faults = FAULTS[fault]
    followed = source(stack)

    await play_while_following(stack, followed)
    by_stream = stack.fetch_all("select count(*) from raw.transactions where sightings ? 'grpc'")[0][0]
    await stack.pass_blocks(BLOCKS_TO_FINALITY)
    for _ in range(2):
        status = await stack.sync_task.verify()

    assert by_stream > 0
    assert status.finalized_through == status.finalized_slot
    assert stack.successful_signatures() <= stack.stored_signatures()
    assert len(stack.stored_signatures()) == stack.fetch_all("select count(*) from raw.transactions")[0][0]
    assert stack.fetch_all("select count(*) from raw.dead_letters") == [(0,)]
    assert stack.fetch_all("select count(*) from raw.transactions where not order_settled") == [(0,)]
    assert [v for v in rebuild.verify(stack.database.dsn()) if not v.is_consistent] == []


async def test_a_connection_resumes_from_the_last_proven_slot(stack: ChainStack) -> None:
    """What happened between two connections is replayed; where the window is too short, the walk has the rest."""
    await stack.sync_task.verify()
    proven = await stack.sync_task.reconciler.proven_slot()
    assert proven is not None
    await stack.play(20)
    missed = stack.successful_signatures() - stack.stored_signatures()
    assert missed
    followed = source(stack)

    async with following(stack, followed):
        await wait_for(lambda: missed <= stack.stored_signatures(), stack)

    subscriptions = [one for one in stack.node.server.geyser.requests if one.transactions]
    assert [one.from_slot for one in subscriptions] == [proven + 1]


@pytest.mark.parametrize("has_info", [True, pytest.param(False, marks=pytest.mark.drill)])
async def test_a_window_that_is_too_short_is_left_to_the_walk(stack: ChainStack, has_info: bool) -> None:
    """The stream begins where the server can, and does not fail again and again."""
    await stack.sync_task.verify()
    await stack.play(60)
    stack.node.server.geyser.faults = StreamFaults(window=12, has_replay_info=has_info)
    followed = source(stack)

    async with following(stack, followed):
        await wait_for(followed.is_subscribed.is_set, stack)
        await stack.play(5)
        newest = stack.successful_signatures()
        last = stack.node.ledger.slot
        await wait_for(lambda: (followed.newest_slot or 0) >= last, stack)

    subscriptions = [one for one in stack.node.server.geyser.requests if one.transactions]
    # A server that says where it begins is asked for that; one that does not refuses once.
    assert [one.HasField("from_slot") for one in subscriptions] == ([True] if has_info else [True, False])
    assert newest - stack.stored_signatures()
    await stack.sync_task.verify()
    assert newest <= stack.stored_signatures()


async def test_a_server_says_its_version_and_from_where_it_replays(stack: ChainStack) -> None:
    """What `zmart doctor` asks; a server without replay, or without the method, says nothing."""
    geyser, ledger = stack.node.server.geyser, stack.node.ledger
    async with GeyserClient(stack.node.grpc_url, TOKEN) as client:
        await client.connect()
        assert await client.version() == "devchain 4.3.0"
        assert await client.first_replayable_slot() == max(0, ledger.slot - REPLAYED_SLOTS)
        for faults in (StreamFaults(window=0), StreamFaults(has_replay_info=False)):
            geyser.faults = faults
            assert await client.first_replayable_slot() is None
    async with GeyserClient(stack.node.grpc_url) as client:
        with pytest.raises(rpc_errors.ApiKeyRejected, match="SOLANA_GRPC_TOKEN"):
            await client.version()


async def test_a_refused_key_stops_the_source_and_is_never_shown(
    stack: ChainStack, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """One attempt, one alert; the key is in no message."""
    caplog.set_level(logging.DEBUG)
    wrong = "another-key-that-no-message-shows"

    async with asyncio.timeout(60):
        await run_with_retries(source(stack, token=wrong), intake(stack), stack.sync_database, backoff=BACKOFF)

    [(kind, subject, message)] = stack.fetch_all("select kind, subject, message from ops.alerts")
    assert (kind, subject) == ("source_stopped", "grpc")
    assert "SOLANA_GRPC_TOKEN" in message
    assert wrong not in message + caplog.text + capsys.readouterr().out + repr(source(stack, token=wrong))


async def test_a_server_of_another_chain_stores_nothing(stack: ChainStack) -> None:
    """Its blocks have other hashes than those of SOLANA_RPC_URL."""

    async def other(slot: int, blockhash: str) -> bool | None:
        return False

    with passing_blocks(stack):
        async with asyncio.timeout(60):
            await run_with_retries(
                source(stack, check_block=other), intake(stack), stack.sync_database, backoff=BACKOFF
            )

    [(message,)] = stack.fetch_all("select message from ops.alerts where kind = 'source_stopped'")
    assert "another chain" in message
    assert stack.fetch_all("select count(*) from raw.transactions") == [(0,)]


@contextlib.contextmanager
def passing_blocks(stack: ChainStack) -> Iterator[None]:
    """Let a block pass every few milliseconds."""

    async def close() -> None:
        while True:
            stack.node.chain.close_block(int(stack.node.chain.now))
            await asyncio.sleep(0.02)

    task = asyncio.create_task(close())
    try:
        yield
    finally:
        task.cancel()


async def test_pings_are_answered_and_silence_ends_the_connection(stack: ChainStack) -> None:
    """A quiet server is asked nothing and answered; one that sends nothing at all is left."""
    geyser = stack.node.server.geyser
    geyser.ping_seconds = 0.05
    followed = source(stack, silence_seconds=1.0)
    async with following(stack, followed):
        await wait_for(followed.is_subscribed.is_set, stack)
        async with asyncio.timeout(60):
            await geyser.has_ping_reply.wait()

    geyser.faults = StreamFaults(is_silent=True)
    silent = source(stack, silence_seconds=0.2)
    with passing_blocks(stack), pytest.raises(rpc_errors.TimedOut, match="sent nothing"):
        await silent.run(intake(stack))


async def test_a_consumer_that_is_too_slow_ends_the_connection_within_its_bound(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue never holds more than its size; after the next connection the log has everything."""
    followed = source(stack, queue_size=2, slow_seconds=0.2)
    real, may_commit = Intake.submit_items, asyncio.Event()

    async def submit(self: Intake, items: Any, *, source: str) -> Any:
        await may_commit.wait()
        return await real(self, items, source=source)

    monkeypatch.setattr(Intake, "submit_items", submit)
    await stack.sync_task.verify()
    await stack.play(20)
    running = asyncio.create_task(followed.run(intake(stack)))
    await wait_for(lambda: not running.done() and followed.is_subscribed.is_set(), stack)
    for _ in range(30):
        stack.node.chain.close_block(int(stack.node.chain.now))
    await asyncio.wait({running}, timeout=1.0)
    may_commit.set()
    with passing_blocks(stack), pytest.raises(rpc_errors.NodeFailed, match="too slow"):
        async with asyncio.timeout(60):
            await running

    async with following(stack, source(stack)):
        await wait_for(lambda: stack.successful_signatures() <= stack.stored_signatures(), stack)


async def test_a_log_that_cannot_be_written_is_filled_after_a_reconnect(
    stack: ChainStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed commit ends the connection; the replay brings its transactions again."""
    real, failures = Intake.submit_items, 3

    async def submit(self: Intake, items: Any, *, source: str) -> Any:
        nonlocal failures
        if failures:
            failures -= 1
            raise errors.Unavailable("The database is away.")
        return await real(self, items, source=source)

    monkeypatch.setattr(Intake, "submit_items", submit)
    await stack.sync_task.verify()
    await stack.play(20)
    missed = stack.successful_signatures() - stack.stored_signatures()

    async with following(stack, source(stack)):
        await wait_for(lambda: missed <= stack.stored_signatures(), stack)
    assert failures == 0


@pytest.mark.parametrize("node_version", [(4, 2, 0), (4, 3, 0)])
async def test_servers_of_both_generations_are_read(stack: ChainStack, node_version: tuple[int, int, int]) -> None:
    """Since 4.3 updates name the bank of their slot; older ones do not."""
    ledger = stack.node.ledger
    ledger.cluster = replace(ledger.cluster, node_version=node_version)
    await play_while_following(stack, source(stack), blocks=10)
    assert stack.fetch_all("select count(*) > 0 from raw.transactions") == [(True,)]


async def test_a_cluster_that_has_moved_is_followed_at_finalized(stack: ChainStack) -> None:
    """Before the consensus is known the stream is at confirmed; then it subscribes again."""
    has_moved = False
    followed = source(stack, has_moved=lambda: has_moved)
    async with following(stack, followed):
        await wait_for(followed.is_subscribed.is_set, stack)
        has_moved = True
        requests = stack.node.server.geyser.requests
        await wait_for(
            lambda: (
                [one.commitment for one in requests if one.transactions][-1] == grpc_stream.CommitmentLevel.FINALIZED
            ),
            stack,
        )
