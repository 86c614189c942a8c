"""A mart of another shape replaces the live one: readers, snapshots, views and grants continue to work."""

from __future__ import annotations

import concurrent.futures
from typing import Any, TypeAlias

import event_histories
import psycopg
import pytest
from test_scheduled import deliver, one, polling

from zmart import testing
from zmart.run.deploy import rebuild

Connection: TypeAlias = psycopg.Connection[Any]


def put_beside(connection: Connection, mart: str) -> None:
    """A copy of a mart with one more column, where a deployment would have built it."""
    columns = ", ".join(
        str(name)
        for (name,) in connection.execute(
            "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and attgenerated = ''",
            (f"marts.{mart}",),
        )
    )
    connection.execute(f"create table marts.{mart}__beside (like marts.{mart} including all)")
    connection.execute(f"insert into marts.{mart}__beside ({columns}) select {columns} from marts.{mart}")
    connection.execute(f"alter table marts.{mart}__beside add column newly int")


def swap(connection: Connection, mart: str) -> int:
    """Try like a deployment until no reader blocks it; return the number of attempts."""
    for attempt in range(1, 400):
        try:
            connection.execute("select folds.swap(%s)", (mart,))
        except psycopg.errors.LockNotAvailable:
            continue
        return attempt
    raise AssertionError("the swap never succeeded")


def test_a_reader_and_an_older_snapshot_notice_nothing(marts_database: testing.PostgresDatabase) -> None:
    """A reader of the old table keeps its snapshot: the swap backs off, blocks no one, and succeeds in the end."""
    deliver(marts_database, event_histories.generate(5))
    ask = "select count(*) from marts.markets"
    with (
        marts_database.connect() as owner,
        marts_database.connect("analyst") as reader,
        polling(marts_database, ask) as failures,
        concurrent.futures.ThreadPoolExecutor() as pool,
    ):
        put_beside(owner, "markets")
        with reader.transaction():
            reader.execute("set transaction isolation level repeatable read")
            before = one(reader, ask)
            swapping = pool.submit(swap, owner, "markets")
            deliver(marts_database, event_histories.generate(6)[:5])
            assert one(reader, ask) == before
            assert before != (0,)
        assert swapping.result(timeout=60) >= 1
        assert one(reader, "select count(newly) from marts.markets") == (0,)
    assert failures == []


def test_an_older_snapshot_sees_its_rows_through_a_rebuild(marts_database: testing.PostgresDatabase) -> None:
    """A rebuild changes rows in place: an earlier snapshot that has not read yet finds the earlier rows."""
    deliver(marts_database, event_histories.generate(5))
    with marts_database.connect() as owner, marts_database.connect("analyst") as reader:
        owner.execute("update marts.positions set total_invested = total_invested + 1")
        expected = one(owner, "select count(*), sum(total_invested) from marts.positions")
        with reader.transaction():
            reader.execute("set transaction isolation level repeatable read")
            reader.execute("select 1")
            assert rebuild.rebuild(marts_database.dsn(), ["positions"], report=lambda _: None) > 0
            assert one(reader, "select count(*), sum(total_invested) from marts.positions") == expected
        assert one(reader, "select count(*), sum(total_invested) from marts.positions") != expected


def test_views_come_back_with_all_they_had(marts_database: testing.PostgresDatabase) -> None:
    """Options, grants, comments of view and columns, on views of views, in other schemas too."""
    with marts_database.connect() as owner:
        owner.execute("create schema reports")
        owner.execute(
            "create view reports.busy with (security_barrier) as select market_no, trades_count from marts.markets"
        )
        owner.execute("create view reports.busiest as select max(trades_count) as most from reports.busy")
        owner.execute("comment on view reports.busy is 'What trades'")
        owner.execute("comment on column reports.busiest.most is 'How much'")
        owner.execute("grant select on reports.busiest to analyst")
        owner.execute("grant select on reports.busy to public")
        view_properties = (
            "select c.relname, c.reloptions, c.relacl::text, obj_description(c.oid), col_description(c.oid, 1)"
            " from pg_class as c where c.relnamespace = 'reports'::regnamespace order by 1"
        )
        before = owner.execute(view_properties).fetchall()
        put_beside(owner, "markets")
        swap(owner, "markets")
        assert owner.execute(view_properties).fetchall() == before
        assert len(before) == 2


def test_a_materialized_view_on_top_is_refused_with_its_name(marts_database: testing.PostgresDatabase) -> None:
    """It would be created again without its data, so it is not dropped."""
    with marts_database.connect() as owner:
        owner.execute("create materialized view public.mine as select count(*) as n from marts.markets")
        put_beside(owner, "markets")
        with pytest.raises(psycopg.Error, match=r"mine depends on marts\.markets .* Drop it, deploy"):
            swap(owner, "markets")
        assert one(owner, "select n from public.mine") == (0,)


def test_mart_that_stays_in_place_gets_its_new_indexes(marts_database: testing.PostgresDatabase) -> None:
    """Indexes of the models that the live tables lack are created, outside a transaction; a second run creates none."""
    with marts_database.connect() as owner:
        assert rebuild.create_indexes(marts_database.dsn()) == []
        owner.execute("drop index marts.markets__beside_creator_wallet_idx")
        owner.execute("drop index marts.leaderboard__beside_period_volume_rank_user_wallet_idx")
        table = one(owner, "select 'marts.markets'::regclass::oid")

        made = rebuild.create_indexes(marts_database.dsn())

        assert sorted(statement.split(" using ")[1] for statement in made) == [
            "btree (creator_wallet)",
            "btree (period, volume_rank, user_wallet)",
        ]
        assert rebuild.create_indexes(marts_database.dsn()) == []
        assert one(owner, "select 'marts.markets'::regclass::oid") == table
