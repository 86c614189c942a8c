"""A connection pooler in transaction mode: it lends a backend from the first message until the transaction is over."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import struct
import threading
from collections.abc import Iterator

import psycopg

_SSL_REQUEST = 80877103
_PARAMETERS = ("server_version", "client_encoding", "integer_datetimes", "standard_conforming_strings", "DateStyle")


class FakePooler:
    """Listens on `port`; with `is_lifo` an idle pooler lends the same backend again, as PgBouncer does."""

    def __init__(self, dsn: str, *, backends: int = 3, is_lifo: bool = True) -> None:
        self._sessions = [psycopg.connect(dsn, autocommit=True) for _ in range(backends)]
        self._idle: queue.Queue[int] = queue.LifoQueue() if is_lifo else queue.Queue()
        for session in self._sessions:
            self._idle.put(session.pgconn.socket)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.dsn = f"postgresql://anybody@127.0.0.1:{self.port}/{self._sessions[0].info.dbname}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Close the listener and every backend."""
        self._listener.close()
        for session in self._sessions:
            session.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, EOFError):
            if not self._greet(client):
                return
            backend: int | None = None
            request = b""
            try:
                while True:
                    kind, message = _read(client.fileno(), typed=True)
                    if kind == b"X":
                        return
                    request += message
                    if kind not in (b"Q", b"S"):
                        continue
                    if backend is None:
                        backend = self._idle.get()
                    os.write(backend, request)
                    request = b""
                    if _answer(backend, client) == b"I":
                        self._idle.put(backend)
                        backend = None
            finally:
                if backend is not None:
                    self._idle.put(backend)

    def _greet(self, client: socket.socket) -> bool:
        _, message = _read(client.fileno(), typed=False)
        if struct.unpack("!I", message[4:8])[0] == _SSL_REQUEST:
            client.sendall(b"N")
            _, message = _read(client.fileno(), typed=False)
        if struct.unpack("!I", message[4:8])[0] >> 16 != 3:
            return False
        client.sendall(_message(b"R", struct.pack("!I", 0)))
        for name in _PARAMETERS:
            value = self._sessions[0].pgconn.parameter_status(name.encode()) or b""
            client.sendall(_message(b"S", name.encode() + b"\0" + value + b"\0"))
        client.sendall(_message(b"K", struct.pack("!II", 1, 1)) + _message(b"Z", b"I"))
        return True


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def _read(descriptor: int, *, typed: bool) -> tuple[bytes, bytes]:
    head = _exactly(descriptor, 5 if typed else 4)
    length = struct.unpack("!I", head[-4:])[0]
    return head[:1] if typed else b"", head + _exactly(descriptor, length - 4)


def _exactly(descriptor: int, count: int) -> bytes:
    data = b""
    while len(data) < count:
        try:
            more = os.read(descriptor, count - len(data))
        except BlockingIOError:
            threading.Event().wait(0.001)
            continue
        if not more:
            raise EOFError
        data += more
    return data


def _answer(backend: int, client: socket.socket) -> bytes:
    """Forward the answer of a backend; the state of its transaction."""
    while True:
        kind, message = _read(backend, typed=True)
        client.sendall(message)
        if kind == b"Z":
            return message[5:6]


@contextlib.contextmanager
def in_front_of(dsn: str, *, backends: int = 3, is_lifo: bool = True) -> Iterator[FakePooler]:
    """A pooler in front of the server of `dsn`."""
    pooler = FakePooler(dsn, backends=backends, is_lifo=is_lifo)
    try:
        yield pooler
    finally:
        pooler.close()
