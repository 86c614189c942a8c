"""The environment of figures: processes that end with the bench, and messages for missing parts."""

from __future__ import annotations

import http.server
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import environment, load
from bench.environment import BenchEnvironment, RunningProcess
from bench.not_measured import NotMeasured
from zmart.run import ports


@pytest.fixture
def env() -> Iterator[BenchEnvironment]:
    """An environment without any started part."""
    with BenchEnvironment() as found:
        yield found


def python(program: str) -> tuple[str, ...]:
    """A command that runs a program."""
    return sys.executable, "-c", program


def test_a_process_ends_with_its_block(env: BenchEnvironment) -> None:
    """On request it ends with the exit status of the program."""
    with env.start("a process", python("import signal; signal.pause()"), environment={}) as running:
        assert running.process.poll() is None
    assert running.process.returncode == -signal.SIGTERM


def test_a_process_that_does_not_listen_is_killed(env: BenchEnvironment) -> None:
    """No figure leaves a process behind."""
    stubborn = (
        "import signal; signal.signal(15, signal.SIG_IGN); print('up', flush=True); signal.pause(); signal.pause()"
    )
    with env.start("a process", python(stubborn), environment={}, stop_seconds=0.1) as running:
        while running.last_line() != "up":
            running.check()
    assert running.process.returncode == -signal.SIGKILL


def test_a_process_that_dies_is_not_measured(env: BenchEnvironment) -> None:
    """The message has its status and its last line of output."""
    dying = python("print('the port is taken'); raise SystemExit(3)")
    with (
        pytest.raises(NotMeasured, match="a process ended with status 3: the port is taken"),
        env.start("a process", dying, environment={}) as running,
    ):
        environment.wait_until_ready(running, "/ready")


def test_peers_need_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If it is missing, the message says so."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotMeasured, match="node, which is not installed"):
        environment.node_command()


def test_a_failed_peer_install_reports_the_npm_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The first line of npm's output is the reason."""
    (tmp_path / "package-lock.json").write_text("{}")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho 'npm error the registry does not answer' >&2\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setattr(environment, "PEERS", tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(NotMeasured, match="the registry does not answer"):
        environment.install_peers()


class _Answering(http.server.BaseHTTPRequestHandler):
    """Answers every POST with the status of the path."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"success":true}'
        self.send_response(int(self.path.strip("/")) if self.path[1:].isdecimal() else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def answering(env: BenchEnvironment, tmp_path: Path) -> Iterator[RunningProcess]:
    """A server, as if the environment had started it."""
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server,
        env.start("the server", python("import signal; signal.pause()"), environment={}) as stand_in,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        yield RunningProcess(name="the server", process=stand_in.process, port=port, log=tmp_path / "log")
        server.shutdown()


def test_every_body_is_delivered_once(answering: RunningProcess) -> None:
    """As fast as the senders can, over as many connections as there are senders."""
    assert load.closed_loop(answering, [b"[]"] * 20, senders=4) > 0


def test_a_refusal_is_not_a_measurement(answering: RunningProcess) -> None:
    """A server that answers quickly without doing the work fails."""
    with pytest.raises(NotMeasured, match="the server: A request was answered with 503"):
        load.closed_loop(answering, [b"[]"], senders=1, path="/503")


def test_latency_has_a_value_for_every_appointment(answering: RunningProcess) -> None:
    """Also for senders whose turn was late."""
    seen = load.open_loop(answering, [b"[]"] * 30, per_second=1_000, senders=2)
    assert len(seen.seconds) == 30
    assert min(seen.seconds) > 0


def test_an_unreachable_server_is_named(answering: RunningProcess) -> None:
    """With the name of the expected server."""
    gone = RunningProcess(name="the server", process=answering.process, port=ports.find_free_port(), log=answering.log)
    with pytest.raises(NotMeasured, match="the server did not answer"):
        load.closed_loop(gone, [b"[]"], senders=1)
