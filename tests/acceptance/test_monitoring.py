"""A real Prometheus scrapes a running product: each panel of each dashboard and each rule has data.

Prometheus and the exporter of Postgres are Debian's. Both run with files and ports of the test alone.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import yaml
from metrics_page import documented
from stack import Stack, eventually, open_stack

from tests import debian_packages
from zmart import settings
from zmart.run import ports

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
PROGRAMS = {"prometheus": "prometheus", "prometheus-postgres-exporter": "prometheus-postgres-exporter"}
#: A metric with its selector, as PromQL writes it.
SELECTOR = re.compile(r"\b((?:zmart|process|pg)_\w+|zmart:[\w:]+|up)(\{[^}]*\})?(?=[^\w({]|$)")
#: Series that exist only after a fault, of which a healthy product has none, or after an hour; with what replaces them.
RARE = {'status=~"5.."': 'status!=""', 'status="503"': 'status!=""', 'job="reconciliation"': 'job!=""'}


@pytest.fixture(scope="module", autouse=True)
def programs() -> None:
    """The programs, installed; no service is left running."""
    if not all(shutil.which(name) for name in PROGRAMS):
        try:
            debian_packages.install(*PROGRAMS.values())
        except debian_packages.NotInstallable as error:
            pytest.skip(str(error))


@contextlib.contextmanager
def running(*command: str, **environment: str) -> Iterator[None]:
    """A program that is ended afterwards."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


class Prometheus:
    """A Prometheus with the files of deploy/monitoring, for a stack."""

    def __init__(self, folder: Path, targets: dict[str, int]) -> None:
        self._folder = folder
        self._port = ports.find_free_port()
        self._write_configuration(targets)

    def _write_configuration(self, targets: dict[str, int]) -> None:
        """Write the product's configuration with the ports of the stack, and with seconds between scrapes."""
        configuration = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        assert {job["job_name"] for job in configuration["scrape_configs"]} == set(targets)
        for job in configuration["scrape_configs"]:
            job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[job['job_name']]}"]}]
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
        shutil.copy(MONITORING / "rules.yml", self._folder)

    def command(self) -> list[str]:
        """Return the command that runs it in the foreground."""
        return [
            "prometheus",
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'series'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
        ]

    def is_ready(self) -> bool:
        """Return whether it answers queries."""
        return httpx.get(f"http://127.0.0.1:{self._port}/-/ready").status_code == 200

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer of its API."""
        answer = httpx.get(f"http://127.0.0.1:{self._port}/api/v1/{path}", params=parameters, timeout=30)
        assert answer.status_code == 200, (parameters, answer.text)
        return answer.json()["data"]

    def values(self, query: str) -> list[Any]:
        """Return the series of a query."""
        return list(self.get("query", query=query)["result"])


def panels() -> Iterator[tuple[str, str]]:
    """Yield place and query of each panel."""
    for file in sorted((MONITORING / "dashboards").glob("*.json")):
        for panel in json.loads(file.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{file.stem}: {panel['title']}", target["expr"]


def rule_queries() -> Iterator[tuple[str, str]]:
    """Yield each rule's query, or for an alert, which is empty while all is well, the metrics that it compares."""
    rules = itertools.chain.from_iterable(
        group["rules"] for group in yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    )
    for rule in rules:
        if "record" in rule:
            yield rule["record"], rule["expr"]
            continue
        text = functools.reduce(lambda expression, pair: expression.replace(*pair), RARE.items(), rule["expr"])
        selected = [name + selector for name, selector in SELECTOR.findall(text)]
        assert selected, rule
        yield from ((rule["alert"], query) for query in selected)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, programs: None) -> Iterator[Prometheus]:
    """Prometheus beside a running product with keepers, a stream, requests, a refused delivery and an open alert."""
    folder = tmp_path_factory.mktemp("prometheus")
    exporter_port = ports.find_free_port()
    with open_stack() as stack:
        stack.start("postgres,devchain,traders,ingest,api,ws,dagster,nats,relay", "--keepers")
        environ = stack.environ
        names = {"ingest": "INGEST_PORT", "api": "API_PORT", "ws": "WS_PORT", "dagster": "DAGSTER_METRICS_PORT"}
        names |= {"devchain": "DEVCHAIN_PORT", "relay": "RELAY_PORT"}
        targets = {f"zmart-{job}": int(environ[name]) for job, name in names.items()}
        prometheus = Prometheus(folder, {**targets, "zmart-postgres": exporter_port})
        exporter = ["prometheus-postgres-exporter", f"--web.listen-address=127.0.0.1:{exporter_port}"]
        source = monitor_login(stack)
        stopping = threading.Event()
        with running(*prometheus.command()), running(*exporter, DATA_SOURCE_NAME=source):
            eventually(prometheus.is_ready)
            users = threading.Thread(target=use, args=(stack, targets, stopping))
            users.start()
            try:
                yield prometheus
            finally:
                stopping.set()
                users.join()


def monitor_login(stack: Stack) -> str:
    """Create the login of docs/operating/monitoring.md, and raise an alert of the product; return the login's URI."""
    server = json.loads((stack.folder / "postgres" / "server.json").read_text())
    superuser = settings.postgres_uri(
        host="127.0.0.1",
        port=server["port"],
        user="postgres",
        password=server["passwords"]["postgres"],
        database=server["database"],
    )
    with psycopg.connect(superuser, autocommit=True) as owner:
        owner.execute("create role zmart_monitor login password 'of-the-drill' in role pg_monitor")
        owner.execute("insert into ops.alerts (kind, severity, message) values ('mart_differs', 'critical', 'drill')")
        info = owner.info
        return f"postgresql://zmart_monitor:of-the-drill@{info.host}:{info.port}/{info.dbname}?sslmode=disable"


def use(stack: Stack, targets: dict[str, int], stopping: threading.Event) -> None:
    """Read, follow a stream for a second at a time, and send a forged delivery, until the end."""
    while not stopping.wait(0.5):
        for job in ("api", "ws"):
            base = f"http://127.0.0.1:{targets[f'zmart-{job}']}"
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"{base}/api/markets")
                with httpx.stream("GET", f"{base}/api/stream", params={"topics": "trades"}, timeout=1) as stream:
                    for _ in zip(range(5), stream.iter_lines(), strict=False):
                        pass
        httpx.post(f"http://127.0.0.1:{targets['zmart-ingest']}/helius/webhook", content=b"[]")


def test_each_process_is_scraped(prometheus: Prometheus) -> None:
    """Every target of the configuration is up, and the metrics of the page are there with their types."""
    assert eventually(lambda: len(prometheus.values("up == 1")) == 7)
    found = prometheus.get("metadata")
    # Prometheus lists a counter under its exposed name.
    types = {name.removesuffix("_total"): {one["type"] for one in entries} for name, entries in found.items()}
    wanted = {row.name: {row.type} for row in documented("zmart_", "process_")}
    assert {name: types.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(("place", "query"), [*panels(), *rule_queries()])
def test_each_query_has_data(prometheus: Prometheus, place: str, query: str) -> None:
    """At once, or when the first keeper and the first job have run."""

    def numbers() -> list[Any]:
        # A quantile or a share without traffic is not a number; one series with traffic is enough.
        return [series for series in prometheus.values(query) if series["value"][1] != "NaN"]

    assert eventually(numbers, within_seconds=240), place


def test_an_alert_of_the_product_reaches_prometheus(prometheus: Prometheus) -> None:
    """With the section of the runbook for its kind."""

    def raised() -> list[Any]:
        alerts = prometheus.get("alerts")["alerts"]
        # A slow machine may raise alerts of its own.
        return [one for one in alerts if one["labels"].get("kind") == "mart_differs"]

    (alert,) = eventually(raised)
    assert alert["annotations"]["runbook"] == "docs/runbook.md#mart_differs"


def test_the_rules_pass_their_tests() -> None:
    """And the configuration is valid."""
    for arguments in (["check", "config", "prometheus.yml"], ["test", "rules", "rules.test.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
