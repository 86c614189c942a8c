"""Requests that wait at the same time share a statement, and nobody reads what is older than his question."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from api.reads import batching

STATEMENT = "select %(market)s"


class Server:
    """Answers when it is told to, with what is true at the moment it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.truth = 0
        self.go = asyncio.Semaphore(0)
        self.error: Exception | None = None

    async def run(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """One row per value, numbered; none for `nothing`."""
        assert statement == batching.together(STATEMENT, ("market",))
        self.asked.append(parameters["market"])
        truth = self.truth
        await self.go.acquire()
        if self.error is not None:
            raise self.error
        rows = [(number, value, truth) for number, value in enumerate(parameters["market"], start=1)]
        return [row for row in rows if row[1] != "nothing"]


@pytest.fixture
def server() -> Server:
    """A server of the test's own."""
    return Server()


@pytest.fixture
def gatherer(server: Server) -> batching.Gatherer:
    """A gatherer that asks it."""
    return batching.Gatherer(server.run)


def ask(gatherer: batching.Gatherer, market: str) -> asyncio.Task[Any]:
    """A request under way."""
    return asyncio.create_task(gatherer.row(STATEMENT, {"market": market, "limit": 5}, varying="market"))


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_who_ask_together_are_asked_for_together(server: Server, gatherer: batching.Gatherer) -> None:
    """One statement for all values at once, each with its own row; equal requests are one value."""
    asking = [ask(gatherer, market) for market in ("a", "b", "a", "nothing")]
    await settle()
    server.go.release()
    assert await asyncio.gather(*asking) == [("a", 0), ("b", 0), ("a", 0), None]
    assert server.asked == [["a", "b", "nothing"]]


async def test_nobody_is_answered_with_what_was_read_before_he_asked(
    server: Server, gatherer: batching.Gatherer
) -> None:
    """Who asks while statements are under way waits for one that begins afterwards."""
    early = [ask(gatherer, "a")]
    await settle()
    early.append(ask(gatherer, "b"))
    await settle()
    server.truth = 1
    late = [ask(gatherer, "a"), ask(gatherer, "b")]
    await settle()
    assert server.asked == [["a"], ["b"]]
    for _ in range(4):
        server.go.release()
    assert await asyncio.gather(*early) == [("a", 0), ("b", 0)]
    assert await asyncio.gather(*late) == [("a", 1), ("b", 1)]


async def test_a_failure_reaches_those_it_concerns(server: Server, gatherer: batching.Gatherer) -> None:
    """Everyone of a failed statement is told; the next one begins anew."""
    asking = [ask(gatherer, "a"), ask(gatherer, "b")]
    await settle()
    server.error = RuntimeError("staged")
    server.go.release()
    assert [type(error) for error in await asyncio.gather(*asking, return_exceptions=True)] == [RuntimeError] * 2
    server.error = None
    server.go.release()
    assert await ask(gatherer, "a") == ("a", 0)


async def test_who_leaves_takes_nobody_along(server: Server, gatherer: batching.Gatherer) -> None:
    """A caller that hangs up does not end the statement others wait for."""
    leaving, staying = ask(gatherer, "a"), ask(gatherer, "a")
    await settle()
    leaving.cancel()
    await settle()
    server.go.release()
    assert await staying == ("a", 0)


async def test_a_crowd_is_served_in_bounded_statements(server: Server, gatherer: batching.Gatherer) -> None:
    """No statement has more values than its bound, and all are answered."""
    asking = [ask(gatherer, str(number)) for number in range(100)]
    for _ in range(100):
        server.go.release()
    answers = await asyncio.gather(*asking)
    assert [answer[0] for answer in answers] == [str(number) for number in range(100)]
    assert max(map(len, server.asked)) <= batching.MOST_VALUES


async def test_a_statement_asks_in_one_order(server: Server, gatherer: batching.Gatherer) -> None:
    """Two statements that lock a row for each value lock them in the same order, and never wait in a circle."""
    first = [ask(gatherer, "a"), ask(gatherer, "b")]
    await settle()
    later = [ask(gatherer, name) for name in ("d", "c", "e")]
    await settle()
    for _ in range(3):
        server.go.release()
    await asyncio.gather(*first, *later)
    assert server.asked[-1] == ["c", "d", "e"]
