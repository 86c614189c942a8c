"""Runs the API: `python -m api` serves REST and streams on API_HOST:API_PORT until SIGTERM.

`python -m api ws` serves the same application on WS_HOST:WS_PORT, where older clients expect their WebSocket. With
streams in a separate process, a burst of requests delays none of them.

The server is uvicorn, because it pauses a sender whose peer stops reading (a stalled stream costs a buffer, not
unbounded memory), and because it gives streams time to end. At the first signal the hub closes every stream: each
client receives the queued frames and a `close` event, and connections that are still open after three seconds are cut
off. Tasks that still block the process then, for example a connection to an unavailable Postgres or a cancellation that
the driver lost, are logged, and the process exits without them: Postgres completes or rolls back every transaction.
A restart hands over to the next process in the same way (`zmart.http.handover`).
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import gc
import itertools
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

import structlog
import uvicorn
from litestar import Litestar

from zmart import errors, log, settings
from zmart.db import poolers
from zmart.http.connections import ConnectionTable, connections_for, raise_file_limit
from zmart.http.handover import LINGER_SECONDS, HandoverServer, take_listener
from zmart.http.server import BACKLOG

from . import app
from .dependencies import AppServices
from .live import wire
from .live.hub import PING_SECONDS
from .routes import health

logger = structlog.get_logger()

GRACEFUL_SECONDS = 3
#: Time from the first signal to the forced exit; slightly less than `zmart up` waits before it kills.
FORCED_EXIT_SECONDS = 9.0
#: After this further time the stack of every thread is written and the process ended, even if it cannot run any Python;
#: after as much again the kernel ends it, even if nothing reads what it writes.
FINAL_EXIT_SECONDS = 0.4
#: The most tasks that the log of a forced exit describes.
_MOST_DESCRIBED = 50


class ApiServer(HandoverServer):
    """uvicorn, extended to close the streams before connections are closed."""

    def __init__(self, application: Litestar, config: uvicorn.Config, table: ConnectionTable | None = None) -> None:
        super().__init__(config, table or ConnectionTable(), find_problems=self._find_application_problems)
        self.application = application
        self._loop: asyncio.AbstractEventLoop | None = None
        self._exit_timer: threading.Timer | None = None

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal stops the server."""
        try:
            super().run(sockets)
        finally:
            if self._exit_timer is not None:
                self._exit_timer.cancel()
                faulthandler.cancel_dump_traceback_later()
                signal.setitimer(signal.ITIMER_REAL, 0.0)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Store the event loop that signals must be passed to."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # Modules, routes and schemas are never freed: garbage collection over them would cost time in every request.
        gc.collect()
        gc.freeze()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Close the streams, then let uvicorn stop; force the process to exit if it does not."""
        self._limit_stop(FORCED_EXIT_SECONDS)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.close_streams)
        super().handle_exit(sig, frame)

    def begin_stop(self) -> None:
        """Stop as at SIGTERM, streams first."""
        # The time that `zmart up` gives to the process has begun with the handover.
        self._limit_stop(FORCED_EXIT_SECONDS - LINGER_SECONDS)
        self.handle_exit(signal.SIGTERM, None)
        # The process was asked to hand over, not to end by a signal.
        self._captured_signals.clear()

    async def _find_application_problems(self) -> list[str]:
        return await health.readiness_problems(self.application.state.services)

    def _limit_stop(self, seconds: float) -> None:
        """End the process after this time, whatever it does; the first call decides."""
        if self._exit_timer is not None:
            return
        self._exit_timer = threading.Timer(seconds, self._force_exit)
        self._exit_timer.daemon = True
        self._exit_timer.start()
        # A thread in C, which needs no lock of ours.
        faulthandler.dump_traceback_later(seconds + FINAL_EXIT_SECONDS, exit=True)
        signal.setitimer(signal.ITIMER_REAL, seconds + 2 * FINAL_EXIT_SECONDS)

    def _force_exit(self) -> None:
        try:
            pending: list[str] = []
            # Another thread's tasks may change during the iteration.
            with contextlib.suppress(RuntimeError):
                tasks = asyncio.all_tasks(self._loop) if self._loop else ()
                pending = sorted(describe_wait(task) for task in itertools.islice(tasks, _MOST_DESCRIBED))
            logger.error("shutdown_timed_out", seconds=FORCED_EXIT_SECONDS, held_by=pending)
            sys.stdout.flush()
        finally:
            # An error in describing or logging must not keep the process alive.
            os._exit(1)

    def close_streams(self) -> None:
        """Close every open stream, so that no connection delays the shutdown."""
        services: AppServices | None = self.application.state.get("services")
        if services is not None:
            services.hub.close()


def describe_wait(task: asyncio.Task[Any]) -> str:
    """Return where a task waits: its coroutine, the awaitable that it awaits, and so on inwards."""
    names: list[str] = []
    inner: Any = task.get_coro()
    while inner is not None:
        names.append(getattr(inner, "__qualname__", type(inner).__name__))
        inner = getattr(inner, "cr_await", None) or getattr(inner, "ag_await", None)
    return " > ".join(names)


def server(configuration: settings.Settings, service_name: app.ServiceName = "api") -> ApiServer:
    """Return a server of the application, not yet started."""
    application = app.create(configuration, service_name=service_name)
    table = ConnectionTable(connections_for(raise_file_limit() // 2))
    config = uvicorn.Config(
        application,
        http=table.protocol(),
        host=getattr(configuration.hosts, service_name),
        port=getattr(configuration.ports, service_name),
        backlog=BACKLOG,
        ws=wire.WebSocketTransport,
        ws_max_size=wire.MOST_BYTES,
        # Data that is compressed for one client cannot be sent to another.
        ws_per_message_deflate=False,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        access_log=False,
        log_config=None,
        server_header=False,
        # The application reads X-Forwarded-For itself, with TRUSTED_PROXIES.
        proxy_headers=False,
    )
    return ApiServer(application, config, table)


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal stops the server; return 2 if the configuration is invalid."""
    service_name: app.ServiceName = "ws" if list(arguments) == ["ws"] else "api"
    try:
        configuration = settings.load()
        log.configure(configuration, service=service_name)
        poolers.require_session_mode(configuration.postgres.foreign_dsns())
        listener = take_listener()
        serving = server(configuration, service_name)
    except errors.ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    serving.run(None if listener is None else [listener])
    return 0 if serving.started else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
