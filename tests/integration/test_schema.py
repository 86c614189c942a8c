"""The schema files: sentences, one definition per function, and golden files of the generated functions."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

from zmart import testing
from zmart.db import queries, schema_files

DB = Path(schema_files.__file__).parent
GOLDEN = Path(__file__).parents[1] / "golden" / "functions"
#: Set this to write the golden files again after a model or the generator changed.
RENEW = "ZMART_WRITE_GOLDEN"
#: Signature and text of each generated function.
GENERATED = """
    select n.nspname || '.' || p.proname, pg_get_functiondef(p.oid)
    from pg_proc as p
    inner join pg_namespace as n on p.pronamespace = n.oid
    where n.nspname in ('folds', 'marts') and not n.nspname || '.' || p.proname = any(%s)
    order by 1
"""


def test_each_function_is_defined_in_one_file() -> None:
    """The file of a function has its name; neither a migration nor the schema defines a function."""
    definition = re.compile(r"^create (?:or replace )?(?:function|aggregate) ([a-z0-9_]+\.[a-z0-9_]+)", re.MULTILINE)
    for path in (DB / "functions").glob("*/*.sql"):
        # folds.create_dispatcher writes folds.apply, so it contains its text.
        names = [name for name in definition.findall(path.read_text()) if name != "folds.apply"]
        assert names == [f"{path.parent.name}.{path.stem}"], path
    for path in (DB / "schema.sql", DB / "policies.sql", *(DB / "migrations").glob("*.sql")):
        assert definition.findall(path.read_text()) == [], path


def test_every_function_says_what_it_returns(database: testing.PostgresDatabase) -> None:
    """A comment on each function, readable in psql."""
    with database.connect() as connection:
        silent = connection.execute(
            "select p.oid::regprocedure::text from pg_proc as p where p.pronamespace = any(%s::regnamespace [])"
            " and obj_description(p.oid, 'pg_proc') is null"
            " and not exists (select from pg_depend as d where d.objid = p.oid and d.deptype = 'e')",
            (["raw", "ops", "app", "folds", "lmsr"],),
        ).fetchall()
    assert silent == []


def test_no_function_is_in_the_database_alone(marts_database: testing.PostgresDatabase) -> None:
    """With every model deployed: each function of ours is in a file, or generated from a model."""
    names = schema_files.read_files().function_names
    with marts_database.connect() as connection:
        statement = queries.load("zmart.db", "history.sql").unknown_functions
        assert connection.execute(statement, {"names": names}).fetchall() == []
        connection.execute("create function ops.stray() returns int language sql return 1")
        assert connection.execute(statement, {"names": names}).fetchall() == [("ops.stray()",)]


def test_every_table_has_a_sentence(database: testing.PostgresDatabase) -> None:
    """Each table and view has a comment in the database."""
    with database.connect() as connection:
        silent = connection.execute(
            "select oid::regclass::text from pg_class"
            " where relnamespace = any(%s::regnamespace []) and relkind in ('r', 'v') and obj_description(oid) is null",
            (["raw", "ops", "app"],),
        ).fetchall()
    assert silent == []


def test_each_price_has_one_name_and_scale_and_outcome_is_text(marts_database: testing.PostgresDatabase) -> None:
    """In marts: a price is a bigint in billionths, of one name for trades and markets; no outcome is a boolean."""
    with marts_database.connect() as connection:
        columns = connection.execute(
            "select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute as a"
            " inner join pg_class as c on a.attrelid = c.oid"
            " where c.relnamespace = 'marts'::regnamespace and c.relkind in ('r', 'v', 'm')"
            " and a.attnum > 0 and not a.attisdropped"
        ).fetchall()
    candles = {
        (f"candles_{bucket}", name) for bucket in ("1m", "5m", "1h", "1d") for name in ("open", "high", "low", "close")
    }
    prices = {(table, name): type_ for table, name, type_ in columns if "price" in name or (table, name) in candles}
    # price_key is the place on chain of the trade that last_price_yes comes from.
    named = {("markets", "price_yes"), ("markets", "last_price_yes"), ("markets", "price_key")}
    named |= {("trades", "price_yes"), ("priced_trades", "price_yes")}
    assert prices == dict.fromkeys(named | candles, "bigint")
    outcomes = {(table, type_) for table, name, type_ in columns if name == "outcome"}
    assert outcomes == {("trades", "text"), ("markets", "text"), ("portfolio", "text")}


def test_every_index_and_policy_has_a_sentence() -> None:
    """The line above an index names the statement that needs it; a group of policies begins with a sentence."""
    lines = (DB / "schema.sql").read_text().splitlines()
    silent = [
        line
        for above, line in itertools.pairwise(lines)
        if re.match(r"create (unique )?index", line) and not above.startswith("-- ")
    ]
    assert silent == []
    for group in (DB / "policies.sql").read_text().split("\n\n"):
        assert "create policy" not in group or group.startswith("-- "), group


def test_generated_functions_are_their_golden_files(marts_database: testing.PostgresDatabase) -> None:
    """A change of a model or of the generator shows as a diff of tests/golden/functions."""
    with marts_database.connect() as connection:
        rows = connection.execute(GENERATED, (schema_files.read_files().function_names,)).fetchall()
    # The name of a shared step has a digest of its text.
    texts = {re.sub(r"_[0-9a-f]{8}$", "", str(name)): f"{text.rstrip()}\n" for name, text in rows}
    if os.environ.get(RENEW):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        for path in GOLDEN.glob("*.sql"):
            path.unlink()
        for name, text in texts.items():
            (GOLDEN / f"{name}.sql").write_text(text)

    golden = {path.stem: path.read_text() for path in GOLDEN.glob("*.sql")}
    differing = sorted(name for name in texts.keys() | golden.keys() if texts.get(name) != golden.get(name))
    assert differing == [], f"run: {RENEW}=1 pytest {__file__}"
