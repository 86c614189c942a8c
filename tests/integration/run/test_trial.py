"""`zmart dbt`: models in a schema of their own, as a role that may only read everything else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import event_histories
import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import conninfo
from test_rebuild import deliver

from zmart import cli, settings, testing
from zmart.run.deploy import rebuild, trial

#: One of each kind: folded on a shared step, ordered, scheduled, a view, and a view with a function of its own.
MODELS = ("markets", "position_costs", "leaderboard", "portfolio", "vote_tallies")
#: Everything of ours outside the trials' schema that dbt could change.
FINGERPRINT = """
    select md5(string_agg(found.entry, ',' order by found.entry))
    from (
        select c.oid::text || c.relfilenode || coalesce(obj_description(c.oid), '') as entry
        from pg_class as c
        where c.relnamespace::regnamespace::text in ('raw', 'ops', 'app', 'folds', 'marts', 'lmsr')
        union all
        select p.oid || p.prosrc from pg_proc as p where p.pronamespace::regnamespace::text in ('folds', 'marts')
        union all
        select name || definition_hash from ops.models
    ) as found (entry)
"""


@pytest.fixture
def configured(
    marts_database: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> testing.PostgresDatabase:
    """A database with a history, in the environment of the command."""
    deliver(marts_database, event_histories.generate(3))
    rebuild.refresh(marts_database.dsn(), report=lambda _: None)
    monkeypatch.setenv(settings.RUN_VARIABLE, "test")
    monkeypatch.setenv("ZMART_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", marts_database.dsn())
    return marts_database


def zmart(*arguments: str) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(cli.main, list(arguments))


def value(database: testing.PostgresDatabase, query: str) -> object:
    """Return the one value of a query."""
    with database.connect() as owner:
        row = owner.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def command_lines() -> set[bytes]:
    """Return the arguments of every process that can be read."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(path.read_bytes())
        except OSError:
            continue
    return found


@pytest.mark.drill
def test_models_are_built_beside_the_marts(configured: testing.PostgresDatabase) -> None:
    """They equal the marts, other models come from there, no mart changes, and no process shows the password."""
    password = str(conninfo.conninfo_to_dict(configured.dsn())["password"]).encode()
    before = value(configured, FINGERPRINT)
    seen: set[bytes] = set()

    command = [sys.executable, "-m", "zmart.cli", "dbt", "run", "--select", *MODELS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        assert child.stdout is not None
        output = ""
        for line in child.stdout:
            output += line
            seen |= command_lines()

    assert child.returncode == 0, output
    assert any(b"zmart.run.deploy.rebuild\0run\0" in line for line in seen)
    assert [line for line in seen if password in line] == []
    assert value(configured, FINGERPRINT) == before
    for model in MODELS:
        both = (
            f"(table dbt.{model} except table marts.{model}) union all (table marts.{model} except table dbt.{model})"
        )
        assert value(configured, f"select count(*) from dbt.{model}") == value(
            configured, f"select count(*) from marts.{model}"
        )
        assert value(configured, f"select count(*) from ({both}) as differing") == 0, model
    owners = "select string_agg(distinct tableowner, ',') from pg_tables where schemaname = 'dbt'"
    assert value(configured, owners) == trial.ROLE
    with configured.connect("analyst") as analyst:
        assert analyst.execute("select count(*) > 0 from dbt.portfolio").fetchone() == (True,)
    # A trial is repeated in place, and a model that was built there is preferred to the mart.
    built = zmart("dbt", "build", "--select", "holders")
    assert built.exit_code == 0, built.output
    assert "dbt.positions" not in str(value(configured, "select pg_get_viewdef('dbt.holders'::regclass)"))
    assert zmart("dbt", "run", "--select", "portfolio").exit_code == 0
    assert "dbt.markets" in str(value(configured, "select pg_get_viewdef('dbt.portfolio'::regclass)"))


def test_a_run_reads_the_log_up_to_one_seq(configured: testing.PostgresDatabase) -> None:
    """Entries that are appended while it runs are in no model of it, so that its models agree."""
    environment = trial.trial_environment(settings.load())
    trades = value(configured, "select count(*) from marts.trades")
    deliver(configured, event_histories.generate(4))
    assert value(configured, "select count(*) from marts.trades") != trades

    command = [sys.executable, "-m", "zmart.run.deploy.rebuild", "run", "--select", "+trades", "positions"]
    subprocess.run(command, env=environment, check=True)

    assert value(configured, "select count(*) from dbt.trades") == trades
    assert value(configured, "select sum(trades_count) from dbt.positions") == trades


def test_models_that_an_analyst_cannot_read_are_left_out(tmp_path: Path) -> None:
    """Without a selection, `zmart dbt` leaves out the models that read the schema app; a deployment leaves out none."""
    command = [sys.executable, "-m", "zmart.run.deploy.rebuild", "ls", "--quiet", "--resource-type", "model"]
    folder = {"DBT_TARGET_PATH": str(tmp_path), "DBT_LOG_PATH": str(tmp_path)}
    tried, deployed = (
        subprocess.run(
            command, env={**os.environ, **folder, "DBT_TARGET": target}, check=True, capture_output=True, text=True
        ).stdout.split()
        for target in (trial.TARGET, "live")
    )

    assert {name.rpartition(".")[2] for name in {*deployed} - {*tried}} == {"ballots", "discussions"}


@pytest.mark.parametrize(
    "statement",
    [
        "delete from marts.markets",
        "insert into raw.events default values",
        "update ops.settings set value = 1",
        "select folds.fold(0, 1)",
        "create table marts.mine (a int)",
        "select content from app.comments",
    ],
)
def test_the_role_writes_nowhere_else(configured: testing.PostgresDatabase, statement: str) -> None:
    """Even the owner's login has, as this role, the rights of an analyst and one schema."""
    with (
        psycopg.connect(trial.trial_dsn(configured.dsn())) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


@contextmanager
def renamed_role(database: testing.PostgresDatabase) -> Iterator[None]:
    """The server without the role; roles belong to all databases, so the name comes back."""
    with database.connect("postgres") as administrator:
        administrator.execute("alter role zmart_dbt rename to zmart_dbt_other")
        try:
            yield
        finally:
            administrator.execute("alter role zmart_dbt_other rename to zmart_dbt")


def test_a_missing_role_is_one_sentence(configured: testing.PostgresDatabase) -> None:
    """It names the statements that create the role."""
    with renamed_role(configured):
        refused = zmart("dbt", "run")

    assert refused.exit_code == 2
    assert "The role zmart_dbt does not exist." in refused.output
    assert "create role zmart_dbt" in refused.output


def test_a_missing_schema_is_created_by_migrate(configured: testing.PostgresDatabase) -> None:
    """A database that was migrated before the role existed."""
    with configured.connect() as owner:
        owner.execute("drop schema dbt cascade")
    refused = zmart("dbt", "run")
    rebuild.deploy(configured.dsn())

    assert refused.exit_code == 2
    assert "The schema dbt does not exist." in refused.output
    assert "zmart migrate" in refused.output
    assert trial.trial_environment(settings.load())["DBT_TARGET"] == "trial"


def test_a_login_that_may_not_act_as_the_role_gets_the_grant(configured: testing.PostgresDatabase) -> None:
    """The grant is for an administrator of the server."""
    with configured.connect("postgres") as administrator:
        administrator.execute("revoke zmart_dbt from zmart_owner")
        try:
            refused = zmart("dbt", "run")
        finally:
            administrator.execute("grant zmart_dbt to zmart_owner")

    assert refused.exit_code == 2
    assert "The login zmart_owner may not act as zmart_dbt." in refused.output
    assert "grant zmart_dbt to zmart_owner" in refused.output


def test_missing_dbt_is_one_sentence(configured: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next step is the setup."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    refused = zmart("dbt", "run")

    assert refused.exit_code == 2
    assert "dbt is not installed. Run: make setup" in " ".join(refused.output.split())


def test_another_folder_than_a_checkout_is_one_sentence(
    configured: testing.PostgresDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An installed package has no models."""
    monkeypatch.setattr(rebuild, "PROJECT", tmp_path)

    refused = zmart("dbt", "run")

    assert refused.exit_code == 2
    assert "There is no dbt_project.yml in" in refused.output
