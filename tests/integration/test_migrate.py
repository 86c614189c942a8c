"""Migrations: applied once, in order, completely or not at all; and the roles that may apply them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import debian_packages
from zmart import errors, settings, testing
from zmart.db import migrate, schema_files
from zmart.run.postgres import binaries, embedded


@pytest.fixture
def ready(empty_database: testing.PostgresDatabase) -> testing.PostgresDatabase:
    """An empty database whose owner may create schemas."""
    migrate.prepare(empty_database.dsn("postgres"))
    return empty_database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of two small migrations; its parent stands for zmart/db."""
    migrations = tmp_path / "migrations"
    migrations.mkdir()
    (migrations / "0001_one.sql").write_text("create table public.one (n int);")
    (migrations / "0002_two.sql").write_text("insert into public.one values (1);")
    return migrations


@pytest.fixture
def functions(folder: Path) -> Path:
    """The folder of one function beside the migrations, with a schema for it."""
    (folder / "0003_schema.sql").write_text("create schema ops; create table ops.models (name text, staged_as text);")
    functions = folder.parent / "functions"
    (functions / "ops").mkdir(parents=True)
    (functions / "ORDER").write_text("# Comment.\nops.answer\n")
    (functions / "ops" / "answer.sql").write_text(ANSWER.format(41))
    return functions


ANSWER = "create or replace function ops.answer() returns int language sql return {};"


@pytest.fixture(autouse=True)
def _open_public(ready: testing.PostgresDatabase) -> None:
    with ready.connect("postgres") as connection:
        connection.execute("grant create on schema public to zmart_owner")


def _apply(database: testing.PostgresDatabase, folder: Path) -> list[str]:
    return migrate.migrate(database.dsn(), directory=folder.parent)


def _count(database: testing.PostgresDatabase) -> int:
    with database.connect() as connection:
        row = connection.execute("select count(*) from public.one").fetchone()
    assert row is not None
    return int(str(row[0]))


def test_each_file_is_applied_once(ready: testing.PostgresDatabase, folder: Path) -> None:
    """A second run finds nothing to do."""
    assert migrate.pending_migrations(ready.dsn(), directory=folder.parent) == ["0001_one.sql", "0002_two.sql"]

    assert _apply(ready, folder) == ["0001_one.sql", "0002_two.sql"]
    assert _apply(ready, folder) == []
    assert migrate.pending_migrations(ready.dsn(), directory=folder.parent) == []
    assert _count(ready) == 1


def test_an_edited_file_is_refused(ready: testing.PostgresDatabase, folder: Path) -> None:
    """History is not rewritten: the message has the file's name and the next step."""
    _apply(ready, folder)
    (folder / "0002_two.sql").write_text("insert into public.one values (2);")

    with pytest.raises(errors.ConfigurationError, match=r"0002_two\.sql was edited .* new migration"):
        _apply(ready, folder)


def test_line_ends_are_no_edit(ready: testing.PostgresDatabase, folder: Path) -> None:
    """A checkout with other line ends is the same history."""
    (folder / "0001_one.sql").write_bytes(b"create table\npublic.one (n int);\n")
    _apply(ready, folder)
    (folder / "0001_one.sql").write_bytes(b"create table\r\npublic.one (n int);\r\n")

    assert _apply(ready, folder) == []


def test_a_missing_file_is_refused(ready: testing.PostgresDatabase, folder: Path) -> None:
    """Sources older than the database change nothing."""
    _apply(ready, folder)
    (folder / "0002_two.sql").unlink()

    with pytest.raises(errors.ConfigurationError, match=r"has 0002_two\.sql, which this release"):
        _apply(ready, folder)


def test_a_late_number_is_refused(ready: testing.PostgresDatabase, folder: Path) -> None:
    """A file numbered before the applied ones would give databases different orders."""
    (folder / "0001_one.sql").rename(folder / "0003_one.sql")
    (folder / "0002_two.sql").unlink()
    _apply(ready, folder)
    (folder / "0002_late.sql").write_text("select 1;")

    with pytest.raises(errors.ConfigurationError, match=r"0002_late\.sql is new.*next free number"):
        _apply(ready, folder)


def test_a_failing_file_leaves_nothing_behind(ready: testing.PostgresDatabase, folder: Path) -> None:
    """All files are one transaction: a failing file undoes those before it, and the next run applies them all."""
    broken = folder / "0003_broken.sql"
    broken.write_text("insert into public.one values (2);\nselect nonsense;")
    with pytest.raises(errors.ConfigurationError, match=r"0003_broken\.sql failed .*nonsense"):
        _apply(ready, folder)
    with ready.connect() as connection:
        assert connection.execute("select to_regclass('public.one')").fetchone() == (None,)

    broken.write_text("insert into public.one values (2);")

    assert _apply(ready, folder) == ["0001_one.sql", "0002_two.sql", "0003_broken.sql"]
    assert _count(ready) == 2


def test_a_function_is_applied_when_its_text_changes(
    ready: testing.PostgresDatabase, folder: Path, functions: Path
) -> None:
    """The first run defines it, a second run skips it, a changed file replaces it."""
    assert _apply(ready, folder)[-1] == "ops.answer"
    assert _apply(ready, folder) == []
    (functions / "ops" / "answer.sql").write_text(ANSWER.format(42))

    assert migrate.pending_migrations(ready.dsn(), directory=folder.parent) == ["ops.answer"]
    assert _apply(ready, folder) == ["ops.answer"]
    with ready.connect() as connection:
        assert connection.execute("select ops.answer()").fetchone() == (42,)


def test_a_failing_function_undoes_the_migrations(
    ready: testing.PostgresDatabase, folder: Path, functions: Path
) -> None:
    """There is no half-applied upgrade: tables and functions change together or not at all."""
    (functions / "ops" / "answer.sql").write_text(ANSWER.format("nonsense"))

    with pytest.raises(errors.ConfigurationError, match=r"ops\.answer failed and was rolled back: .*nonsense"):
        _apply(ready, folder)
    with ready.connect() as connection:
        assert connection.execute("select to_regclass('public.one')").fetchone() == (None,)


@pytest.mark.parametrize("planted", ["ops.other()", "ops.answer(int)"])
def test_an_unknown_function_is_refused(
    ready: testing.PostgresDatabase, folder: Path, functions: Path, planted: str
) -> None:
    """A function that no file defines, or another version of one, is reported; nothing changes."""
    _apply(ready, folder)
    with ready.connect() as connection:
        connection.execute(f"create function {planted} returns int language sql return 1;")
    (functions / "ops" / "answer.sql").write_text(ANSWER.format(42))

    with pytest.raises(
        errors.ConfigurationError, match=r"no file of zmart/db/functions defines: .*ops\..*\. Nothing was"
    ):
        _apply(ready, folder)
    with ready.connect() as connection:
        assert connection.execute("select ops.answer()").fetchone() == (41,)


@pytest.mark.parametrize("order", ["ops.answer\nops.other\n", "", "ops.answer\nops.answer\n"])
def test_order_names_each_function_once(folder: Path, functions: Path, order: str) -> None:
    """A file without a line, a line without a file and a duplicate line are rejected before any change."""
    (functions / "ORDER").write_text(order)

    with pytest.raises(errors.ConfigurationError, match=r"do not agree on ops\.(answer|other)"):
        schema_files.read_files(folder.parent)


def test_a_new_database_gets_the_schema_file(ready: testing.PostgresDatabase, folder: Path) -> None:
    """Its migrations are recorded as applied; a later one is applied on top."""
    (folder.parent / "schema.sql").write_text("create table public.one (n int); insert into public.one values (7);")

    assert _apply(ready, folder) == ["schema.sql"]
    assert _count(ready) == 1
    (folder / "0003_more.sql").write_text("insert into public.one values (8);")

    assert _apply(ready, folder) == ["0003_more.sql"]
    assert _count(ready) == 2


@pytest.mark.parametrize("name", ["1_one.sql", "0001-one.sql", "0001_One.sql"])
def test_names_have_a_form(tmp_path: Path, name: str) -> None:
    """A file whose name sorts or parses differently is rejected."""
    (tmp_path / name).write_text("select 1;")

    with pytest.raises(errors.ConfigurationError, match="not named like"):
        schema_files.read_migrations(tmp_path)


def test_a_number_is_used_once(folder: Path) -> None:
    """Two branches with the same number are reported before any change."""
    (folder / "0002_other.sql").write_text("select 1;")

    with pytest.raises(errors.ConfigurationError, match="the same number"):
        schema_files.read_migrations(folder)


def test_two_deployments_at_once_apply_once(ready: testing.PostgresDatabase, folder: Path) -> None:
    """The second waits for the first and then has nothing to do."""
    (folder / "0002_two.sql").write_text("select pg_sleep(0.2); insert into public.one values (1);")
    results: list[list[str]] = []
    threads = [threading.Thread(target=lambda: results.append(_apply(ready, folder))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [[], ["0001_one.sql", "0002_two.sql"]]
    assert _count(ready) == 1


LOCKED = "alter table public.one add column m int;"


def test_a_migration_lets_others_work_while_it_waits_for_a_lock(
    ready: testing.PostgresDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long transaction reads the table. Others read it between the attempts; when it ends, the file is applied."""
    monkeypatch.setattr(migrate, "LOCK_PAUSE_SECONDS", 0.2)
    _apply(ready, folder)
    (folder / "0003_three.sql").write_text(LOCKED)
    reports: list[str] = []
    has_failed = threading.Event()

    def report(sentence: str) -> None:
        reports.append(sentence)
        has_failed.set()

    with psycopg.connect(ready.dsn(), application_name="a long report") as reader, ready.connect() as other:
        reader.execute("select count(*) from public.one")
        applied: list[str] = []
        thread = threading.Thread(
            target=lambda: applied.extend(migrate.migrate(ready.dsn(), directory=folder.parent, report=report))
        )
        thread.start()
        assert has_failed.wait(30)
        other.execute("set statement_timeout = '5s'")
        other.execute("select count(*) from public.one")
        reader.rollback()
        thread.join(30)

    assert applied == ["0003_three.sql"]
    assert "Trying again while these transactions are open: a long report (pid " in reports[0]


def test_a_lock_that_does_not_become_free_is_one_sentence(
    ready: testing.PostgresDatabase, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is changed, and the transaction is named."""
    monkeypatch.setattr(migrate, "LOCKS_WITHIN_SECONDS", 0.0)
    _apply(ready, folder)
    (folder / "0003_three.sql").write_text(LOCKED)
    with psycopg.connect(ready.dsn(), application_name="a long report") as reader:
        reader.execute("select count(*) from public.one")
        with pytest.raises(errors.Unavailable, match=r"nothing was changed.*: a long report \(pid \d+, user"):
            _apply(ready, folder)
    assert migrate.pending_migrations(ready.dsn(), directory=folder.parent) == ["0003_three.sql"]


def test_whoever_connects_the_owner_owns(ready: testing.PostgresDatabase, folder: Path) -> None:
    """A superuser's deployment belongs to zmart_owner, too."""
    migrate.migrate(ready.dsn("postgres"), directory=folder.parent)

    with ready.connect() as connection:
        owner = connection.execute("select tableowner from pg_tables where tablename = 'one'").fetchone()
    assert owner == ("zmart_owner",)


def test_login_without_rights_gets_the_grant_to_run(ready: testing.PostgresDatabase, folder: Path) -> None:
    """A login that may not become the owner is rejected with the statement that grants it."""
    with pytest.raises(errors.ConfigurationError, match="grant zmart_owner to analyst"):
        migrate.migrate(ready.dsn("analyst"), directory=folder.parent)


def test_roles_are_prepared_again_without_harm(ready: testing.PostgresDatabase) -> None:
    """The second run changes nothing and misses nothing."""
    assert migrate.prepare(ready.dsn("postgres")) == []


def test_prepare_lists_the_grants_an_ordinary_login_lacks(ready: testing.PostgresDatabase) -> None:
    """Missing rights of a login are listed as SQL for an administrator."""
    missing = migrate.prepare(ready.dsn("zmart_owner"))

    assert "zmart_owner may not act as zmart_api: grant zmart_api to zmart_owner" in missing


def test_a_login_that_may_create_roles_is_enough(empty_database: testing.PostgresDatabase) -> None:
    """A hosted server's administrator is not a superuser; the schema is created nevertheless, with the right owner."""
    with empty_database.connect("postgres") as connection:
        connection.execute("create role hosted login createrole password 'x'")
        for role in settings.ROLES:
            connection.execute(
                psycopg.sql.SQL("grant {} to hosted with admin option").format(psycopg.sql.Identifier(role))
            )
        connection.execute(
            psycopg.sql.SQL("alter database {} owner to hosted").format(psycopg.sql.Identifier(empty_database.name))
        )
    dsn = empty_database.dsn("zmart_owner").replace("zmart_owner:", "hosted:", 1)
    dsn = dsn.split("hosted:", 1)[0] + "hosted:x@" + dsn.split("@", 1)[1]
    try:
        missing = migrate.prepare(dsn)
        applied = migrate.migrate(dsn)
    finally:
        with empty_database.connect("postgres") as connection:
            connection.execute("reassign owned by hosted to postgres")
            connection.execute("drop owned by hosted")
            connection.execute("drop role hosted")

    assert missing == []
    assert applied[0] == "schema.sql"


@pytest.fixture(params=["embedded", pytest.param("Debian", marks=pytest.mark.drill)])
def own_server(request: pytest.FixtureRequest) -> Iterator[embedded.EmbeddedPostgres]:
    """A server of each origin, the oldest of them."""
    found = _find_binaries(request.param)
    if not found and request.param == "Debian":
        try:
            debian_packages.install_postgres()
        except debian_packages.NotInstallable as error:
            pytest.skip(str(error))
        found = _find_binaries("Debian")
    with testing.temporary_server(found[-1]) as server:
        yield server


def _find_binaries(origin: str) -> list[binaries.Binaries]:
    return [each for each in binaries.find_all() if each.origin == origin]


def test_the_schema_arrives_on_every_supported_server(
    own_server: embedded.EmbeddedPostgres,
) -> None:
    """All of our migrations apply on the oldest and on the newest installed Postgres."""
    applied = migrate.migrate(own_server.dsn())

    assert applied[0] == "schema.sql"
    assert migrate.migrate(own_server.dsn()) == []
