"""Which database answers a request, and what happens when a standby cancels a read."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any, cast

import psycopg
import pytest

from api.auth import api_keys
from api.middleware.rate_limit import AllowanceBlock, MemoryLease, RateLimiter
from api.reads import standby
from api.reads.database import ReadDatabase
from zmart import errors
from zmart.db import feed

EPOCH = "3d75056b-1cc3-413a-b2ef-bfe146b0f050"
OTHER = "00000000-1cc3-413a-b2ef-bfe146b0f050"


class FixedHead:
    """A database whose log ends here; None is a database that is away."""

    def __init__(self, seq: int | None, epoch: str = EPOCH, mark: str | None = None) -> None:
        self.seq = seq
        self.epoch = epoch
        self.mark = mark
        self.reads = 0

    async def own_history(self, seq: int | None = None) -> standby.History:
        """The end of the log, with one mark for all of it."""
        self.reads += 1
        if self.seq is None:
            raise errors.Unavailable("away")
        return standby.History(feed.FeedPosition(self.epoch, self.seq, self.mark), self.mark)


class SteppingClock:
    """A clock that moves a tenth of a second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        self.now += 0.1
        return self.now


class RouteHandler:
    """A route's handler with its options."""

    def __init__(self, **opt: bool) -> None:
        self.opt = opt


def request(method: str = "GET", *, is_read: bool = False, **headers: str) -> Any:
    """A scope with headers."""
    pairs = [(name.replace("_", "-").encode(), text.encode()) for name, text in headers.items()]
    return {"type": "http", "method": method, "headers": pairs, "route_handler": RouteHandler(is_read=is_read)}


def answer(status: int) -> Any:
    """The beginning of an answer."""
    return {"type": "http.response.start", "status": status, "headers": []}


async def test_only_reads_go_to_the_standby() -> None:
    """A position that it has, as well; one that it lacks, of another log, or without a standby: the primary."""
    choice = standby.ReadChoice(FixedHead(5), FixedHead(9), SteppingClock())
    assert await choice.is_for_standby(request())
    assert not await choice.is_for_standby(request("POST"))
    assert await choice.is_for_standby(request(zmart_min_position=f"{EPOCH}:5"))
    assert not await choice.is_for_standby(request(zmart_min_position=f"{EPOCH}:6"))
    assert not await choice.is_for_standby(request(zmart_min_position=f"{OTHER}:1"))
    with pytest.raises(errors.InvalidInput):
        await choice.is_for_standby(request(zmart_min_position="6"))
    away = standby.ReadChoice(FixedHead(None), FixedHead(9), SteppingClock())
    assert not await away.is_for_standby(request(zmart_min_position=f"{EPOCH}:5"))


async def test_a_session_reads_its_own_write() -> None:
    """For some seconds; other sessions do not wait. Where the primary is away, nobody knows what it wrote."""
    clock = SteppingClock()
    primary = FixedHead(9)
    choice = standby.ReadChoice(FixedHead(5), primary, clock)
    await choice.record_write(answer(201), request("POST", authorization="Bearer a"))
    assert not await choice.is_for_standby(request(authorization="Bearer a"))
    assert await choice.is_for_standby(request(authorization="Bearer b"))
    assert await choice.is_for_standby(request())
    primary.seq = None
    clock.now = 0.2
    with pytest.raises(errors.Unavailable):
        await choice.is_for_standby(request(authorization="Bearer a"))
    clock.now = 100.0
    assert await choice.is_for_standby(request(authorization="Bearer a"))


@pytest.mark.parametrize(
    ("status", "is_read", "counts"),
    [(201, False, True), (500, False, True), (200, True, False), (409, False, False), (503, False, False)],
)
async def test_only_an_answer_to_a_write_counts(status: int, *, is_read: bool, counts: bool) -> None:
    """A refused write, or a POST that reads, sends nobody to the primary; an unknown outcome does. While the primary is
    away, whoever was refused goes on reading the standby."""
    primary = FixedHead(9)
    choice = standby.ReadChoice(FixedHead(5), primary, SteppingClock())
    await choice.record_write(answer(status), request("POST", is_read=is_read, authorization="Bearer a"))
    assert await choice.is_for_standby(request(authorization="Bearer a")) != counts
    assert (primary.reads > 0) == counts


async def test_the_copy_of_another_history_does_not_answer() -> None:
    """It has the position's seq in the same epoch, and another mark; without a position nothing is known of it."""
    there, here = "1" * 16, "2" * 16
    choice = standby.ReadChoice(FixedHead(9, mark=there), FixedHead(9, mark=here), SteppingClock())
    assert not await choice.is_for_standby(request(zmart_min_position=f"{EPOCH}:5:{here}"))
    assert await choice.is_for_standby(request(zmart_min_position=f"{EPOCH}:5:{there}"))
    assert await choice.is_for_standby(request(zmart_min_position=f"{EPOCH}:5"))
    await choice.record_write(answer(201), request("POST", authorization="Bearer a"))
    assert not await choice.is_for_standby(request(authorization="Bearer a"))
    assert not standby.has_reached(feed.FeedPosition(EPOCH, 5, there), feed.FeedPosition(EPOCH, 5, here))


async def test_keys_are_looked_up_on_the_primary() -> None:
    """A standby learns later that one was revoked. While the primary is away, the standby answers for some seconds."""
    now, asked = 0.0, []
    is_away = False

    async def on_primary(secret_hash: str) -> api_keys.KeyClaims | None:
        asked.append("primary")
        if is_away:
            raise errors.Unavailable("away")
        return None

    async def on_standby(secret_hash: str) -> api_keys.KeyClaims | None:
        asked.append("standby")
        return None

    find = api_keys.find_with_standby(on_primary, on_standby, lambda: now)
    await find("a")
    is_away = True
    await find("a")
    await find("b")
    now = api_keys.AWAY_SECONDS
    is_away = False
    await find("a")
    assert asked == ["primary", "primary", "standby", "standby", "primary"]


class ScriptedPool:
    """Connections whose statements raise these errors, one after another, and then return a row."""

    def __init__(self, name: str, *failures: Exception) -> None:
        self.name = name
        self.failures = list(failures)
        self.statements = 0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[ScriptedPool]:
        """Lend itself."""
        yield self

    async def check(self) -> None:
        """Nothing to check."""

    async def execute(self, statement: str, parameters: Any) -> ScriptedPool:
        """Fail or succeed."""
        self.statements += 1
        if self.failures:
            raise self.failures.pop(0)
        return self

    async def fetchall(self) -> list[tuple[Any, ...]]:
        """One row."""
        return [(self.name,)]


def cancelled() -> Exception:
    """The error of a read that replay cancels."""
    return psycopg.errors.SerializationFailure("canceling statement due to conflict with recovery")


@pytest.mark.parametrize(
    ("failures", "answered_by", "tries"),
    [
        ([], "standby", 1),
        ([cancelled()], "standby", 2),
        ([cancelled(), cancelled()], "primary", 2),
        ([psycopg.OperationalError("gone"), psycopg.OperationalError("gone")], "primary", 2),
    ],
)
async def test_a_read_that_replay_cancels_is_tried_once_more(
    failures: list[Exception], answered_by: str, tries: int
) -> None:
    """Then on the primary, as is one of a standby that is away."""
    pool, primary = ScriptedPool("standby", *failures), ScriptedPool("primary")
    database = ReadDatabase(cast("Any", pool), fallback=ReadDatabase(cast("Any", primary)))
    assert await database.rows("select") == [(answered_by,)]
    assert pool.statements == tries
    with pytest.raises(errors.Overloaded):
        await ReadDatabase(cast("Any", ScriptedPool("alone", cancelled()))).rows("select")


async def test_limits_count_in_memory_while_the_primary_is_away() -> None:
    """Once a window, and the primary is asked again after seconds."""
    now = 0.0
    asked = 0

    async def lease(bucket: str, weight: int) -> AllowanceBlock:
        nonlocal asked
        asked += 1
        raise errors.Unavailable("away")

    limiter = RateLimiter(MemoryLease(lease, 10, lambda: now).lease, lambda: now)
    allowed = [(await limiter.take("ip a", 1)).allowed for _ in range(12)]
    assert allowed == [True] * 10 + [False] * 2
    assert asked == 1
    now = 61.0
    assert (await limiter.take("ip a", 1)).allowed
    assert asked == 2
