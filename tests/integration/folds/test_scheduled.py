"""Scheduled marts: computed again from the others, merged in place, each with its own as_of."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import event_histories
import msgspec
import psycopg
import pytest

from devchain import history
from ingest.decode import decoder
from ingest.records import TransactionRow
from ingest.store.writer import Writer
from zmart import errors, testing
from zmart.run.deploy import rebuild

CONFIG = {"proposal_approval_threshold": 8000, "dispute_success_threshold": 6000, "min_resolution_delay": "86400"}
MARTS = {"leaderboard", "platform_stats", "pnl_history", "realizations", "wallets"}


def deliver(database: testing.PostgresDatabase, rows: Sequence[TransactionRow]) -> None:
    """Write these transactions like ingest."""

    async def run() -> None:
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        await writer.append(rows, source="webhook")
        await writer.close()

    asyncio.run(run())


def refresh(database: testing.PostgresDatabase, *names: str) -> dict[str, int]:
    """Refresh without a notification."""
    return rebuild.refresh(database.dsn(), names, report=lambda _: None)


def one(connection: psycopg.Connection[tuple[object, ...]], query: str) -> tuple[object, ...]:
    """Return the one row of a query."""
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


@contextmanager
def polling(database: testing.PostgresDatabase, query: str) -> Iterator[list[object]]:
    """Query continuously as the analyst; errors and empty results are collected."""
    failures: list[object] = []
    stop, started = threading.Event(), threading.Event()

    def poll() -> None:
        with database.connect("analyst") as connection:
            while not stop.is_set():
                try:
                    row = connection.execute(query).fetchone()
                    if row is None or not row[0]:
                        failures.append(row)
                except psycopg.Error as error:
                    failures.append(error)
                started.set()

    reader = threading.Thread(target=poll)
    reader.start()
    started.wait(10)
    try:
        yield failures
    finally:
        stop.set()
        reader.join()


def test_each_refreshed_mart_reports_its_seq(marts_database: testing.PostgresDatabase) -> None:
    """Later entries are not in a refreshed mart, and its seq shows it; the next refresh includes them."""
    story = event_histories.generate(3)
    half = len(story) // 2
    deliver(marts_database, story[:half])
    assert set(refresh(marts_database)) == MARTS
    with marts_database.connect() as connection:
        (before,) = one(connection, "select max(seq) from raw.feed")
        deliver(marts_database, story[half:])

        assert one(connection, "select seq from ops.as_of(array['leaderboard'])") == (before,)
        (head,) = one(connection, "select max(seq) from raw.feed")
        assert one(connection, "select seq from ops.as_of(array['markets'])") == (head,)
        assert refresh(marts_database)["wallets"] > 0
        assert one(connection, "select seq from ops.as_of(array['leaderboard', 'wallets'])") == (head,)


def test_refreshing_twice_writes_nothing(marts_database: testing.PostgresDatabase) -> None:
    """Only the difference is written, and there is none."""
    deliver(marts_database, event_histories.generate(3))
    refresh(marts_database)

    assert refresh(marts_database) == dict.fromkeys(MARTS, 0)


def test_a_stale_fold_holds_back_what_is_computed_from_it(marts_database: testing.PostgresDatabase) -> None:
    """A leaderboard of trades that stopped at seq 2 reports seq 2."""
    deliver(marts_database, event_histories.generate(3))
    with marts_database.connect() as connection:
        connection.execute("select folds.mark_stale('priced_trades', 2, 3, 'on purpose')")
        refresh(marts_database)

        assert one(connection, "select applied_seq from ops.scheduled_models where name = 'leaderboard'") == (2,)


def test_a_reader_notices_neither_refresh_nor_new_shape(marts_database: testing.PostgresDatabase) -> None:
    """While rows are merged and while a table of another shape is swapped in: no error, never empty."""
    story = event_histories.generate(5)
    deliver(marts_database, story[: len(story) // 2])
    refresh(marts_database)
    with (
        marts_database.connect() as connection,
        polling(marts_database, "select count(*) from marts.leaderboard") as no,
    ):
        deliver(marts_database, story[len(story) // 2 :])
        refresh(marts_database)
        connection.execute("alter table marts.leaderboard add column left_over int")
        rebuild.build_models(marts_database.dsn(), ["run", "--select", "leaderboard"])
        assert one(
            connection,
            "select has_table_privilege('analyst', 'marts.leaderboard', 'select'),"
            " obj_description('marts.leaderboard'::regclass) like 'Scheduled.%',"
            " (select count(*) from pg_attribute"
            " where attrelid = 'marts.leaderboard'::regclass and attname = 'left_over')",
        ) == (True, True, 0)
    assert no == []


def test_broken_refresh_raises_one_sentence_and_keeps_the_rows(marts_database: testing.PostgresDatabase) -> None:
    """Its rows stay, and the message has the next step."""
    deliver(marts_database, event_histories.generate(3))
    refresh(marts_database)
    with marts_database.connect() as connection:
        before = one(connection, "select count(*), sum(volume) from marts.wallets")
        connection.execute(
            "update ops.scheduled_models set select_sql = replace(select_sql, 'wallet_no', 'wallet_number')"
            " where name = 'wallets'"
        )
        with pytest.raises(
            errors.ConfigurationError, match=r"wallets cannot be refreshed: .*\. Correct its SQL"
        ) as caught:
            refresh(marts_database, "wallets")
        assert "\n" not in str(caught.value)
        assert one(connection, "select count(*), sum(volume) from marts.wallets") == before


def test_wallets_and_days_add_up(marts_database: testing.PostgresDatabase) -> None:
    """The realized profit by moment and by day is the profit that portfolio defines, to the lamport."""
    items = [msgspec.json.encode(item) for item in history.play(5, 1_500)]
    deliver(marts_database, decoder.Decoder(history.PROGRAM_ID).decode_items(items).transactions)
    refresh(marts_database)
    with marts_database.connect() as connection:
        differing = connection.execute(
            "select * from (select wallet_no, sum(realized_pnl) as lamports from marts.portfolio group by 1) as p"
            " full join (select wallet_no, sum(realized_pnl) as lamports from marts.pnl_history group by 1) as d"
            " using (wallet_no) where coalesce(p.lamports, 0) <> coalesce(d.lamports, 0)"
        ).fetchall()
        kinds = connection.execute("select distinct kind from marts.realizations order by kind").fetchall()
    assert differing == []
    assert kinds == [("claim",), ("forfeit",), ("loss",), ("sell",)]


def test_flags_are_counted_for_all_and_read_by_oneself(marts_database: testing.PostgresDatabase) -> None:
    """Everyone reads the number of flags of a comment; a wallet reads its own flags alone. Deleted text is gone."""
    deliver(marts_database, event_histories.generate(3))
    with marts_database.connect() as owner:
        wallets = [str(name) for (name,) in owner.execute("select wallet from raw.wallets_seen order by 1 limit 2")]
        (market,) = one(owner, "select id from marts.markets where is_known limit 1")
        for number, wallet in enumerate(wallets, 1):
            owner.execute("select set_config('zmart.wallet', %s, false)", (wallet,))
            owner.execute("select app.post_comment(%s, 'I say so', null)", (market,))
            owner.execute(
                "insert into app.flags (comment_no, wallet_no, reason) values (1, app.current_wallet_no(), 'spam')"
            )
            assert one(owner, "select count(*) from marts.discussions") == (number,)
        owner.execute("select app.post_comment(%s, 'And I answer', 1)", (market,))
        owner.execute("update app.comments set deleted_at = now() where wallet_no = app.current_wallet_no()")
    with marts_database.connect("zmart_api") as reader:
        rows = reader.execute(
            "select comment_no, content, is_deleted, flags_count, replies_count from marts.discussions order by 1"
        ).fetchall()
        assert rows == [(1, "I say so", False, 2, 0), (2, None, True, 0, 0), (3, None, True, 0, 0)]
        reader.execute("select set_config('zmart.wallet', %s, false)", (wallets[0],))
        assert one(reader, "select count(*) from app.flags") == (1,)


def test_deadlines_follow_the_current_configuration(marts_database: testing.PostgresDatabase) -> None:
    """A configuration after a proposed outcome moves its deadline: the program reads the current one."""
    story = event_histories.EventHistory(5)
    story.append(("MarketCreated", 1, 1, {"b_parameter": "100000000000", "state": 0}, {"initial_liquidity": "1"}))
    story.append(("MarketActivated", 1, 1, {"initial_liquidity": "1"}, None))
    story.append(("MarketResolved", 1, 1, {"outcome": True, "evidence_hash": "Qm"}, None))
    deadlines = (
        "select extract(epoch from opens_at - resolution_proposed_at)::int, is_due, approval_threshold_bps"
        " from marts.market_deadlines inner join marts.markets using (market_no)"
    )
    deliver(marts_database, story.transactions)
    with marts_database.connect() as connection:
        assert one(connection, deadlines) == (259_200, False, 7000)

        config = dict(zip(event_histories.CONFIG, (300, 200, 500), strict=True))
        story.append(("ConfigUpdated", None, None, CONFIG | config | {"dispute_period": "1"}, None))
        story.append(("ProtocolPauseStatusChanged", None, None, {"is_paused": True}, None))
        deliver(marts_database, story.transactions[-2:])

        assert one(connection, deadlines) == (1, True, 8000)
        slots = connection.execute(
            "select dispute_period, is_paused from marts.protocol_config_in_force order by order_key"
        ).fetchall()
        assert slots == [(259_200, False), (1, False), (1, True)]
