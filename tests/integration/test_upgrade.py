"""An older database is upgraded in place, loses nothing, and has the schema of a new one."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import event_histories
import psycopg
import pytest

from ingest.records import TransactionRow
from ingest.store.writer import Writer
from zmart import errors, testing
from zmart.db import migrate, schema_files
from zmart.run.audit import audit
from zmart.run.deploy import rebuild
from zmart.run.postgres import binaries

UPGRADE = Path(__file__).parents[1] / "data" / "upgrade"
#: The steps from 0027 to the state before the earlier migrations were replaced: each alone, in order.
STEPS = ["0028_unfetched.sql", "0029_behind.sql", "0030_wanted.sql", "0033_alert_delivery.sql"]
#: Data that no chain can restore, and the expressions that must be equal before and after. The second name is today's.
PRESERVED = [
    ("app.comment_edits", "app.comment_edits"),
    ("app.reactions", "app.reactions"),
    ("app.flags", "app.flags"),
    ("app.sessions", "app.sessions"),
    ("app.redeemed_nonces", "app.redeemed_nonces"),
    ("ops.intents", "ops.intents"),
    ("ops.submissions", "ops.submissions"),
    ("ops.snapshots", "ops.snapshots"),
    ("ops.cursors", "ops.cursors"),
    ("ops.leases", "ops.leases"),
    ("ops.settings", "ops.settings"),
    ("ops.uncompared", "ops.uncompared_accounts"),
    ("raw.bundles", "raw.bundles"),
    ("raw.markets_seen", "raw.markets_seen"),
    ("raw.wallets_seen", "raw.wallets_seen"),
    ("raw.coverage", "raw.coverage"),
    ("raw.dead_letters", "raw.dead_letters"),
    ("raw.suspects", "raw.retraction_candidates"),
]
#: The columns that stay, of tables that gain or lose some.
WIDENED = {
    "raw.events": (
        "raw.events",
        "seq, order_key, transaction_no, ordinal, name, market_no, wallet_no, clock, payload, context, retracted_at",
    ),
    "app.ballots": ("app.ballots", "seq, market_no, kind, wallet_no, vote, cast_at, message, signature"),
    "app.comments": (
        "app.comments",
        "comment_no, seq, market_no, wallet_no, parent_no, content, created_at, edited_at, deleted_at, root_no",
    ),
    "raw.transactions": (
        "raw.transactions",
        "transaction_no, signature, slot, index_in_block, order_settled, block_time, err, fee_lamports, body, digest,"
        " sightings, first_seen_at, retracted_at, bundle_no, bundle_start, bundle_length",
    ),
    "app.market_metadata": (
        "app.market_metadata",
        "market_id, wallet_no, user_wallet, question, description, category, tags, ends_at, question_cid, created_at",
    ),
    "raw.feed": ("raw.feed", "seq, kind, ref, market_no, wallet_no, at"),
    "raw.wanted": ("raw.pending_signatures", "signature, reason, attempts, next_attempt_at, slot, last_error"),
    "ops.alerts": ("ops.alerts", "alert_no, kind, subject, severity, message, occurrences, raised_at, resolved_at"),
}


@pytest.fixture(scope="module")
def earlier(postgres_server: testing.PostgresServer) -> Iterator[testing.PostgresDatabase]:
    """A database at 0027 with events, ballots, comments, metadata, an open intent and a session; clone it."""
    database = postgres_server.create()
    migrate.prepare(database.dsn("postgres"))
    text = gzip.decompress((UPGRADE / "0027.sql.gz").read_bytes()).decode()
    with database.connect("postgres") as connection:
        connection.execute(re.sub(r"^\\.*$", "", text, flags=re.MULTILINE))
    yield database
    postgres_server.drop(database)


@pytest.fixture
def upgradable(
    postgres_server: testing.PostgresServer, earlier: testing.PostgresDatabase
) -> Iterator[testing.PostgresDatabase]:
    """A clone of `earlier`."""
    with postgres_server.clone(earlier) as database:
        yield database


def digest(database: testing.PostgresDatabase, table: str, columns: str = "t") -> tuple[object, ...] | None:
    """The number of rows and a digest of them all."""
    row = f"(select ({columns})::text)" if columns == "t" else f"(row({columns}))::text"
    with database.connect("postgres") as connection:
        return connection.execute(
            f"select count(*), md5(string_agg({row}, '|' order by {row})) from {table} as t"
        ).fetchone()


def step(database: testing.PostgresDatabase, name: str, *, checksum: str | None = None) -> None:
    """Apply one of the replaced migrations as the earlier version did."""
    text = gzip.decompress((UPGRADE / f"{name}.gz").read_bytes()).decode()
    with database.connect() as owner, owner.transaction():
        owner.execute(text)
        owner.execute(
            "insert into zmart_migrations.applied (version, name, checksum) values (%s, %s, %s)",
            (int(name[:4]), name, checksum or hashlib.sha256(text.encode()).hexdigest()),
        )


def dump(database: testing.PostgresDatabase) -> list[str]:
    """The schema by pg_dump in statements, grants sorted, without what dbt and Dagster make."""
    done = subprocess.run(
        [
            str(binaries.find_binaries().folder / "pg_dump"),
            *("--schema-only", "--restrict-key=x", "--exclude-schema=zmart_migrations"),
            database.dsn("postgres"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    objects = re.split(r"^--\n-- Name: (.*)\n--\n", done.stdout, flags=re.MULTILINE)
    generated = re.compile(r".*; Schema: marts;|(apply|refold|stg)\w*(\(.*\))?; |FUNCTION (apply|refold|stg)_?\w*\(")
    statements = (
        "\n".join(sorted(body.split("\n"))) if "; Type: ACL" in heading else body
        for heading, body in zip(objects[1::2], objects[2::2], strict=True)
        if not generated.match(heading) or "Type: DEFAULT ACL" in heading
    )
    return sorted(re.sub(r"^SET .*$|\n(?=\n)", "", statement, flags=re.MULTILINE).strip() for statement in statements)


@pytest.mark.parametrize("steps", range(len(STEPS) + 1))
def test_an_upgraded_database_is_a_new_one(
    database: testing.PostgresDatabase, upgradable: testing.PostgresDatabase, steps: int
) -> None:
    """From 0027 and from each later version: the same schema as zmart/db/schema.sql makes, found by pg_dump."""
    for name in STEPS[:steps]:
        step(upgradable, name)

    applied = migrate.migrate(upgradable.dsn())

    assert applied[0] == "0034_plain_names.sql"
    assert migrate.migrate(upgradable.dsn()) == []
    assert dump(upgradable) == dump(database)


def test_an_upgrade_loses_nothing(upgradable: testing.PostgresDatabase) -> None:
    """Ballots, comments, metadata, sessions, intents and the log are what they were; the marts equal a rebuild."""
    before = {today: digest(upgradable, table) for table, today in PRESERVED}
    before |= {today: digest(upgradable, table, columns) for table, (today, columns) in WIDENED.items()}
    assert min(int(str(found[0])) for found in before.values() if found) > 0
    assert set(_differing_rows(upgradable).values()) == {(0,)}
    signatures = digest(upgradable, "raw.events", "seq, signature")

    migrate.migrate(upgradable.dsn())

    after = {today: digest(upgradable, today) for _, today in PRESERVED}
    after |= {today: digest(upgradable, today, columns) for today, columns in WIDENED.values()}
    assert after == before
    # Markets that were described before have slugs.
    assert digest(upgradable, "app.market_slugs", "slug, market_id") == digest(
        upgradable, "app.market_metadata", "slug, market_id"
    )
    assert digest(upgradable, "log.events", "seq, signature") == signatures
    rebuild.deploy(upgradable.dsn())
    assert audit.seal_history(upgradable.dsn()) == int(str(before["raw.feed"][0]))
    assert audit.verify(upgradable.dsn()).unsealed == 0
    assert [verdict.name for verdict in rebuild.verify(upgradable.dsn()) if not verdict.is_consistent] == []


def _differing_rows(database: testing.PostgresDatabase) -> dict[str, object]:
    """The rows of each folded mart that differ from a rebuild by the functions of the earlier schema."""
    with database.connect() as owner:
        names = [str(name) for (name,) in owner.execute("select name from ops.models order by name")]
        return {name: owner.execute("select * from folds.differences(%s)", (name,)).fetchone() for name in names}


def test_stored_values_are_renamed(upgradable: testing.PostgresDatabase) -> None:
    """Sources of a gross that was a guess have today's names at once, before the models are deployed again."""
    with upgradable.connect() as owner:
        owner.execute("alter table marts.trades drop constraint if exists trades_gross_from_check")
        seqs = [seq for (seq,) in owner.execute("select seq from marts.trades order by seq limit 2")]
        for seq, value in zip(seqs, ("awaited", "guess"), strict=True):
            owner.execute("update marts.trades set gross_from = %s where seq = %s", (value, seq))

    migrate.migrate(upgradable.dsn())

    with upgradable.connect() as owner:
        found = owner.execute(
            "select gross_from from marts.trades where seq = any(%s) order by seq", (seqs,)
        ).fetchall()
        assert found == [("provisional",), ("estimated",)]
        texts = owner.execute("select count(*) from ops.models where fold_sql || merge_sql ~ '''(awaited|guess)'''")
        assert texts.fetchone() == (0,)


def test_ingest_goes_on_before_the_models_are_deployed(upgradable: testing.PostgresDatabase) -> None:
    """The functions of installed models are generated again: they call functions by their new names."""
    migrate.migrate(upgradable.dsn())
    with upgradable.connect() as owner:
        (before,) = owner.execute("select count(*) from marts.trades").fetchone() or (0,)
    asyncio.run(_append(upgradable, event_histories.generate(7)))
    with upgradable.connect() as owner:
        assert owner.execute("select count(*) > %s from marts.trades", (before,)).fetchone() == (True,)
        assert owner.execute("select name, reason from ops.models where applied_seq is not null").fetchall() == []


async def _append(database: testing.PostgresDatabase, rows: Sequence[TransactionRow]) -> None:
    writer = await Writer.connect(database.dsn("zmart_ingest"))
    await writer.append(rows, source="webhook")
    await writer.close()


@pytest.mark.parametrize("name", ["zmart ingest writer", "zmart relay", "zmart replay", "zmart gap", "zmart export"])
def test_services_of_the_version_before_are_refused(upgradable: testing.PostgresDatabase, name: str) -> None:
    """While one is connected, nothing changes, and the sentence names it; without it the upgrade goes on."""
    before = dump(upgradable)
    with (
        psycopg.connect(upgradable.dsn("zmart_ingest"), application_name=name),
        pytest.raises(errors.ConfigurationError, match=rf"still connected: {name}\. Stop ingest"),
    ):
        migrate.migrate(upgradable.dsn())

    assert dump(upgradable) == before
    assert migrate.migrate(upgradable.dsn())[0] == "0034_plain_names.sql"


def test_a_view_of_the_column_that_goes_is_named(upgradable: testing.PostgresDatabase) -> None:
    """An analyst's view over raw.events.signature is neither dropped nor broken: the sentence says what to do."""
    with upgradable.connect("postgres") as superuser:
        superuser.execute("create view public.mine as select seq, signature from raw.events")

    with pytest.raises(
        errors.ConfigurationError, match=r"the view mine reads raw\.events\.signature.*log\.events.*drop it\. [A-Z]"
    ):
        migrate.migrate(upgradable.dsn())


def test_other_checksums_are_accepted_for_the_same_schema(upgradable: testing.PostgresDatabase) -> None:
    """A migration with another comment or another line end made the same schema."""
    with upgradable.connect() as owner:
        owner.execute("update zmart_migrations.applied set checksum = 'edited' where version in (3, 27)")

    assert migrate.migrate(upgradable.dsn())[0] == "0034_plain_names.sql"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("alter table app.comments add column mood text", "table app.comments"),
        ("drop index raw.events_live", "table raw.events"),
        ("create table ops.private (n int)", "table ops.private"),
        ("drop policy read_ones_own on app.sessions", "table app.sessions"),
        ("create or replace function raw.take_writer() returns void language plpgsql as $$ begin end $$", "raw.take_"),
    ],
)
def test_another_schema_is_refused(upgradable: testing.PostgresDatabase, change: str, named: str) -> None:
    """The message names the object and pg_dump, advises no deletion, and nothing was changed."""
    with upgradable.connect() as owner:
        owner.execute(change.encode())
        owner.execute("update zmart_migrations.applied set checksum = 'edited' where version = 3")
    before = dump(upgradable)

    with pytest.raises(errors.ConfigurationError, match=r"0003_app\.sql was applied here with another text") as caught:
        migrate.migrate(upgradable.dsn())

    message = str(caught.value)
    assert named in message
    assert "pg_dump" in message
    assert not re.search(r"\b(delete|drop|rebuild|another database|reset)\b", message, re.IGNORECASE)
    assert dump(upgradable) == before


def test_a_database_before_0027_is_refused(upgradable: testing.PostgresDatabase) -> None:
    """The sentence says from which version on, and what to do first."""
    with upgradable.connect() as owner:
        owner.execute("delete from zmart_migrations.applied where version > 25")

    with pytest.raises(errors.ConfigurationError, match=r"is at 0025; this version upgrades .* 0027 .*pg_dump"):
        migrate.migrate(upgradable.dsn())


#: Statements that a mistake leaves behind, and the sentence that `zmart migrate` answers them with.
MISTAKES = {
    "a newer database": (
        "insert into zmart_migrations.applied (version, name, checksum) values (9999, '9999_new.sql', '')",
        r"This database has 9999_new\.sql, which this release does not contain\.",
    ),
    "an edited file": (
        "update zmart_migrations.applied set checksum = 'edited' where version = 34",
        r"0034_plain_names\.sql was edited after it had been applied to this database\.",
    ),
    "an unknown function": (
        "create function raw.stray(int) returns int language sql return 1",
        r"The database has functions that no file of zmart/db/functions defines: raw\.stray\(integer\)\.",
    ),
    "a history without its last migrations": (
        "delete from zmart_migrations.applied where version > 34",
        r"0035_keeper_rounds\.sql failed and was rolled back: relation \"keeper_rounds\" already exists\.",
    ),
    "a history without any migration": (
        "delete from zmart_migrations.applied",
        r"schema\.sql failed and was rolled back: schema \"raw\" already exists\.",
    ),
    "a table that was dropped": (
        "drop table app.flags cascade",
        r"\S+ failed and was rolled back: relation \"app\.flags\" does not exist( \(line \d+\))?\.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_changes_nothing(database: testing.PostgresDatabase, mistake: str) -> None:
    """The sentence is followed by the next step, on one line; neither the schema nor the history changes."""
    statement, sentence = MISTAKES[mistake]
    with database.connect() as owner:
        owner.execute(statement.encode())
        # Every function has another text in the sources, so that a run that continues applies them.
        owner.execute("update zmart_migrations.functions set checksum = 'earlier'")
    before = (
        dump(database),
        digest(database, "zmart_migrations.applied"),
        digest(database, "zmart_migrations.functions"),
    )

    with pytest.raises(errors.ConfigurationError) as caught:
        migrate.migrate(database.dsn())

    assert re.fullmatch(f"{sentence} [A-Z][^\n]+\\.", str(caught.value)), str(caught.value)
    assert (
        dump(database),
        digest(database, "zmart_migrations.applied"),
        digest(database, "zmart_migrations.functions"),
    ) == before


def test_a_half_applied_upgrade_changes_nothing(upgradable: testing.PostgresDatabase) -> None:
    """An operator ran some statements of 0034 by hand: the sentence names the first that fails."""
    with upgradable.connect() as owner:
        owner.execute("alter table raw.wanted rename to pending_signatures")
    before = dump(upgradable), digest(upgradable, "zmart_migrations.applied")

    with pytest.raises(errors.ConfigurationError) as caught:
        migrate.migrate(upgradable.dsn())

    assert re.fullmatch(
        r"0034_plain_names\.sql failed and was rolled back: [^\n]*\"raw\.wanted\" does not exist[^\n]*\. [^\n]+\.",
        str(caught.value),
    ), str(caught.value)
    assert (dump(upgradable), digest(upgradable, "zmart_migrations.applied")) == before


def test_a_failing_upgrade_changes_nothing(upgradable: testing.PostgresDatabase, tmp_path: Path) -> None:
    """An upgrade that fails at its last function leaves the database at 0027, and the next run succeeds."""
    before = dump(upgradable)
    broken = copy_sources(tmp_path)
    last = schema_files.read_files().function_names[-1]
    path = broken / "functions" / (last.replace(".", "/") + ".sql")
    path.write_text(path.read_text() + "\nselect nonsense;")
    line = len(path.read_text().splitlines())

    with pytest.raises(errors.ConfigurationError) as caught:
        migrate.migrate(upgradable.dsn(), directory=broken)

    assert str(caught.value) == (
        f'{last} failed and was rolled back: column "nonsense" does not exist (line {line}). '
        "Correct the file, or the data that it failed on, and run `zmart migrate` again."
    )

    assert dump(upgradable) == before
    assert migrate.migrate(upgradable.dsn())[0] == "0034_plain_names.sql"


def copy_sources(folder: Path) -> Path:
    """A copy of zmart/db to break."""
    source = Path(migrate.__file__).parent
    return Path(shutil.copytree(source, folder / "db"))
