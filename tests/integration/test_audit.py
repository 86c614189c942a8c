"""The chain of the log: what is appended is chained, and what is changed afterwards is found."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec
import psycopg
import pytest
from click.testing import CliRunner

from devchain import history
from ingest.decode import decoder
from ingest.records import TransactionRow
from ingest.store.writer import Writer
from ingest.testing import address
from zmart import cli, errors, testing
from zmart.db import feed
from zmart.run.audit import audit, leaves
from zmart.run.audit.leaves import EntryDiffers


def deliveries(seed: int = 5, count: int = 60) -> Sequence[TransactionRow]:
    """Transactions as the decoder makes them, so that their events have the bytes of their log lines."""
    items = [msgspec.json.encode(item) for item in history.play(seed, count)]
    return decoder.Decoder(history.PROGRAM_ID).decode_items(items).transactions


def append(database: testing.PostgresDatabase, *batches: Sequence[TransactionRow]) -> None:
    """Append each batch in a transaction of its own."""

    async def run() -> None:
        writer = await Writer.connect(database.dsn("zmart_ingest"))
        for batch in batches:
            await writer.append(batch, source="webhook")
        await writer.close()

    asyncio.run(run())


def post(database: testing.PostgresDatabase, content: str) -> None:
    """Post a comment under the first market."""
    with database.connect() as owner:
        owner.execute("select set_config('zmart.wallet', min(wallet), false) from raw.wallets_seen")
        owner.execute("select app.post_comment(min(id), %s, null) from marts.markets where is_known", (content,))


@pytest.fixture(scope="module")
def filled_template(
    postgres_server: testing.PostgresServer, marts_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A log of three appends and two comments; never connect to it."""
    with postgres_server.clone(marts_template) as database:
        rows = deliveries()
        append(database, rows[:20], rows[20:21], rows[21:])
        post(database, "Quite likely")
        post(database, "Hardly")
        yield database


@pytest.fixture
def filled(
    postgres_server: testing.PostgresServer, filled_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A log of three appends and two comments, for this test alone."""
    with postgres_server.clone(filled_template) as database:
        yield database


def position(database: testing.PostgresDatabase) -> feed.FeedPosition:
    """The end of the log with its mark."""
    with database.connect() as owner:
        row = owner.execute(
            "select i.epoch::text, h.seq, raw.mark_of(h.seq) from raw.identity as i"
            " cross join (select max(seq) as seq from raw.feed) as h"
        ).fetchone()
    assert row is not None
    return feed.FeedPosition(str(row[0]), int(str(row[1])), str(row[2]))


def forget_chain(database: testing.PostgresDatabase, *, keeps: str = "false") -> None:
    """Make the log one of an earlier release, which appended without a chain."""
    with database.connect("postgres") as superuser:
        superuser.execute(f"delete from raw.commits where not ({keeps})".encode())
        superuser.execute("update raw.identity set unsealed_through = (select max(seq) from raw.feed)")


def open_alerts(database: testing.PostgresDatabase) -> list[tuple[object, ...]]:
    """Kind and severity of the open alerts."""
    with database.connect() as owner:
        return owner.execute("select kind, severity from ops.alerts where resolved_at is null").fetchall()


def test_an_untouched_log_is_unbroken(filled: testing.PostgresDatabase) -> None:
    """Every entry is in the chain, one commit for each append, and the value is computed again to the same."""
    result = audit.verify(filled.dsn(), expected=position(filled))

    with filled.connect() as owner:
        rows = owner.execute("select count(*), (select max(seq) from raw.feed) from raw.commits").fetchall()
    assert [(result.commits, result.entries)] == rows
    assert result.unsealed == 0
    assert result.position == position(filled)
    assert str(result.position) == str(position(filled))


def test_events_of_truncated_logs_are_chained(marts_database: testing.PostgresDatabase) -> None:
    """Events that were rebuilt from instructions, which do not name the market's id, are audited like the others."""
    items = list(history.play(11, 120))
    for item in items[30:]:
        item["meta"]["logMessages"] = ["Log truncated"]
    rows = decoder.Decoder(history.PROGRAM_ID).decode_items([msgspec.json.encode(item) for item in items]).transactions
    append(marts_database, rows)

    result = audit.verify(marts_database.dsn())

    with marts_database.connect() as owner:
        rebuilt = owner.execute("select count(*) from raw.events where context ? 'rebuilt_from'").fetchone()
    assert rebuilt is not None
    assert rebuilt[0] > 10
    assert result.unsealed == 0

    with marts_database.connect() as owner:
        owner.execute("update raw.events set market_no = 1 where name = 'ProposalApproved' and market_no > 1")
    with pytest.raises(EntryDiffers, match="the event has another market or wallet"):
        audit.verify(marts_database.dsn())


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (
            "update raw.events set payload = payload || '{\"b_parameter\": \"1\"}' where name = 'MarketCreated'",
            "differs",
        ),
        ("update raw.events set clock = clock + 1 where seq = 3", "differs"),
        ("update raw.events set name = 'MarketActivated' where seq = 1", "differs"),
        ("update raw.transactions set signature = repeat('2', 88) where transaction_no = 1", "differs"),
        ("update raw.markets_seen set market_id = repeat('0', 64) where market_no = 1", "differs"),
        ("update raw.feed set kind = 'moved', ref = 1 where seq = 4", "differs"),
        ("delete from raw.feed where seq = 5", "Entry 5 is missing"),
        ("delete from raw.events where seq = 5", "Entry 5 is an event whose row is missing"),
        ("delete from raw.commits where first_seq = 1", "No commit begins with entry 1"),
        ("update raw.commits set value = sha256('') where first_seq > 1", "differs"),
        (
            "insert into raw.events (seq, order_key, transaction_no, ordinal, name, clock, payload)"
            " select seq + 1000, order_key, transaction_no, 255, name, clock, payload from raw.events where seq = 3",
            "an event without an entry",
        ),
        ("update raw.events set retracted_at = now() where seq = 3", "whose retraction is not the one"),
        (
            "insert into app.ballots (seq, market_no, kind, wallet_no, vote, message, signature)"
            " values (4, 1, 'proposal', 1, true, 'yes', 'x')",
            "a ballot without an entry",
        ),
        ("insert into app.comments (seq, market_no, wallet_no, content) values (4, 1, 1, 'x')", "text of the comment"),
        ("update app.comments set content = 'Certainly not' where comment_no = 2", "text of the comment"),
        ("update raw.feed set digest = sha256('x') where kind = 'comment'", "text of the comment|differs"),
    ],
)
def test_a_change_is_found(filled: testing.PostgresDatabase, change: str, found: str) -> None:
    """Whatever is changed past the functions, the first commit or entry that differs is named."""
    with filled.connect("postgres") as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute(change.encode())

    with pytest.raises(EntryDiffers, match=found):
        audit.verify(filled.dsn())


def test_an_erased_text_leaves_the_chain_whole(filled: testing.PostgresDatabase) -> None:
    """The digest of a comment stays when its text is erased."""
    with filled.connect("postgres") as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute("alter table app.comments drop constraint comments_content_check")
        superuser.execute("update app.comments set content = '' where comment_no = 1")

    assert audit.verify(filled.dsn()).unsealed == 0


def test_edits_and_decisions_of_moderators_leave_the_chain_whole(filled: testing.PostgresDatabase) -> None:
    """The digest of an edit is that of the new text, so a change past the functions is found after it, too."""
    with filled.connect() as owner:
        owner.execute("select set_config('zmart.wallet', min(wallet), false) from raw.wallets_seen")
        owner.execute("select app.edit_comment(1, 'Certainly'), app.edit_comment(2, 'Never')")
        owner.execute("select set_config('zmart.is_moderator', 'true', false)")
        owner.execute("select app.moderate_comment(1, 'hide', 'Off topic'), app.moderate_comment(2, 'erase', 'Insult')")
    assert audit.verify(filled.dsn()).unsealed == 0

    with filled.connect("postgres") as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute("update app.comments set content = 'Uncertain' where comment_no = 1")
    with pytest.raises(EntryDiffers, match="text of the comment"):
        audit.verify(filled.dsn())


def write_as(database: testing.PostgresDatabase, wallet: str, statement: str, *, is_moderator: bool = False) -> None:
    """Run a function of the schema app for a signed-in wallet."""
    with database.connect() as owner:
        owner.execute("select set_config('zmart.wallet', %s, false)", (wallet,))
        owner.execute("select set_config('zmart.is_moderator', %s, false)", (str(is_moderator).lower(),))
        owner.execute(statement.encode())


BALLOT = "ZMART ballot\n\nSite: zmart\nChain: localnet\nMarket: {}\nKind: proposal\nChoice: like\nWallet: {}\nNonce: 5f"


def write_everything(database: testing.PostgresDatabase) -> None:
    """Write what wallets and moderators can write."""
    with database.connect() as owner:
        markets = owner.execute(
            "select id, creator_wallet from marts.markets where is_known and state = 'PROPOSED'"
            " order by market_no limit 1"
        ).fetchall()
    ((market, creator),) = markets
    voter, moderator = address(9_001), address(9_002)
    ballot = BALLOT.format(market, voter)
    write_as(database, voter, f"select app.cast_ballot('{market}', 'proposal', true, '{ballot}', 'signature')")
    write_as(database, voter, "select app.react(1, 'up')")
    write_as(database, voter, "select app.set_profile('Ann', 'I like rain.')")
    for wallet, question in ((creator, "Will it rain in May?"), (creator, "Will it rain in June?")):
        write_as(
            database,
            wallet,
            f"select app.set_market_metadata('{market}', '{question}', null, 'science', array['rain'],"
            " '2027-01-31 22:00:00.5+02', null)",
        )
    for content in ("first", "second"):
        write_as(
            database,
            creator,
            f"select app.set_market_image('{market}', sha256('{content}'), '{content}', 'image/png', 2, 2)",
        )
    write_as(database, creator, f"select app.save_event_group(null, 'Weather', 'All of it', array['{market}'])")
    for decision in (
        "app.moderate_comment(1, 'hide', 'Off topic'), app.moderate_comment(1, 'restore', 'It is not')",
        "app.moderate_comment(2, 'hide', 'Off topic'), app.moderate_image(sha256('second'), 'hide', 'A face')",
        f"app.moderate_wallet('{creator}', 'ban', 'Spam'), app.moderate_event_group('weather', 'hide', 'Spam')",
    ):
        write_as(database, moderator, f"select {decision}", is_moderator=True)


@pytest.fixture(scope="module")
def written_template(
    postgres_server: testing.PostgresServer, filled_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """The log with everything that a wallet and a moderator can write; never connect to it."""
    with postgres_server.clone(filled_template) as database:
        write_everything(database)
        yield database


@pytest.fixture
def written(
    postgres_server: testing.PostgresServer, written_template: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """The log with everything that a wallet and a moderator can write, for this test alone."""
    with postgres_server.clone(written_template) as database:
        yield database


def test_what_wallets_write_is_audited(written: testing.PostgresDatabase) -> None:
    """It is unbroken, in any time zone of the server, and after a moderator cleared the profile."""
    assert audit.verify(written.dsn()).unsealed == 0
    with written.connect("postgres") as superuser:
        superuser.execute(f"alter database {written.name} set timezone = 'Asia/Kathmandu'".encode())
    assert audit.verify(written.dsn()).unsealed == 0
    clear = f"select app.moderate_wallet('{address(9_001)}', 'clear', 'An insult')"
    write_as(written, address(9_002), clear, is_moderator=True)
    assert audit.verify(written.dsn()).unsealed == 0
    write_as(written, address(9_001), "select app.set_profile('Ann', null)")
    write_as(written, address(9_002), "select app.delete_event_group('weather')", is_moderator=True)
    assert audit.verify(written.dsn()).unsealed == 0


WALLETS = tuple(address(9_001 + number) for number in range(3))
#: Calls of the functions with which wallets and moderators write, with arguments that may be refused.
WRITINGS = (
    "app.post_comment('{market}', '{text}', null)",
    "app.post_comment('{market}', '{text}', {comment})",
    "app.edit_comment({comment}, '{text} then')",
    "app.delete_comment({comment})",
    "app.react({comment}, 'up')",
    "app.react({comment}, null)",
    "app.flag_comment({comment}, 'Spam')",
    "app.set_profile('{text}', null)",
    "app.set_profile(null, '{text}')",
    "app.set_market_metadata('{market}', '{text}, and?', null, 'other', '{{a,b}}', '2027-01-31 22:00:00.5+02', null)",
    "app.set_market_metadata('{market}', '{text}, really?', '{text}', 'other', '{{}}', null, null)",
    "app.set_market_image('{market}', sha256('{image}'), '{image}', 'image/png', 2, 2)",
    "app.set_market_image('{market}', null, null, null, null, null)",
    "app.save_event_group(null, '{text}', null, array['{market}'])",
    "app.save_event_group('{slug}', '{text}', '{text}', array['{market}'])",
    "app.delete_event_group('{slug}')",
    "app.moderate_comment({comment}, '{action}', 'A reason')",
    "app.moderate_image(sha256('{image}'), '{action}', 'A reason')",
    "app.moderate_event_group('{slug}', '{action}', 'A reason')",
    "app.moderate_wallet('{wallet}', 'ban', 'A reason')",
    "app.moderate_wallet('{wallet}', 'unban', 'A reason')",
    "app.moderate_wallet('{wallet}', 'clear', 'A reason')",
)


def draw_writing(draw: random.Random, markets: Sequence[str]) -> str:
    """One of these calls."""
    return draw.choice(WRITINGS).format(
        market=draw.choice(markets),
        text=draw.choice(("Likely so", "Never", "Perhaps in May")),
        comment=draw.randint(1, 8),
        image=draw.choice("ab"),
        slug=draw.choice(("likely-so", "never", "perhaps-in-may")),
        action=draw.choice(("hide", "restore", "erase", "dismiss")),
        wallet=draw.choice(WALLETS),
    )


@pytest.mark.parametrize("seed", range(3))
def test_whatever_wallets_write_is_audited(filled: testing.PostgresDatabase, seed: int) -> None:
    """In any order, by wallets and moderators; what is refused changes nothing."""
    draw = random.Random(seed)
    outcomes: Counter[str] = Counter()
    with filled.connect() as owner:
        found = owner.execute("select id, creator_wallet from marts.markets where is_known order by id limit 3")
        markets, creators = zip(*((str(market), str(creator)) for market, creator in found), strict=True)
        for _ in range(200):
            owner.execute("select set_config('zmart.wallet', %s, false)", (draw.choice((*WALLETS, *creators)),))
            is_moderator = str(draw.random() < 0.5).lower()
            owner.execute("select set_config('zmart.is_moderator', %s, false)", (is_moderator,))
            try:
                owner.execute(f"select {draw_writing(draw, markets)}".encode())
                outcomes["written"] += 1
            except psycopg.DatabaseError as error:
                outcomes[(error.sqlstate or "")[:2]] += 1
    assert outcomes.keys() == {"written", "ZM"}
    assert outcomes["written"] > 30
    assert audit.verify(filled.dsn()).unsealed == 0


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("update app.ballots set vote = not vote", "not the one that its text names"),
        ("update app.ballots set kind = 'dispute'", "not the one that its text names"),
        ("update app.ballots set wallet_no = 1", "the ballot has another market or wallet"),
        ("update app.comments set wallet_no = 2 where comment_no = 1", "another market or author"),
        ("update app.comments set hidden_at = null", "the comment is not hidden or shown"),
        ("update app.comments set hidden_at = now()", "the comment is not hidden or shown"),
        ("update app.reactions set wallet_no = 1", "a reaction without an entry"),
        ("update app.market_metadata set question = 'Will it snow in May?'", "the metadata of the market"),
        ("update app.market_metadata set ends_at = ends_at + interval '1 day'", "the metadata of the market"),
        ("update app.wallets set bio = 'I like snow.'", "the profile"),
        ("update app.market_pages set image_digest = null", "the image of the market"),
        ("update app.images set hidden_at = null", "the image is not hidden or shown"),
        ("update app.event_groups set title = 'Storms'", "the event is not what was appended"),
        ("update app.event_groups set deleted_at = now()", "the event is not what was appended"),
        ("update app.event_groups set hidden_at = null", "the event is not hidden or shown"),
        ("update app.market_pages set event_no = null, event_place = null", "the event is not what was appended"),
        ("update app.moderation set reason = 'None' where action = 'ban'", "the decision of the moderator"),
        ("delete from app.bans", "not banned or free"),
        ("update app.bans set wallet_no = 1", "not banned or free"),
    ],
)
def test_a_change_of_what_wallets_wrote_is_found(written: testing.PostgresDatabase, change: str, found: str) -> None:
    """A row that is not the one of its newest entry is named."""
    with written.connect("postgres") as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute(change.encode())

    with pytest.raises(EntryDiffers, match=found):
        audit.verify(written.dsn())


def test_a_lost_tail_and_another_tail_are_found(filled: testing.PostgresDatabase) -> None:
    """A chain that was cut, and one that was continued differently, do not hold a position that a reader holds."""
    held_position = position(filled)
    with filled.connect("postgres") as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute("delete from raw.commits where first_seq > 1")
        superuser.execute("delete from app.comments")
        superuser.execute("delete from raw.events where seq > (select max(last_seq) from raw.commits)")
        superuser.execute("delete from raw.feed where seq > (select max(last_seq) from raw.commits)")
    audit.verify(filled.dsn())
    with pytest.raises(feed.FuturePosition):
        audit.verify(filled.dsn(), expected=held_position)

    while position(filled).seq < held_position.seq:
        post(filled, "Another end")

    audit.verify(filled.dsn())
    with pytest.raises(feed.MarkMismatch):
        audit.verify(filled.dsn(), expected=held_position)


@pytest.mark.parametrize("left", ["first_seq = 1", "false"])
def test_a_chain_without_its_end_is_found(filled: testing.PostgresDatabase, left: str) -> None:
    """By a position that a reader holds, also after entries were changed and sealed again; else by the open end."""
    held_position = position(filled)
    with filled.connect("postgres") as superuser:
        superuser.execute("set session_replication_role = replica")
        superuser.execute(f"delete from raw.commits where not ({left})".encode())
        superuser.execute("update raw.events set clock = clock + 1 where seq = (select max(seq) from raw.events)")

    result = audit.verify(filled.dsn())
    assert result.unsealed > 0
    assert result.is_end_removed
    with pytest.raises(feed.MarkMismatch):
        audit.verify(filled.dsn(), expected=held_position)
    with pytest.raises(audit.ChainBroken):
        audit.seal_history(filled.dsn())
    assert audit.accept_broken_chain(filled.dsn(), who="mona", reason="It was the test.")
    audit.seal_history(filled.dsn())
    with pytest.raises(feed.MarkMismatch):
        audit.verify(filled.dsn(), expected=held_position)


def test_the_command_fails_while_the_end_has_no_chain(
    filled: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to do; after sealing it succeeds."""
    monkeypatch.setenv("DATABASE_URL", filled.dsn())
    forget_chain(filled, keeps="first_seq = 1")
    found = CliRunner().invoke(cli.main, ["audit"])
    assert found.exit_code == 1
    assert "have no chain" in found.output
    assert CliRunner().invoke(cli.main, ["audit", "--seal"]).exit_code == 0
    assert "unbroken" in CliRunner().invoke(cli.main, ["audit"]).output


def test_history_is_sealed_in_steps(filled: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries without a chain, as an upgraded database has them, are sealed; appends in between join the chain."""
    monkeypatch.setattr(audit, "SEAL_ENTRIES", 7)
    forget_chain(filled)
    post(filled, "Not chained yet")
    assert open_alerts(filled) == []
    assert audit.verify(filled.dsn()).entries == 0

    seen: list[int] = []
    sealed = audit.seal_history(filled.dsn(), report=lambda done, of: seen.append(done))

    assert sealed == position(filled).seq == seen[-1]
    assert len(seen) > 3
    assert audit.seal_history(filled.dsn()) == 0
    with filled.connect() as owner:
        assert owner.execute("select unsealed_through from raw.identity").fetchone() == (None,)
    post(filled, "Chained")
    result = audit.verify(filled.dsn())
    assert (result.entries, result.unsealed) == (sealed + 1, 0)


def test_an_append_after_a_removed_end_raises_an_alert(
    filled: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain does not go on over the gap, and only an operator's decision, which is recorded, closes it."""
    monkeypatch.setenv("DATABASE_URL", filled.dsn())
    with filled.connect("postgres") as superuser:
        superuser.execute("delete from raw.commits where first_seq > 1")
    post(filled, "After it")
    assert open_alerts(filled) == [("chain_broken", "critical")]
    commands = CliRunner()
    for arguments in (["audit"], ["audit", "--seal"]):
        found = commands.invoke(cli.main, arguments)
        assert (found.exit_code, "docs/runbook.md, chain_broken" in found.output) == (1, True), found.output

    accepted = commands.invoke(cli.main, ["audit", "--seal", "--accept-broken-chain", "A restored disk."])

    assert accepted.exit_code == 0, accepted.output
    assert audit.verify(filled.dsn()).unsealed == 0
    assert open_alerts(filled) == []
    with filled.connect() as owner:
        assert owner.execute("select action, reason from ops.audit").fetchall() == [("audit seal", "A restored disk.")]
    post(filled, "Chained again")
    assert audit.verify(filled.dsn()).unsealed == 0


def test_a_removed_end_is_refused_without_a_later_append(filled: testing.PostgresDatabase) -> None:
    """Also when everything had been sealed before, as after an upgrade."""
    forget_chain(filled)
    audit.seal_history(filled.dsn())
    with filled.connect("postgres") as superuser:
        superuser.execute("delete from raw.commits")
    with pytest.raises(audit.ChainBroken):
        audit.seal_history(filled.dsn())
    assert not audit.verify(filled.dsn()).entries


def test_sealing_gives_the_same_value_as_appending(filled: testing.PostgresDatabase) -> None:
    """Python's leaves are those of SQL: with the same commits, the chain has the same value."""
    with filled.connect() as owner:
        commits = owner.execute("select first_seq, last_seq, value from raw.commits order by last_seq").fetchall()
        rows = owner.execute(audit.sql.entries, {"after": 0, "until": position(filled).seq}).fetchall()
    content = {row[0]: leaves.leaf(leaves.StoredEntry(*row)) for row in rows}

    value = leaves.GENESIS
    for first, last, stored in commits:
        value = hashlib.sha256(value + b"".join(content[seq] for seq in range(first, last + 1))).digest()
        assert value == stored


def test_an_entry_without_digests_is_left_for_sealing(marts_database: testing.PostgresDatabase) -> None:
    """A process of an earlier version sends no digests: its entries get their chain later, and no mark until then."""
    with marts_database.connect() as owner:
        owner.execute(
            "select raw.append_entries(array['event'], array[null::bigint], array[1], array[1], array[null::bytea])"
        )
        assert owner.execute("select count(*), raw.mark_of(1) from raw.commits").fetchone() == (0, None)
        owner.execute(
            "select raw.append_entries(array['moved'], array[1::bigint], array[1], array[1], array[null::bytea])"
        )
        assert owner.execute("select unsealed_through from raw.identity").fetchone() == (2,)
    assert open_alerts(marts_database) == []


def test_ingest_cannot_insert_past_the_chain(filled: testing.PostgresDatabase) -> None:
    """The service's role appends through the function alone."""
    with filled.connect("zmart_ingest") as ingest, pytest.raises(Exception, match="permission denied"):
        ingest.execute("insert into raw.feed (seq, kind) values (9999, 'moved')")


def test_an_audit_of_nothing_asks_for_migrate(empty_database: testing.PostgresDatabase) -> None:
    """A database without a log gets one sentence."""
    with pytest.raises(errors.ZmartError):
        audit.verify(empty_database.dsn("postgres"))
