"""Connects hundreds of WebSocket clients and reads them as fast as one thread can, counting bytes without parsing.

The same code reads our server and the peer, so the comparison is between the senders. A message is recognized by a
member that each message has once. The code searches for its name in the received bytes, also where it is split
across two chunks.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .not_measured import NotMeasured

#: Occurs once in each message, both in ours and in the peer's.
MARK = b'"tradeId"'
_CHUNK = 1 << 18
_OPEN_SECONDS = 20.0
#: A client must read at least this often, because that is when it answers pings. Our server pings every fifteen
#: seconds and closes a client that does not answer within fifteen.
LIVE_SECONDS = 8.0
#: The start of a ping with a payload of four bytes, as our server sends it. JSON never contains the second byte.
_PING = b"\x89\x04"
_PING_BYTES = 6


class SocketClient:
    """One WebSocket connection."""

    __slots__ = ("bytes", "messages", "raw", "tail")

    def __init__(self, raw: socket.socket) -> None:
        self.raw = raw
        self.messages = 0
        self.bytes = 0
        self.tail = b""

    @classmethod
    def connect(cls, port: int, path: str, asking: dict[str, object] | None) -> SocketClient:
        """Open a connection, complete the handshake and subscribe; this blocks."""
        raw = socket.create_connection(("127.0.0.1", port), timeout=_OPEN_SECONDS)
        raw.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        received = b""
        while b"\r\n\r\n" not in received:
            if not (chunk := raw.recv(4096)):
                raise NotMeasured(f"A handshake was not answered: {received[:100]!r}")
            received += chunk
        if b" 101 " not in received[:20]:
            raise NotMeasured(f"A handshake was refused: {received[:100]!r}")
        if asking is not None:
            raw.sendall(mask_frame(json.dumps(asking).encode()))
            while b'"subscribed"' not in received:
                received += raw.recv(4096)
        raw.setblocking(False)
        return cls(raw)

    def read(self) -> int:
        """Read the available bytes, answer a ping among them, and return the number of new messages."""
        try:
            chunk = self.raw.recv(_CHUNK)
        except BlockingIOError:
            return 0
        if not chunk:
            raise NotMeasured("A server closed a connection that it should have served.")
        self.bytes += len(chunk)
        unread = self.tail + chunk
        new = unread.count(MARK)
        self.messages += new
        if (ping := unread.rfind(_PING)) >= 0 and len(unread) >= ping + _PING_BYTES:
            # A pong to a ping that was answered before is ignored.
            self.raw.sendall(_mask(0x8A, unread[ping + len(_PING) : ping + _PING_BYTES]))
        # The tail is shorter than the mark, so that no mark is counted twice.
        self.tail = chunk[-(len(MARK) - 1) :]
        return new

    def close(self) -> None:
        """Close the connection."""
        self.raw.close()


def mask_frame(payload: bytes) -> bytes:
    """Return a client's text frame (RFC 6455 section 5.2)."""
    return _mask(0x81, payload)


def _mask(kind: int, payload: bytes) -> bytes:
    mask = os.urandom(4)
    length = len(payload)
    head = bytes((kind, 0x80 | length)) if length < 126 else struct.pack("!BBH", kind, 0xFE, length)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


#: A message that counts as a pong, for clients that do not answer pings.
PONG = mask_frame(json.dumps({"action": "pong"}).encode())


@contextmanager
def connect_clients(
    port: int, count: int, *, path: str, asking: dict[str, object] | None
) -> Iterator[list[SocketClient]]:
    """Connect `count` clients; with `asking`, each has received the confirmation of its subscription."""
    clients: list[SocketClient] = []
    try:
        last_read_at = time.monotonic()
        for _ in range(count):
            clients.append(SocketClient.connect(port, path, asking))
            if time.monotonic() - last_read_at > LIVE_SECONDS:
                last_read_at = time.monotonic()
                for client in clients:
                    client.read()
        yield clients
    finally:
        for client in clients:
            client.close()


def read_all(clients: list[SocketClient], each: int, within_seconds: float) -> float:
    """Read until every client has `each` messages; return time.perf_counter() at the last one."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.raw, selectors.EVENT_READ, client)
        missing = len(clients) * each - sum(client.messages for client in clients)
        deadline = time.monotonic() + within_seconds
        while missing > 0:
            for key, _ in selector.select(0.5):
                missing -= key.data.read()
            if time.monotonic() > deadline:
                raise NotMeasured(f"{missing} of {len(clients) * each} messages did not arrive.")
        if missing < 0:
            raise NotMeasured(f"{-missing} messages too many arrived.")
    return time.perf_counter()
