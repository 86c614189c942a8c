"""`logsSubscribe` as a source: signatures within a moment, reconnects, and a rejection that is reported."""

from __future__ import annotations

import asyncio
import http
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import chain_stack
import pytest
from chain_stack import ChainStack
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from ingest.decode.decoder import Decoder
from ingest.sync.logs_subscribe import LogsSubscription
from ingest.sync.sources import Backoff, Intake, run_with_retries
from zmart import testing
from zmart.chain import rpc_errors

AT_ONCE = Backoff(first_seconds=0.0, max_seconds=0.0)


@pytest.fixture
async def stack(tmp_path: Path, marts_database: testing.PostgresDatabase) -> AsyncIterator[ChainStack]:
    """A chain of some minutes, and an empty log."""
    async with chain_stack.open_chain_stack(tmp_path, marts_database) as stack:
        yield stack


def intake_of(stack: ChainStack) -> Intake:
    """The intake of the chain's log."""
    return Intake(Decoder(chain_stack.PROGRAM_ID), stack.pipeline)


async def until(check: Callable[[], bool]) -> None:
    """Return once a condition is true."""
    async with asyncio.timeout(20):
        while not await asyncio.to_thread(check):  # noqa: ASYNC110 - nothing tells when a row appears
            await asyncio.sleep(0.02)


def wanted(stack: ChainStack) -> set[str]:
    """Return the signatures of the subscription that are not fetched yet."""
    return {
        s
        for (s,) in stack.fetch_all(
            "select signature from raw.pending_signatures where reason = 'named by logs without logs'"
        )
    }


async def test_signatures_from_logs_are_fetched_and_counted(stack: ChainStack) -> None:
    """Each success becomes a signature to fetch with `getTransaction`; failures do not."""
    before = stack.successful_signatures()
    subscription = LogsSubscription(stack.node.ws_url, chain_stack.PROGRAM_ID)
    task = asyncio.create_task(subscription.run(intake_of(stack)))
    await subscription.is_subscribed.wait()
    await stack.play(6)
    await stack.pass_blocks(3)
    news = stack.successful_signatures() - before

    await until(lambda: wanted(stack) >= news)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert wanted(stack) == news != set()
    assert await stack.sync_task.fetcher.drain() == len(news)
    rows = stack.fetch_all(
        "select signature, sightings, index_in_block is not null, fee_lamports > 0 from raw.transactions"
    )
    assert sorted(rows) == sorted((signature, {"fetch": 1}, True, True) for signature in news)


async def test_a_lost_connection_comes_back(stack: ChainStack) -> None:
    """After the node closes, the source subscribes again and receives later transactions."""
    subscription = LogsSubscription(stack.node.ws_url, chain_stack.PROGRAM_ID)
    task = asyncio.create_task(run_with_retries(subscription, intake_of(stack), backoff=AT_ONCE))
    await subscription.is_subscribed.wait()

    hub = stack.node.server.hub
    for session in hub.sessions:
        hub.close(session)
    await until(lambda: not subscription.is_subscribed.is_set() or bool(hub.sessions))
    await until(lambda: bool(hub.sessions) and subscription.is_subscribed.is_set())
    before = stack.successful_signatures()
    await stack.play(4)
    await stack.pass_blocks(3)

    await until(lambda: wanted(stack) >= stack.successful_signatures() - before)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert wanted(stack) != set()


async def test_nobody_there_is_transient() -> None:
    """A node that cannot be reached is retried; its address, which may contain a key, is not in the error."""
    subscription = LogsSubscription("ws://127.0.0.1:1/?api-key=hush", chain_stack.PROGRAM_ID)
    with pytest.raises(rpc_errors.Unreachable) as caught:
        await subscription.run(None)  # type: ignore[arg-type]
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, rpc_errors.ApiKeyRejected), (403, rpc_errors.ApiKeyRejected), (503, rpc_errors.NodeFailed)],
)
async def test_refused_handshake_is_retried_or_final_by_status(status: int, kind: type[Exception]) -> None:
    """A rejected key needs an operator; a failing node is retried."""

    def refuse(connection: object, request: Request) -> Response:
        reason = http.HTTPStatus(status).phrase
        return Response(status, reason, headers=Headers(), body=b"")

    async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(kind):
            await LogsSubscription(f"ws://127.0.0.1:{port}", chain_stack.PROGRAM_ID).run(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "message", ["not json", '{"a": 1}', '{"jsonrpc": "2.0", "error": {"code": -32005}, "id": null}']
)
async def test_invalid_notification_is_a_retryable_error(message: str) -> None:
    """Any bytes over the socket end the source with an error that is retried, and never with a crash."""

    async def babble(socket: object) -> None:
        await socket.recv()  # type: ignore[attr-defined]
        await socket.send(message)  # type: ignore[attr-defined]
        await socket.wait_closed()  # type: ignore[attr-defined]

    async with serve(babble, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with pytest.raises(rpc_errors.NodeError):
            await LogsSubscription(f"ws://127.0.0.1:{port}", chain_stack.PROGRAM_ID).run(None)  # type: ignore[arg-type]
