"""On an unchanged Postgres with one DATABASE_URL, every connection switches the just-in-time compiler off itself.

`pg_stat_activity` does not show a session's settings, and only a session itself can run `show jit`. The server's own
`auto_explain` logs for each planned statement the settings that differ from the default, with the application's name,
so it shows the connections of all processes, including those of dbt and Dagster.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from stack import Stack, eventually, open_stack

from zmart import settings, testing
from zmart.run.postgres import embedded

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(400)]

#: Postgres with its default settings, apart from the logging.
STOCK = {
    "jit": "on",
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_settings": "on",
    "log_line_prefix": "<%a> ",
}
PLAN = re.compile(r"^<([^>\n]*)> LOG:  duration: [^\n]*plan:\n((?:\t.*\n)*)", re.MULTILINE)

#: Every connection of the product that plans a statement, by its application's name.
APPLICATIONS = {
    *("zmart migrate", "zmart rebuild", "dbt"),
    *("zmart ingest writer", "zmart ingest walk", "zmart ingest metrics"),
    *("zmart api", "zmart api hub", "zmart api streams", "zmart api feed", "zmart api writes"),
    *("zmart dagster", "zmart dagster storage", "zmart keepers"),
    *("zmart doctor", "zmart alerts"),
}


class Stock:
    """The server and its log."""

    def __init__(self, server: embedded.EmbeddedPostgres) -> None:
        self.url = server.dsn(embedded.SUPERUSER)
        self._log: Path = server.log_file

    def switched_off(self) -> dict[str, set[bool]]:
        """For each application, whether its plans were made with the compiler off."""
        found: dict[str, set[bool]] = defaultdict(set)
        for name, plan in PLAN.findall(self._log.read_text(errors="replace")):
            found[name].add("jit = 'off'" in plan)
        found.pop("test", None)
        return dict(found)


@pytest.fixture
def stock() -> Iterator[Stock]:
    """A server with default settings."""
    with testing.state_dir() as folder, embedded.EmbeddedPostgres(folder, durable=False, tuning=STOCK) as server:
        stock = Stock(server)
        with psycopg.connect(stock.url, application_name="test") as connection:
            assert connection.execute("show jit").fetchone() == ("on",)
            connection.execute("select count(*) from pg_class")
        yield stock


def test_every_connection_switches_the_compiler_off(stock: Stock) -> None:
    """Pools, listeners, synchronous connections, dbt, Dagster's storage, keepers and commands."""
    with open_stack() as home:
        home.environ |= {"DATABASE_URL": stock.url, settings.RUN_VARIABLE: "1"}
        home.start("postgres,devchain,traders,ingest,api,ws,dagster")
        for command in (["doctor"], ["alerts", "list"], ["keeper", "plan"]):
            _run(home, *command)
        wallet = "11111111111111111111111111111112"
        httpx.post(f"{home.api}/api/auth/nonce", json={"wallet": wallet})
        ingest = home.environ["INGEST_PORT"]

        def has_met_all() -> bool:
            httpx.get(f"http://127.0.0.1:{ingest}/metrics")
            return stock.switched_off().keys() >= APPLICATIONS

        try:
            eventually(has_met_all)
        finally:
            # Also after a failure, so that the missing applications are listed.
            assert stock.switched_off().keys() >= APPLICATIONS
        assert {name for name, values in stock.switched_off().items() if values != {True}} == set()


def _run(home: Stack, *arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "zmart.cli", *arguments], env=home.environ, check=False, capture_output=True)
