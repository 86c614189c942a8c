"""Row level security separates wallets: tested as zmart_api itself, without our Python code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors as pg

from ingest.testing import address
from zmart import testing

ALICE, BOB = address(1), address(2)
HASH = b"h" * 32
LATER = "now() + interval '1 hour'"


@pytest.fixture(scope="module")
def shared(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """Alice has a session, a nonce, a market's metadata, a rating and a profile."""
    with postgres_server.clone(marts_template) as database:
        with database.connect("zmart_api") as api:
            acting(api, ALICE, f"select app.open_session('nonce', {LATER}, %s, {LATER})", HASH)
            acting(
                api,
                ALICE,
                "select app.set_market_metadata(%s, 'Will it rain today?', null, 'other', '{}', null, 'Qm')",
                "a" * 64,
            )
        yield database


def acting(connection: psycopg.Connection[Any], wallet: str | None, statement: str, *values: object) -> Any:
    """Run one statement in a transaction that acts as `wallet`; return its first column."""
    with connection.transaction():
        connection.execute("select set_config('zmart.wallet', %s, true)", (wallet or "",))
        row = connection.execute(statement, values or None).fetchone()
        return row and row[0]


TABLES = (
    "wallets",
    "market_metadata",
    "ballots",
    "comments",
    "comment_edits",
    "reactions",
    "flags",
    "sessions",
    "redeemed_nonces",
    "allowances",
    "bans",
    "moderation",
    "open_reports",
    "market_slugs",
    "images",
    "market_pages",
    "event_groups",
    "event_slugs",
)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("wallet", [ALICE, BOB, None])
def test_no_table_is_written_past_the_functions(
    shared: testing.PostgresDatabase, table: str, wallet: str | None
) -> None:
    """zmart_api can insert, update, delete and truncate nothing, its own rows included."""
    with shared.connect("zmart_api") as api:
        column = api.execute(
            "select attname from pg_attribute where attrelid = format('app.%%I', %s::text)::regclass"
            " and attnum > 0 and attidentity = '' and attgenerated = '' order by attnum limit 1",
            (table,),
        ).fetchone()
        assert column is not None
        for statement in (
            f"insert into app.{table} default values",
            f"update app.{table} set {column[0]} = {column[0]}",
            f"delete from app.{table}",
            f"truncate app.{table}",
        ):
            with pytest.raises(pg.InsufficientPrivilege):
                acting(api, wallet, statement)


def test_private_rows_are_seen_by_their_wallet_alone(shared: testing.PostgresDatabase) -> None:
    """Sessions and nonces: no login of a service reads them, whichever wallet it claims to act for."""
    for role in ("zmart_api", "zmart_ingest", "zmart_keeper", "analyst"):
        with shared.connect(role) as service:
            for table in ("sessions", "redeemed_nonces"):
                for wallet in (ALICE, BOB, None):
                    with pytest.raises(pg.InsufficientPrivilege, match=f"table {table}|schema app"):
                        acting(service, wallet, f"select count(*) from app.{table}")
    with shared.connect() as owner:
        for table in ("sessions", "redeemed_nonces"):
            seen = [acting(owner, wallet, f"select count(*) from app.{table}") for wallet in (ALICE, BOB, None)]
            assert seen == [1, 0, 0], table


def test_what_is_public_is_seen_by_all(shared: testing.PostgresDatabase) -> None:
    """A market's metadata is visible to all, signed in or not."""
    with shared.connect("zmart_api") as api:
        count = "select count(*) from app.market_metadata"
        assert [acting(api, wallet, count) for wallet in (ALICE, BOB, None)] == [1, 1, 1]


def test_another_wallets_session_is_no_session(shared: testing.PostgresDatabase) -> None:
    """Bob has Alice's very token: as Bob it is unknown, nothing is revoked, and Alice's session continues."""
    with shared.connect("zmart_api") as api:
        rotate = f"select outcome from app.rotate_session(%s, %s, {LATER})"
        assert acting(api, BOB, rotate, HASH, b"n" * 32) == "unknown"
        assert acting(api, BOB, "select app.close_session(%s)", HASH) is False
    with shared.connect() as owner:
        assert acting(owner, ALICE, "select count(*) from app.sessions where revoked_at is null") == 1


FUNCTIONS = {
    "open_session": f"select app.open_session('n2', {LATER}, '\\x00', {LATER})",
    "rotate_session": f"select app.rotate_session('\\x00', '\\x01', {LATER})",
    "close_session": "select app.close_session('\\x00')",
    "redeem_nonce": f"select app.redeem_nonce('n3', {LATER})",
    "cast_signed_ballot": f"select app.cast_signed_ballot('{'a' * 64}', 'proposal', true, '', '', null, null, 'any')",
    "set_market_metadata": f"select app.set_market_metadata('{'b' * 64}', 'Ten words', '', 'other', '{{}}', null, '')",
    "set_market_image": f"select app.set_market_image('{'b' * 64}', null, null, null, null, null)",
    "save_event_group": f"select app.save_event_group(null, 'Title', null, array['{'b' * 64}'])",
    "delete_event_group": "select app.delete_event_group('title')",
}


@pytest.mark.parametrize(
    "call",
    [
        "select app.moderate_comment(1, 'hide', 'Because')",
        f"select app.moderate_wallet('{BOB}', 'ban', 'Because')",
        f"select app.moderate_wallet('{BOB}', 'unban', 'Because')",
        "select app.moderate_image('\\x00', 'hide', 'Because')",
        "select app.moderate_event_group('title', 'hide', 'Because')",
    ],
)
def test_only_moderators_moderate(shared: testing.PostgresDatabase, call: str) -> None:
    """A wallet whose request is not a moderator's is refused, and so is a moderator's request without a wallet."""
    with shared.connect("zmart_api") as api:
        for wallet, is_moderator in ((ALICE, ""), (None, "true")):
            api.execute("select set_config('zmart.is_moderator', %s, false)", (is_moderator,))
            with pytest.raises(psycopg.Error) as refused:
                acting(api, wallet, call)
            assert refused.value.sqlstate == "ZM403"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_nobody_acts_as_nobody(shared: testing.PostgresDatabase, function: str) -> None:
    """Every function that writes fails when no wallet is signed in."""
    with shared.connect("zmart_api") as api:
        for wallet in (None, ""):
            with pytest.raises(psycopg.Error) as refused:
                acting(api, wallet, FUNCTIONS[function])
            assert refused.value.sqlstate == "ZM403"


@pytest.mark.parametrize(
    "helper", ["app.ensure_wallet_no()", "app.delete_expired()", "raw.wallet_number('x')", "raw.take_writer()"]
)
def test_helpers_are_not_for_the_api(shared: testing.PostgresDatabase, helper: str) -> None:
    """Internal functions cannot be called directly."""
    with shared.connect("zmart_api") as api, pytest.raises(pg.InsufficientPrivilege):
        acting(api, ALICE, f"select {helper}")


def test_the_owner_is_held_to_it_as_well(shared: testing.PostgresDatabase) -> None:
    """As Bob, even the owner of the tables writes nothing in Alice's name, and changes nothing of hers."""
    alice = "(select wallet_no from raw.wallets_seen where wallet = %s)"
    with shared.connect() as owner:
        acting(owner, None, "select raw.wallet_number(%s)", BOB)
        with pytest.raises(pg.InsufficientPrivilege):
            acting(
                owner,
                BOB,
                f"insert into app.sessions (wallet_no, refresh_hash, expires_at) values ({alice}, %s, now())",
                ALICE,
                b"x" * 32,
            )
        for statement in (
            "update app.sessions set revoked_at = now() returning 1",
            "update app.market_metadata set question = 'Bob was here' returning 1",
            "delete from app.sessions returning 1",
        ):
            assert acting(owner, BOB, statement) is None


def test_what_a_wallet_was_stays_in_its_transaction(shared: testing.PostgresDatabase) -> None:
    """The next user of a connection acts without a wallet."""
    with shared.connect("zmart_api") as api:
        acting(api, ALICE, "select 1")
        assert api.execute("select app.current_wallet()").fetchone() == (None,)


def test_metadata_of_another_wallet_does_not_replace_the_creators(shared: testing.PostgresDatabase) -> None:
    """Bob sets metadata for Alice's market, too: both rows exist, each under its wallet."""
    with shared.connect("zmart_api") as api:
        set_metadata = "select app.set_market_metadata(%s, 'Will Bob be first?', null, 'other', '{}', null, 'Qm')"
        acting(api, BOB, set_metadata, "a" * 64)
        all_questions = "select array_agg(question order by wallet_no) from app.market_metadata where market_id = %s"
        assert acting(api, None, all_questions, "a" * 64) == ["Will it rain today?", "Will Bob be first?"]


def test_expired_proofs_are_forgotten(shared: testing.PostgresDatabase) -> None:
    """A nonce an hour past its end is deleted when the next is redeemed; one that could still be replayed stays."""
    with shared.connect("zmart_api") as api:
        for nonce, ends in (("gone", "now() - interval '2 hours'"), ("stored", "now() - interval '1 minute'")):
            acting(api, BOB, f"select app.redeem_nonce('{nonce}', {ends})")
        acting(api, BOB, f"select app.redeem_nonce('next', {LATER})")
    with shared.connect() as owner:
        left = "select array_agg(nonce order by nonce) from app.redeemed_nonces"
        assert acting(owner, BOB, left) == ["next", "stored"]
