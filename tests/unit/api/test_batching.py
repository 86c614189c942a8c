"""Requests that wait at the same time share a statement, and none reads older data than its start."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from api.reads import batching

STATEMENT = "select %(market)s"


class FakeServer:
    """Answers on request, with the state at the moment of the statement."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.current_value = 0
        self.go = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def run(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """One row per value, numbered; none for `nothing`."""
        assert statement == batching.batched_statement(STATEMENT, ("market",))
        self.batches.append(parameters["market"])
        current = self.current_value
        await self.go.acquire()
        if self.error is not None:
            raise self.error
        rows = [(number, value, current) for number, value in enumerate(parameters["market"], start=1)]
        return [row for row in rows if row[1] != "nothing"]


@pytest.fixture
def server() -> FakeServer:
    """A server for the test alone."""
    return FakeServer()


@pytest.fixture
def batcher(server: FakeServer) -> batching.RequestBatcher:
    """A batcher that uses it."""
    return batching.RequestBatcher(server.run)


def start_request(batcher: batching.RequestBatcher, market: str) -> asyncio.Task[Any]:
    """A request under way."""
    return asyncio.create_task(batcher.row(STATEMENT, {"market": market, "limit": 5}, varying="market"))


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_concurrent_requests_share_one_statement(server: FakeServer, batcher: batching.RequestBatcher) -> None:
    """One statement for all values at once, each with its own row; equal requests are one value."""
    asking = [start_request(batcher, market) for market in ("a", "b", "a", "nothing")]
    await settle()
    server.go.release()
    assert await asyncio.gather(*asking) == [("a", 0), ("b", 0), ("a", 0), None]
    assert server.batches == [["a", "b", "nothing"]]


async def test_a_request_never_gets_a_result_read_before_it(
    server: FakeServer, batcher: batching.RequestBatcher
) -> None:
    """A request during a running statement waits for one that begins afterwards."""
    early = [start_request(batcher, "a")]
    await settle()
    early.append(start_request(batcher, "b"))
    await settle()
    server.current_value = 1
    late = [start_request(batcher, "a"), start_request(batcher, "b")]
    await settle()
    assert server.batches == [["a"], ["b"]]
    for _ in range(4):
        server.go.release()
    assert await asyncio.gather(*early) == [("a", 0), ("b", 0)]
    assert await asyncio.gather(*late) == [("a", 1), ("b", 1)]


async def test_a_failed_statement_fails_only_its_own_requests(
    server: FakeServer, batcher: batching.RequestBatcher
) -> None:
    """All requests of a failed statement get the error; the next statement runs again."""
    asking = [start_request(batcher, "a"), start_request(batcher, "b")]
    await settle()
    server.error = RuntimeError("staged")
    server.go.release()
    assert [type(error) for error in await asyncio.gather(*asking, return_exceptions=True)] == [RuntimeError] * 2
    server.error = None
    server.go.release()
    assert await start_request(batcher, "a") == ("a", 0)


async def test_a_cancelled_request_does_not_cancel_the_others(
    server: FakeServer, batcher: batching.RequestBatcher
) -> None:
    """A caller that disconnects does not end the statement that others wait for."""
    leaving, staying = start_request(batcher, "a"), start_request(batcher, "a")
    await settle()
    leaving.cancel()
    await settle()
    server.go.release()
    assert await staying == ("a", 0)


async def test_many_requests_are_served_in_bounded_statements(
    server: FakeServer, batcher: batching.RequestBatcher
) -> None:
    """No statement has more values than its limit, and all are answered."""
    asking = [start_request(batcher, str(number)) for number in range(100)]
    for _ in range(100):
        server.go.release()
    answers = await asyncio.gather(*asking)
    assert [answer[0] for answer in answers] == [str(number) for number in range(100)]
    assert max(map(len, server.batches)) <= batching.MOST_VALUES


async def test_a_statement_sorts_its_values(server: FakeServer, batcher: batching.RequestBatcher) -> None:
    """Two statements that lock a row for each value lock them in the same order, and never deadlock."""
    first = [start_request(batcher, "a"), start_request(batcher, "b")]
    await settle()
    later = [start_request(batcher, name) for name in ("d", "c", "e")]
    await settle()
    for _ in range(3):
        server.go.release()
    await asyncio.gather(*first, *later)
    assert server.batches[-1] == ["c", "d", "e"]
