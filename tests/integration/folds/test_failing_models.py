"""A model that fails, however it fails, stops alone; what is the server's or the caller's refuses the append."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any, TypeAlias

import psycopg
import pytest
import stories

from ingest.writer import Writer
from zmart import testing
from zmart.run import rebuild

Connection: TypeAlias = psycopg.Connection[Any]


@pytest.fixture
def unfolded(marts_database: testing.Database) -> testing.Database:
    """A log that no model has seen yet; `select folds.fold(0, ...)` is what the writer would do."""

    async def run() -> None:
        writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
        await writer.append(stories.tell(3), source="webhook")
        await writer.close()

    with marts_database.connect() as owner:
        owner.execute("alter function folds.apply(bigint, bigint) rename to apply_later")
        asyncio.run(run())
        owner.execute("alter function folds.apply_later(bigint, bigint) rename to apply")
    return marts_database


def fold(connection: Connection) -> None:
    """Fold everything, as one statement."""
    connection.execute("select folds.fold(0, max(seq)) from raw.feed")


def stale(connection: Connection) -> dict[str, str]:
    """What stopped, and why."""
    rows = connection.execute("select name, reason from ops.models where stale_since is not null order by name")
    return {str(name): str(reason) for name, reason in rows}


def on_every_row(connection: Connection, mart: str, does: str) -> None:
    """Let every row that is written to a mart do something."""
    connection.execute(
        f"create or replace function public.spoil_{mart}() returns trigger language plpgsql"
        f" as $$ begin {does}; return new; end $$"
    )
    connection.execute(
        f"create trigger spoil before insert or update on marts.{mart} for each row execute function spoil_{mart}()"
    )


def spared(database: testing.Database, *spoilt: str) -> None:
    """Every other mart has taken the window; a rebuild brings the spoilt ones back."""
    with database.connect() as owner:
        assert owner.execute("select count(*) from marts.trades").fetchone() != (0,)
        for mart in spoilt:
            owner.execute(f"drop trigger if exists spoil on marts.{mart}")
    rebuild.rebuild(database.dsn(), spoilt, tell=lambda _: None)
    assert [verdict for verdict in rebuild.verify(database.dsn()) if not verdict.holds] == []


def test_a_model_that_takes_all_the_time_stops_alone(unfolded: testing.Database) -> None:
    """The statement's timeout rings inside one model: that one stops, the others take the window at once."""
    with unfolded.connect() as owner:
        on_every_row(owner, "positions", "perform pg_sleep(60)")
        owner.execute("set statement_timeout = '1500ms'")

        fold(owner)

        assert list(stale(owner)) == ["positions"]
        assert owner.execute("select failed_event from ops.models where name = 'positions'").fetchone() == (None,)
    spared(unfolded, "positions")


def test_a_shared_step_that_takes_all_the_time_stops_who_shares_it(unfolded: testing.Database) -> None:
    """The models that begin with it stop, the others take the window at once."""
    shares = "select array_agg(name order by name), min(staged_as) from ops.models where staged_as is not null"
    with unfolded.connect() as owner:
        models, step = owner.execute(shares).fetchone() or ([], "")
        assert models == ["candles_1m", "markets", "trades"]
        (whole,) = owner.execute("select pg_get_functiondef(%s::regproc)", (f"folds.{step}",)).fetchone() or ("",)
        owner.execute(
            f"create or replace function folds.{step}(p_from bigint, p_to bigint) returns folds.{step} []"
            " language plpgsql as $$ begin perform pg_sleep(60); return null; end $$"
        )
        owner.execute("set statement_timeout = '1500ms'")

        fold(owner)

        assert list(stale(owner)) == models
        assert owner.execute("select count(*) from marts.positions").fetchone() != (0,)
        owner.execute("set statement_timeout = 0")
        owner.execute(whole.encode())
    rebuild.rebuild(unfolded.dsn(), models, tell=lambda _: None)
    assert [verdict for verdict in rebuild.verify(unfolded.dsn()) if not verdict.holds] == []


def test_a_caller_who_cancels_is_obeyed(unfolded: testing.Database) -> None:
    """The same error by another hand: nothing is folded, nothing is blamed."""
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

        assert stale(owner) == {}
        assert owner.execute("select count(*) from marts.markets").fetchone() == (0,)


def test_time_that_was_lost_elsewhere_is_nobodys_fault(unfolded: testing.Database) -> None:
    """A statement whose time was gone before the fold began raises: the deliverer comes again."""
    with unfolded.connect() as owner:
        on_every_row(owner, "positions", "perform pg_sleep(60)")
        owner.execute("set statement_timeout = '1500ms'")

        with pytest.raises(psycopg.errors.QueryCanceled):
            owner.execute("select folds.fold(0, (select max(seq) from raw.feed)) from pg_sleep(1)")

        assert stale(owner) == {}


def test_a_mart_that_somebody_has_locked_stops_alone(unfolded: testing.Database) -> None:
    """Whoever sits on one mart's lock does not hold up the log."""
    with unfolded.connect() as owner, unfolded.connect() as sitter, sitter.transaction():
        owner.execute("alter function folds.fold(bigint, bigint) set lock_timeout = '100ms'")
        sitter.execute("lock table marts.candles_1m in access exclusive mode")

        fold(owner)

        assert list(stale(owner)) == ["candles_1m"]
    spared(unfolded, "candles_1m")


def test_a_model_that_takes_all_the_memory_stops_alone(unfolded: testing.Database) -> None:
    """Out of memory in one model is that model's."""
    with unfolded.connect() as owner:
        on_every_row(owner, "markets", "raise exception 'out of memory' using errcode = '53200'")
        fold(owner)
        assert stale(owner) == {"markets": "out of memory"}
    spared(unfolded, "markets")


@pytest.mark.parametrize(
    ("state", "words"), [("53100", "disk full"), ("57P01", "shutdown"), ("40P01", "deadlock"), ("58030", "input error")]
)
def test_the_servers_condition_refuses_the_append(unfolded: testing.Database, state: str, words: str) -> None:
    """What would hit any model is raised to the deliverer, and no mart is blamed."""
    with unfolded.connect() as owner:
        on_every_row(owner, "markets", f"raise exception '{words}' using errcode = '{state}'")
        with pytest.raises(psycopg.Error, match=words):
            fold(owner)
        assert stale(owner) == {}


def test_when_all_lack_memory_it_is_the_server(unfolded: testing.Database) -> None:
    """Every model at once out of memory says nothing about any of them."""
    with unfolded.connect() as owner:
        for (mart,) in owner.execute("select name from ops.models").fetchall():
            (arguments,) = owner.execute(
                "select pg_get_function_arguments(%s::regproc)", (f"folds.apply_{mart}",)
            ).fetchone() or ("",)
            owner.execute(
                f"create or replace function folds.apply_{mart}({arguments}) returns void"
                " language plpgsql as $$ begin raise exception 'out of memory' using errcode = '53200'; end $$"
            )
        with pytest.raises(psycopg.errors.OutOfMemory):
            fold(owner)
        assert stale(owner) == {}


def test_a_bad_event_is_named(unfolded: testing.Database) -> None:
    """The event that the model cannot take is found by halving the window."""
    with unfolded.connect() as owner:
        (seq,) = owner.execute("select max(seq) from raw.events where name = 'SharesBought'").fetchone() or (None,)
        owner.execute('update raw.events set payload = payload || \'{"shares": "many"}\' where seq = %s', (seq,))
        fold(owner)
        rows = owner.execute("select distinct failed_event from ops.models where stale_since is not null").fetchall()
        assert rows == [(seq,)]
