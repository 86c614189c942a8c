"""A complete stack for tests: `zmart up` in a separate state directory, and ways to query it.

with stack.opened() as running:
    running.start()
    running.get("/api/status")
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from zmart import testing
from zmart.run import ports
from zmart.run.supervisor import state_file

TIMEOUT_SECONDS = 90
#: Everything together starts within a minute on an idle machine.
START_SECONDS = 240


def eventually(check: Callable[[], Any], *, within_seconds: float = TIMEOUT_SECONDS) -> Any:
    """Return the first true result of `check`; fail if there is none in time. A refused connection means not yet."""

    class NotYetError(Exception):
        """The check has not become true."""

    @retry(
        stop=stop_after_delay(within_seconds),
        wait=wait_fixed(0.1),
        retry=retry_if_exception_type((NotYetError, httpx.TransportError, psycopg.OperationalError, OSError)),
        reraise=True,
    )
    def attempt() -> Any:
        answer = check()
        if not answer:
            raise NotYetError(check)
        return answer

    return attempt()


class Stack:
    """A running `zmart up` in a separate state directory."""

    def __init__(self, folder: Path) -> None:
        api, ws, ingest, dagster, metrics, chain = ports.find_free_ports(6)
        self.folder = folder
        #: The output of the terminal.
        self.output_file = folder / "output.txt"
        self.api = f"http://127.0.0.1:{api}"
        self.rpc = f"http://127.0.0.1:{chain}"
        self.environ = {
            "PATH": os.environ["PATH"],
            # Tests send more requests than users.
            "RATE_LIMIT_PER_MINUTE": "0",
            "ZMART_STATE_DIR": str(folder),
            "API_PORT": str(api),
            "WS_PORT": str(ws),
            "INGEST_PORT": str(ingest),
            "DEVCHAIN_PORT": str(chain),
            "DAGSTER_PORT": str(dagster),
            "DAGSTER_METRICS_PORT": str(metrics),
            "RELAY_PORT": str(ports.find_free_port()),
            "NATS_PORT": str(ports.find_free_port()),
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self, only: str = "postgres,devchain,traders,ingest,api", *options: str) -> None:
        """Start these services, with further options of `zmart up`, and wait until the API is ready."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zmart.cli", "up", "--only", only, *options],
            env=self.environ,
            stdout=self.output_file.open("w"),
            stderr=subprocess.STDOUT,
            text=True,
        )
        eventually(self._is_ready, within_seconds=START_SECONDS)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.output_file.read_text()
        return httpx.get(f"{self.api}/ready").status_code == 200

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Interrupt it; return its exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=60)

    def pid(self, name: str) -> int:
        """Return the process id of a running service."""
        pids = {status.name: status.pid for status in state_file.StateFile.read(self.folder / "run.json")}
        return pids[name] or -1

    def get(self, path: str) -> Any:
        """Return the JSON body of an API response."""
        answer = httpx.get(self.api + path)
        answer.raise_for_status()
        return answer.json()

    def dsn(self, role: str = "zmart_owner") -> str:
        """Return the output of `zmart dsn`."""
        done = subprocess.run(
            [sys.executable, "-m", "zmart.cli", "dsn", role],
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def acknowledged_signatures(self) -> set[str]:
        """Return the signatures of our program whose delivery was answered 200, by the chain's own records."""
        with contextlib.closing(sqlite3.connect(self.folder / "devchain" / "ledger.sqlite", timeout=30)) as ledger:
            cursor_row = ledger.execute("select value from facts where name = 'delivery_cursor'").fetchone()
            planned = tuple(json.loads(cursor_row[0])) if cursor_row else (-1, -1)
            waiting = {
                tuple(place)
                for (places,) in ledger.execute("select places from deliveries")
                for place in json.loads(places)
            }
            ours = ledger.execute("select slot, position, signature from transactions where is_ours").fetchall()
        return {s for *place, s in ours if tuple(place) <= planned and tuple(place) not in waiting}


@contextlib.contextmanager
def open_stack() -> Iterator[Stack]:
    """A stack that is stopped after the test, whatever its result."""
    with testing.state_dir() as folder:
        stack = Stack(folder)
        try:
            yield stack
        finally:
            if stack.process is not None and stack.process.poll() is None:
                stack.stop(signal.SIGTERM)
