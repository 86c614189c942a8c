"""Two transactions at one place: the marts depend on the set of them, never on the order of arrival."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import event_histories
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_replay import COMPARED_MARTS, cut, differing, forget, place, rows_as_text  # noqa: F401 - `place` is a fixture

from ingest.records import TransactionRow
from ingest.store.arrays import provisional_index
from ingest.store.writer import Writer
from zmart import testing

#: (signature, order_key) of every event that is not retracted.
PLACES = "select signature, position from log.events where retracted_at is null order by signature, position"


def crowded(seed: int) -> list[TransactionRow]:
    """A story in six slots, most of it at places that other transactions claim, too, and some without a place."""
    draw = random.Random(seed)
    return [
        row._replace(slot=1000 + number // 7, index_in_block=draw.choice((None, 0, 0, 1, 32_767)))
        for number, row in enumerate(event_histories.generate(seed, markets=2, length=36))
    ]


async def happen(
    place: testing.PostgresDatabase,  # noqa: F811 - the fixture's value
    batches: Sequence[Sequence[TransactionRow]],
    gone: Sequence[str],
    settled: dict[int, dict[str, int]],
) -> None:
    """Deliver batches, retract some, settle some."""
    writer = await Writer.connect(place.dsn("zmart_ingest"))
    for batch in batches:
        await writer.append(batch, source="walk")
    await writer.retract(gone)
    for slot, places in settled.items():
        await writer.set_block_order(slot, places)
    await writer.close()


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 10**6), order=st.integers(0, 10**6))
def test_one_place_is_one_transactions_whoever_came_first(
    place: testing.PostgresDatabase,  # noqa: F811
    seed: int,
    order: int,
) -> None:
    """For any order of arrival of a crowded history, and any retractions and settlements, places and marts are equal,
    no two events share a place, and live equals rebuilt."""
    draw = random.Random(order)
    story = crowded(seed)
    gone = [row.signature for row in draw.sample(story, len(story) // 6)]
    unknown = [row for row in story if row.index_in_block is None]
    settled: dict[int, dict[str, int]] = {}
    for row in draw.sample(unknown, len(unknown) // 2):
        settled.setdefault(row.slot, {})[row.signature] = draw.randrange(3)
    shuffled = story + draw.sample(story, len(story) // 4)
    draw.shuffle(shuffled)

    outcomes = []
    with place.connect() as connection:
        for batches in ([story], cut(shuffled, draw)):
            forget(connection)
            asyncio.run(happen(place, batches, gone, settled))
            assert connection.execute("select name, reason from ops.model_status where is_stale").fetchall() == []
            assert differing(place) == {}
            places = connection.execute(PLACES).fetchall()
            assert len({key for _, key in places}) == len(places)
            outcomes.append(
                (places, {m: rows_as_text(connection, m, without) for m, without in COMPARED_MARTS.items()})
            )

    assert outcomes[0] == outcomes[1]


def test_a_settled_place_is_not_given_away(place: testing.PostgresDatabase) -> None:  # noqa: F811
    """A transaction with a known place has that place; a guess goes to the end, and returns when the place is free."""
    first, second = event_histories.generate(3)[:2]
    guess = first._replace(slot=5, index_in_block=None)
    known = second._replace(slot=5, index_in_block=provisional_index(first.signature))
    own = 5 << 24 | provisional_index(first.signature) << 9

    async def run() -> list[object]:
        writer = await Writer.connect(place.dsn("zmart_ingest"))
        await writer.append([guess], source="webhook")
        await writer.append([known], source="webhook")
        shared = connection.execute(PLACES).fetchall()
        await writer.retract([known.signature])
        alone = connection.execute(PLACES).fetchall()
        await writer.close()
        return [dict(shared), dict(alone)]

    with place.connect() as connection:
        forget(connection)
        shared, alone = asyncio.run(run())

    assert shared == {known.signature: own, guess.signature: 5 << 24 | 32_767 << 9}
    assert alone == {guess.signature: own}


def test_what_lands_again_keeps_the_place_that_is_known_of_it(place: testing.PostgresDatabase) -> None:  # noqa: F811
    """Retracted, then delivered again by a source that does not know its index."""
    known = event_histories.generate(3)[0]._replace(slot=5, index_in_block=9)

    async def run() -> list[object]:
        writer = await Writer.connect(place.dsn("zmart_ingest"))
        await writer.append([known], source="walk")
        await writer.retract([known.signature])
        await writer.append([known._replace(index_in_block=None)], source="webhook")
        await writer.close()
        return [key for _, key in connection.execute(PLACES).fetchall()]

    with place.connect() as connection:
        forget(connection)
        assert asyncio.run(run()) == [5 << 24 | 9 << 9]
        assert differing(place) == {}


@pytest.mark.parametrize("number", range(3))
def test_python_and_postgres_guess_the_same_place(place: testing.PostgresDatabase, number: int) -> None:  # noqa: F811
    """The substitute for an unknown index is the same function in two languages."""
    named = event_histories.signature(number)
    with place.connect() as connection:
        assert connection.execute("select raw.provisional_index(%s)", (named,)).fetchone() == (
            provisional_index(named),
        )
