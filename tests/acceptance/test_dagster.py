"""Dagster as operators use it: three processes, queried over GraphQL like its own pages."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ingest.decode.decoder import Decoder
from ingest.store.writer import Writer
from zmart import settings, testing
from zmart.run import ports
from zmart.run.supervisor import state_file

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.slow]

LIFECYCLE = Path(__file__).parents[1] / "recordings" / "lifecycle.json"
READY_WITHIN_SECONDS = 150.0
RUN_WITHIN_SECONDS = 90.0

ASSETS = "{ assetNodes { assetKey { path } groupName dependencyKeys { path } } }"
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType healthy } } } }"
LAUNCH = """
mutation ($parameters: ExecutionParams!) {
  launchRun(executionParams: $parameters) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
RUN = """
query ($run: ID!) {
  runOrError(runId: $run) {
    ... on Run {
      status
      assetMaterializations { assetKey { path } metadataEntries { label ... on IntMetadataEntry { intValue } } }
    }
  }
}
"""


@dataclass(frozen=True, kw_only=True)
class Dagster:
    """A running Dagster."""

    port: int
    settings: settings.Settings

    def execute(self, query: str, **variables: object) -> Any:
        """Run a GraphQL query; return the data of the response."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql",
            data=json.dumps({"query": query, "variables": variables}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            body = json.load(answer)
        assert "errors" not in body, body
        return body["data"]

    def run(self, job: str) -> dict[str, Any]:
        """Launch a job and wait for its end."""
        selector = {"repositoryLocationName": "zmart", "repositoryName": "__repository__", "jobName": job}
        launched = self.execute(LAUNCH, parameters={"selector": selector, "runConfigData": {}})["launchRun"]
        tick = threading.Event()
        for _ in range(int(RUN_WITHIN_SECONDS / 0.25)):
            run: dict[str, Any] = self.execute(RUN, run=launched["run"]["runId"])["runOrError"]
            if run["status"] in {"SUCCESS", "FAILURE", "CANCELED"}:
                return run
            tick.wait(0.25)
        raise AssertionError(f"{job} did not end: {run}")


@pytest.fixture(scope="module")
def dagster() -> Iterator[Dagster]:
    """`zmart up --only postgres,dagster` in a separate state directory; all its processes have ended afterwards."""
    port = ports.find_free_port(following=1)
    with testing.state_dir() as folder:
        environ = {
            "PATH": os.environ["PATH"],
            "ZMART_STATE_DIR": str(folder),
            "DAGSTER_PORT": str(port),
            "DAGSTER_METRICS_PORT": str(port + 1),
        }
        command = [sys.executable, "-m", "zmart.cli", "up", "--only", "postgres,dagster"]
        with subprocess.Popen(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as running:
            stop = threading.Timer(READY_WITHIN_SECONDS, running.terminate)
            stop.start()
            assert running.stdout is not None
            output: list[str] = []
            try:
                for line in running.stdout:
                    output.append(line)
                    if "Ready after" in line:
                        break
                stop.cancel()
                assert "Ready after" in output[-1], "".join(output)
                yield Dagster(port=port, settings=settings.load(environ))
            finally:
                stop.cancel()
                running.terminate()
                rest = running.stdout.read()
        assert running.returncode == 0, rest
        assert "All services have stopped." in rest


def test_the_three_processes_work_together(dagster: Dagster) -> None:
    """The web interface shows the graph of the code server, and the daemon is healthy."""
    nodes = {"/".join(each["assetKey"]["path"]): each for each in dagster.execute(ASSETS)["assetNodes"]}

    assert {"raw/events", "marts/markets", "marts/vote_tallies", "docs/models"} <= nodes.keys()
    assert {"path": ["raw", "events"]} in nodes["marts/priced_trades"]["dependencyKeys"]
    assert nodes["marts/priced_trades"]["groupName"] == "folds"
    daemons = dagster.execute(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    assert {each["daemonType"] for each in daemons if each["healthy"]} >= {
        "SENSOR",
        "SCHEDULER",
        "QUEUED_RUN_COORDINATOR",
    }


def test_the_code_server_serves_metrics(dagster: Dagster) -> None:
    """Of its process, the daemons, the jobs and the keepers; a forwarded request needs the token."""
    url = f"http://127.0.0.1:{dagster.settings.ports.dagster_metrics}/metrics"
    with urllib.request.urlopen(url) as answer:
        text = answer.read().decode()
    assert "zmart_dagster_database_up 1.0" in text
    assert 'zmart_dagster_heartbeat_age_seconds{daemon="sensor"}' in text
    assert 'zmart_dagster_alerts{severity="critical"} 0.0' in text
    assert "process_resident_memory_bytes" in text
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(urllib.request.Request(url, headers={"X-Forwarded-For": "203.0.113.7"}))
    assert refusal.value.code == 403


def test_a_foreign_page_is_refused(dagster: Dagster) -> None:
    """The running web interface checks who sends a request; its own pages are served."""
    base = f"http://127.0.0.1:{dagster.port}"
    operation = urllib.parse.quote("{ version }")
    requests = {
        200: urllib.request.Request(base),
        415: urllib.request.Request(f"{base}/graphql?query={operation}"),
        421: urllib.request.Request(f"{base}/graphql", headers={"Host": "evil.example"}),
        403: urllib.request.Request(
            f"{base}/graphql",
            data=b"{}",
            headers={"Content-Type": "application/json", "Origin": "https://evil.example"},
        ),
    }
    assert {expected: _status(request) for expected, request in requests.items()} == {each: each for each in requests}


def _status(request: urllib.request.Request) -> int:
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_a_launched_rebuild_repairs_a_mart(dagster: Dagster) -> None:
    """Materialize runs a worker below the code server, which folds the log again and reports the rows that differed."""
    owner = dagster.settings.postgres.dsn()
    asyncio.run(_ingest(dagster.settings))
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("update marts.markets set creator_wallet = 'nobody' where market_no = 1")

    run = dagster.run("rebuild_marts")

    assert run["status"] == "SUCCESS"
    differed = {
        each["assetKey"]["path"][-1]: entry["intValue"]
        for each in run["assetMaterializations"]
        for entry in each["metadataEntries"]
        if entry["label"] == "rows that differed"
    }
    assert differed == {**dict.fromkeys(differed, 0), "markets": 1}
    assert len(differed) >= 6


def test_the_web_interface_has_no_owner_login(dagster: Dagster) -> None:
    """Dagster's own tables belong to zmart_keeper, in a separate schema, and its web interface has no other login."""
    with psycopg.connect(dagster.settings.postgres.dsn()) as connection:
        rows = connection.execute(
            "select distinct schemaname, tableowner from pg_tables where tablename = 'event_logs'"
        )
        assert rows.fetchall() == [("dagster", "zmart_keeper")]
    services = state_file.StateFile.read(dagster.settings.state_dir / "run.json")
    (pid,) = (each.pid for each in services if each.name == "dagster")
    environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    logins = [each for each in environment if each.startswith((b"DATABASE_URL", b"PG", b"DAGSTER_STORAGE_URL"))]
    assert logins
    assert all(b"//zmart_keeper:" in each for each in logins)


async def _ingest(known: settings.Settings) -> None:
    decoded = Decoder(known.chain.program_id).decode_body(LIFECYCLE.read_bytes())
    writer = await Writer.connect(known.postgres.dsn("zmart_ingest"))
    await writer.append(decoded.transactions, source="webhook")
    await writer.close()
