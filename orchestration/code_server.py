"""Runs Dagster's code server with metrics: `python -m orchestration.code_server`.

Its arguments are those of `dagster api grpc`.

The code server itself answers on a Unix socket, in gRPC. So a thread serves `/metrics` and `/health` over HTTP, on
DAGSTER_HOST and DAGSTER_METRICS_PORT. The thread answers from the database alone; it shares nothing with Dagster.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Final

from zmart import errors, settings
from zmart import log as logs
from zmart.http import metrics as http_metrics
from zmart.http import problems
from zmart.http.server import bind_listener
from zmart.settings import Secret

from .metrics import OperationsMetrics

#: A client that sends nothing for this long is dropped.
READ_SECONDS: Final = 10.0


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal; return 2 if the configuration cannot work."""
    try:
        configured = settings.load()
        logs.configure(configured, service="dagster-code")
        listener = bind_listener(
            configured.hosts.dagster,
            configured.ports.dagster_metrics,
            server="The metrics of Dagster's code server",
            help="Stop what holds it, or set DAGSTER_METRICS_PORT.",
        )
    except errors.ConfigurationError as error:
        print(f"dagster-code: {error}", file=sys.stderr)
        return 2
    metrics = OperationsMetrics(
        lambda: settings.load().postgres.dsn("zmart_keeper"),
        daily_budget_lamports=configured.keepers.daily_budget_lamports,
    )
    with contextlib.closing(listener):
        server = serve_in_thread(listener, metrics, configured.api.metrics_token)
        try:
            return _run_code_server(arguments)
        finally:
            server.shutdown()


def serve_in_thread(listener: socket, metrics: OperationsMetrics, token: Secret | None) -> ThreadingHTTPServer:
    """Serve metrics on a listening socket from a thread; call `shutdown` on the result to end it."""

    class Handler(_MetricsHandler):
        pass

    Handler.metrics, Handler.token = metrics, token
    server = ThreadingHTTPServer(listener.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


class _MetricsHandler(BaseHTTPRequestHandler):
    """Answers GET /metrics, and /health, which says that the process runs."""

    metrics: OperationsMetrics
    token: Secret | None = None
    timeout = READ_SECONDS
    server_version, sys_version = "zmart", ""

    def do_GET(self) -> None:
        """Answer a request."""
        path = self.path.partition("?")[0]
        if path == "/health":
            self._send(200, json.dumps({"status": "healthy", "service": "dagster-code"}).encode(), "application/json")
        elif path != "/metrics":
            self._refuse(404, "not_found", "Only /metrics and /health are here.")
        elif http_metrics.may_read(self.client_address[0], _lower_names(self.headers.items()), self.token):
            self._send(200, self.metrics.render(), http_metrics.CONTENT_TYPE)
        else:
            self._refuse(403, "forbidden", http_metrics.FORBIDDEN_MESSAGE)

    def log_message(self, format: str, *_: object) -> None:
        """Log nothing: a scraper asks every few seconds."""

    def _refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps(problems.problem_members(status, code, message)).encode()
        self._send(status, body, problems.MEDIA_TYPE)

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _lower_names(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def _run_code_server(arguments: Sequence[str]) -> int:
    # Dagster takes seconds to import, and the processes of its runs import this module as well.
    from dagster._cli.api import api_cli

    outcome = api_cli.main(["grpc", *arguments], prog_name="dagster api", standalone_mode=False)
    return int(outcome or 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
