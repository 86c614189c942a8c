"""From a trader's transaction to a client's screen, through one command, and through being killed on the way."""

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
from stack import House, eventually, opened

from zmart.run.deploy import rebuild

pytestmark = [pytest.mark.acceptance, pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture
def house() -> Iterator[House]:
    """A house that is torn down, whatever happened in it."""
    with opened() as house:
        yield house


class Listener:
    """A client of GET /api/stream that collects what it is told."""

    def __init__(self, url: str) -> None:
        self.seen: queue.Queue[dict[str, Any]] = queue.Queue()
        self._thread = threading.Thread(target=self._listen, args=(url,), daemon=True)
        self._thread.start()

    def _listen(self, url: str) -> None:
        with contextlib.suppress(httpx.TransportError), httpx.stream("GET", url, timeout=None) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    for message in json.loads(line.removeprefix("data: ")).get("messages", []):
                        self.seen.put(message)


def test_trades_reach_a_client_and_survive_kills(house: House) -> None:
    """Events become rows, marts, answers and pushes; kill -9 of ingest and of Postgres loses nothing acknowledged."""
    house.start()
    listener = Listener(f"{house.api}/api/stream?topics=trades")
    assert listener.seen.get(timeout=60)["type"].startswith("trade")
    markets = eventually(lambda: house.get("/api/markets")["markets"])
    assert house.get(f"/api/markets/{markets[0]['id']}")["id"] == markets[0]["id"]
    with psycopg.connect(house.dsn("analyst")) as analyst:
        assert analyst.execute("select count(*) from marts.markets").fetchone() is not None

    for victim in ("ingest", "postgres", "ingest"):
        before = house.acknowledged()
        killed = house.pid(victim)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda victim=victim, killed=killed: house.pid(victim) != killed)
        eventually(lambda before=before: len(house.acknowledged() - before) > 5)

    acknowledged = house.acknowledged()
    with psycopg.connect(house.dsn()) as owner:
        stored = {signature for (signature,) in owner.execute("select signature from raw.transactions")}
        (gaps,) = owner.execute("select count(*) - max(seq) from raw.feed").fetchone() or (None,)
        durable = [
            owner.execute(f"show {name}").fetchone() for name in ("fsync", "synchronous_commit", "full_page_writes")
        ]
    assert acknowledged - stored == set()
    assert gaps == 0
    assert durable == [("on",)] * 3
    assert [v for v in rebuild.verify(house.dsn()) if not v.is_consistent] == []


def test_a_second_start_goes_on_and_nothing_is_left_behind(house: House) -> None:
    """Ctrl-C ends every process; the next start has the same epoch and goes on from its seq."""
    house.start()
    eventually(lambda: house.get("/api/status")["seq"] > 50)
    first = house.get("/api/status")
    pids = [house.pid(name) for name in ("postgres", "devchain", "ingest", "api")]

    assert house.stop() == 0
    assert [pid for pid in pids if Path(f"/proc/{pid}").exists()] == []

    house.start()
    second = house.get("/api/status")
    assert second["epoch"] == first["epoch"]
    assert second["seq"] >= first["seq"]
    eventually(lambda: house.get("/api/status")["seq"] > second["seq"])
