"""`marts.slot_at(instant)`: the slot for `marts.<mart>_as_of(slot)`, found by the index on order keys."""

from __future__ import annotations

import event_histories
import pytest
from test_replay import deliver

from zmart import testing

#: Seconds of the chain's clock at slot 0 of this history; it advances by two seconds in five slots.
BEGINNING = 1_762_600_000
ROLES = ("analyst", "zmart_api", "zmart_keeper")
#: Every whole second around the history, and the answer by the definition.
DIFFERENT = """
    select count(*)
    from generate_series(%(first)s - 5, %(last)s + 5) as instant (clock)
    where marts.slot_at(to_timestamp(instant.clock + 0.7)) is distinct from (
        select max(e.order_key >> 24) from raw.events as e where e.retracted_at is null and e.clock <= instant.clock
    )
"""


@pytest.fixture
def history(marts_database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """A history with gaps of slots, retracted events and a clock that never goes back."""
    deliver(marts_database, [event_histories.generate(seed) for seed in (1, 2, 3)])
    with marts_database.connect() as owner:
        # Slots become sparse: most of the slots that a search halves to have no event.
        owner.execute("update raw.events set order_key = (seq / 2 * 997) << 24")
        owner.execute("update raw.events set clock = %s + (order_key >> 24) * 2 / 5000", (BEGINNING,))
        owner.execute("update raw.events set retracted_at = now() where seq % 7 < 2")
    return marts_database


def test_every_instant_has_the_slot_of_the_definition(history: testing.PostgresDatabase) -> None:
    """Before, between, at and after the events, with fractions of a second."""
    with history.connect("analyst") as analyst:
        first, last, slots = analyst.execute(
            "select min(clock), max(clock), count(distinct order_key >> 24) from raw.events where retracted_at is null"
        ).fetchone() or (0, 0, 0)
        assert analyst.execute(DIFFERENT, {"first": first, "last": last}).fetchone() == (0,)
    assert int(str(slots)) > 50


def test_it_is_null_where_there_is_no_slot(history: testing.PostgresDatabase) -> None:
    """Without an instant, before the first event, and in an empty log; after the last event it is the last slot."""
    with history.connect() as owner:
        newest = owner.execute("select max(order_key >> 24) from raw.events where retracted_at is null").fetchone()
        asked = "select array_agg(marts.slot_at(at)) from unnest(%s::timestamptz []) as instants (at)"
        instants = [None, "-infinity", "2025-01-01", "infinity"]
        assert owner.execute(asked, (instants,)).fetchone() == ([None, None, None, *(newest or ())],)
        owner.execute("truncate raw.events cascade")
        assert owner.execute("select marts.slot_at(now())").fetchone() == (None,)


@pytest.mark.parametrize("role", ROLES)
def test_it_reads_by_index(history: testing.PostgresDatabase, role: str) -> None:
    """A search reads at most 45 rows, however long the log is, and none without the index."""
    with history.connect() as owner:
        owner.execute("analyze raw.events")
    counts = (
        "select seq_scan, seq_tup_read, idx_scan, idx_tup_fetch from pg_stat_xact_user_tables where relname = 'events'"
    )
    with history.connect(role) as reader, reader.transaction():
        # Reading all of some hundred rows is as cheap; of a log it is not.
        reader.execute("set local enable_seqscan = off")
        reader.execute(
            "select marts.slot_at(to_timestamp(clock)) from (select %s::float8 + 400) as t (clock)", (BEGINNING,)
        )
        found = reader.execute(counts).fetchone()
    assert found is not None
    scans, read_whole, by_index, fetched = (int(str(number)) for number in found)
    assert (scans, read_whole) == (0, 0)
    assert 2 < by_index <= 45
    assert fetched <= 60
