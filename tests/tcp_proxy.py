"""A TCP proxy that can stop forwarding while its connections stay open, like a network that drops packets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit


class TcpProxy:
    """Forwards connections to one address; `freeze` makes them silent, `thaw` lets them go on."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def freeze(self) -> None:
        """Forward nothing more; whoever connects now is accepted and gets no answer."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Forward again, beginning with what arrived meanwhile."""
        self._flowing.set()

    def address_of(self, dsn: str) -> str:
        """Return `dsn` with the proxy in place of the server."""
        parts = urlsplit(dsn)
        login = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{login}@127.0.0.1:{self.port}").geturl()

    def close(self) -> None:
        """Close every connection."""
        self._flowing.set()
        for each in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._forward, args=(source, target), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self._flowing.wait()
                target.sendall(data)
        with contextlib.suppress(OSError):
            self._flowing.wait()
            target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def in_front_of(dsn: str) -> Iterator[TcpProxy]:
    """A proxy in front of the server of `dsn`."""
    parts = urlsplit(dsn)
    proxy = TcpProxy(parts.hostname or "127.0.0.1", parts.port or 5432)
    try:
        yield proxy
    finally:
        proxy.close()
