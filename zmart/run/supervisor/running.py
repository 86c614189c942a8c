"""Holds what a service has while it runs: a process with its output, and the socket that it listens on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
from dataclasses import dataclass

from zmart.http.server import bind_listener

from . import process
from .service import Port

#: How long a process that has failed may take to exit with its own status.
EXIT_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class RunningProcess:
    """A process of a service, and the task that reads its output."""

    child: subprocess.Popen[bytes]
    launch: process.Launch
    grace_seconds: float
    reading: asyncio.Task[None]

    def terminate(self, number: signal.Signals | None = None) -> None:
        """Ask the process to end, by its stop signal or another one, and kill it after its time."""
        if self.child.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.child.send_signal(number or self.launch.stop_signal)
        # A stopped process does not act on a signal before it continues.
        process.signal_group(self.child.pid, signal.SIGCONT)
        asyncio.get_running_loop().call_later(self.grace_seconds, self._kill_if_alive)

    async def kill(self) -> int:
        """Kill a process that does not serve yet; return its exit status, which is its own if it was exiting."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXIT_SECONDS):
                while self.child.poll() is None:  # noqa: ASYNC110 - a process has no event
                    await asyncio.sleep(0.02)
        process.signal_group(self.child.pid, signal.SIGKILL)
        return self.child.wait()

    def _kill_if_alive(self) -> None:
        if self.child.poll() is None:
            process.signal_group(self.child.pid, signal.SIGKILL)


class HeldListener:
    """The listening socket of a service, kept open from one of its processes to the next."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket: socket.socket | None = None
        #: The address of the socket; None while there is none.
        self.port: Port | None = None

    def open(self, port: Port | None) -> socket.socket | None:
        """Return the socket on `port`, the open one if it is there; raise ConfigurationError if the port is taken."""
        if port != self.port:
            self.close()
        if port is not None and self._socket is None:
            self._socket = bind_listener(
                port.host,
                port.number,
                server=self._name,
                help=f"Stop the process that listens there, or set {port.variable} to another port.",
            )
            self.port = port
        return self._socket

    def close(self) -> None:
        """Refuse connections from now on, unless a process still has the socket."""
        if self._socket is not None:
            self._socket.close()
        self._socket = self.port = None


async def read_byte(file: int) -> bool:
    """Return True when a byte arrives on a pipe, False when its other end is closed."""
    loop = asyncio.get_running_loop()
    is_readable = asyncio.Event()
    loop.add_reader(file, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(file)
    return bool(os.read(file, 1))


async def read_line(stream: asyncio.StreamReader) -> bytes:
    """Return the next line, or the beginning of a line that is too long for the buffer."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as overrun:
        return await stream.readexactly(overrun.consumed)


def describe_status(status: int) -> str:
    """Return an exit status in words."""
    if status >= 0:
        return f"exit code {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"
