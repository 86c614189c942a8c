"""Provides a uvicorn server that ends with status 0 after a signal, and the socket it listens on."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn

from zmart import errors

from .handover import HandoverServer

#: How many connections may wait to be accepted; the kernel allows no more by default (net.core.somaxconn). Thousands of
#: clients connect at once after a restart. One that finds no place tries again after a second, then after three.
BACKLOG = 4_096


class _StoppedBySignals(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


class GracefulServer(_StoppedBySignals):
    """uvicorn that ends with status 0 after a signal, instead of by the signal."""


class ReplaceableServer(_StoppedBySignals, HandoverServer):
    """The same, and it hands over to the next process of its service."""


def bind_listener(host: str, port: int, *, server: str, help: str) -> socket.socket:
    """Return a listening socket; raise ConfigurationError where the address is taken or not ours.

    `server` names the server in the message, `help` is the next step. With port 0 the kernel chooses the port.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise errors.ConfigurationError(
            f"{server} cannot listen on {host}:{port}: {error.strerror or error}.", help=help
        ) from error
    return listener
