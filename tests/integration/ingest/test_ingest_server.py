"""`python -m ingest` as a process: start, responses, refused starts, and stop."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from ingest import testing as deliveries
from ingest.webhook.auth import SIGNATURE_HEADER, signature
from zmart import settings, testing
from zmart.domain import events
from zmart.run import ports

#: More than 40 s in all: each test starts a server, and some wait for a stop.
pytestmark = pytest.mark.drill

PROGRAM = settings.DEFAULT_PROGRAM_ID
HEADER = "hush-header-value"
KEY = "hush-key-of-signatures"
WEBHOOK = "/helius/webhook"
BOUGHT = events.SharesBought(b"\1" * 32, deliveries.address(1), True, 1_000, 999_928_380, 500_000_000, 1_762_600_000)
ROOT = Path(__file__).parents[3]
STOP_SECONDS = 5.0


def body(number: int) -> bytes:
    """A delivery of one buy."""
    return deliveries.body(deliveries.item(PROGRAM, [BOUGHT], number=number))


@dataclass
class Server:
    """A running ingest, and its log lines."""

    process: subprocess.Popen[str]
    port: int
    lines: list[str]

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> tuple[int, float]:
        """Stop it; return its exit status and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30), time.monotonic() - began


@pytest.fixture
def environment(marts_database: testing.PostgresDatabase, tmp_path: Path) -> dict[str, str]:
    """The settings that a server needs."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": marts_database.dsn(),
        "DATABASE_URL_INGEST": marts_database.dsn("zmart_ingest"),
        "HELIUS_AUTH_HEADER": HEADER,
        "INGEST_PORT": str(ports.find_free_port()),
        # No chain, because another program may listen on the usual port.
        "DEVCHAIN_PORT": "1",
        "ZMART_STATE_DIR": str(tmp_path),
    }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers; those that still run afterwards are killed."""
    with contextlib.ExitStack() as stack:

        def run(*, wait: bool = True, files: int | None = None, **changed: str | None) -> Server:
            environ = {k: v for k, v in (environment | changed).items() if v is not None}
            limit = "" if files is None else f"ulimit -n {files}; "
            process = subprocess.Popen(
                ["/bin/sh", "-c", f'{limit}exec "$0" -m ingest', sys.executable],
                cwd=tmp_path,
                env=environ,
                text=True,
                stderr=subprocess.PIPE,
            )
            stack.callback(_end, process)
            server = Server(process, int(environ["INGEST_PORT"]), [])
            if wait:
                threading.Thread(target=_collect, args=(server,), daemon=True).start()
                _until_healthy(server)
            return server

        yield run


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stderr is not None:
        process.stderr.close()


def _collect(server: Server) -> None:
    assert server.process.stderr is not None
    with contextlib.suppress(ValueError):
        server.lines.extend(server.process.stderr)


def _until_healthy(server: Server) -> None:
    """Request until it answers, because httpx cannot wait for a listener."""
    transport = httpx.HTTPTransport(retries=8)
    with httpx.Client(transport=transport, base_url=server.url, timeout=10) as client:
        assert client.get("/health").status_code == 200


def deliver(server: Server, content: bytes, header: str | None = HEADER) -> httpx.Response:
    """Post a delivery."""
    headers = {"Authorization": header} if header else {}
    return httpx.post(server.url + WEBHOOK, content=content, headers=headers, timeout=30)


def test_a_mart_that_is_behind_catches_up_by_itself(
    start: Callable[..., Server], marts_database: testing.PostgresDatabase
) -> None:
    """A server without a chain and without a delivery brings a mart up to the end of the log."""
    with marts_database.connect() as connection:
        connection.execute("insert into raw.feed (seq, kind, ref) values (raw.next_seq(), 'finalized_through', 7)")
        connection.execute("select folds.mark_behind('priced_trades', 0, null, '55P03', 'staged', 0)")
        start()
        deadline = time.monotonic() + 30
        while connection.execute("select name from ops.model_status where is_behind").fetchone() is not None:
            assert time.monotonic() < deadline


def test_a_delivery_reaches_postgres(start: Callable[..., Server], marts_database: testing.PostgresDatabase) -> None:
    """Ready, 200, and another connection reads the event."""
    server = start()
    ready = httpx.get(server.url + "/ready").json()
    assert (ready["status"], ready["reasons"], ready["completeness"]["state"]) == ("ready", [], "unverified")
    assert deliver(server, body(1)).status_code == 200
    with marts_database.connect() as connection:
        found = connection.execute("select signature, name from log.events").fetchall()
    assert found == [(deliveries.signature(1), "SharesBought")]
    metrics = httpx.get(server.url + "/metrics").text
    assert 'zmart_ingest_events_total{source="webhook"} 1.0' in metrics
    for name in ("writer_lock_held", "writer_lock_wait", "folds", "commit"):
        assert f"zmart_ingest_{name}_seconds_count 1.0" in metrics
    for metric in ("database_up 1.0", "stale_models 0.0", "coverage_gaps 0.0", "wanted_open 0.0"):
        assert f"zmart_ingest_{metric}" in metrics


def test_a_stop_finishes_what_is_in_flight(
    start: Callable[..., Server], marts_database: testing.PostgresDatabase
) -> None:
    """A delivery that is half sent at SIGTERM is read, committed and acknowledged; status 0."""
    server, content = start(), body(2)
    head = f"POST {WEBHOOK} HTTP/1.1\r\nHost: i\r\nAuthorization: {HEADER}\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as sender:
        sender.sendall(head.encode() + content[:100])
        # A response to another request means that the half one is being read.
        assert httpx.get(server.url + "/health").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        _until_refused(server)
        sender.sendall(content[100:])
        assert sender.recv(65536).startswith(b"HTTP/1.1 200")
    assert server.process.wait(timeout=STOP_SECONDS) == 0
    with marts_database.connect() as connection:
        assert connection.execute("select count(*) from raw.events").fetchone() == (1,)


def _until_refused(server: Server) -> None:
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(TimeoutError):
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=0.5).close()
            except ConnectionError:
                return
    pytest.fail("The server still accepts connections.")


def test_a_stop_does_not_wait_for_a_sender_that_never_ends(start: Callable[..., Server]) -> None:
    """At most five seconds, with idle connections and half a body open."""
    server = start()
    with (
        httpx.Client(base_url=server.url) as idle,
        socket.create_connection(("127.0.0.1", server.port)) as slow,
    ):
        assert idle.get("/health").status_code == 200
        slow.sendall(
            f"POST {WEBHOOK} HTTP/1.1\r\nHost: i\r\nAuthorization: {HEADER}\r\nContent-Length: 100\r\n\r\n[".encode()
        )
        assert idle.get("/health").status_code == 200
        status, seconds = server.stop()
    assert (status, seconds < STOP_SECONDS) == (0, True)


def test_too_much_is_refused_while_it_arrives(start: Callable[..., Server]) -> None:
    """413 over a real connection, with and without a length, before the whole body is sent."""
    server = start()
    head = f"POST {WEBHOOK} HTTP/1.1\r\nHost: i\r\nAuthorization: {HEADER}\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as sender:
        sender.sendall(f"{head}Content-Length: {33 << 20}\r\n\r\n".encode())
        assert sender.recv(65536).startswith(b"HTTP/1.1 413")
    with socket.create_connection(("127.0.0.1", server.port)) as sender:
        sender.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        for _ in range(33):
            sender.sendall(chunk)
        assert sender.recv(65536).startswith(b"HTTP/1.1 413")
    assert deliver(server, b"[]").status_code == 200


def test_a_refused_delivery_is_one_line_without_the_secret(start: Callable[..., Server]) -> None:
    """Neither the server nor a library logs a line of its own."""
    server = start()
    before = len(server.lines)
    assert deliver(server, body(1), header="hush-wrong-value").status_code == 401
    server.stop()
    lines = [line for line in server.lines[before:] if "refused" in line or "hush" in line or "401" in line]
    assert len(lines) == 1
    assert "hush" not in "".join(server.lines)


def test_every_log_line_passes_the_projects_own_logging(start: Callable[..., Server]) -> None:
    """JSON, one line per event, of this service, for every library; so the mask applies to all."""
    server = start(LOG_LEVEL="info")
    assert deliver(server, body(1), header=None).status_code == 401
    server.stop()
    entries = [json.loads(line) for line in server.lines]
    assert {entry["service"] for entry in entries} == {"ingest"}
    assert len(entries) > 1


def test_without_a_database_it_serves_503_with_the_reason(start: Callable[..., Server]) -> None:
    """It starts nevertheless: senders repeat deliveries, and readiness names the database."""
    nobody = f"postgresql://zmart_ingest@127.0.0.1:{ports.find_free_port()}/zmart"
    server = start(DATABASE_URL=nobody, DATABASE_URL_INGEST=nobody)
    answer = deliver(server, body(1))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    ready = httpx.get(server.url + "/ready")
    assert ready.status_code == 503
    assert any(reason.startswith("database: ") for reason in ready.json()["reasons"])
    assert httpx.get(server.url + "/health").status_code == 200


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"HELIUS_AUTH_HEADER": None}, ["HELIUS_AUTH_HEADER", "HELIUS_WEBHOOK_SECRET"]),
        ({"HELIUS_AUTH_HEADER": None, "NODE_ENV": "development"}, ["HELIUS_AUTH_HEADER"]),
        ({"DATABASE_URL": None, "DATABASE_URL_INGEST": None}, ["zmart up", "DATABASE_URL"]),
        ({"INGEST_PORT": "99999"}, ["INGEST_PORT"]),
        ({"INGEST_HOST": "203.0.113.1"}, ["203.0.113.1", "INGEST_HOST"]),
    ],
)
def test_invalid_configuration_ends_ingest_at_startup(
    start: Callable[..., Server], changed: dict[str, str | None], expected: list[str]
) -> None:
    """Status 2 and one message with the next step, no traceback."""
    server = start(wait=False, **changed)
    _, stderr = server.process.communicate(timeout=30)
    assert server.process.returncode == 2
    assert len(stderr.strip().splitlines()) == 1
    assert all(word in stderr for word in expected)
    assert "hush" not in stderr


def test_port_in_use_is_reported_with_the_next_step(start: Callable[..., Server]) -> None:
    """The message has the address and the next step."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        server = start(wait=False, INGEST_PORT=str(port))
        _, stderr = server.process.communicate(timeout=30)
    assert server.process.returncode == 2
    assert f"127.0.0.1:{port}" in stderr
    assert "INGEST_PORT" in stderr
    assert "Traceback" not in stderr


def _connect(stack: contextlib.ExitStack, server: Server, sent: bytes, address: str = "127.0.0.1") -> socket.socket:
    """Open a connection from an address of the loopback network, and send something."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30, source_address=(address, 0))
    stack.callback(connection.close)
    connection.sendall(sent)
    return connection


def _signed(content: bytes) -> dict[str, str]:
    return {SIGNATURE_HEADER: signature(content, KEY)}


def _deliver_signed(server: Server, content: bytes, address: str = "127.0.0.1") -> int:
    """Post a signed delivery from an address; return the status."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address=address), timeout=30) as client:
        return client.post(server.url + WEBHOOK, content=content, headers=_signed(content)).status_code


@pytest.mark.parametrize("kind", ["announced", "chunked"])
def test_one_unfinished_body_holds_up_no_signed_delivery(start: Callable[..., Server], kind: str) -> None:
    """32 MiB less a byte, unsigned: small deliveries of that address and large ones of another are committed."""
    server = start(HELIUS_AUTH_HEADER=None, HELIUS_WEBHOOK_SECRET=KEY)
    size = (32 << 20) - 1
    head = f"POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n{SIGNATURE_HEADER}: {'0' * 64}\r\n"
    framing = {
        "announced": f"Content-Length: {size + 1}\r\n\r\n",
        "chunked": f"Transfer-Encoding: chunked\r\n\r\n{size + 1:x}\r\n",
    }[kind]
    large = deliveries.body(*[deliveries.item(PROGRAM, [BOUGHT], number=number) for number in range(100, 1_200)])
    assert len(large) > 1 << 20
    with contextlib.ExitStack() as stack:
        unfinished = _connect(stack, server, (head + framing).encode() + b" " * size)
        _until_metric(server, "zmart_ingest_unproven_bytes", size)
        began = time.monotonic()
        assert _deliver_signed(server, body(1)) == 200
        assert time.monotonic() - began < 3.0
        assert _deliver_signed(server, large, "127.0.0.2") == 200
        ready = httpx.get(f"{server.url}/ready")
        assert ready.status_code == 200, ready.text
        # It stalls, so it is disconnected long before the deadline for bodies.
        unfinished.settimeout(15)
        assert unfinished.recv(1_000).startswith(b"HTTP/1.1 408")
    _until_metric(server, "zmart_ingest_unproven_bytes", 0)


def _metric(server: Server, name: str) -> float:
    text = httpx.get(f"{server.url}/metrics").text
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def _until_metric(server: Server, name: str, value: float) -> None:
    deadline = time.monotonic() + 30
    while (found := _metric(server, name)) != value:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_many_idle_sockets_hold_up_no_delivery(start: Callable[..., Server]) -> None:
    """1,100 connections that send nothing, where a process may open 1,024 files: others are served at once."""
    server = start(files=1_024)
    with contextlib.ExitStack() as stack:
        for _ in range(1_100):
            _connect(stack, server, b"")
        for number in range(5):
            began = time.monotonic()
            assert deliver(server, body(number)).status_code == 200
            assert time.monotonic() - began < 3.0
    assert server.process.poll() is None


def test_many_unfinished_headers_hold_up_no_delivery(start: Callable[..., Server]) -> None:
    """300 requests without an end, where a process may open 256 files; each is answered 408 or disconnected."""
    server = start(files=256)
    with contextlib.ExitStack() as stack:
        many = [_connect(stack, server, f"POST {WEBHOOK} HTTP/1.1\r\nHost: x\r\n".encode()) for _ in range(300)]
        for number in range(5):
            began = time.monotonic()
            assert deliver(server, body(number)).status_code == 200
            assert time.monotonic() - began < 3.0
        for connection in (many[0], many[-1]):
            connection.settimeout(30)
            with contextlib.suppress(ConnectionError):
                assert connection.recv(1_000).startswith((b"HTTP/1.1 408", b""))
    assert server.process.poll() is None


def test_files_are_raised_to_what_the_system_allows(start: Callable[..., Server]) -> None:
    """A soft limit below the hard one is not what the server lives with."""
    server = start(files=None)
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    soft, hard = next(line for line in limits.splitlines() if line.startswith("Max open files")).split()[3:5]
    assert soft == hard
