"""From a trader's transaction to a client, through one command, and through kills on the way."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from stack import Stack, eventually, open_stack

from zmart.run.deploy import rebuild

pytestmark = [pytest.mark.drill, pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture
def stack() -> Iterator[Stack]:
    """A stack that is stopped after the test, whatever its result."""
    with open_stack() as stack:
        yield stack


class Listener:
    """A client of GET /api/stream that collects the messages."""

    def __init__(self, url: str) -> None:
        self.received: queue.Queue[dict[str, Any]] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, args=(url,), daemon=True)
        self._thread.start()

    def _listen(self, url: str) -> None:
        with contextlib.suppress(httpx.TransportError), httpx.stream("GET", url, timeout=None) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    for message in json.loads(line.removeprefix("data: ")).get("messages", []):
                        self.received.put(message)


def test_trades_reach_a_client_and_survive_kills(stack: Stack) -> None:
    """Events become rows, marts, responses and messages; kill -9 of ingest and Postgres loses nothing acknowledged."""
    stack.start()
    listener = Listener(f"{stack.api}/api/stream?topics=trades")
    assert listener.received.get(timeout=60)["type"].startswith("trade")
    markets = eventually(lambda: stack.get("/api/markets")["markets"])
    assert stack.get(f"/api/markets/{markets[0]['id']}")["id"] == markets[0]["id"]
    with psycopg.connect(stack.dsn("analyst")) as analyst:
        assert analyst.execute("select count(*) from marts.markets").fetchone() is not None

    for victim in ("ingest", "postgres", "ingest"):
        before = stack.acknowledged_signatures()
        killed = stack.pid(victim)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda victim=victim, killed=killed: stack.pid(victim) != killed)
        eventually(lambda before=before: len(stack.acknowledged_signatures() - before) > 5)

    acknowledged = stack.acknowledged_signatures()
    with psycopg.connect(stack.dsn()) as owner:
        stored = {signature for (signature,) in owner.execute("select signature from raw.transactions")}
        (gaps,) = owner.execute("select count(*) - max(seq) from raw.feed").fetchone() or (None,)
        durable = [
            owner.execute(f"show {name}").fetchone() for name in ("fsync", "synchronous_commit", "full_page_writes")
        ]
    assert acknowledged - stored == set()
    assert gaps == 0
    assert durable == [("on",)] * 3
    assert [v for v in rebuild.verify(stack.dsn()) if not v.is_consistent] == []


def test_the_models_documentation_is_there_in_the_first_minute(stack: Stack) -> None:
    """It is written in the background once; the next start finds it up to date."""
    stack.start("postgres,api")
    before = httpx.get(f"{stack.api}/docs/models")
    # 26 s for the whole test on an idle machine; beside two other tests dbt alone needs more than a minute.
    page = eventually(
        lambda: (found := httpx.get(f"{stack.api}/docs/models")).status_code == 200 and found, within_seconds=170
    )
    # The task stores the page first and logs it afterwards. A stop in between would end it before it logs.
    log = stack.folder / "logs" / "model-docs.log"
    eventually(lambda: "wrote the page" in log.read_text())
    stack.stop()
    stack.start("postgres,api")
    eventually(lambda: "up to date" in log.read_text())

    assert before.status_code in (200, 404)
    assert "portfolio" in page.text
    assert log.read_text().count("wrote the page") == 1
    assert httpx.get(f"{stack.api}/docs/models").headers["etag"] == page.headers["etag"]


def test_a_second_start_resumes_and_no_process_is_left_behind(stack: Stack) -> None:
    """Ctrl-C ends every process; the next start has the same epoch and continues from its seq."""
    stack.start()
    eventually(lambda: stack.get("/api/status")["seq"] > 50)
    first = stack.get("/api/status")
    pids = [stack.pid(name) for name in ("postgres", "devchain", "ingest", "api")]

    assert stack.stop() == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []

    stack.start()
    second = stack.get("/api/status")
    assert second["epoch"] == first["epoch"]
    assert second["seq"] >= first["seq"]
    eventually(lambda: stack.get("/api/status")["seq"] > second["seq"])
