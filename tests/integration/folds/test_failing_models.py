"""A model that fails is behind alone and catches up by itself.

A failure that all models have is the server's, and a cancellation is the caller's: both reject the append.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
from typing import Any, TypeAlias

import event_histories
import psycopg
import pytest

from ingest.records import TransactionRow
from ingest.store.mart_retries import MartRetrier
from ingest.store.writer import Writer
from zmart import testing
from zmart.run.deploy import rebuild

Connection: TypeAlias = psycopg.Connection[Any]


@pytest.fixture
def unfolded(marts_database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """A log without any fold so far; `select folds.fold(0, ...)` is the writer's call."""

    async def run() -> None:
        writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
        await writer.append(event_histories.generate(3), source="webhook")
        await writer.close()

    with marts_database.connect() as owner:
        owner.execute("alter function folds.apply(bigint, bigint) rename to apply_later")
        asyncio.run(run())
        owner.execute("alter function folds.apply_later(bigint, bigint) rename to apply")
    return marts_database


def fold(connection: Connection) -> None:
    """Fold everything, as one statement."""
    connection.execute("select folds.fold(0, max(seq)) from raw.feed")


def behind(connection: Connection) -> dict[str, str]:
    """Return the models that are behind and retried, with the reasons; none is stale."""
    assert connection.execute("select name from ops.models where stale_since is not null").fetchall() == []
    rows = connection.execute("select name, reason from ops.model_status where is_behind order by name")
    return {str(name): str(reason) for name, reason in rows}


def on_every_row(connection: Connection, mart: str, does: str) -> None:
    """Install a trigger on every row that is written to a mart."""
    connection.execute(
        f"create or replace function public.spoil_{mart}() returns trigger language plpgsql"
        f" as $$ begin {does}; return new; end $$"
    )
    connection.execute(
        f"create trigger spoil before insert or update on marts.{mart} for each row execute function spoil_{mart}()"
    )


def catch_up(database: testing.PostgresDatabase) -> None:
    """Make every mart that is behind due, and retry like ingest."""

    async def run() -> None:
        marts = MartRetrier(database.dsn("zmart_ingest"))
        await marts.retry()
        await marts.stop()

    with database.connect() as owner:
        owner.execute("update ops.models set next_attempt_at = clock_timestamp() where next_attempt_at is not null")
    asyncio.run(run())


def spared(database: testing.PostgresDatabase, *spoilt: str) -> None:
    """Every other mart applies the window; the failing ones catch up by themselves once the cause is gone."""
    with database.connect() as owner:
        assert owner.execute("select count(*) from marts.trades").fetchone() != (0,) or "priced_trades" in spoilt
        for mart in spoilt:
            owner.execute(f"drop trigger if exists spoil on marts.{mart}")
        catch_up(database)
        assert behind(owner) == {}
        assert owner.execute("select count(*) from ops.alerts where resolved_at is null").fetchone() == (0,)
    assert [verdict for verdict in rebuild.verify(database.dsn()) if not verdict.is_consistent] == []


def test_a_model_that_takes_all_the_time_stops_alone(unfolded: testing.PostgresDatabase) -> None:
    """The statement's timeout occurs inside one model: that one stops, the others apply the window at once."""
    with unfolded.connect() as owner:
        on_every_row(owner, "positions", "perform pg_sleep(60)")
        owner.execute("set statement_timeout = '1500ms'")

        fold(owner)

        assert list(behind(owner)) == ["positions"]
        assert owner.execute("select failed_event from ops.models where name = 'positions'").fetchone() == (None,)
    spared(unfolded, "positions")


def test_a_shared_step_that_takes_all_the_time_stops_who_shares_it(unfolded: testing.PostgresDatabase) -> None:
    """The models that start with it stop, the others apply the window at once."""
    shares = "select array_agg(name order by name), min(staged_as) from ops.models where staged_as is not null"
    with unfolded.connect() as owner:
        models, step = owner.execute(shares).fetchone() or ([], "")
        assert models == ["candles_1m", "markets", "priced_trades"]
        (whole,) = owner.execute("select pg_get_functiondef(%s::regproc)", (f"folds.{step}",)).fetchone() or ("",)
        owner.execute(
            f"create or replace function folds.{step}(p_from bigint, p_to bigint) returns folds.{step} []"
            " language plpgsql as $$ begin perform pg_sleep(60); return null; end $$"
        )
        owner.execute("set statement_timeout = '1500ms'")

        fold(owner)

        assert list(behind(owner)) == models
        assert owner.execute("select count(*) from marts.positions").fetchone() != (0,)
        owner.execute("set statement_timeout = 0")
        owner.execute(whole.encode())
    spared(unfolded, *models)


def test_a_caller_who_cancels_is_obeyed(unfolded: testing.PostgresDatabase) -> None:
    """The same error from a cancellation: nothing is folded, and no mart is marked."""
    with unfolded.connect() as owner, concurrent.futures.ThreadPoolExecutor() as pool:
        on_every_row(owner, "positions", "perform pg_sleep(60)")
        with unfolded.connect() as caller:
            caller.execute("set statement_timeout = '60s'")
            folding = pool.submit(fold, caller)
            sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and pid = %s"
            while owner.execute(sleeping, (caller.info.backend_pid,)).fetchone() != (1,):
                owner.execute("select pg_sleep(0.01)")
            caller.cancel()
            with pytest.raises(psycopg.errors.QueryCanceled, match="user request"):
                folding.result(timeout=30)

        assert behind(owner) == {}
        assert owner.execute("select count(*) from marts.markets").fetchone() == (0,)


def test_time_that_was_lost_elsewhere_is_nobodys_fault(unfolded: testing.PostgresDatabase) -> None:
    """A statement whose time was spent before the fold began raises: the sender repeats the delivery."""
    with unfolded.connect() as owner:
        on_every_row(owner, "positions", "perform pg_sleep(60)")
        owner.execute("set statement_timeout = '1500ms'")

        with pytest.raises(psycopg.errors.QueryCanceled):
            owner.execute("select folds.fold(0, (select max(seq) from raw.feed)) from pg_sleep(1)")

        assert behind(owner) == {}


def test_a_mart_that_somebody_has_locked_stops_alone(unfolded: testing.PostgresDatabase) -> None:
    """A lock on one mart does not block the log."""
    with unfolded.connect() as owner, unfolded.connect() as sitter, sitter.transaction():
        owner.execute("alter function folds.fold(bigint, bigint) set lock_timeout = '100ms'")
        sitter.execute("lock table marts.candles_1m in access exclusive mode")

        fold(owner)

        assert list(behind(owner)) == ["candles_1m"]
    spared(unfolded, "candles_1m")


def test_a_model_that_takes_all_the_memory_stops_alone(unfolded: testing.PostgresDatabase) -> None:
    """Out of memory in one model affects that model only."""
    with unfolded.connect() as owner:
        on_every_row(owner, "markets", "raise exception 'out of memory' using errcode = '53200'")
        fold(owner)
        assert behind(owner) == {"markets": "out of memory"}
    spared(unfolded, "markets")


ENVIRONMENT = ["08006", "40P01", "53100", "53200", "55P03", "57P01", "58030"]


@pytest.mark.parametrize("state", ENVIRONMENT)
def test_a_condition_that_one_model_meets_is_retried(unfolded: testing.PostgresDatabase, state: str) -> None:
    """After any number of failures the model is behind and never stale, and catches up when the condition ends."""
    with unfolded.connect() as owner:
        on_every_row(owner, "markets", f"raise exception 'staged' using errcode = '{state}'")
        fold(owner)
        for _ in range(5):
            catch_up(unfolded)
        assert behind(owner) == {"markets": "staged"}
    spared(unfolded, "markets")


@pytest.mark.parametrize("state", ENVIRONMENT)
def test_a_condition_that_all_models_meet_refuses_the_append(unfolded: testing.PostgresDatabase, state: str) -> None:
    """A failure of the server is raised to the sender, who repeats the append, and no mart is marked."""
    with unfolded.connect() as owner:
        for (mart,) in owner.execute("select name from ops.models").fetchall():
            (arguments,) = owner.execute(
                "select pg_get_function_arguments(%s::regproc)", (f"folds.apply_{mart}",)
            ).fetchone() or ("",)
            owner.execute(
                f"create or replace function folds.apply_{mart}({arguments}) returns void"
                f" language plpgsql as $$ begin raise exception 'staged' using errcode = '{state}'; end $$"
            )
        with pytest.raises(psycopg.Error, match="staged"):
            fold(owner)
        assert behind(owner) == {}


def test_time_lost_in_what_all_models_share_refuses_no_append(unfolded: testing.PostgresDatabase) -> None:
    """A timeout outside every model would occur in each repeated append, so the marts are behind instead."""
    with unfolded.connect() as owner:
        (names,) = owner.execute("select array_agg(name order by name) from ops.models").fetchone() or ([],)
        (whole,) = owner.execute("select pg_get_functiondef('folds.affected_seqs'::regproc)").fetchone() or ("",)
        slow = whole.replace("\nbegin\n", "\nbegin\nperform pg_sleep(60);\n", 1)
        owner.execute(slow.encode())
        owner.execute("set statement_timeout = '1500ms'")

        fold(owner)

        assert list(behind(owner)) == names
        owner.execute("set statement_timeout = 0")
        owner.execute(whole.encode())
    spared(unfolded, *names)


def test_small_windows_in_any_order_of_arrival_end_as_a_rebuild(marts_database: testing.PostgresDatabase) -> None:
    """Marts that are behind apply the log one entry at a time, and nothing differs at the end."""
    story = event_histories.generate(5)
    random.Random(5).shuffle(story)

    async def deliver(rows: list[TransactionRow]) -> None:
        writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
        for row in rows:
            await writer.append([row], source="webhook")
        await writer.close()

    third = len(story) // 3
    asyncio.run(deliver(story[:third]))
    with marts_database.connect() as owner:
        head = "(select max(seq) from raw.feed)"
        owner.execute(f"select folds.mark_behind(name, {head}, null, '55P03', 'staged', 0) from ops.models")
        asyncio.run(deliver(story[third:]))
        owner.execute("update ops.models set attempts = 1000")
        catch_up(marts_database)
        assert behind(owner) == {}
    assert [verdict for verdict in rebuild.verify(marts_database.dsn()) if not verdict.is_consistent] == []


def test_a_model_is_stale_after_three_attempts_over_ten_minutes(unfolded: testing.PostgresDatabase) -> None:
    """A failure of the data is retried twice, five minutes apart; only then it waits for an operator."""
    pause = "select extract(epoch from next_attempt_at - clock_timestamp()) from ops.models where name = 'positions'"
    alerts = "select kind from ops.alerts where subject = 'positions' and resolved_at is null"
    with unfolded.connect() as owner:
        on_every_row(owner, "positions", "raise exception 'no such share'")
        fold(owner)
        for _ in range(2):
            assert behind(owner) == {"positions": "no such share"}
            assert 290 < (owner.execute(pause).fetchone() or (0,))[0] <= 300
            assert owner.execute(alerts).fetchall() == [("mart_behind",)]
            catch_up(unfolded)

        assert owner.execute("select name from ops.model_status where is_stale").fetchall() == [("positions",)]
        assert owner.execute("select name from ops.model_status where is_behind").fetchall() == []
        assert owner.execute(alerts).fetchall() == [("mart_stale",)]
        assert owner.execute("select kind from raw.feed order by seq desc limit 1").fetchone() == ("mart_stale",)
        owner.execute("drop trigger spoil on marts.positions")
        catch_up(unfolded)
        assert owner.execute("select name from ops.model_status where is_stale").fetchall() == [("positions",)]
    rebuild.rebuild(unfolded.dsn(), ["positions"], report=lambda _: None)
    assert [verdict for verdict in rebuild.verify(unfolded.dsn()) if not verdict.is_consistent] == []


def test_a_mend_within_ten_minutes_needs_no_rebuild(unfolded: testing.PostgresDatabase) -> None:
    """A model whose cause is corrected after the second failure catches up by itself."""
    with unfolded.connect() as owner:
        on_every_row(owner, "positions", "raise exception 'no such share'")
        fold(owner)
        catch_up(unfolded)
        assert behind(owner) == {"positions": "no such share"}
    spared(unfolded, "positions")


def test_a_bad_event_is_named(unfolded: testing.PostgresDatabase) -> None:
    """The event that the model cannot apply is found by halving the window."""
    with unfolded.connect() as owner:
        (seq,) = owner.execute("select max(seq) from raw.events where name = 'SharesBought'").fetchone() or (None,)
        owner.execute('update raw.events set payload = payload || \'{"shares": "many"}\' where seq = %s', (seq,))
        fold(owner)
        rows = owner.execute("select distinct failed_event from ops.models where applied_seq is not null").fetchall()
        assert rows == [(seq,)]
