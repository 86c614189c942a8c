"""Hands a server's work over to the next process of the same service, without a refused or unanswered request.

Another program, `zmart up` or systemd, holds the listening socket and passes it on. Connections wait in the socket
while no process accepts them, so nothing is lost between one process and the next:

    next process     starts, waits until it is ready, accepts connections, and reports that it serves
    this process     gets HANDOVER_SIGNAL: accepts no more connections and answers those that it has, each response with
                     `Connection: close`; after LINGER_SECONDS, it closes its streams and stops

A client that keeps a connection open sends its next request within that time and learns from the response that it has
to connect again; a connection that was closed at once would break the request that is on its way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import structlog
import uvicorn

from zmart import errors

from .connections import ConnectionTable

log = structlog.get_logger()

#: The number of the open file that is the listening socket, as `zmart up` passes it.
LISTENER_VARIABLE = "ZMART_LISTENER_FD"
#: The number of the open file to which a process writes when it serves. It is set for a process that takes over.
SERVING_VARIABLE = "ZMART_SERVING_FD"
#: Asks a process to hand over to one that serves already.
HANDOVER_SIGNAL = signal.SIGUSR1
#: How long connections that are kept open may send one more request.
LINGER_SECONDS = 1.0
#: How often a process that takes over checks whether it is ready.
READY_EVERY_SECONDS = 0.1
#: systemd passes sockets from this number on.
_FIRST_SYSTEMD_FILE = 3

#: Returns why the process cannot answer requests now, one sentence each; empty when it can.
ReadinessCheck = Callable[[], Awaitable[Sequence[str]]]


def take_listener(environ: MutableMapping[str, str] = os.environ) -> socket.socket | None:
    """Return the listening socket that `zmart up` or systemd passed to this process, or None.

    The variables are removed, so that child processes do not take the socket for theirs. Raise ConfigurationError when
    what was passed is not one listening socket.
    """
    passed = environ.pop(LISTENER_VARIABLE, None)
    count, process = environ.pop("LISTEN_FDS", "0"), environ.pop("LISTEN_PID", "")
    if passed is None and process == str(os.getpid()) and count != "0":
        if count != "1":
            raise errors.ConfigurationError(
                f"systemd passed {count} sockets, and the service has one address.",
                help="Leave one ListenStream= in the .socket unit.",
            )
        passed = str(_FIRST_SYSTEMD_FILE)
    return None if passed is None else _open_listener(passed)


def _open_listener(passed: str) -> socket.socket:
    try:
        listener = socket.socket(fileno=int(passed))
        is_listening = bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except (OSError, ValueError):
        is_listening = False
    if not is_listening:
        raise errors.ConfigurationError(
            f"The open file {passed} that was passed to this process is not a listening socket.",
            help=f"Unset {LISTENER_VARIABLE}, or start the service with `zmart up` or its .socket unit.",
        )
    listener.set_inheritable(False)
    return listener


def take_serving_file(environ: MutableMapping[str, str] = os.environ) -> int | None:
    """Return the file to report to that this process serves, or None if it takes over from no other process."""
    passed = environ.pop(SERVING_VARIABLE, None)
    if passed is None:
        return None
    os.set_inheritable(int(passed), False)
    return int(passed)


class HandoverServer(uvicorn.Server):
    """uvicorn that can take over from the process before it, and hand over to the process after it."""

    def __init__(self, config: uvicorn.Config, table: ConnectionTable, *, find_problems: ReadinessCheck) -> None:
        super().__init__(config)
        self._table = table
        self._find_problems = find_problems
        self._serving_file = take_serving_file()
        self._is_handing_over = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and accept connections; a process that takes over first waits until it is ready."""
        if threading.current_thread() is threading.main_thread():
            asyncio.get_running_loop().add_signal_handler(HANDOVER_SIGNAL, self.hand_over)
        if self._serving_file is not None:
            self._wait_in_lifespan()
        await super().startup(sockets)
        if self._serving_file is not None and not self.should_exit:
            # `zmart up` may have given up meanwhile.
            with contextlib.suppress(OSError):
                os.write(self._serving_file, b"1")
                os.close(self._serving_file)

    def hand_over(self) -> None:
        """Accept no more connections, and stop when those that are open had time for one more request."""
        if self._is_handing_over:
            return
        self._is_handing_over = True
        for server in self.servers:
            server.close()
        self._table.drain()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self.begin_stop)

    def begin_stop(self) -> None:
        """Stop as at SIGTERM."""
        self.should_exit = True

    def _wait_in_lifespan(self) -> None:
        """Make the start of the application, after which uvicorn accepts connections, include the wait."""
        lifespan: Any = self.lifespan
        start = lifespan.startup

        async def start_and_wait() -> None:
            await start()
            logged: Sequence[str] = ()
            while not (self.should_exit or lifespan.should_exit) and (problems := await self._find_problems()):
                if problems != logged:
                    log.info("takeover_waits", reasons=problems)
                logged = problems
                await asyncio.sleep(READY_EVERY_SECONDS)
            if self.should_exit:
                # Stopped before it took over: it must not accept what it would not answer.
                await lifespan.shutdown()
                lifespan.should_exit = True

        lifespan.startup = start_and_wait
