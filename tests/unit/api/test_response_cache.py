"""Cached responses are used while the end of the log is unchanged, for a second at most, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from api.reads import response_cache


@dataclass(frozen=True)
class FakeAnswer:
    """A response that was read at a position."""

    position: response_cache.PositionKey
    body: bytes | None = b"{}"


class CacheHarness:
    """A cache with a log and a clock that the test sets."""

    def __init__(self) -> None:
        self.head: response_cache.PositionKey | None = ("epoch", 7)
        self.now = 100.0
        self.head_reads = 0
        self.cache = response_cache.ResponseCache[FakeAnswer](
            self.read_head, most_bytes=1 << 20, clock=lambda: self.now
        )

    async def read_head(self) -> response_cache.PositionKey | None:
        """Return the end of the log."""
        self.head_reads += 1
        return self.head

    def read(self, key: str, body: bytes = b"{}", seq: int = 7) -> FakeAnswer:
        """Read and cache a response."""
        answer = FakeAnswer(("epoch", seq), body)
        self.cache.store(key, answer, self.cache.begin_read())
        return answer


@pytest.fixture
def world() -> CacheHarness:
    """A log that ends at 7."""
    return CacheHarness()


async def test_a_response_is_cached_after_one_head_read(world: CacheHarness) -> None:
    """Each use reads the end of the log; a response that is not cached needs no such read."""
    assert await world.cache.find("page") is None
    assert world.head_reads == 0
    answer = world.read("page")
    assert await world.cache.find("page") is answer
    assert await world.cache.find("page") is answer
    assert world.head_reads == 2


@pytest.mark.parametrize("head", [("epoch", 8), ("epoch", 6), ("another", 7), None])
async def test_a_response_is_dropped_when_the_head_changes(
    world: CacheHarness, head: response_cache.PositionKey | None
) -> None:
    """One entry more, a restored database, no database: it is read again."""
    world.read("page")
    world.head = head
    assert await world.cache.find("page") is None
    assert world.cache.size_bytes == 0


async def test_a_response_of_an_earlier_position_is_not_cached(world: CacheHarness) -> None:
    """A mart that stopped reflects the entry where it stopped; it may be rebuilt at any time."""
    world.read("page", seq=5)
    assert await world.cache.find("page") is None


async def test_a_response_outdated_by_another_needs_no_head_read(world: CacheHarness) -> None:
    """The log does not go back: after a response of a later position, earlier ones are read again at once."""
    world.read("page")
    world.read("other", seq=8)
    assert await world.cache.find("page") is None
    assert world.head_reads == 0
    world.head = ("epoch", 8)
    assert await world.cache.find("other") is not None


async def test_a_head_read_drops_all_older_responses(world: CacheHarness) -> None:
    """One read of the end decides about all older responses."""
    world.read("page")
    world.read("other")
    world.head = ("epoch", 8)
    assert await world.cache.find("page") is None
    assert await world.cache.find("other") is None
    assert world.head_reads == 1


async def test_responses_are_cached_for_at_most_one_second(world: CacheHarness) -> None:
    """The age counts from the start of the read, and is checked without a statement."""
    pending = world.cache.begin_read()
    world.now += 0.6
    world.cache.store("page", FakeAnswer(("epoch", 7)), pending)
    assert await world.cache.find("page") is not None
    world.now += 0.4
    head_reads = world.head_reads
    assert await world.cache.find("page") is None
    assert world.head_reads == head_reads


async def test_a_write_invalidates_the_cache(world: CacheHarness) -> None:
    """Neither responses cached before, nor those being read at the time."""
    world.read("page")
    pending = world.cache.begin_read()
    world.cache.invalidate()
    assert world.cache.size_bytes == 0
    world.cache.store("other", FakeAnswer(("epoch", 7)), pending)
    assert await world.cache.find("page") is None
    assert await world.cache.find("other") is None


async def test_memory_is_bounded(world: CacheHarness) -> None:
    """The least recently used is dropped first; one huge body displaces nothing; none at all is not cached."""
    for number in range(40):
        world.read(str(number), b"x" * 30_000)
        assert await world.cache.find("0") is not None
    assert world.cache.size_bytes <= 1 << 20
    assert await world.cache.find("1") is None
    assert await world.cache.find("39") is not None
    before = world.cache.size_bytes
    world.read("huge", b"x" * (1 << 20))
    world.cache.store("missing", FakeAnswer(("epoch", 7), None), world.cache.begin_read())
    assert world.cache.size_bytes == before
    assert await world.cache.find("huge") is None


async def test_a_zero_budget_disables_the_cache() -> None:
    """RESPONSE_CACHE_MIB=0."""
    world = CacheHarness()
    world.cache = response_cache.ResponseCache(world.read_head, most_bytes=0)
    world.read("page")
    assert await world.cache.find("page") is None
