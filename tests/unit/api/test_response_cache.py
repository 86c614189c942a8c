"""Answers are given again while the log ends where they were read, for a second at most, in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from api.reads import response_cache


@dataclass(frozen=True)
class Answer:
    """What is true of a place."""

    place: response_cache.Place
    body: bytes | None = b"{}"


class World:
    """A log, a clock, and what is kept of them."""

    def __init__(self) -> None:
        self.end: response_cache.Place | None = ("epoch", 7)
        self.now = 100.0
        self.looks = 0
        self.kept = response_cache.Kept[Answer](self.look, most_bytes=1 << 20, clock=lambda: self.now)

    async def look(self) -> response_cache.Place | None:
        """Where the log ends."""
        self.looks += 1
        return self.end

    def read(self, asked: str, body: bytes = b"{}", seq: int = 7) -> Answer:
        """Read and keep an answer."""
        answer = Answer(("epoch", seq), body)
        self.kept.keep(asked, answer, self.kept.reading())
        return answer


@pytest.fixture
def world() -> World:
    """A log that ends at 7."""
    return World()


async def test_an_answer_is_given_again_after_one_look(world: World) -> None:
    """Each time it is looked up where the log ends; what nobody read needs no look."""
    assert await world.kept.find("page") is None
    assert world.looks == 0
    answer = world.read("page")
    assert await world.kept.find("page") is answer
    assert await world.kept.find("page") is answer
    assert world.looks == 2


@pytest.mark.parametrize("end", [("epoch", 8), ("epoch", 6), ("another", 7), None])
async def test_an_answer_goes_with_the_place_it_was_true_of(world: World, end: response_cache.Place | None) -> None:
    """One entry more, a restored database, no database: it is read again."""
    world.read("page")
    world.end = end
    assert await world.kept.find("page") is None
    assert world.kept.bytes == 0


async def test_an_answer_of_an_earlier_place_is_not_given_again(world: World) -> None:
    """A mart that stopped answers for the entry where it stopped; it may be built anew at any time."""
    world.read("page", seq=5)
    assert await world.kept.find("page") is None


async def test_what_another_answer_has_outdated_needs_no_look(world: World) -> None:
    """The log does not go back: once an answer told of a later place, those before it are read again at once."""
    world.read("page")
    world.read("other", seq=8)
    assert await world.kept.find("page") is None
    assert world.looks == 0
    world.end = ("epoch", 8)
    assert await world.kept.find("other") is not None


async def test_a_look_outdates_what_was_kept_before(world: World) -> None:
    """One look tells of all that is older than what it found."""
    world.read("page")
    world.read("other")
    world.end = ("epoch", 8)
    assert await world.kept.find("page") is None
    assert await world.kept.find("other") is None
    assert world.looks == 1


async def test_nothing_is_kept_for_longer_than_a_second(world: World) -> None:
    """The age counts from the beginning of the reading, and is judged without a look."""
    reading = world.kept.reading()
    world.now += 0.6
    world.kept.keep("page", Answer(("epoch", 7)), reading)
    assert await world.kept.find("page") is not None
    world.now += 0.4
    looks = world.looks
    assert await world.kept.find("page") is None
    assert world.looks == looks


async def test_who_wrote_finds_nothing_kept(world: World) -> None:
    """Neither what was kept before, nor what was being read meanwhile."""
    world.read("page")
    reading = world.kept.reading()
    world.kept.forget()
    assert world.kept.bytes == 0
    world.kept.keep("other", Answer(("epoch", 7)), reading)
    assert await world.kept.find("page") is None
    assert await world.kept.find("other") is None


async def test_memory_is_bounded(world: World) -> None:
    """What was not asked for longest goes first; one huge body pushes out nothing; none at all is not kept."""
    for number in range(40):
        world.read(str(number), b"x" * 30_000)
        assert await world.kept.find("0") is not None
    assert world.kept.bytes <= 1 << 20
    assert await world.kept.find("1") is None
    assert await world.kept.find("39") is not None
    before = world.kept.bytes
    world.read("huge", b"x" * (1 << 20))
    world.kept.keep("missing", Answer(("epoch", 7), None), world.kept.reading())
    assert world.kept.bytes == before
    assert await world.kept.find("huge") is None


async def test_without_memory_nothing_is_kept() -> None:
    """KEPT_MIB=0."""
    world = World()
    world.kept = response_cache.Kept(world.look, most_bytes=0)
    world.read("page")
    assert await world.kept.find("page") is None
