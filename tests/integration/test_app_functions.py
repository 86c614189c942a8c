"""Users' writes: only as the signed-in wallet, only through the functions, once, and visible to the folds at once."""

from __future__ import annotations

import asyncio
from typing import Any

import event_histories
import psycopg
import pytest
import sessions

from ingest.testing import address
from zmart import testing

ALICE, BOB = address(1), address(2)
MARKET = f"{1:064x}"


@pytest.fixture
async def proposed(marts_database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """A log with one market that is PROPOSED."""
    from ingest.store.writer import Writer

    story = event_histories.EventHistory(1)
    story.append(("MarketCreated", 1, 9, {"b_parameter": "100000000000", "state": 0}, None))
    writer = await Writer.connect(marts_database.dsn("zmart_ingest"))
    await writer.append(story.transactions, source="webhook")
    await writer.close()
    return marts_database


def acting(connection: psycopg.Connection[Any], wallet: str | None, statement: str, *values: object) -> Any:
    """Run one statement in a transaction that acts as `wallet`; return its first column."""
    with connection.transaction():
        connection.execute("select set_config('zmart.wallet', %s, true)", (wallet or "",))
        row = connection.execute(statement, values).fetchone()
        return row and row[0]


CAST = "select app.cast_ballot(%s, %s, %s, 'text', 'signature')"


def test_a_ballot_is_counted_when_it_is_cast(proposed: testing.PostgresDatabase) -> None:
    """The ballot is an entry of the feed and in the tally when the function returns."""
    with proposed.connect("zmart_api") as api:
        seq = acting(api, ALICE, CAST, MARKET, "proposal", True)
        tally = api.execute("select agree, off_chain_unseen_agree from marts.vote_tallies").fetchall()
        entry = api.execute("select kind, ref from raw.feed where seq = %s", (seq,)).fetchone()
    assert tally == [(1, 1)]
    assert entry == ("ballot", seq)


def test_a_second_ballot_is_refused(proposed: testing.PostgresDatabase) -> None:
    """One wallet, one ballot, whatever the second choice is."""
    with proposed.connect("zmart_api") as api:
        acting(api, ALICE, CAST, MARKET, "proposal", True)
        with pytest.raises(psycopg.errors.Error) as refused:
            acting(api, ALICE, CAST, MARKET, "proposal", False)
        assert refused.value.sqlstate == "ZM409"
        acting(api, BOB, CAST, MARKET, "proposal", False)
        assert api.execute("select agree, disagree from marts.vote_tallies").fetchall() == [(1, 1)]


@pytest.mark.parametrize(
    ("wallet", "market", "kind", "sqlstate"),
    [
        (None, MARKET, "proposal", "ZM403"),
        (ALICE, "ff" * 32, "proposal", "ZM404"),
        (ALICE, MARKET, "dispute", "ZM409"),
        (ALICE, MARKET, "referendum", "ZM409"),
    ],
)
def test_a_ballot_that_cannot_count_is_refused_with_its_reason(
    proposed: testing.PostgresDatabase, wallet: str | None, market: str, kind: str, sqlstate: str
) -> None:
    """No wallet signed in, no such market, another state: each has its own code, and nothing is written."""
    with proposed.connect("zmart_api") as api:
        with pytest.raises(psycopg.errors.Error) as refused:
            acting(api, wallet, CAST, market, kind, True)
        assert refused.value.sqlstate == sqlstate
        assert api.execute("select count(*) from app.ballots").fetchone() == (0,)
        assert api.execute("select max(seq) from raw.feed").fetchone() == (1,)


def test_a_comment_is_a_fact_of_the_feed(proposed: testing.PostgresDatabase) -> None:
    """A post and a reply to it; an empty or overlong one, or a reply to a missing post, is rejected."""
    post = "select app.post_comment(%s, %s, %s)"
    with proposed.connect("zmart_api") as api:
        first = acting(api, ALICE, post, MARKET, "I doubt it", None)
        acting(api, BOB, post, MARKET, "Why?", first)
        for content, parent, sqlstate in ((" ", None, "ZM422"), ("x" * 1001, None, "ZM422"), ("x", 99, "ZM404")):
            with pytest.raises(psycopg.errors.Error) as refused:
                acting(api, ALICE, post, MARKET, content, parent)
            assert refused.value.sqlstate == sqlstate
        kinds = api.execute("select kind, ref from raw.feed where kind = 'comment' order by seq").fetchall()
    assert kinds == [("comment", first), ("comment", first + 1)]


def test_a_nonce_is_used_once(proposed: testing.PostgresDatabase) -> None:
    """The second use fails, for any wallet."""
    redeem = "select app.redeem_nonce('nonce', now() + interval '1 minute')"
    with proposed.connect("zmart_api") as api:
        acting(api, ALICE, redeem)
        for wallet in (ALICE, BOB):
            with pytest.raises(psycopg.errors.Error) as refused:
                acting(api, wallet, redeem)
            assert refused.value.sqlstate == "ZM409"


def test_private_rows_are_ones_own(proposed: testing.PostgresDatabase) -> None:
    """A nonce redeemed by Alice is invisible to Bob and without a signed-in wallet."""
    with proposed.connect("zmart_api") as api:
        acting(api, ALICE, "select app.redeem_nonce('nonce', now())")
    with proposed.connect() as owner:
        count = "select count(*) from app.redeemed_nonces"
        assert [acting(owner, wallet, count) for wallet in (ALICE, BOB, None)] == [1, 0, 0]


WRITES = [
    "insert into app.ballots (seq, market_no, kind, wallet_no, vote, message, signature)"
    " values (9, 1, 'proposal', 1, true, '', '')",
    "update app.comments set content = 'mine now'",
    "delete from app.ballots",
    "insert into raw.feed (seq, kind) values (99, 'event')",
    "update marts.markets set total_volume = 0",
    "lock table raw.writer in exclusive mode",
    "select folds.fold(0, 1)",
    "select raw.take_writer()",
    "truncate raw.events",
]


@pytest.mark.parametrize("statement", WRITES)
@pytest.mark.parametrize("role", ["zmart_api", "analyst"])
def test_readers_write_nothing(proposed: testing.PostgresDatabase, role: str, statement: str) -> None:
    """Neither the API nor an analyst can write a table, take the writer's lock or fold."""
    with proposed.connect(role) as connection:
        connection.execute("set default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            acting(connection, None, statement)


def test_not_even_the_owner_writes_as_another(proposed: testing.PostgresDatabase) -> None:
    """Row level security is forced on the owner, so a mistake in a function cannot write another wallet's row."""
    with proposed.connect("zmart_api") as api:
        acting(api, ALICE, CAST, MARKET, "proposal", True)
    with proposed.connect() as owner:
        (bob,) = owner.execute("select raw.wallet_number(%s)", (BOB,)).fetchone() or (None,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            acting(
                owner,
                ALICE,
                "insert into app.ballots (seq, market_no, kind, wallet_no, vote, message, signature)"
                " values (9, 1, 'proposal', %s, true, '', '')",
                bob,
            )


async def test_a_ballot_waits_for_the_writers_lock(proposed: testing.PostgresDatabase) -> None:
    """A ballot never takes a seq that a running append is about to take."""
    with proposed.connect() as other, proposed.connect("zmart_api") as api:
        with other.transaction():
            other.execute("select raw.take_writer()")
            cast = asyncio.create_task(asyncio.to_thread(acting, api, ALICE, CAST, MARKET, "proposal", True))
            while other.execute(sessions.WAITING_APPENDS).fetchone() != (1,):  # noqa: ASYNC110 - Postgres has no event for it
                await asyncio.sleep(0)
            other.execute("insert into raw.feed (seq, kind) values (raw.next_seq(), 'metadata')")
        assert await cast == 3


def test_no_function_of_ours_is_everybodys(marts_database: testing.PostgresDatabase) -> None:
    """Postgres lets every role call a new function; none of our functions keeps that right, generated ones included."""
    with marts_database.connect() as owner:
        open_to_all = owner.execute(
            "select p.oid::regprocedure::text from pg_proc as p cross join lateral aclexplode("
            " coalesce(p.proacl, acldefault('f', p.proowner))) as x"
            " where p.pronamespace in ('raw'::regnamespace, 'app'::regnamespace, 'ops'::regnamespace,"
            " 'folds'::regnamespace, 'marts'::regnamespace) and x.grantee = 0"
        ).fetchall()
    assert open_to_all == []
