"""Provides what figures run on: a durable Postgres of their own, our processes, and the peers.

Everything is created when a figure first needs it and shared with later figures: one server, one migrated template,
one log filled with history per size. Everything is removed at the end. Databases are clones, so no figure sees
another's rows. Processes run in groups of their own and end with this process, however it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench import history
from bench.not_measured import NotMeasured
from ingest.store import writer as writing
from zmart import errors, testing
from zmart.db import migrate
from zmart.run import ports
from zmart.run.deploy import rebuild
from zmart.run.postgres import embedded
from zmart.run.supervisor import process

ROOT = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).parent / "peers"
IDL = ROOT / "zmart" / "chain" / "idl" / "zmart_core.json"
AUTHORIZATION = "bench-header-value"
READY_SECONDS = 60.0
STOP_SECONDS = 8.0
LAST_LINE_CHARS = 240
FILL_BATCH = 2_000


@dataclass(frozen=True, kw_only=True)
class RunningProcess:
    """A process that this run started."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        """Return its process id, which is also the id of its group."""
        return self.process.pid

    def check(self) -> None:
        """Raise NotMeasured if the process has ended by itself."""
        if (status := self.process.poll()) is not None:
            raise NotMeasured(f"{self.name} ended with status {status}: {self.last_line()}")

    def last_line(self) -> str:
        """Return the last line of its output, truncated to fit an error message."""
        lines = self.log.read_text(errors="replace").strip().splitlines() if self.log.exists() else []
        return lines[-1][-LAST_LINE_CHARS:] if lines else "no output"


class BenchEnvironment:
    """The resources of one run. Use as a context manager, in the main thread."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._server: testing.PostgresServer | None = None
        self._template: testing.PostgresDatabase | None = None
        self._logs: dict[int, testing.PostgresDatabase] = {}
        self._embedded: embedded.EmbeddedPostgres | None = None
        self.folder = Path()

    def __enter__(self) -> BenchEnvironment:
        self.folder = self._stack.enter_context(testing.state_dir())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- databases ------------------------------------------------------------------------------

    @property
    def server(self) -> testing.PostgresServer:
        """Return a Postgres with fsync on, with the same tuning as `zmart up`."""
        if self._server is None:
            self._embedded = embedded.EmbeddedPostgres(self.folder)
            try:
                self._embedded.start()
            except errors.ZmartError as error:
                raise NotMeasured(f"Postgres did not start: {error}") from error
            self._stack.callback(self._embedded.stop)
            self._server = testing.PostgresServer(origin="embedded", admin_dsn=self._embedded.dsn(embedded.SUPERUSER))
            self._server.provision()
            _check_durable(self._server)
        return self._server

    @contextlib.contextmanager
    def database(self, *, log_events: int = 0) -> Iterator[testing.PostgresDatabase]:
        """Provide a database with every mart deployed and a log of `log_events` events, for one figure."""
        template = self._filled_database(log_events) if log_events else self._deployed_template()
        with self.server.clone(template) as database:
            with database.connect("postgres") as superuser:
                superuser.execute("checkpoint")
            yield database

    def _deployed_template(self) -> testing.PostgresDatabase:
        if self._template is None:
            self._template = self.server.create()
            testing.apply_migrations(self._template)
            rebuild.deploy(self._template.dsn())
        return self._template

    def _filled_database(self, log_events: int) -> testing.PostgresDatabase:
        """Return a database whose log was filled through the writer, folds included, as in production."""
        if log_events not in self._logs:
            database = self.server.create(template=self._deployed_template())
            with contextlib.ExitStack() as unless_filled:
                unless_filled.callback(self.server.drop, database)
                migrate.prepare(database.dsn(embedded.SUPERUSER))
                asyncio.run(fill(database.dsn("zmart_ingest"), log_events))
                with database.connect(embedded.SUPERUSER) as superuser:
                    superuser.execute("vacuum analyze")
                unless_filled.pop_all()
            self._logs[log_events] = database
        return self._logs[log_events]

    # --- processes ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def start_ingest(self, database: testing.PostgresDatabase) -> Iterator[RunningProcess]:
        """Run `python -m ingest` on a database."""
        port = ports.find_free_port()
        environment = {
            "DATABASE_URL": database.dsn(),
            "DATABASE_URL_INGEST": database.dsn("zmart_ingest"),
            "HELIUS_AUTH_HEADER": AUTHORIZATION,
            "INGEST_PORT": str(port),
            "LOG_LEVEL": "warn",
        }
        with self.start_python("ingest", environment=environment, port=port) as running:
            yield running

    @contextlib.contextmanager
    def start_api(self, database: testing.PostgresDatabase, **settings: str) -> Iterator[RunningProcess]:
        """Run `python -m api` on a database; without rate limits unless `settings` set them."""
        port = ports.find_free_port()
        environment = {
            "DATABASE_URL": database.dsn(),
            "DATABASE_URL_API": database.dsn("zmart_api"),
            "RATE_LIMIT_PER_MINUTE": "0",
            "DATABASE_URL_ANALYST": database.dsn("analyst"),
            "JWT_SECRET": secrets.token_hex(32),
            "API_PORT": str(port),
            "STREAMS_PER_ADDRESS": "10000",
            "LOG_LEVEL": "warn",
            **settings,
        }
        with self.start_python("api", environment=environment, port=port) as running:
            yield running

    @contextlib.contextmanager
    def start_python(
        self, *arguments: str, environment: Mapping[str, str], port: int, ready: str = "/ready"
    ) -> Iterator[RunningProcess]:
        """Run one of our modules, and yield it once it is ready."""
        command = (sys.executable, "-m", *arguments)
        ours = {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "ZMART_STATE_DIR": str(self._scratch_folder(arguments[0])),
        }
        with self.start(arguments[0], command, environment={**ours, **environment}, port=port) as running:
            wait_until_ready(running, ready)
            yield running

    @contextlib.contextmanager
    def start_peer(
        self, database: testing.PostgresDatabase, *, bodies: bool = False, marts: bool = False, groups: bool = True
    ) -> Iterator[RunningProcess]:
        """Run the Express indexer on a database.

        With `bodies` it also stores the delivered transactions, with `marts` it keeps marts beside the log, and without
        `groups` each delivery is a transaction of its own.
        """
        port = ports.find_free_port()
        environment = {
            "PORT": str(port),
            "DATABASE_URL": database.dsn(),
            "AUTHORIZATION": AUTHORIZATION,
            "BODIES": str(int(bodies)),
            "MARTS": str(int(marts)),
            "GROUPS": str(int(groups)),
            "NODE_ENV": "production",
        }
        command = (node_command(), str(install_peers() / "indexer.mjs"), str(IDL), history.PROGRAM)
        with self.start("the Express indexer", command, environment=environment, port=port) as running:
            wait_until_ready(running, "/health")
            yield running

    @contextlib.contextmanager
    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        port: int = 0,
        cwd: Path | None = None,
        stop_seconds: float = STOP_SECONDS,
    ) -> Iterator[RunningProcess]:
        """Run a process in a group of its own; at the end it gets a stop signal, and is killed if it does not stop."""
        log = self._scratch_folder("logs") / f"{secrets.token_hex(4)}.log"
        spec = process.Launch(
            command=tuple(command),
            environment={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), **environment},
            cwd=str(cwd or self._scratch_folder("cwd")),
            # If this process dies, SIGTERM rather than SIGKILL: `make up` has children of its own to stop.
            death_signal=signal.SIGTERM,
        )
        with log.open("wb") as output:
            running = RunningProcess(name=name, process=process.start(spec, output=output.fileno()), port=port, log=log)
        try:
            yield running
            running.check()
        finally:
            _stop(running.process, stop_seconds)

    def _scratch_folder(self, name: str) -> Path:
        folder = self.folder / "scratch" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def install_peers() -> Path:
    """Return the peers' folder with their packages; install the packages when they are missing."""
    lockfile = (PEERS / "package-lock.json").read_text()
    stamp = PEERS / "node_modules" / ".installed-from"
    if not stamp.exists() or stamp.read_text() != lockfile:
        npm = shutil.which("npm")
        if npm is None:
            raise NotMeasured("The peers need npm, which is not installed.")
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        completed = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, check=False, timeout=300)
        if completed.returncode:
            message = (completed.stderr.strip().splitlines() or ["npm printed nothing"])[0]
            raise NotMeasured(f"The peers could not be installed: {message}")
        stamp.write_text(lockfile)
    return PEERS


def node_command() -> str:
    """Return the path of the node command; raise NotMeasured where it is missing."""
    found = shutil.which("node")
    if found is None:
        raise NotMeasured("The peers need node, which is not installed.")
    return found


def wait_until_ready(running: RunningProcess, path: str, *, within_seconds: float = READY_SECONDS) -> None:
    """Return when a GET of `path` returns 200; raise NotMeasured if the process ends or takes too long."""
    deadline = time.monotonic() + within_seconds
    while not _is_answering(running.port, path):
        running.check()
        if time.monotonic() > deadline:
            raise NotMeasured(f"{running.name} was not ready within {within_seconds:.0f} s: {running.last_line()}")
        time.sleep(0.05)


def count_rows(database: testing.PostgresDatabase, table: str) -> int:
    """Return the number of rows in a table."""
    with database.connect(embedded.SUPERUSER) as connection:
        row = connection.execute(f"select count(*) from {table}").fetchone()
    assert row is not None
    return int(str(row[0]))


def _is_answering(port: int, path: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _stop(child: subprocess.Popen[bytes], stop_seconds: float) -> None:
    if child.poll() is None:
        process.signal_group(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(stop_seconds)
    process.signal_group(child.pid, signal.SIGKILL)
    child.wait()


def _check_durable(server: testing.PostgresServer) -> None:
    """Raise NotMeasured for a server that is not durable, because it would be faster than anything we ship."""
    with psycopg.connect(server.admin_dsn) as connection:
        for name in ("fsync", "synchronous_commit", "full_page_writes"):
            row = connection.execute("select current_setting(%s)", (name,)).fetchone()
            if row != ("on",):
                raise NotMeasured(f"The server runs with {name} off.")


async def fill(dsn: str, log_events: int) -> None:
    """Append this many events of the history to a log."""
    writer = await writing.Writer.connect(dsn)
    rows = history.transactions(log_events)
    try:
        while batch := list(itertools.islice(rows, FILL_BATCH)):
            await writer.append(batch, source="bench")
    finally:
        await writer.close()


def parse_line(line: bytes, name: str) -> dict[str, float]:
    """Parse one JSON line of a peer; raise NotMeasured where it is not JSON."""
    try:
        found: dict[str, float] = json.loads(line)
    except ValueError:
        raise NotMeasured(f"{name} said something else than JSON: {line[:200]!r}") from None
    return found
