"""Postgres plans every composed statement of the API, and psql runs what `zmart sql show` prints."""

from __future__ import annotations

import datetime
import re
import subprocess
from typing import Any

import psycopg
import pytest

from api import app, sql_catalog
from zmart import testing
from zmart.run.postgres import binaries

#: The types that psycopg sends; a text is sent without a type, and Postgres infers it.
TYPES = {
    int: "int",
    bool: "boolean",
    str: "unknown",
    bytes: "bytea",
    list: "text[]",
    datetime.datetime: "timestamptz",
}
#: `explain` takes no `lock table`.
LOCKS = {"lock_lists"}
WRITES = {name for name, text in sql_catalog.texts().items() if re.search(r"\bapp\.\w+\(", text)}


@pytest.mark.parametrize("name", sorted(sql_catalog.texts().keys() - LOCKS))
def test_postgres_plans_every_statement(marts_database: testing.PostgresDatabase, name: str) -> None:
    """The generic plan for parameters of the types that the API sends, with its role and its settings."""
    with marts_database.connect("zmart_api") as connection:
        for setting, value in app.QUERY_SETTINGS.items():
            connection.execute("select set_config(%s, %s, false)", [setting, value])
        assert _explain(connection, name)


def _explain(connection: psycopg.Connection[Any], name: str) -> list[Any]:
    parameters = sql_catalog.parameters(name)
    numbers = {parameter: f"${number}" for number, parameter in enumerate(parameters, start=1)}
    text = re.sub(r"%\((\w+)\)s", lambda found: numbers[found[1]], sql_catalog.texts()[name]).replace("%%", "%")
    types = ", ".join(TYPES[type(value)] for value in parameters.values())
    connection.execute(f"prepare asked {f'({types})' if types else ''} as {text}".encode())
    values = ", ".join(psycopg.sql.Literal(value).as_string(connection) for value in parameters.values())
    return connection.execute(f"explain execute asked {f'({values})' if values else ''}".encode()).fetchall()


def test_psql_runs_what_is_printed(marts_database: testing.PostgresDatabase) -> None:
    """Every statement that reads runs unchanged, with its examples."""
    reads = [name for name in sql_catalog.texts() if name not in WRITES]
    script = "\n".join(["begin;", *(sql_catalog.render(name) for name in reads), "rollback;"])
    psql = binaries.find_binaries().folder / "psql"
    done = subprocess.run(
        [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", marts_database.dsn("zmart_api")],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_psql_skips_only_writes() -> None:
    """The statements that psql does not run: of writes.sql, posts, moderators, profiles, keys and the allowance."""
    assert {name.partition(".")[0] for name in WRITES} == {
        *(
            "writes",
            "post_comment",
            "edit_comment",
            "delete_comment",
            "react",
            "flag_comment",
            "record_visit",
            "lease_allowance",
            "moderation_queue",
            "moderate_comment",
            "moderate_wallet",
            "set_profile",
            "set_market_image",
            "save_event_group",
            "delete_event_group",
            "moderate_image",
            "moderate_event_group",
            "find_api_key",
        )
    }
