"""Marts as of a slot: the rows that they would have if the log ended with it, from the text of the live folds."""

from __future__ import annotations

import random

import event_histories
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_replay import COMPARED_MARTS, deliver, forget, place  # noqa: F401 - `place` is a fixture

from zmart import testing
from zmart.db import queries

#: Views and folded marts that have a version as of a slot, with the columns that depend on the order of arrival.
ASKED = {**COMPARED_MARTS, "vote_tallies": "market_no, last_seq"}
LAST_SLOT = 2**62


def mart_rows(connection: psycopg.Connection[tuple[object, ...]], relation: str, mart: str) -> list[str]:
    """Return the rows of a mart, or of the mart as of a slot, sorted."""
    columns = "{" + ASKED[mart].replace(" ", "") + "}"
    rows = connection.execute(
        f"select (to_jsonb(m) - %s::text[])::text from marts.{relation} as m order by 1", (columns,)
    )
    return [str(text) for (text,) in rows]


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), order=st.integers(0, 10**6))
def test_mart_as_of_a_slot_equals_a_log_that_ends_there(
    place: testing.PostgresDatabase,  # noqa: F811 - the fixture's value
    seed: int,
    order: int,
) -> None:
    """Every mart as of a slot equals the mart over the history up to it, in any order of arrival."""
    draw = random.Random(order)
    story = event_histories.generate(seed)
    slot = draw.choice(story).slot
    deliver(place, [[row for row in story if row.slot <= slot]])
    with place.connect() as owner:
        then = {mart: mart_rows(owner, mart, mart) for mart in ASKED}

    deliver(place, [draw.sample(story, len(story))])
    with place.connect("analyst") as analyst:
        asked = {mart: mart_rows(analyst, f"{mart}_as_of({slot})", mart) for mart in ASKED}
        whole = {mart: mart_rows(analyst, f"{mart}_as_of({LAST_SLOT})", mart) for mart in ASKED}
        now = {mart: mart_rows(analyst, mart, mart) for mart in ASKED}
        nothing = {mart: mart_rows(analyst, f"{mart}_as_of(0)", mart) for mart in ASKED}

    assert asked == then
    assert whole == now
    assert nothing == {mart: [] for mart in ASKED}


def test_one_market_is_asked_as_of_a_slot_alone(place: testing.PostgresDatabase) -> None:  # noqa: F811 - the fixture's value
    """With a market, only its rows are folded and returned."""
    deliver(place, [event_histories.generate(11)])
    with place.connect("analyst") as analyst:
        numbers = [number for (number,) in analyst.execute("select market_no from markets order by 1")]
        for mart in ("markets", "positions", "vote_tallies", "trades"):
            every = analyst.execute(
                f"select * from {mart}_as_of(%s) where market_no = %s order by 1, 2, 3", (1010, numbers[0])
            )
            alone = analyst.execute(f"select * from {mart}_as_of(%s, %s) order by 1, 2, 3", (1010, numbers[0]))
            assert alone.fetchall() == every.fetchall()
    assert len(numbers) > 1


def test_a_ballot_cast_here_belongs_to_the_slot_before_the_next_event(
    place: testing.PostgresDatabase,  # noqa: F811 - the fixture's value
) -> None:
    """It has an instant and no place: it counts from the last slot whose successor it precedes."""
    story = event_histories.EventHistory(3)
    story.append(("MarketCreated", 1, 1, {"b_parameter": "100000000000", "state": 0}, {"initial_liquidity": "1"}))
    for wallet in (2, 3, 4, 5):
        story.append(("ProposalVoteSubmitted", 1, wallet, {"vote": True}, None))
    deliver(place, [story.transactions])
    with place.connect() as owner:
        # The story's clock is in the past; a ballot cast now comes after all of it.
        with owner.transaction():
            owner.execute("select set_config('zmart.wallet', %s, true)", (event_histories.address(77),))
            owner.execute("select app.cast_ballot(%s, 'proposal', false, 'no', 'one')", (f"{1:064x}",))
        counts = "select disagree, off_chain_unseen_disagree from marts.vote_tallies_as_of(%s)"
        assert owner.execute(counts, (1000,)).fetchall() == [(0, 0)]
        assert owner.execute(counts, (1001,)).fetchall() == [(1, 1)]
        forget(owner)


def test_a_dispute_that_came_later_moves_no_deadline(
    place: testing.PostgresDatabase,  # noqa: F811 - the fixture's value
) -> None:
    """An upheld dispute may be followed by another: as of a slot before it, the first one's clock counts ballots."""
    story = event_histories.EventHistory(4)
    story.append(("MarketCreated", 1, 1, {"b_parameter": "100000000000", "state": 0}, {"initial_liquidity": "1"}))
    story.append(("DisputeInitiated", 1, 2, {"disputed_outcome": True}, None))
    story.append(("DisputeVoteSubmitted", 1, 3, {"vote": True}, None))
    first = story.transactions[-2].events[0].clock
    for _ in range(9):
        story.append(("ProposalVoteSubmitted", 1, 4, {"vote": True}, None))
    story.append(("DisputeInitiated", 1, 2, {"disputed_outcome": False}, None))
    second = story.transactions[-1].events[0].clock
    assert first < second
    deliver(place, [story.transactions])
    closes = (
        "select total, extract(epoch from voting_closes_at)::bigint - 259200 from marts.vote_tallies_as_of(%s)"
        " where kind = 'dispute'"
    )
    with place.connect("analyst") as analyst:
        assert analyst.execute(closes, (1000,)).fetchall() == [(1, first)]
        assert analyst.execute(closes, (LAST_SLOT,)).fetchall() == [(1, second)]


def test_an_analyst_is_bounded_there_too(place: testing.PostgresDatabase) -> None:  # noqa: F811 - the fixture's value
    """The statement's time counts while history is folded."""
    deliver(place, [event_histories.generate(5)])
    with place.connect("analyst") as analyst:
        analyst.execute("set statement_timeout = '50ms'")
        with pytest.raises(psycopg.errors.QueryCanceled) as caught:
            analyst.execute("select count(*) from generate_series(1, 10000) as n, markets_as_of(2000 + n % 2)")
    assert "markets_as_of" in str(caught.value)


def test_regeneration_writes_missing_functions(place: testing.PostgresDatabase) -> None:  # noqa: F811 - the fixture's value
    """When a function of the folds changes, `zmart migrate` writes the functions of installed models again."""
    statement = queries.load("zmart.db", "history.sql").regenerate_model_functions
    with place.connect() as owner, owner.transaction(force_rollback=True):
        owner.execute("drop function marts.markets_as_of(bigint, int)")
        owner.execute(statement)
        assert owner.execute("select count(*) from marts.markets_as_of(1)").fetchone() == (0,)
